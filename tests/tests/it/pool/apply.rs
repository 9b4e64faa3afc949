//! The promises of `apply` and its relatives: one future run as a member, now or later.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney::gevent::GroupExt as _;
use spinney::pool::Reentry;
use spinney::pool::SlotError;
use spinney::task::State;
use spinney::{Failure, Group, Handle, Pool, Within, gevent};
use spinney_tests::tools::{Log, OnDrop, Why, behind, blow_up, gate, let_others_run, stuck};
use spinney_tests::{Dropped, SimHub, on_every_hub};

on_every_hub! {
    async fn apply_returns_the_result_or_the_failure(hub) {
        let (pool, group) = (Pool::on(hub, 1), Group::on(hub));
        assert_eq!(pool.apply(async { 42 }).await.unwrap(), 42);
        assert_eq!(group.apply(async { 42 }).await.unwrap(), 42);
        let failed: Result<(), _> = pool.apply(async { blow_up("no luck") }).await;
        assert_eq!(failed.unwrap_err().why(), "panicked: no luck");
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn apply_runs_a_member_and_waits_for_its_slot(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let holder = pool.spawn(behind(Arc::clone(&open), ())).await;
        let inside = pool.clone();
        let mut apply = Box::pin(pool.apply(async move { inside.is_inside() }));
        assert!(poll_once(&mut apply).await.is_none());
        assert_eq!(pool.waiting(), 1);
        open.set();
        holder.await.unwrap();
        assert!(apply.await.unwrap());
    }

    async fn dropped_apply_kills_its_task(hub) {
        let (pool, started, dropped) = (Pool::on(hub, 1), gate(), Dropped::default());
        let mut apply = Box::pin(pool.apply(stuck(Arc::clone(&started), dropped.guard())));
        assert!(poll_once(&mut apply).await.is_none());
        started.wait().await;
        drop(apply);
        pool.wait_idle().await.unwrap();
        assert_eq!((dropped.count(), pool.stats().killed), (1, 1));
    }

    async fn member_of_a_full_pool_applies_in_place(hub) {
        let pool = Pool::on(hub, 1);
        let inside = pool.clone();
        let member = pool.spawn(async move {
            let me = Handle::current().unwrap().id();
            let parent = inside.apply(async { Handle::current().unwrap().parent() }).await.unwrap();
            let panicked = inside.apply(async { blow_up("inner") }).await.map(|(): ()| ());
            (parent == Some(me), inside.len(), panicked.unwrap_err().is_panic())
        });
        assert_eq!(member.await.await.unwrap(), (true, 1, true));
    }

    async fn gevent_apply_of_a_member_runs_immediately_and_nested(hub) {
        let pool = Pool::builder().reentry(Reentry::Wait).pool_on(hub, 2);
        let (outer, inner) = (pool.clone(), pool.clone());
        let nested = async move {
            let slots = inner.clone();
            gevent::pool::apply(&inner, async move { slots.len() }).await
        };
        let member = async move { gevent::pool::apply(&outer, nested).await.unwrap().unwrap() };
        let member = pool.spawn(member);
        // A slot is free, and neither takes it.
        assert_eq!(member.await.await.unwrap(), 1);
    }

    async fn gevent_apply_of_a_non_member_runs_on_when_dropped(hub) {
        let (pool, started, open) = (Pool::on(hub, 1), gate(), gate());
        let task = {
            let (started, open) = (Arc::clone(&started), Arc::clone(&open));
            async move {
                started.set();
                open.wait().await;
            }
        };
        let mut apply = Box::pin(gevent::pool::apply(&pool, task));
        assert!(poll_once(&mut apply).await.is_none());
        started.wait().await;
        drop(apply);
        open.set();
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.stats().succeeded, pool.stats().killed), (1, 0));
    }

    async fn child_in_place_is_dropped_with_its_member(hub) {
        let (pool, started, dropped) = (Pool::on(hub, 1), gate(), Dropped::default());
        let (inside, work) = (pool.clone(), stuck(Arc::clone(&started), dropped.guard()));
        let member = pool.spawn(async move { inside.apply(work).await }).await;
        started.wait().await;
        member.kill().await;
        assert_eq!((dropped.count(), pool.available()), (1, 1));
    }

    async fn applies_nest_in_a_pool_of_one_slot(hub) {
        let pool = Pool::on(hub, 1);
        macro_rules! nest {
            ($pool:ident) => { async { 0 } };
            ($pool:ident x $($deeper:tt)*) => {{
                let $pool = $pool.clone();
                let inner = Box::pin(nest!($pool $($deeper)*));
                async move { $pool.apply(inner).await.unwrap() + 1 }
            }};
        }
        let nested = nest!(pool x x x x x x x x x x);
        assert_eq!(pool.apply(nested).await.unwrap(), 10);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn callback_gets_the_value_once(hub) {
        let (pool, log) = (Pool::on(hub, 1), Log::default());
        let (one, two) = (log.clone(), log.clone());
        pool.apply_cb(async { 1 }, move |value| one.add(*value)).await.unwrap();
        pool.apply_async_cb(async { 2 }, move |value| two.add(*value)).await.unwrap();
        assert_eq!(log.take(), [1, 2]);
    }

    async fn callback_is_not_called_for_a_failure(hub) {
        let (pool, log) = (Pool::on(hub, 1), Log::default());
        let (one, two) = (log.clone(), log.clone());
        let fails = || async { blow_up("no luck") };
        let failed: Result<(), _> = pool.apply_cb(fails(), move |()| one.add(())).await;
        failed.unwrap_err();
        let killed = pool.apply_async_cb(std::future::pending::<()>(), move |()| two.add(()));
        killed.kill().await;
        assert_eq!(log.take(), []);
    }

    async fn panicking_callback_changes_nothing(hub) {
        let pool = Pool::on(hub, 1);
        assert_eq!(pool.apply_cb(async { 1 }, |_| blow_up("callback")).await.unwrap(), 1);
        assert_eq!(pool.apply_async_cb(async { 2 }, |_| blow_up("callback")).await.unwrap(), 2);
        let list = pool.map_async_cb(|n: u32| async move { n }, 0..2, |_| blow_up("callback"));
        assert_eq!(list.await.unwrap(), [0, 1]);
        pool.try_join().await.unwrap();
    }

    async fn apply_async_on_a_full_pool_does_not_wait(hub) {
        let (pool, open, log) = (Pool::on(hub, 1), gate(), Log::default());
        let holder = pool.spawn(behind(Arc::clone(&open), ())).await;
        let mut late = Vec::new();
        for n in 0..3 {
            let (log, inside) = (log.clone(), pool.clone());
            late.push(pool.apply_async(async move { log.add(n); inside.is_inside() }));
            while pool.waiting() <= n {
                spinney::yield_now().await;
            }
        }
        assert!(late.iter().all(|late| !pool.contains(late) && !late.is_ready()));
        assert_eq!((pool.len(), pool.members().len()), (1, 1));
        open.set();
        holder.await.unwrap();
        for late in late {
            assert!(late.await.unwrap());
        }
        assert_eq!(log.take(), [0, 1, 2]);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn apply_async_takes_a_free_slot(hub) {
        let (pool, open) = (Pool::on(hub, 2), gate());
        let applied = pool.apply_async(behind(Arc::clone(&open), 42));
        assert!(pool.contains(&applied));
        assert_eq!((pool.len(), pool.available()), (1, 1));
        open.set();
        assert_eq!(applied.await.unwrap(), 42);
        assert_eq!((pool.len(), pool.available()), (0, 2));
    }

    async fn apply_async_killed_while_it_waits_takes_no_slot(hub) {
        let (pool, open, dropped) = (Pool::on(hub, 1), gate(), Dropped::default());
        let holder = pool.spawn(behind(Arc::clone(&open), ())).await;
        for turns in [false, true] {
            let late = pool.apply_async(stuck(gate(), dropped.guard()));
            if turns {
                let_others_run().await;
            }
            late.kill().await;
            assert!(late.await.unwrap_err().is_killed());
        }
        assert_eq!((dropped.count(), pool.waiting()), (2, 0));
        open.set();
        holder.await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
        pool.try_join().await.unwrap();
    }

    async fn apply_async_killed_with_its_slot_passes_it_on(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let holder = pool.spawn(behind(Arc::clone(&open), ())).await;
        let late = pool.apply_async(stuck(gate(), ()));
        while pool.waiting() < 1 {
            spinney::yield_now().await;
        }
        let mut spawn = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut spawn).await.is_none());
        open.set();
        holder.await.unwrap();
        late.kill_now();
        assert_eq!(spawn.await.await.unwrap(), 42);
    }

    async fn apply_async_that_waited_runs_as_a_member(hub) {
        let (pool, open, started) = (Pool::on(hub, 1), gate(), gate());
        let holder = pool.spawn(behind(Arc::clone(&open), ())).await;
        let late = pool.apply_async(stuck(Arc::clone(&started), ()));
        while pool.waiting() < 1 {
            spinney::yield_now().await;
        }
        assert_eq!(late.state(), State::Scheduled);
        open.set();
        holder.await.unwrap();
        started.wait().await;
        assert_eq!(late.state(), State::Running);
        assert!(!late.cancel());
        late.kill().await;
        assert_eq!(late.state(), State::Killed);
    }

    async fn kill_spares_waiting_apply_async_calls(hub) {
        let pool = Pool::on(hub, 1);
        let member = pool.spawn(stuck(gate(), ())).await;
        let late = pool.apply_async(async { 42 });
        let_others_run().await;
        pool.kill_now();
        assert!(member.await.unwrap_err().is_killed());
        assert_eq!(late.await.unwrap(), 42);
    }

    async fn closed_pool_kills_waiting_apply_async_calls(hub) {
        let pool = Pool::on(hub, 1);
        pool.spawn(stuck(gate(), ())).await.detach();
        let late = pool.apply_async(async {});
        let_others_run().await;
        pool.close();
        let Err(Failure::Killed(exit)) = late.await else { panic!("it ran") };
        assert!(exit.reason().unwrap().is::<SlotError>());
    }

    async fn map_async_returns_the_list(hub) {
        let (pool, log) = (Pool::on(hub, 2), Log::default());
        let list = pool.map_async(|n: u32| async move { 2 * n }, 0..3);
        assert!(!pool.contains(&list));
        assert_eq!(list.await.unwrap(), [0, 2, 4]);
        let seen = log.clone();
        let call = move |list: &Vec<u32>| seen.add(list.len());
        pool.map_async_cb(|n: u32| async move { n }, 0..3, call).await.unwrap();
        assert_eq!(log.take(), [3]);
    }

    async fn map_async_fails_like_the_map(hub) {
        let (pool, log) = (Pool::on(hub, 2), Log::default());
        let fails = |n: u32| async move { if n == 1 { blow_up("no luck") } };
        let list = pool.map_async(fails, 0..3);
        assert_eq!(list.await.unwrap_err().why(), "panicked: no luck");
        let seen = log.clone();
        pool.map_async_cb(fails, 0..3, move |_| seen.add(())).await.unwrap_err();
        assert_eq!(log.take(), []);
        pool.close();
        let refused = pool.map_async(|n: u32| async move { n }, 0..3).await.unwrap_err();
        assert!(refused.is_killed());
    }

    async fn kill_of_map_async_stops_the_map(hub) {
        let (pool, started, dropped) = (Pool::on(hub, 1), gate(), gate());
        let (set, gone) = (Arc::clone(&started), Arc::clone(&dropped));
        let guard = Arc::new(OnDrop::new(move || gone.set()));
        let work = move |_: u32| stuck(Arc::clone(&set), Arc::clone(&guard));
        let list = pool.map_async(work, 0..3);
        started.wait().await;
        list.kill().await;
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
        dropped.wait().await;
    }
}

#[test]
fn timed_out_apply_kills_its_task() {
    let sim = SimHub::new();
    let (pool, dropped) = (Pool::on(&sim, 1), Dropped::default());
    sim.block_on(async {
        let apply = pool.apply(stuck(gate(), dropped.guard())).within(Duration::from_secs(1));
        assert!(apply.await.is_err());
        pool.wait_idle().await.unwrap();
    });
    assert_eq!(dropped.count(), 1);
}
