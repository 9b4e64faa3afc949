//! The promises of `abort`: it ends a greenlet that survives its kills, at the next poll, inside
//! the greenlet.

use std::future::pending;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use spinney::task::{State, spawn_on};
use spinney::{
    Failure, Greenlet, Handle, ThreadPool, Within, catch_exit, greenlet_local, shield, yield_now,
};
use spinney_greenlet::{InPlace, LazyHandle, pair};
use spinney_tests::tools::{
    Log, OnDrop, Why, behind, gate, let_others_run, on_its_own_waker, panics_on_drop, polled, stuck,
};
use spinney_tests::{Dropped, on_every_hub};

greenlet_local! {
    static NAME: &'static str = "anonymous";
}

/// Catches every kill and goes on.
async fn refuse(started: Arc<spinney::Event>) {
    loop {
        let _kill = catch_exit(polled(Arc::clone(&started), pending::<()>())).await;
    }
}

on_every_hub! {
    async fn abort_ends_a_greenlet_that_catches_every_kill(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, refuse(Arc::clone(&started)));
        started.wait().await;
        greenlet.kill_now();
        let_others_run().await;
        assert!(!greenlet.is_ready());
        greenlet.abort();
        greenlet.join().await;
        assert_eq!(greenlet.state(), State::Aborted);
        assert!(!greenlet.is_successful());
        let failure = greenlet.await.unwrap_err();
        assert!(failure.is_aborted() && !failure.is_killed() && !failure.is_panic());
        assert_eq!(failure.why(), "aborted");
    }

    async fn abort_ends_a_shield(hub) {
        let (started, dropped) = (gate(), Dropped::default());
        let greenlet = spawn_on(hub, shield(stuck(Arc::clone(&started), dropped.guard())));
        started.wait().await;
        greenlet.kill_now();
        greenlet.abort();
        assert!(greenlet.await.unwrap_err().is_aborted());
        assert_eq!(dropped.count(), 1);
    }

    async fn abort_ends_nested_scopes(hub) {
        let started = gate();
        let inner = catch_exit(shield(catch_exit(refuse(Arc::clone(&started)))));
        let greenlet = spawn_on(hub, shield(async { catch_exit(inner).await.is_ok() }));
        started.wait().await;
        greenlet.abort();
        assert!(greenlet.await.unwrap_err().is_aborted());
    }

    async fn abort_ends_the_cleanup_after_a_kill(hub) {
        let cleans_up = gate();
        let opened = Arc::clone(&cleans_up);
        let started = gate();
        let waits = Arc::clone(&started);
        let greenlet = spawn_on(hub, async move {
            let exit = catch_exit(polled(waits, pending::<()>())).await.unwrap_err();
            opened.set();
            pending::<()>().await;
            exit.resume::<()>().await;
        });
        started.wait().await;
        greenlet.kill_now();
        cleans_up.wait().await;
        greenlet.abort();
        assert!(greenlet.await.unwrap_err().is_aborted());
    }

    async fn abort_before_the_first_poll_ends_it_immediately(_hub) {
        let log = Log::default();
        let ran = log.clone();
        let (task, greenlet) = pair(async move { ran.add("it ran") }, ());
        greenlet.abort();
        assert!(greenlet.is_ready());
        assert_eq!(greenlet.state(), State::Aborted);
        task.await;
        assert!(greenlet.await.unwrap_err().is_aborted());
        assert_eq!(log.take(), [""; 0]);
    }

    async fn abort_of_an_unstarted_greenlet_ends_it(_hub) {
        let dropped = Dropped::default();
        let greenlet = Greenlet::new(stuck(gate(), dropped.guard()));
        greenlet.abort();
        assert_eq!(dropped.count(), 1);
        assert!(!greenlet.start());
        assert!(greenlet.await.unwrap_err().is_aborted());
    }

    async fn abort_of_a_greenlet_that_starts_later_ends_it(_hub) {
        let greenlet = Greenlet::new(pending::<()>());
        assert!(greenlet.start_later(Duration::from_secs(3600)));
        greenlet.abort();
        assert!(greenlet.await.unwrap_err().is_aborted());
    }

    async fn abort_during_a_poll_ends_it_if_pending(hub) {
        let log = Log::default();
        let seen = log.clone();
        let greenlet = spawn_on(hub, async move {
            Handle::current().unwrap().abort();
            seen.add("goes on to the end of the poll");
            shield(yield_now()).await;
            seen.add("is polled again");
        });
        assert!(greenlet.await.unwrap_err().is_aborted());
        assert_eq!(log.take(), ["goes on to the end of the poll"]);
    }

    async fn abort_during_the_last_poll_leaves_the_result(hub) {
        let greenlet = spawn_on(hub, async {
            Handle::current().unwrap().abort();
            42
        });
        greenlet.join().await;
        assert_eq!(greenlet.state(), State::Successful);
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn abort_twice_is_one_abort(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, refuse(Arc::clone(&started)));
        started.wait().await;
        greenlet.abort();
        greenlet.abort();
        greenlet.join().await;
        greenlet.abort();
        assert!(greenlet.await.unwrap_err().is_aborted());
    }

    async fn abort_after_the_end_is_a_no_op(hub) {
        let (done, killed) = (spawn_on(hub, async { 42 }), spawn_on(hub, pending::<()>()));
        killed.kill().await;
        done.join().await;
        done.abort();
        killed.abort();
        assert_eq!(done.await.unwrap(), 42);
        assert!(killed.await.unwrap_err().is_killed());
    }

    async fn abort_replaces_a_pending_kill(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, shield(stuck(Arc::clone(&started), ())));
        started.wait().await;
        greenlet.kill_now();
        greenlet.abort();
        assert!(greenlet.await.unwrap_err().is_aborted());
    }

    async fn kill_after_an_abort_is_a_no_op(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, refuse(Arc::clone(&started)));
        started.wait().await;
        greenlet.abort();
        greenlet.kill().await;
        assert!(greenlet.await.unwrap_err().is_aborted());
    }

    async fn destructors_of_an_aborted_greenlet_run_in_it(hub) {
        let (started, log) = (gate(), Log::default());
        let (waits, seen) = (Arc::clone(&started), log.clone());
        let greenlet = spawn_on(hub, async move {
            NAME.set("aborted");
            let _guard = OnDrop::new(move || seen.add((Handle::current(), NAME.get())));
            shield(polled(waits, pending::<()>())).await;
        });
        started.wait().await;
        greenlet.abort();
        greenlet.join().await;
        assert_eq!(log.take(), [(Some(greenlet.handle().clone()), "aborted")]);
    }

    async fn panic_of_a_destructor_in_an_abort_is_the_failure(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, shield(stuck(Arc::clone(&started), panics_on_drop())));
        started.wait().await;
        greenlet.abort();
        assert!(greenlet.await.unwrap_err().is_panic());
    }

    async fn abort_of_a_greenlet_in_place_ends_it_alone(hub) {
        let started = gate();
        let (child, greenlet) = pair(refuse(Arc::clone(&started)), ());
        let child = InPlace::new(child, greenlet.handle());
        let parent = spawn_on(hub, on_its_own_waker(async {
            child.await;
            Handle::current()
        }));
        started.wait().await;
        greenlet.abort();
        assert_eq!(parent.handle().clone(), parent.await.unwrap().unwrap());
        assert!(greenlet.await.unwrap_err().is_aborted());
    }

    async fn abort_ends_the_child_in_place(hub) {
        let started = gate();
        let (child, greenlet) = pair(refuse(Arc::clone(&started)), ());
        let parent = spawn_on(hub, shield(InPlace::new(child, greenlet.handle())));
        started.wait().await;
        parent.abort();
        assert!(parent.await.unwrap_err().is_aborted());
        assert!(greenlet.await.unwrap_err().is_killed());
    }

    async fn aborted_greenlet_calls_its_links(hub) {
        let (started, log) = (gate(), Log::default());
        let greenlet = spawn_on(hub, refuse(Arc::clone(&started)));
        let seen = log.clone();
        greenlet.link(move |handle| seen.add(handle.failure().unwrap().why()));
        started.wait().await;
        greenlet.abort();
        greenlet.join().await;
        assert_eq!(log.take(), ["aborted"]);
    }

    async fn resumed_abort_is_a_kill_that_can_be_caught(hub) {
        let greenlet = spawn_on(hub, async {
            let caught = catch_exit(async { Failure::Aborted(None).resume::<()>().await }).await;
            caught.unwrap_err().to_string()
        });
        assert_eq!(greenlet.await.unwrap(), "killed: aborted");
    }

    async fn abort_of_a_lazy_greenlet_ends_it(_hub) {
        let mut lazy = LazyHandle::new();
        lazy.handle().abort();
        lazy.begin(async { panic!("it ran") }, ()).await;
        assert!(lazy.failure().unwrap().is_aborted());
    }

    async fn abort_ends_a_wait_with_a_limit(hub) {
        let open = gate();
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
        let join = greenlet.join().within(Duration::from_secs(3600));
        greenlet.abort();
        join.await.unwrap();
    }
}

#[test]
fn abort_from_another_thread_ends_a_greenlet() {
    let hub = spinney_tests::hub(1);
    let started = gate();
    let greenlet = spawn_on(&hub, refuse(Arc::clone(&started)));
    hub.block_on(started.wait());
    let handle = greenlet.handle().clone();
    std::thread::spawn(move || handle.abort()).join().unwrap();
    assert!(hub.block_on(greenlet).unwrap_err().is_aborted());
}

#[test]
fn closure_in_the_queue_is_aborted() {
    let pool = ThreadPool::new(1);
    let (open, opened) = mpsc::channel::<()>();
    let busy = pool.submit(move || opened.recv().is_err());
    let (log, dropped) = (Log::default(), Dropped::default());
    let (ran, guard) = (log.clone(), dropped.guard());
    let waits = pool.submit(move || {
        drop(guard);
        ran.add("it ran");
    });
    waits.handle().abort();
    assert!(waits.is_ready());
    drop(open);
    assert!(waits.wait().unwrap_err().is_aborted());
    assert!(busy.wait().unwrap());
    assert_eq!((log.take(), dropped.count()), (vec![], 1));
}

#[test]
fn aborted_started_closure_keeps_its_result() {
    let pool = ThreadPool::new(1);
    let result = pool.submit(|| {
        Handle::current().unwrap().abort();
        42
    });
    assert_eq!(result.wait().unwrap(), 42);
}
