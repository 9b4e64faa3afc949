//! A failure names its greenlet, in a sentence.

use std::error::Error;
use std::future::pending;

use spinney_greenlet::{
    Failure, Greenlet, GreenletExit, Handle, LazyHandle, catch_exit, named, pair, spawn_on,
};
use spinney_hub::LocalHub;
use spinney_test_support::{ByHand, blow_up};

/// The failure that ended `greenlet`.
fn failed<T>(greenlet: Greenlet<T>) -> Failure {
    match greenlet.try_get() {
        Ok(Err(failure)) => failure,
        Ok(Ok(_)) => panic!("it succeeded"),
        Err(greenlet) => panic!("{greenlet:?} lives"),
    }
}

/// A greenlet that has been polled once, and its owner.
fn begun() -> (ByHand<impl Future<Output = ()>>, Greenlet<()>) {
    let (task, greenlet) = pair(pending::<()>(), ());
    (ByHand::waiting(task), greenlet)
}

#[test]
fn failure_of_a_panic_names_its_greenlet() {
    let hub = LocalHub::new();
    let line = line!() + 1;
    let greenlet = spawn_on(&hub, named("fetch 1", async { blow_up("no luck") }));
    let handle = greenlet.handle().clone();
    let failure = hub.block_on(greenlet).unwrap_err();
    let text = failure.to_string();
    let expected = format!("greenlet {} \"fetch 1\" (spawned at {}:{line}:", handle.id(), file!());
    assert!(text.starts_with(&expected) && text.ends_with(") panicked: no luck"), "{text}");
    assert_eq!(failure.task(), Some(&handle));
}

#[test]
fn failure_of_a_kill_names_its_greenlet_and_the_reason() {
    let (mut task, greenlet) = begun();
    let (id, at) = (greenlet.id(), greenlet.spawned_at());
    greenlet.kill_now_with(GreenletExit::because("the pool was closed"));
    assert!(task.poll().is_ready());
    let failure = failed(greenlet);
    let text = format!("greenlet {id} (spawned at {at}) was killed: the pool was closed");
    assert_eq!(failure.to_string(), text);
    let Failure::Killed(exit) = failure else { panic!("it was killed") };
    assert_eq!(exit.to_string(), "killed: the pool was closed");
    assert_eq!(exit.reason().unwrap().to_string(), "the pool was closed");
}

#[test]
fn failure_of_an_abort_names_its_greenlet() {
    let (mut task, greenlet) = begun();
    let (id, at) = (greenlet.id(), greenlet.spawned_at());
    greenlet.abort();
    assert!(task.poll().is_ready());
    assert_eq!(
        failed(greenlet).to_string(),
        format!("greenlet {id} (spawned at {at}) was aborted")
    );
}

#[test]
fn failure_before_the_first_poll_names_its_greenlet() {
    for end in [Handle::kill_now, Handle::abort] {
        let greenlet = Greenlet::new(pending::<()>());
        let handle = greenlet.handle().clone();
        end(&handle);
        assert_eq!(failed(greenlet).task(), Some(&handle));
    }
}

#[test]
fn every_caller_gets_a_failure_with_its_greenlet() {
    let (mut task, mut greenlet) = begun();
    let handle = greenlet.handle().clone();
    let (to, told) = std::sync::mpsc::channel();
    greenlet.link_result(move |result| to.send(result.unwrap_err()).unwrap());
    greenlet.kill_now();
    assert!(task.poll().is_ready());
    let asked = [greenlet.failure().unwrap(), greenlet.outcome().unwrap().unwrap_err()];
    let failures = asked.into_iter().chain([told.recv().unwrap(), failed(greenlet)]);
    assert!(failures.map(|failure| failure.task().cloned()).all(|task| task.unwrap() == handle));
}

#[test]
fn failure_without_a_greenlet_names_none() {
    let cases = [
        (Failure::panicked(Box::new("no luck")), "panicked: no luck"),
        (Failure::from(GreenletExit::because("a whim")), "killed: a whim"),
        (Failure::Aborted(None), "aborted"),
    ];
    for (failure, text) in cases {
        assert!(failure.task().is_none() && failure.source().is_none());
        assert_eq!(failure.to_string(), text);
    }
}

#[test]
fn resumed_failure_names_the_greenlet_that_resumes_it() {
    let hub = LocalHub::new();
    for end in [Handle::kill_now, Handle::abort] {
        let (mut task, inner) = begun();
        end(&inner);
        assert!(task.poll().is_ready());
        let failure = failed(inner);
        let outer = spawn_on(&hub, failure.resume::<()>());
        let handle = outer.handle().clone();
        let failure = hub.block_on(outer).unwrap_err();
        assert_eq!(failure.task(), Some(&handle));
    }
}

#[test]
fn forwarded_kill_names_the_greenlet_that_it_ends() {
    let (mut first, one) = begun();
    let (mut second, two) = begun();
    one.kill_now_with(GreenletExit::because("a whim"));
    assert!(first.poll().is_ready());
    let Failure::Killed(exit) = failed(one) else { panic!("it was killed") };
    let handle = two.handle().clone();
    two.kill_now_with(exit);
    assert!(second.poll().is_ready());
    let failure = failed(two);
    assert_eq!(failure.task(), Some(&handle));
    assert!(failure.to_string().ends_with("was killed: a whim"));
}

#[test]
fn caught_kill_names_no_greenlet() {
    let (mut first, one) = begun();
    one.kill_now();
    assert!(first.poll().is_ready());
    let Failure::Killed(exit) = failed(one) else { panic!("it was killed") };
    let (task, two) = pair(catch_exit(pending::<()>()), ());
    let mut task = ByHand::waiting(task);
    two.kill_now_with(exit);
    assert!(task.poll().is_ready());
    let caught = two.try_get().unwrap().unwrap().unwrap_err();
    assert!(Failure::from(caught).task().is_none());
}

#[test]
fn failure_has_the_last_name_of_its_greenlet() {
    let (task, greenlet) = pair(
        named("first", async {
            let me = Handle::current().unwrap();
            assert_eq!(me.name().as_deref(), Some("first"));
            pending::<()>().await;
        }),
        (),
    );
    let mut task = ByHand::waiting(task);
    let greenlet = greenlet.named("last");
    greenlet.kill_now();
    assert!(task.poll().is_ready());
    assert!(failed(greenlet).to_string().contains(" \"last\" (spawned at "));
}

#[test]
fn failure_of_a_lazy_greenlet_names_it() {
    let line = line!() + 1;
    let mut lazy = LazyHandle::new();
    assert!(ByHand::of(lazy.begin(async { blow_up("no luck") }, ())).poll().is_ready());
    let failure = lazy.failure().unwrap();
    assert_eq!(failure.task(), Some(&lazy.handle()));
    assert_eq!(lazy.handle().spawned_at().line(), line);
}
