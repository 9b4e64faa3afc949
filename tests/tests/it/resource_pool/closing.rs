//! How a pool and its items end: `close`, `drain`, `retain` and `clear`.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney::pile::{DrainReport, ResourceError, ResourcePoolBuilder};
use spinney::{ResourcePool, sleep, spawn};
use spinney_sim::SimHub;
use spinney_tests::tools::blow_up;
use spinney_tests::{Dropped, on_every_hub};

const SECOND: Duration = Duration::from_secs(1);

fn numbers() -> ResourcePoolBuilder<u32, Infallible> {
    let made = AtomicU32::new(0);
    ResourcePool::builder(move || ready(Ok(made.fetch_add(1, SeqCst) + 1)))
}

on_every_hub! {
    async fn close_refuses_waiters_and_newcomers(_hub) {
        let pool = numbers().max_size(1).build();
        let item = pool.item().await.unwrap();
        let mut waiter = Box::pin(pool.item());
        assert!(poll_once(&mut waiter).await.is_none());
        pool.close();
        assert_eq!(waiter.await.map(drop), Err(ResourceError::Closed));
        assert_eq!(pool.item().await.map(drop), Err(ResourceError::Closed));
        assert_eq!(pool.fill().await, Err(ResourceError::Closed));
        assert_eq!((pool.len(), pool.is_closed()), (1, true));
        drop(item);
        assert_eq!((pool.len(), pool.stats().discarded.closed), (0, 1));
    }

    async fn close_refuses_a_waiter_of_a_pool_with_capacity_0(_hub) {
        let pool = numbers().build();
        pool.resize(0);
        let mut waiter = Box::pin(pool.item());
        assert!(poll_once(&mut waiter).await.is_none());
        pool.close();
        assert_eq!(waiter.await.map(drop), Err(ResourceError::Closed));
    }

    async fn close_refuses_a_caller_whose_item_is_being_created(_hub) {
        let dropped = Dropped::default();
        let guards = dropped.clone();
        let create = move || {
            let guard = guards.guard();
            async move { pending::<()>().await; Ok::<_, Infallible>(guard) }
        };
        let pool = ResourcePool::builder(create).build();
        let mut waiter = Box::pin(pool.item());
        assert!(poll_once(&mut waiter).await.is_none());
        pool.close();
        assert_eq!(waiter.await.map(drop), Err(ResourceError::Closed));
        assert_eq!((dropped.count(), pool.len()), (1, 0));
    }

    async fn retain_keeps_the_order_of_kept_items(_hub) {
        let pool = numbers().build();
        let items = [(); 4].map(|()| pool.item());
        let items = spinney_tests::tools::all(items.into_iter().map(Box::pin).collect()).await;
        let mut used: Vec<u32> = items.iter().map(|item| **item.as_ref().unwrap()).collect();
        drop(items);
        let out = used.remove(1);
        pool.retain(|n, _| *n != out);
        assert_eq!((pool.len(), pool.stats().discarded.cleared), (3, 1));
        for n in used {
            assert_eq!(*pool.item().await.unwrap(), n);
        }
    }

    async fn retain_that_panics_loses_one_item(_hub) {
        let pool = numbers().build();
        drop([pool.item().await, pool.item().await, pool.item().await]);
        let sorts = AssertUnwindSafe(|| pool.retain(|n, _| *n != 2 || blow_up("no luck")));
        assert!(catch_unwind(sorts).is_err());
        assert_eq!((pool.len(), pool.stats().idle, pool.available()), (2, 2, 4));
    }

    async fn clear_discards_items_in_use_when_they_come_back(_hub) {
        let pool = numbers().build();
        let (used, idle) = (pool.item().await.unwrap(), pool.item().await.unwrap());
        drop(idle);
        pool.clear();
        assert_eq!(pool.len(), 1);
        drop(used);
        assert_eq!((pool.len(), pool.stats().discarded.cleared), (0, 2));
        assert_eq!(*pool.item().await.unwrap(), 3);
    }
}

#[test]
fn drain_waits_for_items_in_use() {
    let sim = SimHub::new();
    let pool = numbers().build();
    let report = sim.block_on(async {
        for seconds in [1, 2, 30] {
            let item = pool.item().await.unwrap();
            spawn(async move {
                sleep(seconds * SECOND).await;
                drop(item);
            })
            .detach();
        }
        pool.drain(5 * SECOND).await
    });
    assert_eq!((report.returned, report.left, sim.elapsed()), (2, 1, 5 * SECOND));
    sim.run_until_idle();
    assert_eq!(pool.len(), 0);
    let done = sim.block_on(pool.drain(5 * SECOND));
    assert_eq!((done, sim.elapsed()), (DrainReport::default(), 30 * SECOND));
}

#[test]
fn pool_in_a_static_serves_one_runtime_after_another() {
    static POOL: std::sync::LazyLock<ResourcePool<u32, Infallible>> =
        std::sync::LazyLock::new(|| numbers().max_size(1).idle_timeout(SECOND).build());
    for _ in 0..3 {
        let runtime = spinney_tests::tokio_runtime(1);
        runtime.block_on(async { assert_eq!(*POOL.item().await.unwrap(), 1) });
    }
    SimHub::new().block_on(async {
        assert_eq!(*POOL.item().await.unwrap(), 1);
        sleep(3 * SECOND).await;
        assert_eq!(POOL.len(), 0);
    });
}
