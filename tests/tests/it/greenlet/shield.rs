//! The promises of `shield`: what a kill waits for, and where it is then seen.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::{poll_once, zip};
use spinney::task::joinall;
use spinney::task::{GreenletExit, spawn_on};
use spinney::{Event, Handle, Within, catch_exit, shield, yield_now};
use spinney_tests::tools::{
    Log, Why, behind, blow_up, gate, let_others_run, on_its_own_waker, polled, stuck,
};
use spinney_tests::{Dropped, SimHub, on_every_hub};

/// Sets `started`, and waits until `open`; then logs that it has.
async fn save(started: Arc<Event>, open: Arc<Event>, log: Log<&'static str>) {
    polled(started, open.wait()).await;
    log.add("saved");
}

on_every_hub! {
    async fn shielded_future_finishes_before_a_kill_is_seen(hub) {
        let (started, open, log) = (gate(), gate(), Log::default());
        let (work, after) = (save(Arc::clone(&started), Arc::clone(&open), log.clone()), log.clone());
        let greenlet = spawn_on(hub, async move {
            shield(work).await;
            after.add("after");
        });
        started.wait().await;
        let mut kill = greenlet.kill_with(GreenletExit::because("too late"));
        assert_eq!(poll_once(&mut kill).await, None);
        let_others_run().await;
        assert!(!greenlet.is_ready() && greenlet.exit().is_some());
        open.set();
        kill.await;
        assert_eq!(log.take(), ["saved"]);
        assert_eq!(greenlet.await.unwrap_err().why(), "killed: too late");
    }

    async fn shield_at_the_end_of_a_greenlet_loses_no_kill(hub) {
        let (started, open, log) = (gate(), gate(), Log::default());
        let work = save(Arc::clone(&started), Arc::clone(&open), log.clone());
        let greenlet = spawn_on(hub, shield(work));
        started.wait().await;
        greenlet.kill_now();
        open.set();
        assert!(greenlet.await.unwrap_err().is_killed());
        assert_eq!(log.take(), ["saved"]);
    }

    async fn shield_without_a_kill_returns_its_output(hub) {
        assert_eq!(spawn_on(hub, shield(async { yield_now().await; 42 })).await.unwrap(), 42);
    }

    async fn shield_outside_any_greenlet_is_a_no_op(_hub) {
        assert_eq!(shield(async { 42 }).await, 42);
    }

    async fn kill_is_seen_at_the_end_of_the_outermost_shield(hub) {
        let (started, open, log) = (gate(), gate(), Log::default());
        let (work, between) = (save(Arc::clone(&started), Arc::clone(&open), log.clone()), log.clone());
        let greenlet = spawn_on(hub, async move {
            shield(async {
                shield(work).await;
                between.add("between");
                yield_now().await;
                between.add("at the end");
            })
            .await;
            between.add("after");
        });
        started.wait().await;
        greenlet.kill_now();
        open.set();
        greenlet.join().await;
        assert_eq!(log.take(), ["saved", "between", "at the end"]);
    }

    async fn only_a_catcher_around_a_shield_sees_the_kill(hub) {
        let (started, open, log) = (gate(), gate(), Log::default());
        let (work, inside) = (save(Arc::clone(&started), Arc::clone(&open), log.clone()), log.clone());
        let greenlet = spawn_on(hub, catch_exit(shield(async move {
            assert!(catch_exit(work).await.is_ok(), "the kill was seen inside");
            yield_now().await;
            inside.add("all of it");
        })));
        started.wait().await;
        greenlet.kill_now();
        open.set();
        assert!(greenlet.await.unwrap().is_err());
        assert_eq!(log.take(), ["saved", "all of it"]);
    }

    async fn outer_catcher_sees_a_kill_past_a_shield_with_its_own_waker(hub) {
        let (started, open) = (gate(), gate());
        let work = save(Arc::clone(&started), Arc::clone(&open), Log::default());
        let side_by_side = zip(on_its_own_waker(shield(work)), pending::<()>());
        let greenlet = spawn_on(hub, on_its_own_waker(catch_exit(side_by_side)));
        started.wait().await;
        greenlet.kill_now();
        open.set();
        assert!(greenlet.await.unwrap().is_err());
    }

    async fn both_of_two_shields_finish_before_a_kill_is_seen(hub) {
        let log = Log::default();
        let gates: Vec<_> = (0..4).map(|_| gate()).collect();
        let work = |n: usize| {
            let saved = save(Arc::clone(&gates[n]), Arc::clone(&gates[n + 1]), log.clone());
            on_its_own_waker(shield(saved))
        };
        let greenlet = spawn_on(hub, zip(work(0), work(2)));
        gates[0].wait().await;
        gates[2].wait().await;
        greenlet.kill_now();
        gates[1].set();
        let_others_run().await;
        assert!(!greenlet.is_ready());
        gates[3].set();
        assert!(greenlet.await.unwrap_err().is_killed());
        assert_eq!(log.take(), ["saved", "saved"]);
    }

    async fn earlier_kill_is_seen_at_the_end_of_a_shield(hub) {
        let log = Log::default();
        let seen = log.clone();
        let greenlet = spawn_on(hub, async move {
            Handle::current().unwrap().kill_now();
            shield(async {
                yield_now().await;
                seen.add("all of it");
            })
            .await;
            seen.add("after");
        });
        assert!(greenlet.await.unwrap_err().is_killed());
        assert_eq!(log.take(), ["all of it"]);
    }

    async fn shield_that_never_waits_loses_no_kill(hub) {
        let greenlet = spawn_on(hub, shield(async { Handle::current().unwrap().kill_now() }));
        assert!(greenlet.await.unwrap_err().is_killed());
    }

    async fn kill_is_seen_after_a_time_limit_has_dropped_the_shield(hub) {
        let (dropped, log) = (Dropped::default(), Log::default());
        let (guard, seen) = (dropped.guard(), log.clone());
        let greenlet = spawn_on(hub, async move {
            let work = async {
                Handle::current().unwrap().kill_now();
                stuck(gate(), guard).await;
            };
            assert!(shield(work).within(Duration::from_millis(1)).await.is_err());
            seen.add("in time");
            yield_now().await;
            seen.add("after the wait");
        });
        assert!(greenlet.await.unwrap_err().is_killed());
        assert_eq!((log.take(), dropped.count()), (vec!["in time"], 1));
    }

    async fn catcher_that_outlives_a_shield_sees_a_kill(hub) {
        let started = gate();
        let start = Arc::clone(&started);
        let greenlet = spawn_on(hub, async move {
            let mut inner = pin!(catch_exit(stuck(start, ())));
            assert!(shield(poll_once(&mut inner)).await.is_none());
            inner.await.unwrap_err()
        });
        started.wait().await;
        greenlet.kill().await;
        assert_eq!(greenlet.await.unwrap().to_string(), "killed");
    }

    async fn shield_that_outlives_a_catcher_defers_a_kill(hub) {
        let (started, open, log) = (gate(), gate(), Log::default());
        let work = save(Arc::clone(&started), Arc::clone(&open), log.clone());
        let (set, after) = (gate(), log.clone());
        let moved = Arc::clone(&set);
        let greenlet = spawn_on(hub, async move {
            let mut inner = pin!(shield(work));
            assert!(catch_exit(poll_once(&mut inner)).await.is_ok());
            polled(moved, inner).await;
            after.add("after");
        });
        set.wait().await;
        greenlet.kill_now();
        open.set();
        assert!(greenlet.await.unwrap_err().is_killed());
        assert_eq!(log.take(), ["saved"]);
    }

    async fn output_of_an_interrupted_shield_is_dropped_once(hub) {
        let (open, started, dropped) = (gate(), gate(), Dropped::default());
        let work = polled(Arc::clone(&started), behind(Arc::clone(&open), dropped.guard()));
        let greenlet = spawn_on(hub, shield(work));
        started.wait().await;
        greenlet.kill_now();
        open.set();
        greenlet.join().await;
        assert_eq!(dropped.count(), 1);
        assert!(greenlet.await.is_err());
    }

    async fn output_of_a_shield_is_kept_if_another_sees_the_kill(hub) {
        let open = gate();
        let opened = Arc::clone(&open);
        let greenlet = spawn_on(hub, async move {
            let killed = shield(async {
                Handle::current().unwrap().kill_now();
                42
            });
            zip(killed, catch_exit(opened.wait())).await
        });
        let (output, caught) = greenlet.await.unwrap();
        assert!(output == 42 && caught.is_err());
    }

    async fn kill_works_from_any_thread(hub) {
        let (started, open, log) = (gate(), gate(), Log::default());
        let work = save(Arc::clone(&started), Arc::clone(&open), log.clone());
        let greenlet = spawn_on(hub, shield(work));
        started.wait().await;
        let handle = greenlet.handle().clone();
        std::thread::spawn(move || handle.kill_now()).join().unwrap();
        open.set();
        assert!(greenlet.await.unwrap_err().is_killed());
        assert_eq!(log.take(), ["saved"]);
    }

    async fn panic_inside_fails_the_greenlet(hub) {
        let greenlet = spawn_on(hub, shield(async {
            Handle::current().unwrap().kill_now();
            yield_now().await;
            blow_up("no luck")
        }));
        greenlet.join().await;
        assert_eq!(greenlet.failure().unwrap().why(), "panicked: no luck");
        greenlet.detach();
    }
}

#[test]
fn dropped_hub_drops_shielded_futures() {
    let (sim, started, dropped) = (SimHub::new(), gate(), Dropped::default());
    let greenlet = spawn_on(&sim, shield(stuck(Arc::clone(&started), dropped.guard())));
    sim.block_on(started.wait());
    drop(greenlet.kill_with(GreenletExit::because("too late")));
    drop(sim);
    assert_eq!(dropped.count(), 1);
    assert_eq!(greenlet.try_get().unwrap().unwrap_err().why(), "killed: too late");
}

#[test]
fn resume_inside_a_shield_panics() {
    let sim = SimHub::new();
    let greenlet = spawn_on(&sim, shield(async { GreenletExit::new().resume::<()>().await }));
    sim.block_on(joinall([&greenlet]));
    assert!(greenlet.failure().unwrap().is_panic());
    greenlet.detach();
}
