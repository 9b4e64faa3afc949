//! Nobody outlives a group, or comes in after its end: not even who was handed a slot before, and
//! has not run since.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::pending;
use spinney::{GreenletExit, Group, Pool, catch_exit, spawn_on};
use spinney_tests::SimHub;
use spinney_tests::tools::{behind, gate, let_others_run, stuck};

#[test]
fn a_late_greenlet_with_its_slot_does_not_outlive_its_pool() {
    let sim = SimHub::new();
    sim.block_on(async {
        let pool = Pool::on(&sim, 1);
        let busy = pool.spawn(behind(gate(), ())).await;
        let started = gate();
        let late = pool.apply_async(stuck(Arc::clone(&started), ()));
        let_others_run().await;
        assert!(pool.discard(&busy));
        drop(pool);
        let_others_run().await;
        assert!(late.is_ready(), "it lives on, {:?}, started {}", late.state(), started.is_set());
        busy.kill().await;
    });
}

#[test]
fn a_late_greenlet_does_not_outlive_its_pool_in_whatever_order() {
    SimHub::check(0..200, |sim| {
        sim.block_on(async {
            let pool = Pool::on(sim, 1);
            let open = gate();
            let busy = pool.spawn(behind(Arc::clone(&open), ())).await;
            let late = pool.apply_async(pending::<()>());
            let_others_run().await;
            open.set();
            busy.await.unwrap();
            drop(pool);
            let_others_run().await;
            assert!(late.is_ready(), "it lives on, {:?}", late.state());
        });
    });
}

#[test]
fn a_member_that_caught_a_kill_does_not_outlive_its_group() {
    let sim = SimHub::new();
    sim.block_on(async {
        let group = Group::on(&sim);
        let caught = gate();
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
        assert!(member.is_ready(), "it lives on, {:?}", member.state());
    });
}

#[test]
fn a_late_greenlet_with_its_slot_does_not_outlive_a_shutdown() {
    let sim = SimHub::new();
    sim.block_on(async {
        let pool = Pool::on(&sim, 1);
        let busy = pool.spawn(behind(gate(), ())).await;
        let late = pool.apply_async(pending::<()>());
        let_others_run().await;
        assert!(pool.discard(&busy));
        drop(pool.shutdown(GreenletExit::new()));
        let_others_run().await;
        assert!(late.is_ready(), "it lives on, {:?}", late.state());
        busy.kill().await;
    });
}

#[test]
fn a_drain_waits_for_a_late_greenlet_with_its_slot() {
    let sim = SimHub::new();
    sim.block_on(async {
        let pool = Pool::on(&sim, 1);
        let busy = pool.spawn(behind(gate(), ())).await;
        let late = pool.apply_async(pending::<()>());
        let_others_run().await;
        assert!(pool.discard(&busy));
        pool.drain(Duration::from_millis(5)).await.unwrap();
        let_others_run().await;
        assert!(late.is_ready(), "it lives on, {:?}, {pool:?}", late.state());
        busy.kill().await;
    });
}

#[test]
fn a_shutdown_waits_for_a_late_greenlet_with_its_slot() {
    let sim = SimHub::new();
    sim.block_on(async {
        let pool = Pool::on(&sim, 1);
        let busy = pool.spawn(behind(gate(), ())).await;
        let late = pool.apply_async(pending::<()>());
        let_others_run().await;
        assert!(pool.discard(&busy));
        pool.shutdown(GreenletExit::new()).await;
        assert!(pool.members().is_empty());
        let_others_run().await;
        assert!(late.is_ready(), "it lives on, {:?}, {pool:?}", late.state());
        busy.kill().await;
    });
}

#[test]
fn nobody_enters_after_a_shutdown() {
    let sim = SimHub::new();
    sim.block_on(async {
        let pool = Pool::on(&sim, 1);
        let busy = pool.spawn(behind(gate(), ())).await;
        let outside = pool.clone();
        let spawner = spawn_on(&sim, async move { outside.spawn(pending::<()>()).await.await });
        let_others_run().await;
        assert!(pool.discard(&busy));
        pool.shutdown(GreenletExit::new()).await;
        let_others_run().await;
        assert!(pool.members().is_empty(), "{pool:?} has members");
        assert!(spawner.await.unwrap().unwrap_err().is_killed());
        busy.kill().await;
    });
}

#[test]
fn nobody_enters_after_a_shutdown_in_whatever_order() {
    SimHub::check(0..200, |sim| {
        sim.block_on(async {
            let pool = Pool::on(sim, 1);
            let open = gate();
            let busy = pool.spawn(behind(Arc::clone(&open), ())).await;
            let outside = pool.clone();
            let spawner = spawn_on(sim, async move { outside.spawn(pending::<()>()).await.await });
            let_others_run().await;
            open.set();
            busy.await.unwrap();
            pool.shutdown(GreenletExit::new()).await;
            let_others_run().await;
            assert!(pool.members().is_empty(), "{pool:?} has members");
            assert!(spawner.await.unwrap().unwrap_err().is_killed());
        });
    });
}

#[test]
fn no_item_starts_after_a_shutdown() {
    let sim = SimHub::new();
    sim.block_on(async {
        let pool = Pool::on(&sim, 1);
        let busy = pool.spawn(behind(gate(), ())).await;
        let started = gate();
        let begin = Arc::clone(&started);
        let map = pool.map(move |_: u32| stuck(Arc::clone(&begin), ()), 0..3);
        let_others_run().await;
        assert!(pool.discard(&busy));
        pool.shutdown(GreenletExit::new()).await;
        let_others_run().await;
        assert!(!started.is_set(), "an item has started, {pool:?}");
        assert!(map.await.is_err());
        busy.kill().await;
    });
}
