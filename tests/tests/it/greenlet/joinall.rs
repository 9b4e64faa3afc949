//! The promises of `joinall`, `try_joinall` and `killall`: the greenlets that they wait for, and
//! their order.

use std::pin::pin;
use std::sync::Arc;

use futures_lite::future::poll_once;
use spinney::task::joinall;
use spinney::task::{GreenletExit, State, killall, killall_with, spawn_on, try_joinall};
use spinney::{Greenlet, catch_exit};
use spinney_tests::tools::{Log, Why, behind, blow_up, gate, stuck};
use spinney_tests::{Dropped, on_every_hub};

on_every_hub! {
    async fn joinall_returns_greenlets_in_completion_order(hub) {
        let gates = [gate(), gate(), gate()];
        let greenlets: Vec<_> =
            (0..3).map(|n| spawn_on(hub, behind(Arc::clone(&gates[n]), n))).collect();
        let handles: Vec<_> = greenlets.iter().map(|g| g.handle().clone()).collect();
        let mut joined = pin!(joinall(greenlets));
        assert!(poll_once(&mut joined).await.is_none());
        for n in [2, 0, 1] {
            gates[n].set();
            handles[n].join().await;
        }
        let mut order = Vec::new();
        for greenlet in joined.await {
            order.push(greenlet.await.unwrap());
        }
        assert_eq!(order, [2, 0, 1]);
    }

    async fn joinall_waits_for_failed_greenlets(hub) {
        let greenlets = [spawn_on(hub, async { blow_up("no luck") }), spawn_on(hub, stuck(gate(), ()))];
        greenlets[1].kill_now();
        assert_eq!(joinall(&greenlets).await.len(), 2);
        assert!(greenlets.iter().all(|greenlet| greenlet.failure().is_some()));
    }

    async fn joinall_of_no_greenlets_returns_immediately(_hub) {
        assert!(joinall(Vec::<Greenlet<()>>::new()).await.is_empty());
    }

    async fn joinall_returns_finished_greenlets_first(hub) {
        let open = gate();
        let late = spawn_on(hub, behind(Arc::clone(&open), ()));
        let early = spawn_on(hub, async {});
        early.join().await;
        let mut joined = pin!(joinall([late.handle(), early.handle()]));
        assert!(poll_once(&mut joined).await.is_none());
        open.set();
        assert_eq!(joined.await, [early.handle(), late.handle()]);
    }

    async fn greenlet_passed_twice_is_joined_once(hub) {
        let greenlet = spawn_on(hub, async {});
        assert_eq!(joinall([&greenlet, &greenlet]).await.len(), 1);
    }

    async fn joinall_with_a_count_waits_for_the_first_only(hub) {
        let gates = [gate(), gate(), gate()];
        let greenlets: Vec<_> =
            gates.iter().map(|open| spawn_on(hub, behind(Arc::clone(open), ()))).collect();
        let mut joined = pin!(joinall(&greenlets).count(2));
        for n in [2, 0] {
            assert!(poll_once(&mut joined).await.is_none());
            gates[n].set();
            greenlets[n].join().await;
        }
        let ids: Vec<_> = joined.await.iter().map(|greenlet| greenlet.id()).collect();
        assert_eq!(ids, [greenlets[2].id(), greenlets[0].id()]);
        assert!(!greenlets[1].is_ready());
        killall(&greenlets).await;
    }

    async fn joinall_with_a_count_of_zero_returns_immediately(hub) {
        let greenlets = [spawn_on(hub, stuck(gate(), ()))];
        assert!(joinall(&greenlets).count(0).await.is_empty());
        killall(&greenlets).await;
    }

    async fn joinall_with_an_excess_count_waits_for_all(hub) {
        assert_eq!(joinall([spawn_on(hub, async {})]).count(7).await.len(), 1);
    }

    async fn greenlets_beyond_the_count_run_on(hub) {
        let (open, done) = (gate(), gate());
        let (opened, set) = (Arc::clone(&open), Arc::clone(&done));
        let late = spawn_on(hub, async move {
            opened.wait().await;
            set.set();
        });
        assert_eq!(joinall([late, spawn_on(hub, async {})]).count(1).await.len(), 1);
        open.set();
        done.wait().await;
    }

    async fn try_joinall_returns_at_the_first_panic(hub) {
        let gates = [gate(), gate(), gate()];
        let greenlets: Vec<_> = ["first", "second", "third"].into_iter().zip(&gates).map(|(message, open)| {
            let open = Arc::clone(open);
            spawn_on(hub, async move {
                open.wait().await;
                blow_up(message)
            })
        }).collect();
        let mut joined = pin!(try_joinall(&greenlets));
        assert!(poll_once(&mut joined).await.is_none());
        for n in [2, 1] {
            gates[n].set();
            greenlets[n].join().await;
        }
        assert_eq!(joined.await.unwrap_err().why(), "panicked: third");
        assert!(!greenlets[0].is_ready(), "another greenlet was killed");
        killall(&greenlets).await;
    }

    async fn try_joinall_ignores_killed_greenlets(hub) {
        let greenlets = [spawn_on(hub, stuck(gate(), ())), spawn_on(hub, async {})];
        greenlets[0].kill_now();
        assert_eq!(try_joinall(&greenlets).await.unwrap().len(), 2);
        assert!(try_joinall(Vec::<Greenlet<()>>::new()).await.unwrap().is_empty());
    }

    async fn killall_waits_for_each_cleanup(hub) {
        let (open, log) = (gate(), Log::default());
        let started = [gate(), gate()];
        let greenlets = started.each_ref().map(|started| {
            let (work, open) = (stuck(Arc::clone(started), ()), Arc::clone(&open));
            let log = log.clone();
            spawn_on(hub, async move {
                let exit = catch_exit(work).await.unwrap_err();
                open.wait().await;
                log.add(exit.to_string());
                exit.resume::<()>().await;
            })
        });
        for started in started {
            started.wait().await;
        }
        let mut killed = killall_with(&greenlets, GreenletExit::because("too late"));
        assert!(poll_once(&mut killed).await.is_none());
        open.set();
        assert_eq!(killed.await.len(), 2);
        assert_eq!(log.take(), ["killed: too late", "killed: too late"]);
        for greenlet in greenlets {
            assert_eq!(greenlet.await.unwrap_err().why(), "killed: too late");
        }
    }

    async fn killall_kills_without_being_awaited(hub) {
        let greenlets = [spawn_on(hub, stuck(gate(), ())), spawn_on(hub, stuck(gate(), ()))];
        drop(killall(&greenlets));
        joinall(&greenlets).await;
        assert!(greenlets.iter().all(|greenlet| greenlet.state() == State::Killed));
    }

    async fn killall_of_unstarted_greenlets_returns_immediately(_hub) {
        let dropped = Dropped::default();
        let greenlets = [(), ()].map(|()| Greenlet::new(stuck(gate(), dropped.guard())));
        assert_eq!(poll_once(killall(&greenlets)).await.unwrap().len(), 2);
        assert_eq!(dropped.count(), 2);
    }

    async fn killall_does_not_affect_finished_greenlets(hub) {
        let ended = spawn_on(hub, async { 42 });
        ended.join().await;
        assert_eq!(killall([&ended]).await.len(), 1);
        assert_eq!(ended.await.unwrap(), 42);
    }
}
