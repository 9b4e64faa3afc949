//! Programs that cannot be explored, failures of a run, and their reports.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use spinney_hub::{Hub, Spawn, label_task, sleep, yield_now};
use spinney_sim::{Counterexample, Explore, ExploreError, SimHub};
use spinney_sync::Event;

#[track_caller]
fn found(explore: Explore, scenario: impl Fn(&SimHub)) -> Box<Counterexample> {
    match explore.try_run(scenario) {
        Err(ExploreError::Failed(found)) => found,
        other => panic!("{other:?}"),
    }
}

/// The panic message of `run`.
#[track_caller]
fn said(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref().cloned()).unwrap()
}

#[test]
fn nondeterministic_program_is_not_a_failure() {
    let runs = Cell::new(1);
    let outlives = |sim: &SimHub| {
        runs.set(runs.get() + 1);
        (0..runs.get()).for_each(|_| sim.spawn(yield_now()));
        sim.run_until_idle();
    };
    let error = Explore::delays(2).try_run(outlives).unwrap_err();
    let why = "3 tasks are ready, and 2 were before".to_owned();
    assert_eq!(error, ExploreError::NotDeterministic { step: 1, why });
    assert!(error.to_string().starts_with("the program is not deterministic at step 1: "));
}

#[test]
fn task_spawned_on_another_line_is_a_difference() {
    let runs = Cell::new(0);
    let error = Explore::delays(2).try_run(|sim| {
        runs.set(runs.get() + 1);
        sim.spawn(yield_now());
        match runs.get() {
            1 => sim.spawn(yield_now()),
            _ => sim.spawn(sleep(Duration::ZERO)),
        }
    });
    let why = "other tasks are ready than before".to_owned();
    assert_eq!(error, Err(ExploreError::NotDeterministic { step: 1, why }));
}

#[test]
fn run_that_ends_earlier_is_a_difference() {
    let runs = Cell::new(0);
    let error = Explore::delays(2).try_run(|sim| {
        runs.set(runs.get() + 1);
        if runs.get() == 1 {
            (0..2).for_each(|_| sim.spawn(yield_now()));
        }
    });
    let Err(ExploreError::NotDeterministic { why, .. }) = error else { panic!("{error:?}") };
    assert!(why.starts_with("the run ended after 0 choices"), "{why}");
}

#[test]
fn failure_that_does_not_repeat_is_a_difference() {
    let runs = Cell::new(0);
    let error = Explore::fifo().try_run(|_| {
        runs.set(runs.get() + 1);
        assert!(runs.get() > 1);
    });
    let Err(ExploreError::NotDeterministic { why, .. }) = error else { panic!("{error:?}") };
    assert!(why.contains("but not when the order was repeated"), "{why}");
}

#[test]
fn wake_from_another_thread_ends_the_run() {
    let error = Explore::delays(1).try_run(|sim| {
        let mut turns = 0;
        sim.spawn(poll_fn(move |cx| {
            turns += 1;
            let waker = cx.waker().clone();
            // The waker does not panic.
            thread::spawn(move || waker.wake()).join().unwrap();
            if turns == 3 { Poll::Ready(()) } else { Poll::Pending }
        }));
    });
    let error = error.unwrap_err();
    assert_eq!(error, ExploreError::OtherThread { step: 1, task: "task 1".to_owned() });
    let text = "another thread woke or spawned task 1 before step 1, which cannot be explored";
    assert_eq!(error.to_string(), text);
}

#[test]
fn spawn_from_another_thread_ends_the_run() {
    let error = Explore::delays(1).try_run(|sim| {
        let handle = Hub::from(sim);
        thread::spawn(move || handle.spawn(async {})).join().unwrap();
    });
    assert!(matches!(error, Err(ExploreError::OtherThread { .. })), "{error:?}");
}

#[test]
fn hubs_with_threads_are_refused_inside() {
    let global = |sim: &SimHub| sim.block_on(async { drop(Hub::global()) });
    let own = |sim: &SimHub| sim.block_on(async { drop(Hub::builder().threads(1).build()) });
    for (found, what) in [
        (found(Explore::fifo(), global), "the global hub"),
        (found(Explore::fifo(), own), "a hub with threads"),
    ] {
        let text = format!("{what} runs on other threads, whose order cannot be explored");
        assert!(found.message().contains(&text), "{found}");
    }
    SimHub::new().block_on(async { drop(Hub::builder().threads(1).build()) });
}

#[test]
fn run_with_too_many_steps_fails() {
    let scenario = |sim: &SimHub| {
        sim.spawn(async {
            loop {
                yield_now().await;
            }
        });
    };
    let found = found(Explore::fifo().steps(500), scenario);
    assert_eq!(found.message(), "the run did not end within 500 steps");
    assert_eq!(found.steps().len(), 301);
    assert_eq!(found.steps()[0], "      200 lines before these");
}

#[test]
fn unfinished_task_fails_unless_allowed() {
    let scenario = |sim: &SimHub| {
        sim.spawn(async {
            label_task(|| "greenlet 4711 \"reader\"".to_owned());
            Event::new().wait().await;
        });
        sim.spawn(pending());
    };
    let found = found(Explore::fifo(), scenario);
    let text = found.message();
    assert!(text.starts_with("tasks that have not finished and cannot go on: 2\n"), "{text}");
    assert!(text.contains("greenlet 1 \"reader\" waits for Event::wait at "), "{text}");
    Explore::fifo().allow_unfinished().run(scenario);
}

#[test]
fn contained_panic_fails_unless_allowed() {
    let scenario = |sim: &SimHub| {
        sim.spawn(async { drop(catch_unwind(|| panic!("of a task"))) });
    };
    let found = found(Explore::fifo(), scenario);
    let text = format!("panicked at {}:", file!());
    assert!(found.message().starts_with(&text) && found.message().ends_with(":\nof a task"));
    Explore::fifo().allow_panics().run(scenario);
    let replay = said(|| SimHub::replay(found.token(), scenario));
    assert_eq!(replay, found.message());
}

#[test]
fn deadlock_of_the_main_future_fails() {
    let found = found(Explore::fifo(), |sim| sim.block_on(pending()));
    assert!(found.message().contains("deadlock: nothing is ready to run"), "{found}");
}

#[test]
fn task_that_holds_its_hub_is_dropped_after_each_run() {
    let alive = Rc::new(());
    let scenario = |sim: &SimHub| {
        let (hub, held) = (sim.clone(), Rc::clone(&alive));
        sim.spawn(async move {
            pending::<()>().await;
            drop((hub, held));
        });
        (0..2).for_each(|_| sim.spawn(yield_now()));
    };
    Explore::delays(2).allow_unfinished().run(scenario);
    assert_eq!(Rc::strong_count(&alive), 1);
}

/// Fails if task 2 runs before task 1 and the connection drops.
fn fails(sim: &SimHub) {
    let log = Rc::new(RefCell::new(Vec::new()));
    for n in 0..2 {
        let (log, hub) = (Rc::clone(&log), sim.clone());
        sim.spawn(async move {
            label_task(|| format!("greenlet {} \"fetch\"", 4711 + n));
            if n == 1 {
                let drops = hub.choose("the connection drops", 2) == 1;
                assert!(!drops || !log.borrow().is_empty(), "greenlet 4712 has nothing");
            }
            log.borrow_mut().push(n);
            sleep(Duration::from_secs(1)).await;
        });
    }
}

#[test]
fn failure_shows_each_step_and_the_token() {
    let found = found(Explore::delays(2), fails);
    assert_eq!((found.deviations(), found.token()), (2, "0:1/2,1:1/2"));
    let here = file!();
    let (_, panicked) = found.message().split_once(here).unwrap();
    assert!(panicked.ends_with(":\ngreenlet 1 has nothing"), "{found}");
    let step = &found.steps()[0];
    let chooses = "chooses 1 of 2, \"the connection drops\"; does not return";
    assert!(step.starts_with("   1. task 2, before task 1:") && step.ends_with(chooses), "{step}");
    let text = found.to_string();
    assert!(
        text.contains("replay it with SPINNEY_REPLAY=0:1/2,1:1/2 or SimHub::replay("),
        "{text}"
    );
    let again = said(|| _ = Explore::delays(2).run(fails));
    assert_eq!(again, text, "the text differs between runs");
}

#[test]
fn passing_order_of_a_token_passes() {
    SimHub::replay("fifo", fails);
    SimHub::replay("0:1/2", fails);
}

#[test]
fn invalid_token_is_refused() {
    for text in ["", "x", "1:2", "1:2/2", "1:0/2", "5:1/2,4:1/2"] {
        let said = said(|| SimHub::replay(text, fails));
        assert!(said.contains("is not a replay token"), "{said}");
    }
}

#[test]
fn token_of_another_program_is_refused() {
    for text in ["0:1/3", "77:1/2"] {
        let said = said(|| SimHub::replay(text, fails));
        assert!(said.contains("the token belongs to another program"), "{said}");
    }
}

/// The variable for which this test runs itself.
#[test]
fn environment_replays_a_token() {
    if std::env::var_os("SPINNEY_REPLAY").is_some() {
        Explore::fifo().run(fails);
        return;
    }
    let run = |token: &str| {
        let name = "explore::limits::environment_replays_a_token";
        let mut program = Command::new(std::env::current_exe().unwrap());
        let output = program.args([name, "--exact"]).env("SPINNEY_REPLAY", token).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert!(run("fifo").0);
    let (passes, text) = run("0:1/2,1:1/2");
    assert!(!passes && text.contains("greenlet 4712 has nothing"), "{text}");
}
