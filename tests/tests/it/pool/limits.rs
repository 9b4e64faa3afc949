//! Limits on the wait for a slot, counts of a pool, and builders.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney::gevent::{GroupExt as _, PoolExt as _};
use spinney::{Group, Pool, sleep};
use spinney_tests::tools::{Count, behind, gate, let_others_run, stuck};
use spinney_tests::{SimHub, on_every_hub};

const SECOND: Duration = Duration::from_secs(1);

on_every_hub! {
    async fn spawn_within_takes_a_free_slot(hub) {
        let pool = Pool::on(hub, 1);
        assert_eq!(pool.spawn_within(SECOND, async { 42 }).await.unwrap().await.unwrap(), 42);
        let member = pool.spawn_within(Duration::MAX, stuck(gate(), ())).await.unwrap();
        let full = pool.spawn_within(Duration::ZERO, async { 42 }).await.unwrap_err();
        assert_eq!(full.into_future().await, 42);
        assert_eq!((pool.len(), pool.waiting()), (1, 0));
        member.kill().await;
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn spawn_within_waits_in_turn(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        pool.spawn(behind(Arc::clone(&open), ())).await.detach();
        let mut spawn = Box::pin(pool.spawn_within(Duration::MAX, async { 42 }));
        assert!(poll_once(&mut spawn).await.is_none());
        open.set();
        assert_eq!(spawn.await.unwrap().await.unwrap(), 42);
    }

    async fn wait_available_waits_in_turn_and_takes_nothing(hub) {
        let (pool, open) = (Pool::on(hub, 2), gate());
        assert_eq!(pool.wait_available().await, 2);
        pool.spawn(stuck(gate(), ())).await.detach();
        assert_eq!(pool.wait_available().await, 1);
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        let mut available = Box::pin(pool.wait_available());
        assert!(poll_once(&mut available).await.is_none());
        let_others_run().await;
        assert!(poll_once(&mut available).await.is_none());
        open.set();
        member.await.unwrap();
        assert_eq!(available.await, 1);
        assert_eq!((pool.len(), pool.available(), pool.waiting()), (1, 1, 0));
    }

    async fn wait_available_counts_a_slot_that_it_passes_on(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        let mut available = Box::pin(pool.wait_available());
        assert!(poll_once(&mut available).await.is_none());
        let mut spawn = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut spawn).await.is_none());
        open.set();
        member.await.unwrap();
        assert_eq!(available.await, 1);
        assert_eq!(spawn.await.await.unwrap(), 42);
    }

    async fn len_counts_members_and_capacity_is_the_limit(hub) {
        let (pool, open) = (Pool::on(hub, 2), gate());
        assert_eq!((pool.size(), pool.len(), pool.is_empty()), (0, 0, true));
        let one = pool.spawn(behind(Arc::clone(&open), ())).await;
        let two = pool.spawn(behind(Arc::clone(&open), ())).await;
        assert_eq!((pool.size(), pool.capacity(), pool.is_full()), (2, Some(2), true));
        pool.resize(1);
        assert_eq!((pool.size(), pool.available(), pool.free_count()), (2, -1, 0));
        open.set();
        one.await.unwrap();
        two.await.unwrap();
        assert_eq!((pool.size(), pool.available()), (0, 1));
    }

    async fn builder_builds_pools_and_groups(hub) {
        let builder = Pool::builder().keep_failures(0);
        let (pool, group) = (builder.clone().pool_on(hub, 3), builder.group_on(hub));
        assert_eq!((pool.capacity(), pool.available()), (Some(3), 3));
        let meeting = Count::to(20);
        for _ in 0..20 {
            let meeting = meeting.clone();
            group.spawn(async move { meeting.meet().await }).detach();
        }
        group.join().await.unwrap();
        assert_eq!(Group::builder().group_on(hub).spawn(async { 42 }).await.unwrap(), 42);
    }
}

#[test]
fn spawn_within_times_out_exactly() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    sim.block_on(async {
        pool.spawn(sleep(10 * SECOND)).await.detach();
        assert!(pool.spawn_within(3 * SECOND, async {}).await.is_err());
        assert_eq!((sim.elapsed(), pool.waiting()), (3 * SECOND, 0));
        assert!(pool.spawn_within(30 * SECOND, async {}).await.is_ok());
        assert_eq!(sim.elapsed(), 10 * SECOND);
    });
}

#[test]
fn builder_uses_the_current_hub() {
    let hub = spinney_tests::hub(1);
    hub.block_on(async {
        assert_eq!(Pool::builder().pool(2).spawn(async { 42 }).await.await.unwrap(), 42);
        assert_eq!(Group::builder().group().spawn(async { 42 }).await.unwrap(), 42);
        assert_eq!(Pool::unlimited().capacity(), None);
    });
}
