//! The exact times at which a `ResourcePool` drops idle items, on a virtual clock.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney::task::spawn_on;
use spinney::{ResourcePool, sleep, yield_now};
use spinney_sim::SimHub;
use spinney_tests::tools::blow_up;
use spinney_tests::{DropGuard, Dropped};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A pool whose items expire after a minute, except for `min_size` of them.
fn pool(dropped: &Dropped, min_size: usize) -> ResourcePool<DropGuard, Infallible> {
    let dropped = dropped.clone();
    let create = move || ready(Ok(dropped.guard()));
    ResourcePool::builder(create).min_size(min_size).idle_timeout(MINUTE).build()
}

#[test]
fn idle_item_is_dropped_after_its_idle_time() {
    let (sim, dropped) = (SimHub::new(), Dropped::default());
    sim.block_on(async {
        let pool = pool(&dropped, 0);
        drop(pool.item().await);
        sleep(Duration::from_nanos(59_999_999_999)).await;
        assert_eq!((dropped.count(), pool.len()), (0, 1));
        sleep(Duration::from_nanos(1)).await;
        sleep(Duration::ZERO).await;
        assert_eq!((dropped.count(), pool.len(), pool.available()), (1, 0, 4));
    });
    assert_eq!((sim.pending(), sim.elapsed()), (0, MINUTE));
}

#[test]
fn each_item_has_its_own_idle_time() {
    let (sim, dropped) = (SimHub::new(), Dropped::default());
    sim.block_on(async {
        let pool = pool(&dropped, 0);
        let (first, second) = (pool.item().await.unwrap(), pool.item().await.unwrap());
        drop(first);
        sleep(10 * SECOND).await;
        drop(second);
        sleep(50 * SECOND + Duration::from_nanos(1)).await;
        assert_eq!((dropped.count(), pool.len()), (1, 1));
        sleep(10 * SECOND).await;
        assert_eq!((dropped.count(), pool.len()), (2, 0));
    });
}

#[test]
fn used_item_restarts_its_idle_time() {
    let (sim, dropped) = (SimHub::new(), Dropped::default());
    sim.block_on(async {
        let pool = pool(&dropped, 0);
        for _ in 0..5 {
            drop(pool.item().await);
            sleep(59 * SECOND).await;
        }
        let item = pool.item().await;
        sleep(10 * MINUTE).await;
        assert_eq!(dropped.count(), 0);
        drop(item);
        sleep(61 * SECOND).await;
        assert_eq!(dropped.count(), 1);
    });
}

#[test]
fn min_idle_items_are_kept() {
    let (sim, dropped) = (SimHub::new(), Dropped::default());
    sim.block_on(async {
        let pool = pool(&dropped, 2);
        pool.fill().await.unwrap();
        drop([pool.item().await, pool.item().await, pool.item().await]);
        sleep(10 * MINUTE).await;
        assert_eq!((dropped.count(), pool.len()), (1, 2));
        // Items in use count.
        let (first, second) = (pool.item().await, pool.item().await);
        drop(pool.item().await);
        sleep(10 * MINUTE).await;
        assert_eq!((dropped.count(), pool.len()), (2, 2));
        drop((first, second));
    });
    sim.run_until_idle();
    assert_eq!(sim.pending(), 0);
}

#[test]
fn lifo_pool_drops_unneeded_items() {
    let (sim, dropped) = (SimHub::new(), Dropped::default());
    sim.block_on(async {
        let made = dropped.clone();
        let create = move || ready(Ok::<_, Infallible>(made.guard()));
        let pool = ResourcePool::builder(create).order_as_stack().idle_timeout(MINUTE).build();
        drop([pool.item().await, pool.item().await, pool.item().await]);
        for _ in 0..10 {
            sleep(20 * SECOND).await;
            drop(pool.item().await);
        }
        assert_eq!((dropped.count(), pool.len()), (2, 1));
    });
}

#[test]
fn item_reserved_for_a_waiter_is_not_dropped() {
    let (sim, dropped) = (SimHub::new(), Dropped::default());
    sim.block_on(async {
        let pool = pool(&dropped, 0);
        pool.resize(1);
        let item = pool.item().await;
        let mut next = Box::pin(pool.item());
        assert!(poll_once(&mut next).await.is_none());
        drop(item);
        sleep(10 * MINUTE).await;
        assert_eq!((dropped.count(), pool.len()), (0, 1));
        // The waiter did not fetch it.
        drop(next);
        sleep(2 * MINUTE).await;
        assert_eq!((dropped.count(), pool.len(), pool.available()), (1, 0, 1));
    });
}

#[test]
fn pool_outlives_the_hub_of_its_reaper() {
    let dropped = Dropped::default();
    let pool = pool(&dropped, 0);
    SimHub::new().block_on(async { drop(pool.item().await) });
    let sim = SimHub::new();
    sim.block_on(async {
        drop(pool.item().await);
        sleep(2 * MINUTE).await;
    });
    assert_eq!((dropped.count(), pool.len()), (1, 0));
}

#[test]
fn reaper_does_not_keep_the_pool_alive() {
    let (sim, dropped) = (SimHub::new(), Dropped::default());
    sim.block_on(async {
        let pool = pool(&dropped, 0);
        drop(pool.item().await);
        drop(pool);
        assert_eq!(dropped.count(), 1);
    });
}

#[test]
fn deadlock_names_the_line_that_waits_for_an_item() {
    let sim = SimHub::new();
    let pool = pool(&Dropped::default(), 0);
    pool.resize(0);
    for get in [true, false] {
        let line = line!() + 1;
        let item = (pool.item(), pool.get());
        let stuck = async { if get { drop(item.1.await) } else { drop(item.0.await) } };
        let text = sim.try_block_on(stuck).unwrap_err().to_string();
        let told = format!("waits for Semaphore::acquire at {}:{line}:", file!());
        assert!(text.contains(&told), "{told:?} is missing in:\n{text}");
    }
}

/// Counts its drop, and panics, unless that would abort the process.
struct BadDrop {
    _count: DropGuard,
}

impl Drop for BadDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            blow_up("a destructor");
        }
    }
}

/// Like [`pool`], with items that panic when they are dropped.
fn bad_pool(dropped: &Dropped) -> ResourcePool<BadDrop, Infallible> {
    let dropped = dropped.clone();
    let create = move || ready(Ok(BadDrop { _count: dropped.guard() }));
    ResourcePool::builder(create).idle_timeout(MINUTE).build()
}

#[test]
fn panicking_drop_of_an_idle_item_keeps_no_other() {
    let (sim, dropped) = (SimHub::new(), Dropped::default());
    sim.block_on(async {
        let pool = bad_pool(&dropped);
        let (first, second) = (pool.item().await, pool.item().await);
        let third = pool.item().await;
        drop((first, second));
        sleep(10 * SECOND).await;
        drop(third);
        for (gone, after) in [(0, 40), (2, 11), (3, 10)] {
            sleep(after * SECOND).await;
            assert_eq!((dropped.count(), pool.len(), pool.available()), (gone, 3 - gone, 4));
        }
        // Another item expires as well.
        drop(pool.item().await);
        sleep(2 * MINUTE).await;
        assert_eq!((dropped.count(), pool.len(), pool.available()), (4, 0, 4));
    });
}

#[test]
fn panicking_drops_of_idle_items_affect_no_user() {
    let dropped = Dropped::default();
    let pool = bad_pool(&dropped);
    SimHub::new().block_on(async {
        for n in 1..=2 {
            drop([pool.item().await, pool.item().await]);
            pool.resize(0);
            assert_eq!((dropped.count(), pool.len(), pool.available()), (2 * n, 0, 0));
            pool.resize(4);
        }
        drop([pool.item().await, pool.item().await]);
    });
    drop(pool);
    assert_eq!(dropped.count(), 6);
}

#[test]
fn user_is_served_although_no_item_may_be_idle() {
    SimHub::check(0..50, |sim| {
        let create = || ready(Ok::<_, Infallible>(()));
        let pool = ResourcePool::builder(create).max_size(1).idle_timeout(Duration::ZERO).build();
        let used = sim.block_on(pool.item()).unwrap();
        let next = spawn_on(sim, {
            let pool = pool.clone();
            async move { pool.item().await.is_ok() }
        });
        sim.block_on(async {
            while pool.waiting() == 0 {
                yield_now().await;
            }
            drop(used);
            assert!(next.await.unwrap());
        });
    });
}
