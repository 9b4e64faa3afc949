//! No member outlives a group, or enters after its end: not even one that was handed a slot before,
//! and has not run since.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::pending;
use spinney::gevent::GroupExt as _;
use spinney::task::{GreenletExit, spawn_on};
use spinney::{Group, Pool, catch_exit};
use spinney_tests::SimHub;
use spinney_tests::tools::{behind, gate, let_others_run, stuck};

/// A pool of one slot; a waiter that called `wait` was handed the slot, and has not run since.
async fn handed_over<T>(sim: &SimHub, wait: impl FnOnce(&Pool<SimHub>) -> T) -> (Pool<SimHub>, T) {
    let pool = Pool::on(sim, 1);
    let busy = pool.spawn(pending::<()>()).await;
    let waiting = wait(&pool);
    let_others_run().await;
    assert!(pool.discard(&busy));
    busy.kill_now();
    (pool, waiting)
}

/// A late greenlet is handed the slot of a pool, which then comes to its `end`; `end` returns the
/// remaining members.
#[track_caller]
fn ends_a_late_greenlet<T>(end: impl AsyncFnOnce(Pool<SimHub>) -> T) {
    let sim = SimHub::new();
    sim.block_on(async {
        let (pool, late) = handed_over(&sim, |pool| pool.apply_async(pending::<()>())).await;
        let _left = end(pool).await;
        let_others_run().await;
        assert!(late.is_ready(), "the greenlet lives on, {:?}", late.state());
    });
}

#[test]
fn late_greenlet_with_its_slot_does_not_outlive_its_pool() {
    ends_a_late_greenlet(async |pool| drop(pool));
}

#[test]
fn late_greenlet_with_its_slot_does_not_outlive_a_shutdown() {
    ends_a_late_greenlet(async |pool| {
        drop(pool.shutdown(GreenletExit::new()));
        pool
    });
}

#[test]
fn late_greenlet_with_its_slot_stays_out_after_a_shutdown() {
    ends_a_late_greenlet(async |pool| {
        pool.shutdown(GreenletExit::new()).await;
        assert!(pool.members().is_empty());
        pool
    });
}

#[test]
fn late_greenlet_with_its_slot_does_not_outlive_a_drain() {
    ends_a_late_greenlet(async |pool| {
        pool.drain(Duration::from_millis(5)).await.unwrap();
        pool
    });
}

#[test]
fn no_member_enters_after_a_shutdown() {
    let sim = SimHub::new();
    sim.block_on(async {
        let (pool, spawner) = handed_over(&sim, |pool| {
            let outside = pool.clone();
            spawn_on(&sim, async move { outside.spawn(pending::<()>()).await.await })
        })
        .await;
        pool.shutdown(GreenletExit::new()).await;
        let_others_run().await;
        assert!(pool.members().is_empty(), "{pool:?} has members");
        assert!(spawner.await.unwrap().unwrap_err().is_killed());
    });
}

#[test]
fn no_item_starts_after_a_shutdown() {
    let sim = SimHub::new();
    let started = gate();
    let begin = Arc::clone(&started);
    sim.block_on(async {
        let work = move |_: u32| stuck(Arc::clone(&begin), ());
        let (pool, map) = handed_over(&sim, |pool| pool.map(work, 0..3)).await;
        pool.shutdown(GreenletExit::new()).await;
        let_others_run().await;
        assert!(!started.is_set(), "an item has started, {pool:?}");
        assert!(map.await.is_err());
    });
}

#[test]
fn no_member_outlives_a_pool_in_any_order() {
    SimHub::check(0..200, |sim| {
        sim.block_on(async {
            let (pool, open) = (Pool::on(sim, 1), gate());
            let busy = pool.spawn(behind(Arc::clone(&open), ())).await;
            let late = pool.apply_async(pending::<()>());
            let outside = pool.clone();
            let spawner = spawn_on(sim, async move { outside.spawn(pending::<()>()).await.await });
            let_others_run().await;
            open.set();
            busy.await.unwrap();
            pool.shutdown(GreenletExit::new()).await;
            let_others_run().await;
            assert!(pool.members().is_empty(), "{pool:?} has members");
            assert!(late.is_ready(), "the greenlet lives on, {:?}", late.state());
            assert!(spawner.await.unwrap().unwrap_err().is_killed());
        });
    });
}

#[test]
fn member_that_caught_a_kill_does_not_outlive_its_group() {
    let sim = SimHub::new();
    sim.block_on(async {
        let (group, caught) = (Group::on(&sim), gate());
        let seen = Arc::clone(&caught);
        let member = group.spawn(async move {
            let _ = catch_exit(pending::<()>()).await;
            seen.set();
            pending::<()>().await;
        });
        let_others_run().await;
        group.kill_now();
        caught.wait().await;
        drop(group);
        let_others_run().await;
        assert!(member.is_ready(), "the member lives on, {:?}", member.state());
    });
}
