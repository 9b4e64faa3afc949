//! The promises of kills: what they stop, and what they do not affect.

use std::sync::Arc;

use spinney::task::{GreenletExit, spawn_on};
use spinney::{Event, Failure, Handle, Pool, Spawn};
use spinney_greenlet::pair;
use spinney_tests::tools::{OnDrop, Why, behind, gate, panics_on_drop, stuck};
use spinney_tests::{Dropped, hub, in_time, on_every_hub};

/// The reason of a greenlet's kill.
fn reason_of<T>(ended: Result<T, Failure>) -> Option<String> {
    match ended {
        Err(Failure::Killed(exit)) => exit.reason().map(ToString::to_string),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it succeeded"),
    }
}

on_every_hub! {
    async fn greenlet_killed_before_it_starts_never_runs(hub) {
        let ran = gate();
        let set = Arc::clone(&ran);
        let (task, greenlet) = pair(async move { set.set() }, ());
        greenlet.kill_now();
        hub.spawn(task);
        greenlet.join().await;
        assert!(!ran.is_set());
    }

    async fn greenlet_killed_before_it_starts_fails_as_killed(hub) {
        let (task, greenlet) = pair(async {}, ());
        drop(greenlet.kill_with(GreenletExit::because("too early")));
        hub.spawn(task);
        assert_eq!(reason_of(greenlet.await).unwrap(), "too early");
    }

    async fn kill_drops_the_future_at_its_await_point(hub) {
        let (dropped, started) = (Dropped::default(), gate());
        let greenlet = spawn_on(hub, stuck(Arc::clone(&started), dropped.guard()));
        started.wait().await;
        assert_eq!(dropped.count(), 0);
        greenlet.kill().await;
        assert_eq!(dropped.count(), 1);
    }

    async fn killed_greenlet_fails_with_the_reason(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, stuck(Arc::clone(&started), ()));
        started.wait().await;
        drop(greenlet.kill_with(GreenletExit::because("too late")));
        assert_eq!(reason_of(greenlet.await).unwrap(), "too late");
    }

    async fn kill_without_a_reason_has_none(hub) {
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        greenlet.kill_now();
        assert_eq!(reason_of(greenlet.await), None);
    }

    async fn first_of_two_kills_counts(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, stuck(Arc::clone(&started), ()));
        started.wait().await;
        drop(greenlet.kill_with(GreenletExit::because("first")));
        drop(greenlet.kill_with(GreenletExit::because("second")));
        assert_eq!(reason_of(greenlet.await).unwrap(), "first");
    }

    async fn kill_of_a_finished_greenlet_is_a_no_op(hub) {
        let greenlet = spawn_on(hub, async { 42 });
        greenlet.join().await;
        greenlet.kill().await;
        assert!(greenlet.exit().is_none() && greenlet.is_successful());
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn kill_waits_until_the_destructors_have_run(hub) {
        let (ended, started) = (gate(), gate());
        let set = Arc::clone(&ended);
        let guard = OnDrop::new(move || set.set());
        let greenlet = spawn_on(hub, stuck(Arc::clone(&started), guard));
        started.wait().await;
        greenlet.kill().await;
        assert!(ended.is_set() && greenlet.is_ready());
    }

    async fn kill_goes_ahead_without_a_waiter(hub) {
        let (dropped, started) = (Dropped::default(), gate());
        let greenlet = spawn_on(hub, stuck(Arc::clone(&started), dropped.guard()));
        started.wait().await;
        drop(greenlet.kill());
        greenlet.join().await;
        assert_eq!(dropped.count(), 1);
    }

    async fn greenlet_that_kills_itself_ends_at_its_next_await(hub) {
        let (before, after) = (gate(), gate());
        let (pass, passed) = (Arc::clone(&before), Arc::clone(&after));
        let greenlet = spawn_on(hub, async move {
            Handle::current().unwrap().kill_now();
            pass.set();
            std::future::pending::<()>().await;
            passed.set();
        });
        assert_eq!(reason_of(greenlet.await), None);
        assert!(before.is_set() && !after.is_set());
    }

    async fn greenlet_that_kills_and_joins_itself_ends(hub) {
        let greenlet = spawn_on(hub, async { Handle::current().unwrap().kill().await });
        assert_eq!(reason_of(greenlet.await), None);
    }

    async fn greenlet_that_finishes_before_its_next_await_succeeds(hub) {
        let greenlet = spawn_on(hub, async {
            Handle::current().unwrap().kill_now();
            42
        });
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn killed_greenlet_is_ready_and_not_successful(hub) {
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        greenlet.kill().await;
        assert!(greenlet.is_ready() && !greenlet.is_successful());
        assert!(greenlet.failure().unwrap().is_killed());
    }

    async fn killed_waiter_does_not_affect_other_waiters(hub) {
        let open = gate();
        let (killed, other) = (Arc::clone(&open), Arc::clone(&open));
        let killed = spawn_on(hub, behind(killed, ()));
        let other = spawn_on(hub, behind(other, 42));
        killed.kill().await;
        open.set();
        assert_eq!(other.await.unwrap(), 42);
    }

    async fn panicking_destructor_makes_the_end_a_panic(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, stuck(Arc::clone(&started), panics_on_drop()));
        started.wait().await;
        greenlet.kill().await;
        assert_eq!(greenlet.failure().unwrap().why(), "panicked: the destructor");
    }

    async fn panicking_destructor_frees_the_slot(hub) {
        let started = gate();
        let pool = Pool::on(hub, 1);
        let greenlet = pool.spawn(stuck(Arc::clone(&started), panics_on_drop())).await;
        started.wait().await;
        greenlet.kill_now();
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn kill_works_from_any_thread(hub) {
        let started = gate();
        let greenlet = spawn_on(hub, stuck(Arc::clone(&started), ()));
        started.wait().await;
        let handle = greenlet.handle().clone();
        std::thread::spawn(move || handle.kill_now()).join().unwrap();
        assert_eq!(reason_of(greenlet.await), None);
    }
}

/// A started greenlet, an unstarted one, and the count of their drops.
macro_rules! with_two_greenlets {
    ($hub:ident, $run:expr) => {{
        let (dropped, started) = (Dropped::default(), gate());
        let first = spawn_on(&$hub, stuck(Arc::clone(&started), dropped.guard()));
        $run(&started);
        let second = spawn_on(&$hub, stuck(gate(), dropped.guard()));
        drop($hub);
        assert_eq!(dropped.count(), 2, "each future is dropped once");
        for greenlet in [first, second] {
            let reason = reason_of(greenlet.try_get().unwrap());
            assert_eq!(reason.as_deref(), Some("its hub was shut down"));
        }
    }};
}

#[test]
fn stopped_hub_kills_its_greenlets() {
    let hub = hub(2);
    with_two_greenlets!(hub, |started: &Arc<Event>| hub.block_on(in_time(started.wait())));
}

#[test]
fn dropped_local_hub_kills_its_greenlets() {
    let hub = spinney_tests::LocalHub::new();
    with_two_greenlets!(hub, |started: &Arc<Event>| hub.block_on(in_time(started.wait())));
}

#[test]
fn dropped_sim_hub_kills_its_greenlets() {
    let hub = spinney_tests::SimHub::new();
    with_two_greenlets!(hub, |started: &Arc<Event>| hub.block_on(started.wait()));
}

#[test]
fn greenlet_dropped_by_its_hub_keeps_its_kill_reason() {
    let hub = spinney_tests::SimHub::new();
    let greenlet = spawn_on(&hub, stuck(gate(), ()));
    drop(greenlet.kill_with(GreenletExit::because("too late")));
    drop(hub);
    assert_eq!(reason_of(greenlet.try_get().unwrap()).unwrap(), "too late");
}
