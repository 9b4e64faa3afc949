//! The promises of closed pools: which calls are refused, which go on, and the report.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use spinney::gevent::GroupExt as _;
use spinney::map::from_stream;
use spinney::pool::SlotError;
use spinney::pool::{InsideGroup, Reentry, Report};
use spinney::task::GreenletExit;
use spinney::{Failure, Greenlet, Group, Pool, catch_exit, shield, sleep, yield_now};
use spinney_tests::tools::{
    Count, OnDrop, Why, behind, blow_up, gate, let_others_run, polled, stuck,
};
use spinney_tests::{Dropped, SimHub, on_every_hub};

/// Whether this is the failure of a refused call.
fn is_closed(failure: &Failure) -> bool {
    let Failure::Killed(exit) = failure else { return false };
    exit.reason().and_then(|reason| reason.downcast_ref::<SlotError>()).is_some()
}

on_every_hub! {
    async fn closed_pool_refuses_later_calls(hub) {
        let pool = Pool::on(hub, 3);
        assert!(!pool.is_closed());
        pool.close();
        assert!(pool.is_closed());
        let dropped = Dropped::default();
        assert!(is_closed(&pool.spawn(stuck(gate(), dropped.guard())).await.await.unwrap_err()));
        assert!(is_closed(&pool.apply(stuck(gate(), dropped.guard())).await.unwrap_err()));
        assert!(is_closed(&pool.apply_async(stuck(gate(), dropped.guard())).await.unwrap_err()));
        assert_eq!(dropped.count(), 3);
        assert_eq!(pool.try_spawn(async { 42 }).unwrap_err().into_future().await, 42);
        assert!(pool.spawn_within(Duration::MAX, async {}).await.is_err());
        let stranger = Group::on(hub).spawn(stuck(gate(), ()));
        assert!(!pool.add(&stranger).await);
        assert!(pool.try_add(&stranger).is_err());
        let unstarted = Greenlet::new(async {});
        assert!(!pool.start(&unstarted).await && pool.try_start(&unstarted).is_err());
        assert_eq!(pool.wait_available().await, 0);
        assert!(is_closed(&pool.map(|n: u32| async move { n }, 0..3).await.unwrap_err()));
        assert_eq!((pool.len(), pool.available()), (0, 3));
    }

    async fn closed_group_refuses_later_calls(hub) {
        let (group, dropped) = (Group::on(hub), Dropped::default());
        let member = group.spawn(async { 42 });
        group.close();
        assert!(is_closed(&group.spawn(stuck(gate(), dropped.guard())).await.unwrap_err()));
        assert_eq!(dropped.count(), 1);
        assert!(!group.add(&Greenlet::new(async {})) && !group.start(&Greenlet::new(async {})));
        assert_eq!(member.await.unwrap(), 42);
        assert_eq!(group.len(), 0);
    }

    async fn close_refuses_waiters(hub) {
        let (pool, open, dropped) = (Pool::on(hub, 1), gate(), Dropped::default());
        let member = pool.spawn(behind(Arc::clone(&open), 42)).await;
        let mut spawn = Box::pin(pool.spawn(stuck(gate(), dropped.guard())));
        let mut apply = Box::pin(pool.apply(stuck(gate(), dropped.guard())));
        let late = pool.apply_async(stuck(gate(), dropped.guard()));
        let stranger = Group::on(hub).spawn(stuck(gate(), ()));
        let mut add = Box::pin(pool.add(&stranger));
        let mut available = Box::pin(pool.wait_available());
        assert!(poll_once(&mut spawn).await.is_none());
        assert!(poll_once(&mut apply).await.is_none());
        assert!(poll_once(&mut add).await.is_none());
        assert!(poll_once(&mut available).await.is_none());
        while pool.waiting() < 5 {
            spinney::yield_now().await;
        }
        let report = pool.close();
        assert_eq!((report.refused, report.running), (5, 1));
        assert!(is_closed(&spawn.await.await.unwrap_err()));
        assert!(is_closed(&apply.await.unwrap_err()));
        assert!(is_closed(&late.await.unwrap_err()));
        assert_eq!((add.await, available.await), (false, 0));
        assert_eq!(dropped.count(), 3);
        open.set();
        assert_eq!(member.await.unwrap(), 42);
        assert_eq!((pool.len(), pool.available(), pool.waiting()), (0, 1, 0));
    }

    async fn refused_calls_that_hold_a_slot_are_counted(hub) {
        let pool = Pool::on(hub, 2);
        let (handed, held) = (pool.slot().await.unwrap(), pool.slot().await.unwrap());
        let mut spawn = Box::pin(pool.spawn(async {}));
        let mut queued = Box::pin(pool.spawn(async {}));
        assert!(poll_once(&mut spawn).await.is_none());
        assert!(poll_once(&mut queued).await.is_none());
        drop(handed);
        assert_eq!(pool.close().refused, 1);
        assert!(is_closed(&spawn.await.await.unwrap_err()));
        assert!(is_closed(&queued.await.await.unwrap_err()));
        assert_eq!(pool.stats().refused, 2);
        assert!(is_closed(&held.spawn(async {}).await.unwrap_err()));
        // A later call does not count.
        assert!(is_closed(&pool.spawn(async {}).await.await.unwrap_err()));
        assert_eq!((pool.stats().refused, pool.available()), (3, 2));
    }

    async fn waiting_member_is_refused_by_a_close(hub) {
        let (open, queued) = (gate(), gate());
        let pool = Pool::builder().reentry(Reentry::Wait).pool_on(hub, 2);
        pool.spawn(behind(Arc::clone(&open), ())).await.detach();
        let inside = pool.clone();
        let spawns = async move { is_closed(&inside.spawn(async {}).await.await.unwrap_err()) };
        let member = pool.spawn(polled(Arc::clone(&queued), spawns)).await;
        queued.wait().await;
        assert_eq!(pool.close().refused, 1);
        assert!(member.await.unwrap());
        open.set();
    }

    async fn started_map_goes_on_when_its_pool_is_closed(hub) {
        let (pool, started, open) = (Pool::on(hub, 2), Count::to(2), gate());
        let (one, opened) = (started.clone(), Arc::clone(&open));
        let work = move |n: usize| {
            one.add();
            behind(Arc::clone(&opened), n)
        };
        let map = pool.map(work, 0..20);
        started.reached().await;
        assert_eq!(pool.close().refused, 0);
        open.set();
        assert_eq!(map.await.unwrap(), (0..20).collect::<Vec<_>>());
        let report = pool.stats();
        assert_eq!((report.started, report.succeeded, report.running), (20, 20, 0));
        assert_eq!((pool.len(), pool.available()), (0, 2));
    }

    async fn started_maps_take_turns_in_a_closed_pool(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        let work = |n: usize| async move { yield_now().await; n };
        let (one, two) = (pool.map(work, 0..5), pool.map(work, from_stream(stream::iter(5..10))));
        while pool.waiting() < 2 {
            yield_now().await;
        }
        assert_eq!(pool.close().refused, 0);
        open.set();
        let (one, two) = zip(one, two).await;
        assert_eq!((one.unwrap(), two.unwrap()), (vec![0, 1, 2, 3, 4], vec![5, 6, 7, 8, 9]));
        member.await.unwrap();
        assert_eq!((pool.len(), pool.available(), pool.waiting()), (0, 1, 0));
    }

    async fn unread_map_goes_on_when_it_is_read_after_the_close(hub) {
        let pool = Pool::on(hub, 1);
        let results = pool.mapper().maxsize(0).imap(|n: usize| async move { n }, 0..3);
        let_others_run().await;
        pool.close();
        let results: Vec<_> = results.map(Result::unwrap).collect().await;
        assert_eq!(results, [0, 1, 2]);
    }

    async fn map_after_the_close_is_refused(hub) {
        let pool = Pool::on(hub, 1);
        pool.close();
        let mut results = pool.imap(|n: u32| async move { n }, 0..3);
        let refused = results.next().await.unwrap().unwrap_err();
        assert!(is_closed(&refused) && refused.index() == 0);
        assert!(results.next().await.is_none());
        let waits = pool.map(|n: u32| async move { n }, from_stream(stream::pending()));
        assert!(is_closed(&waits.await.unwrap_err()));
        assert!(pool.map(|n: u32| async move { n }, []).await.unwrap().is_empty());
        let report = pool.drain(Duration::MAX).await.unwrap();
        assert_eq!(report, Report::default());
    }

    async fn kill_of_a_closed_pool_ends_its_maps(hub) {
        let (pool, started) = (Pool::on(hub, 2), Count::to(2));
        let one = started.clone();
        let work = move |_: usize| { one.add(); stuck(gate(), ()) };
        let results = pool.mapper().unbounded().imap(work, 0..);
        let waits = pool.map(|n: u32| async move { n }, from_stream(stream::pending()));
        started.reached().await;
        pool.close();
        pool.kill_with(GreenletExit::because("closing time")).await;
        let whys: Vec<_> = results.map(|result| result.unwrap_err().into_error().why()).collect().await;
        assert_eq!(whys, ["killed: closing time", "killed: closing time", "killed: the pool was closed"]);
        let refused = waits.await.unwrap_err();
        assert!(is_closed(&refused) && refused.index() == 0);
        let report = pool.stats();
        assert_eq!((report.started, report.killed, pool.available()), (2, 2, 2));
    }

    async fn abort_of_a_closed_pool_ends_its_maps(hub) {
        let (pool, started) = (Pool::on(hub, 1), gate());
        let start = Arc::clone(&started);
        let work = move |_: usize| shield(stuck(Arc::clone(&start), ()));
        let results = pool.imap(work, 0..);
        started.wait().await;
        pool.close();
        pool.abort();
        let results: Vec<_> = results.collect().await;
        assert!(results[0].as_ref().unwrap_err().is_aborted());
        assert!(is_closed(results[1].as_ref().unwrap_err()) && results.len() == 2);
    }

    async fn item_that_survives_its_kill_is_the_last_of_a_closed_pool(hub) {
        let (pool, started, ran) = (Pool::on(hub, 1), gate(), Count::to(1));
        let (start, one) = (Arc::clone(&started), ran.clone());
        let work = move |n: usize| {
            one.add();
            let start = Arc::clone(&start);
            async move {
                let _kill = catch_exit(stuck(start, ())).await;
                n
            }
        };
        let results = pool.imap(work, 0..);
        started.wait().await;
        pool.close();
        pool.kill_now();
        let results: Vec<_> = results.collect().await;
        assert_eq!(*results[0].as_ref().unwrap(), 0);
        assert!(is_closed(results[1].as_ref().unwrap_err()) && results.len() == 2);
        assert_eq!(ran.get(), 1);
    }

    async fn map_of_a_scope_goes_on_after_a_close(hub) {
        let pool = Pool::on(hub, 1);
        for scope_closes in [true, false] {
            let (scope, open) = (pool.scope(), gate());
            let member = pool.spawn(behind(Arc::clone(&open), ())).await;
            let map = scope.map(|n: usize| async move { yield_now().await; n }, 0..5);
            while scope.waiting() == 0 {
                yield_now().await;
            }
            if scope_closes { scope.close() } else { pool.close() };
            open.set();
            assert_eq!(map.await.unwrap(), [0, 1, 2, 3, 4]);
            member.await.unwrap();
        }
    }

    async fn dropped_last_handle_ends_a_map_with_pending_input(hub) {
        let (pool, dropped) = (Pool::on(hub, 1), gate());
        let gone = Arc::clone(&dropped);
        let guard = OnDrop::new(move || gone.set());
        let rest = stream::pending().map(move |n: u32| { let _guard = &guard; n });
        let input = from_stream(stream::once(0).chain(rest));
        pool.map(|_: u32| async { blow_up("no luck") }, input).await.map(|_: Vec<()>| ()).unwrap_err();
        let_others_run().await;
        assert!(!dropped.is_set());
        pool.detach();
        drop(pool);
        dropped.wait().await;
    }

    async fn shutdown_kills_with_its_reason_and_reports(hub) {
        let (pool, started) = (Pool::on(hub, 3), Count::to(2));
        pool.spawn(async {}).await.await.unwrap();
        let mut members = Vec::new();
        for _ in 0..2 {
            let started = started.clone();
            members.push(pool.spawn(async move { started.add(); stuck(gate(), ()).await }).await);
        }
        started.reached().await;
        pool.spawn(stuck(gate(), ())).await.detach();
        let mut spawn = Box::pin(pool.spawn(async {}));
        assert!(poll_once(&mut spawn).await.is_none());
        let report = pool.shutdown(GreenletExit::because("closing time")).await;
        assert_eq!((report.started, report.refused), (4, 1));
        assert_eq!((report.succeeded, report.failed), (1, 0));
        assert_eq!((report.killed, report.running), (3, 0));
        for member in members {
            assert_eq!(member.await.unwrap_err().why(), "killed: closing time");
        }
        assert!(is_closed(&spawn.await.await.unwrap_err()));
        assert!(pool.is_empty() && pool.is_closed());
    }

    async fn dropped_shutdown_goes_ahead(hub) {
        let (pool, dropped) = (Pool::on(hub, 1), Dropped::default());
        pool.spawn(stuck(gate(), dropped.guard())).await.detach();
        drop(pool.shutdown(GreenletExit::new()));
        pool.join().await.unwrap();
        assert_eq!(dropped.count(), 1);
        assert!(pool.is_closed());
    }

    async fn drain_waits_and_reports(hub) {
        let (pool, open) = (Pool::on(hub, 3), gate());
        pool.spawn(behind(Arc::clone(&open), ())).await.detach();
        let opened = Arc::clone(&open);
        pool.spawn(async move { opened.wait().await; blow_up("no luck") }).await.detach();
        let mut drain = Box::pin(pool.drain(Duration::MAX));
        assert!(pool.is_closed(), "the pool is not closed by the call");
        assert!(poll_once(&mut drain).await.is_none());
        open.set();
        let report = drain.await.unwrap();
        assert_eq!((report.succeeded, report.failed, report.killed, report.running), (1, 1, 0, 0));
    }

    async fn member_cannot_drain_its_own_pool(hub) {
        let pool = Pool::on(hub, 1);
        let inside = pool.clone();
        let member = pool.spawn(async move { inside.drain(Duration::ZERO).await });
        assert_eq!(member.await.await.unwrap(), Err(InsideGroup));
        assert!(!pool.is_closed());
    }

    async fn detached_members_outlive_the_last_handle(hub) {
        let (pool, open) = (Pool::on(hub, 2), gate());
        let member = pool.spawn(behind(Arc::clone(&open), 42)).await;
        pool.detach();
        drop(pool);
        let_others_run().await;
        open.set();
        assert_eq!(member.await.unwrap(), 42);
    }

    async fn dropped_last_handle_refuses_waiters(hub) {
        let pool = Pool::on(hub, 1);
        let member = pool.spawn(stuck(gate(), ())).await;
        let late = pool.apply_async(async {});
        let_others_run().await;
        drop(pool);
        assert!(is_closed(&late.await.unwrap_err()));
        assert!(member.await.unwrap_err().is_killed());
    }
}

#[test]
fn drain_kills_members_beyond_the_grace() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 3);
    let report = sim.block_on(async {
        pool.spawn(sleep(Duration::from_secs(5))).await.detach();
        pool.spawn(sleep(Duration::from_secs(11))).await.detach();
        pool.drain(Duration::from_secs(10)).await.unwrap()
    });
    assert_eq!((report.succeeded, report.killed, report.running), (1, 1, 0));
    assert_eq!(sim.elapsed(), Duration::from_secs(10));
}

#[test]
fn drain_aborts_members_that_survive_their_kill() {
    let sim = SimHub::new();
    let (pool, dropped) = (Pool::on(&sim, 3), Dropped::default());
    let (one, two) = (dropped.guard(), dropped.guard());
    let report = sim.block_on(async {
        let refuses = async move {
            let _guard = one;
            loop {
                let _kill = catch_exit(std::future::pending::<()>()).await;
            }
        };
        pool.spawn(refuses).await.detach();
        pool.spawn(shield(stuck(gate(), two))).await.detach();
        pool.spawn(sleep(Duration::from_secs(5))).await.detach();
        pool.drain(Duration::from_secs(10)).await.unwrap()
    });
    assert_eq!((report.started, report.succeeded, report.aborted, report.running), (3, 1, 2, 0));
    assert_eq!((dropped.count(), sim.elapsed()), (2, Duration::from_secs(20)));
}

#[test]
fn drain_allows_a_second_for_cleanup() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    let report = sim.block_on(async {
        let tidy = async {
            let _kill = catch_exit(std::future::pending::<()>()).await;
            sleep(Duration::from_millis(900)).await;
        };
        pool.spawn(tidy).await.detach();
        spinney::yield_now().await;
        pool.drain(Duration::ZERO).await.unwrap()
    });
    assert_eq!((report.succeeded, report.aborted), (1, 0));
}

#[test]
fn shutdown_aborts_members_that_survive_their_kill() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    let report = sim.block_on(async {
        pool.spawn(shield(std::future::pending::<()>())).await.detach();
        spinney::yield_now().await;
        pool.shutdown(GreenletExit::new()).await
    });
    assert_eq!((report.aborted, report.running), (1, 0));
}

/// A member that never returns to its hub does not delay the report.
#[test]
fn drain_reports_a_member_that_never_awaits_as_running() {
    let hub = spinney::Hub::builder().threads(2).build().unwrap();
    let (pool, done) = (Pool::on(&hub, 1), Arc::new(AtomicBool::new(false)));
    let stop = Arc::clone(&done);
    hub.block_on(async {
        let started = gate();
        let begun = Arc::clone(&started);
        let computes = async move {
            begun.set();
            while !stop.load(SeqCst) {
                std::hint::spin_loop();
            }
        };
        pool.spawn(computes).await.detach();
        started.wait().await;
        let report = pool.drain(Duration::from_millis(1)).await.unwrap();
        assert_eq!((report.running, report.aborted), (1, 0));
        done.store(true, SeqCst);
        pool.join().await.unwrap();
        assert_eq!(pool.stats().running, 0);
    });
}

#[test]
fn stats_count_tasks_and_items() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 2);
    sim.block_on(async {
        let odd = |n: usize| async move { assert!(n % 2 == 0, "odd") };
        assert_eq!(pool.imap(odd, 0..5).filter(Result::is_ok).count().await, 3);
        pool.spawn(async {}).await.await.unwrap();
        pool.spawn(std::future::pending::<()>()).await.detach();
        pool.spawn(std::future::pending::<()>()).await.detach();
        let waits = pool.apply_async(async {});
        spinney::yield_now().await;
        let stats = pool.stats();
        assert_eq!((stats.started, stats.succeeded, stats.failed), (8, 4, 2));
        assert_eq!((stats.running, stats.waiting), (2, 1));
        pool.kill().await;
        waits.await.unwrap();
        assert_eq!((pool.stats().killed, pool.stats().started), (2, 9));
    });
}

#[test]
fn drain_returns_with_its_last_member() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 3);
    sim.block_on(async {
        pool.spawn(sleep(Duration::from_secs(5))).await.detach();
        pool.drain(Duration::from_secs(10)).await.unwrap();
    });
    assert_eq!(sim.elapsed(), Duration::from_secs(5));
}

/// Sleeps for a second.
async fn a_second(n: usize) -> usize {
    sleep(Duration::from_secs(1)).await;
    n
}

#[test]
fn drain_lets_a_started_map_finish() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 2);
    sim.block_on(async {
        let map = pool.map(a_second, 0..8);
        let report = pool.drain(Duration::from_secs(5)).await.unwrap();
        assert_eq!((report.started, report.succeeded, report.running), (8, 8, 0));
        assert_eq!(map.await.unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    });
    assert_eq!(sim.elapsed(), Duration::from_secs(4));
}

#[test]
fn drain_ends_a_map_beyond_the_grace_and_counts_it() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 2);
    sim.block_on(async {
        let results = pool.mapper().unbounded().imap(a_second, 0..);
        let grace = Duration::from_millis(4500);
        let report = pool.drain(grace).await.unwrap();
        assert_eq!((report.started, report.succeeded, report.killed), (10, 8, 2));
        assert_eq!((report.running, report.waiting, sim.elapsed()), (0, 0, grace));
        let failed: Vec<_> = results.filter_map(Result::err).collect().await;
        let failed: Vec<_> = failed.iter().map(|error| (error.index(), is_closed(error))).collect();
        assert_eq!(failed, [(8, false), (9, false), (10, true)]);
    });
}

#[test]
fn drain_waits_for_the_input_of_a_started_map() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 2);
    sim.block_on(async {
        let late = stream::once_future(a_second(7));
        let map = pool.map(a_second, from_stream(Box::pin(late)));
        let report = pool.drain(Duration::from_secs(10)).await.unwrap();
        assert_eq!((report.succeeded, map.await.unwrap()), (1, vec![7]));
    });
    assert_eq!(sim.elapsed(), Duration::from_secs(2));
}

/// The map has items left, and its reader waits for the drain.
#[test]
fn drain_ends_an_unread_map_after_its_grace() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 2);
    sim.block_on(async {
        let mut results = pool.mapper().maxsize(3).imap(|n: usize| async move { n }, 0..10);
        let report = pool.drain(Duration::from_secs(5)).await.unwrap();
        assert_eq!((report.succeeded, report.killed), (3, 0));
        for n in 0..3 {
            assert_eq!(results.next().await.unwrap().unwrap(), n);
        }
        assert!(is_closed(&results.next().await.unwrap().unwrap_err()));
        assert!(results.next().await.is_none());
    });
    assert_eq!(sim.elapsed(), Duration::from_secs(5));
}
