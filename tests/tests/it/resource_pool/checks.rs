//! `check` of items that are taken, and `recycle` of items that come back.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::pin::pin;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney::pile::{ResourcePoolBuilder, WaitTimes};
use spinney::{ResourcePool, Within, sleep, spawn, yield_now};
use spinney_sim::SimHub;
use spinney_tests::tools::{Log, blow_up};
use spinney_tests::{on_every_hub, smol_block_on};

const SECOND: Duration = Duration::from_secs(1);

/// A pool whose items are 1, 2, 3 and so on.
fn numbers() -> ResourcePoolBuilder<u32, Infallible> {
    let made = AtomicU32::new(0);
    ResourcePool::builder(move || ready(Ok(made.fetch_add(1, SeqCst) + 1)))
}

on_every_hub! {
    async fn item_that_broke_while_idle_is_not_handed_out(_hub) {
        let pool = numbers().max_size(3).check(|n, _| {
            Box::pin(async move { yield_now().await; *n == 2 })
        });
        let pool = pool.build();
        drop([pool.item().await, pool.item().await, pool.item().await]);
        assert_eq!(*pool.item().await.unwrap(), 2);
        assert_eq!((pool.len(), pool.stats().discarded.check), (2, 1));
        let _held = pool.item().await.unwrap();
        let next = pool.item().await.unwrap();
        assert_eq!((*next, pool.stats().discarded.check), (4, 2));
    }

    async fn item_that_fails_recycling_is_dropped(_hub) {
        let pool = numbers().max_size(1).recycle(|n, _| Box::pin(ready(*n % 2 == 0))).build();
        for (n, size) in [(1, 0), (2, 1), (2, 1)] {
            assert_eq!(*pool.item().await.unwrap(), n);
            assert_eq!((pool.len(), pool.available()), (size, 1));
        }
    }

    async fn pending_recycle_continues_for_the_next_caller(_hub) {
        let pool = numbers().max_size(1).recycle(|n, _| {
            Box::pin(async move { yield_now().await; *n += 10; true })
        });
        let pool = pool.build();
        for n in [1, 11, 21] {
            assert_eq!(*pool.item().await.unwrap(), n);
        }
    }

    async fn panicking_recycle_loses_the_item_and_no_slot(_hub) {
        let pool = numbers().max_size(1).recycle(|_, _| blow_up("no luck")).build();
        drop(pool.item().await.unwrap());
        assert_eq!(*pool.item().await.unwrap(), 2);
        assert_eq!((pool.stats().discarded.failure, pool.available()), (2, 1));
    }

    async fn panicking_check_loses_the_item_and_no_slot(hub) {
        let pool = numbers().max_size(1).check(|_, _| blow_up("no luck")).build();
        drop(pool.item().await.unwrap());
        let own = pool.clone();
        let failed = spinney::task::spawn_on(hub, async move { own.item().await.map(drop) });
        assert!(failed.await.unwrap_err().is_panic());
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn item_whose_check_is_dropped_is_discarded(_hub) {
        let pool = numbers().max_size(1).check(|_, _| Box::pin(pending())).build();
        drop(pool.item().await.unwrap());
        assert!(poll_once(pool.item()).await.is_none());
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }
}

#[test]
fn recycle_outside_of_hubs_continues_with_the_next_caller() {
    let builder = numbers().max_size(1);
    let pool = builder.recycle(|n, _| {
        Box::pin(async move {
            futures_lite::future::yield_now().await;
            *n += 10;
            true
        })
    });
    let pool = pool.build();
    drop(smol_block_on(pool.item()).unwrap());
    assert_eq!((pool.len(), pool.stats().idle), (1, 0));
    assert_eq!(*smol_block_on(pool.item()).unwrap(), 11);
}

#[test]
fn check_gets_the_idle_time_age_and_uses() {
    let (sim, log) = (SimHub::new(), Log::default());
    let told = log.clone();
    let pool = numbers().check(move |_, info| {
        told.add((info.idle.as_secs(), info.age.as_secs(), info.uses));
        Box::pin(ready(true))
    });
    let pool = pool.build();
    sim.block_on(async {
        for idle in [1, 5] {
            let item = pool.item().await;
            sleep(10 * SECOND).await;
            drop(item);
            sleep(idle * SECOND).await;
        }
        drop(pool.item().await);
    });
    assert_eq!(log.take(), [(1, 11, 1), (5, 26, 2)]);
}

#[test]
fn max_uses_and_max_age_discard_an_item() {
    let sim = SimHub::new();
    let pool = numbers().max_size(2).max_uses(3).max_age(60 * SECOND).build();
    sim.block_on(async {
        for n in [1, 1, 1, 2] {
            assert_eq!(*pool.item().await.unwrap(), n);
        }
        // An idle item is dropped when its time is up, an item in use when it comes back.
        let used = pool.item().await.unwrap();
        let idle = pool.item().await.unwrap();
        drop(idle);
        sleep(60 * SECOND + Duration::from_millis(2)).await;
        assert_eq!((pool.len(), pool.stats().discarded.max_age), (1, 1));
        drop(used);
    });
    let discarded = pool.stats().discarded;
    assert_eq!((discarded.max_uses, discarded.max_age, pool.len()), (1, 2, 0));
}

#[test]
fn age_is_checked_where_no_reaper_runs() {
    let pool = numbers().max_age(60 * SECOND).build();
    let gone = SimHub::new();
    gone.block_on(async { drop(pool.item().await) });
    // The reaper exists, and no thread runs it any more.
    let sim = SimHub::new();
    sim.block_on(async {
        sleep(120 * SECOND).await;
        assert_eq!(*pool.item().await.unwrap(), 2);
    });
    drop(gone);
}

#[test]
fn reaper_of_an_idle_hub_is_replaced() {
    let pool = numbers().max_size(2).idle_timeout(60 * SECOND).order_as_stack().build();
    let stands_still = SimHub::new();
    stands_still.block_on(async { drop([pool.item().await, pool.item().await]) });
    let sim = SimHub::new();
    sim.block_on(async {
        sleep(120 * SECOND).await;
        drop(pool.item().await);
        sleep(120 * SECOND).await;
    });
    assert_eq!((pool.len(), pool.stats().discarded.idle_timeout), (0, 3));
    drop(stands_still);
}

#[test]
fn wait_percentiles_follow_the_virtual_clock() {
    let sim = SimHub::new();
    let pool = numbers().max_size(1).build();
    sim.block_on(async {
        let users = (0..10).map(|_| {
            let pool = pool.clone();
            spawn(async move {
                let _item = pool.item().await.unwrap();
                sleep(SECOND).await;
            })
        });
        let users: Vec<_> = users.collect();
        yield_now().await;
        assert!(pool.item().within(SECOND / 2).await.is_err());
        spinney::task::joinall(&users).await;
    });
    let waits = pool.stats().waits;
    assert_eq!((waits.count(), waits.percentile(0.1)), (10, Duration::ZERO));
    assert_waited(&waits, 0.5, 4 * SECOND);
    assert_waited(&waits, 1.0, 9 * SECOND);
}

#[test]
fn wait_ends_when_its_item_has_come_back() {
    let pool = numbers().max_size(1).build();
    SimHub::new().block_on(waits_for_a_second(&pool));
    assert_waited(&pool.stats().waits, 1.0, SECOND);
}

#[test]
fn wait_includes_the_check() {
    let pool = numbers().max_size(1).check(|_, _| {
        Box::pin(async {
            sleep(9 * SECOND).await;
            true
        })
    });
    let pool = pool.build();
    SimHub::new().block_on(waits_for_a_second(&pool));
    assert_waited(&pool.stats().waits, 1.0, 11 * SECOND);
}

/// Waits for the item for a second, and is not polled for another second.
async fn waits_for_a_second(pool: &ResourcePool<u32, Infallible>) {
    let held = pool.item().await.unwrap();
    let mut next = pin!(pool.item());
    assert!(poll_once(&mut next).await.is_none());
    sleep(SECOND).await;
    drop(held);
    sleep(SECOND).await;
    drop(next.await.unwrap());
}

fn assert_waited(waits: &WaitTimes, share: f64, wait: Duration) {
    let told = waits.percentile(share);
    assert!(told >= wait && told <= wait + wait / 4, "{share}: {told:?}");
}
