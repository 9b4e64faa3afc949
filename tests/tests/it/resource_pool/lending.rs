//! The promises of `ResourcePool`: few items are created, each has one user, and no slot is lost.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::future::{poll_once, zip};
use spinney::pile::ResourceError;
use spinney::task::spawn_on;
use spinney::{ResourcePool, yield_now};
use spinney_tests::tools::{Count, Gauge, Log, blow_up, gate, polled};
use spinney_tests::{Dropped, hub, in_time, on_every_hub, smol_block_on};

/// Creates 1, 2, 3 and so on.
fn numbers() -> impl Fn() -> Ready<Result<u32, Infallible>> + Send + Sync + 'static {
    let made = AtomicUsize::new(0);
    move || ready(Ok(u32::try_from(made.fetch_add(1, SeqCst) + 1).unwrap()))
}

/// How many items exist, are available, and have waiters.
fn state<T, E>(pool: &ResourcePool<T, E>) -> (usize, isize, usize) {
    (pool.len(), pool.available(), pool.waiting())
}

on_every_hub! {
    async fn items_are_created_on_demand(_hub) {
        let pool = ResourcePool::builder(numbers()).build();
        assert_eq!((pool.capacity(), state(&pool)), (4, (0, 4, 0)));
        let mut items = Vec::new();
        for (n, free) in [(1, 3), (2, 2), (3, 1), (4, 0)] {
            items.push(pool.item().await.unwrap());
            assert_eq!((**items.last().unwrap(), state(&pool)), (n, (n as usize, free, 0)));
        }
        items.truncate(1);
        assert_eq!(state(&pool), (4, 3, 0));
        assert_eq!(*pool.item().await.unwrap(), 2, "the first returned item was not used");
        drop(items);
        assert_eq!(state(&pool), (4, 4, 0));
    }

    async fn waiter_gets_the_returned_item(_hub) {
        let pool = ResourcePool::builder(numbers()).max_size(2).build();
        let (first, second) = (pool.item().await.unwrap(), pool.item().await.unwrap());
        let (mut next, mut last) = (Box::pin(pool.item()), Box::pin(pool.item()));
        assert!(poll_once(&mut next).await.is_none() && poll_once(&mut last).await.is_none());
        assert_eq!(state(&pool), (2, 0, 2));
        drop(second);
        drop(first);
        // Neither has fetched its item.
        assert_eq!(state(&pool), (2, 0, 0));
        let (next, last) = (next.await.unwrap(), last.await.unwrap());
        assert_eq!((*next, *last, state(&pool)), (2, 1, (2, 0, 0)));
    }

    async fn waiters_are_served_in_fifo_order(hub) {
        let (pool, log) = (ResourcePool::builder(numbers()).max_size(1).build(), Log::default());
        let item = pool.item().await.unwrap();
        let mut waiters = Vec::new();
        for n in 0..5 {
            let (pool, log, waits) = (pool.clone(), log.clone(), gate());
            let take = async move { let _item = pool.item().await.unwrap(); log.add(n) };
            waiters.push(spawn_on(hub, polled(Arc::clone(&waits), take)));
            waits.wait().await;
        }
        drop(item);
        spinney::task::joinall(&waiters).await;
        assert_eq!((log.take(), state(&pool)), (vec![0, 1, 2, 3, 4], (1, 1, 0)));
    }

    async fn failed_create_lets_the_next_caller_try(_hub) {
        let (tries, open) = (AtomicUsize::new(0), gate());
        let fails = Arc::clone(&open);
        let create = move || {
            let (nth, fails) = (tries.fetch_add(1, SeqCst), Arc::clone(&fails));
            async move { if nth == 0 { fails.wait().await; Err("no luck") } else { Ok(nth) } }
        };
        let pool = ResourcePool::builder(create).max_size(1).backoff(|_| Duration::ZERO).build();
        let (mut first, mut second) = (Box::pin(pool.item()), Box::pin(pool.item()));
        assert!(poll_once(&mut first).await.is_none() && poll_once(&mut second).await.is_none());
        assert_eq!(state(&pool), (1, 0, 1));
        open.set();
        assert_eq!(first.await.unwrap_err(), ResourceError::Create("no luck"));
        assert_eq!(*second.await.unwrap(), 1);
        assert_eq!(state(&pool), (1, 1, 0));
    }

    async fn panicking_create_frees_its_capacity(hub) {
        let tries = AtomicUsize::new(0);
        let create = move || {
            let nth = tries.fetch_add(1, SeqCst);
            async move { if nth == 0 { blow_up("no luck") } else { Ok::<_, Infallible>(nth) } }
        };
        let builder = ResourcePool::builder(create).backoff(|_| Duration::ZERO);
        let pool = builder.max_size(1).build();
        let user = pool.clone();
        let failed = spawn_on(hub, async move { *user.item().await.unwrap() });
        assert!(failed.await.unwrap_err().is_panic());
        assert_eq!(state(&pool), (0, 1, 0));
        assert_eq!(*pool.item().await.unwrap(), 1);
    }

    async fn getter_dropped_in_the_queue_affects_no_other(_hub) {
        let pool = ResourcePool::builder(numbers()).max_size(1).build();
        let item = pool.item().await.unwrap();
        let (mut first, mut second) = (Box::pin(pool.item()), Box::pin(pool.item()));
        assert!(poll_once(&mut first).await.is_none() && poll_once(&mut second).await.is_none());
        drop(item);
        // The item was already handed to the dropped future.
        drop(first);
        assert_eq!(*second.await.unwrap(), 1);
        assert_eq!(state(&pool), (1, 1, 0));
    }

    async fn item_without_a_guard_is_put_back(_hub) {
        let pool = ResourcePool::builder(numbers()).max_size(1).build();
        let value = pool.get().await.unwrap();
        assert_eq!(state(&pool), (1, 0, 0));
        pool.put(value);
        assert_eq!(state(&pool), (1, 1, 0));
    }

    async fn discarded_item_lets_another_be_created(_hub) {
        let pool = ResourcePool::builder(numbers()).max_size(1).build();
        let item = pool.item().await.unwrap();
        let mut next = Box::pin(pool.item());
        assert!(poll_once(&mut next).await.is_none());
        item.discard();
        let next = next.await.unwrap();
        assert_eq!((*next, state(&pool)), (2, (1, 0, 0)));
        assert_eq!((next.take(), state(&pool)), (2, (0, 1, 0)));
    }

    async fn longest_idle_item_is_used_first(_hub) {
        let pool = ResourcePool::builder(numbers()).max_size(3).build();
        drop([pool.item().await, pool.item().await, pool.item().await]);
        for n in [1, 2, 3, 1] {
            assert_eq!(*pool.item().await.unwrap(), n);
        }
    }

    async fn lifo_pool_uses_the_last_returned_item_first(_hub) {
        let pool = ResourcePool::builder(numbers()).max_size(3).order_as_stack().build();
        drop([pool.item().await, pool.item().await, pool.item().await]);
        for n in [3, 3] {
            assert_eq!(*pool.item().await.unwrap(), n);
        }
    }

    async fn urgent_waiter_is_served_before_earlier_ones(_hub) {
        let pool = ResourcePool::builder(numbers()).max_size(1).build();
        let item = pool.item().await.unwrap();
        let (mut usual, mut urgent) = (Box::pin(pool.item()), Box::pin(pool.item_with_priority(1)));
        assert!(poll_once(&mut usual).await.is_none());
        assert!(poll_once(&mut urgent).await.is_none());
        drop(item);
        let urgent = urgent.await.unwrap();
        assert!(poll_once(&mut usual).await.is_none());
        drop(urgent);
        usual.await.unwrap();
        assert_eq!(state(&pool), (1, 1, 0));
    }

    async fn resize_up_admits_as_many_as_fit(_hub) {
        let pool = ResourcePool::builder(numbers()).max_size(1).build();
        let _item = pool.item().await.unwrap();
        let mut waiters: Vec<_> = (0..4).map(|_| Box::pin(pool.item())).collect();
        for waiter in &mut waiters {
            assert!(poll_once(waiter).await.is_none());
        }
        pool.resize(3);
        assert_eq!((pool.capacity(), pool.available(), pool.waiting()), (3, 0, 2));
        let mut got = Vec::new();
        for waiter in &mut waiters {
            got.extend(poll_once(waiter).await);
        }
        assert_eq!((got.len(), pool.len()), (2, 3));
    }

    async fn resize_down_drops_idle_items_first_then_returned_ones(_hub) {
        let pool = ResourcePool::builder(numbers()).build();
        let mut items = Vec::new();
        for _ in 0..4 {
            items.push(pool.item().await.unwrap());
        }
        items.pop();
        pool.resize(1);
        assert_eq!(state(&pool), (3, -2, 0));
        for (size, free) in [(2, -1), (1, 0), (1, 1)] {
            items.pop();
            assert_eq!(state(&pool), (size, free, 0));
        }
        assert_eq!(*pool.item().await.unwrap(), 1);
        pool.resize(2);
        assert_eq!(state(&pool), (1, 2, 0));
    }

    async fn fill_creates_min_idle_items(_hub) {
        let pool = ResourcePool::builder(numbers()).min_size(3).build();
        assert_eq!(state(&pool), (0, 4, 0));
        let item = pool.item().await.unwrap();
        let (filled, again) = zip(pool.fill(), pool.fill()).await;
        assert!(filled.is_ok() && again.is_ok());
        assert_eq!(state(&pool), (3, 3, 0));
        drop(item);
        pool.fill().await.unwrap();
        assert_eq!(state(&pool), (3, 4, 0));
        pool.resize(2);
        pool.fill().await.unwrap();
        assert_eq!(state(&pool), (2, 2, 0));
    }

    async fn fill_does_not_check_new_items(_hub) {
        let builder = ResourcePool::builder(numbers()).min_size(2);
        let pool = builder.recycle(|_, _| Box::pin(ready(false))).build();
        pool.fill().await.unwrap();
        assert_eq!(state(&pool), (2, 4, 0));
    }

    async fn failed_fill_keeps_the_created_items(_hub) {
        let tries = AtomicUsize::new(0);
        let create = move || {
            ready(Some(tries.fetch_add(1, SeqCst)).filter(|nth| *nth != 1).ok_or("no"))
        };
        let builder = ResourcePool::builder(create).backoff(|_| Duration::ZERO);
        let pool = builder.min_size(3).build();
        let failed = Err(ResourceError::Create("no"));
        assert_eq!((pool.fill().await, state(&pool)), (failed, (1, 4, 0)));
        assert_eq!((pool.fill().await, state(&pool)), (Ok(()), (3, 4, 0)));
    }

    async fn items_outlive_the_handles_of_their_pool(_hub) {
        let dropped = Dropped::default();
        let guards = dropped.clone();
        let create = move || ready(Ok::<_, Infallible>(guards.guard()));
        let pool = ResourcePool::builder(create).build();
        let (used, idle) = (pool.item().await.unwrap(), pool.item().await.unwrap());
        drop(idle);
        drop(pool);
        assert_eq!(dropped.count(), 0);
        drop(used);
        assert_eq!(dropped.count(), 2);
    }

    async fn live_items_never_exceed_the_capacity(hub) {
        const USERS: usize = 8;
        let (gauge, done) = (Gauge::default(), Count::to(USERS));
        let alive = gauge.clone();
        let create = move || {
            let alive = alive.clone();
            async move {
                yield_now().await;
                Ok::<_, Infallible>(alive.enter())
            }
        };
        let tries = AtomicUsize::new(0);
        let builder = ResourcePool::builder(create).max_size(3);
        let pool = builder
            .recycle(move |_, _| Box::pin(ready(tries.fetch_add(1, SeqCst) % 3 != 0)))
            .build();
        for n in 0..USERS {
            let (pool, done) = (pool.clone(), done.clone());
            let uses = async move {
                for round in 0..20 {
                    let mut item = Box::pin(pool.item());
                    if round % 5 == n % 5 {
                        drop(poll_once(&mut item).await);
                        continue;
                    }
                    let _item = item.await;
                    yield_now().await;
                }
                done.add();
            };
            spawn_on(hub, uses).detach();
        }
        done.reached().await;
        assert!(gauge.peak() <= 3, "{} items were alive", gauge.peak());
        assert_eq!((pool.available(), pool.waiting()), (3, 0));
        assert!(pool.len() <= 3);
    }
}

#[test]
fn foreign_item_is_taken_within_the_capacity() {
    let pool = ResourcePool::builder(numbers()).max_size(2).build();
    let item = smol_block_on(pool.item()).unwrap();
    pool.put(70);
    assert_eq!(state(&pool), (2, 1, 0));
    pool.put(71);
    assert_eq!((state(&pool), pool.stats().discarded.surplus), ((2, 1, 0), 1));
    assert_eq!(*smol_block_on(pool.item()).unwrap(), 70);
    drop(item);
    assert_eq!(state(&pool), (2, 2, 0));
}

#[test]
fn threads_share_a_pool() {
    let hub = hub(4);
    let (gauge, made) = (Gauge::default(), Arc::new(AtomicUsize::new(0)));
    let (alive, count) = (gauge.clone(), Arc::clone(&made));
    let create = move || {
        count.fetch_add(1, SeqCst);
        ready(Ok::<_, Infallible>(alive.enter()))
    };
    let pool = ResourcePool::builder(create).max_size(3).build();
    let users = (0..8).map(|_| {
        let pool = pool.clone();
        spawn_on(&hub, async move {
            for _ in 0..500 {
                let _item = pool.item().await.unwrap();
                yield_now().await;
            }
        })
    });
    let users: Vec<_> = users.collect();
    hub.block_on(in_time(spinney::task::try_joinall(&users))).unwrap();
    assert_eq!((made.load(SeqCst), gauge.peak(), state(&pool)), (3, 3, (3, 3, 0)));
}
