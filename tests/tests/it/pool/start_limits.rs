//! Limits on the starts of a pool, on every hub: rates, keys, weights, priorities, pauses, a bound
//! on waiters, retries. Their exact times are tested on the virtual clock, beside the code.

use std::time::{Duration, Instant};

use futures_lite::StreamExt;
use futures_lite::future::{poll_once, zip};
use spinney::pool::{Order, RateLimiter, SlotError};
use spinney::time::Clock;
use spinney::{Failure, LocalHub, Pool, Rate, Retry, Within, sleep};
use spinney_tests::tools::{Count, Gauge, Log, all, let_others_run};
use spinney_tests::{SimHub, on_every_hub};
use tokio::runtime::Builder;

const MS: Duration = Duration::from_millis(1);

/// Only a failure reaches the limit.
const LONG: Duration = Duration::from_secs(60);

/// Measures the time since its creation, on the current clock.
fn stopwatch() -> impl Fn() -> Duration {
    let begin = Clock::current().now();
    move || Clock::current().now() - begin
}

on_every_hub! {
    async fn tasks_start_no_faster_than_the_rate(hub) {
        let pool = Pool::builder().rate(Rate::per(1, 2 * MS).burst(2)).pool_on(hub, 9);
        let (elapsed, done) = (stopwatch(), Count::to(6));
        for _ in 0..6 {
            let done = done.clone();
            pool.spawn(async move { done.add() }).await.detach();
        }
        assert!(elapsed() >= 8 * MS, "six starts, two of them together");
        pool.join().await.unwrap();
        assert_eq!((done.get(), pool.len(), pool.waiting()), (6, 0, 0));
    }

    async fn full_or_used_up_key_holds_up_no_other(hub) {
        let rate = Rate::per(1, 2 * MS);
        let pool = Pool::builder().per_key(1).key_rate(rate).pool_on(hub, 9);
        let elapsed = stopwatch();
        let held = pool.slot().key("a").await.unwrap();
        let mut first = Box::pin(pool.slot().key("a"));
        assert!(poll_once(&mut first).await.is_none());
        let mut second = Box::pin(pool.slot().key("a"));
        assert!(poll_once(&mut second).await.is_none());
        drop(pool.slot().key("b").await.unwrap());
        drop(pool.slot().await.unwrap());
        drop(held);
        drop(first.await.unwrap());
        assert!(elapsed() >= 2 * MS);
        drop(second.await.unwrap());
        assert!(elapsed() >= 4 * MS);
        assert_eq!((pool.len(), pool.available()), (0, 9));
    }

    async fn waiters_are_served_by_priority_and_weight(hub) {
        let (pool, order) = (Pool::on(hub, 2), Log::default());
        let held = pool.slot().weight(2).await.unwrap();
        let mut spawns = Vec::new();
        for (priority, weight) in [(0, 1), (1, 2), (2, 1), (1, 1)] {
            let log = order.clone();
            let task = async move { log.add((priority, weight)) };
            let request = pool.slot().priority(priority).weight(weight);
            let mut spawn = Box::pin(request.spawn(task));
            assert!(poll_once(&mut spawn).await.is_none());
            spawns.push(spawn);
        }
        // The heavy one needs both slots, so each of the others runs alone or with its equal.
        drop(held);
        for greenlet in all(spawns).await {
            greenlet.await.unwrap();
        }
        let order = order.take();
        assert_eq!((order[0], order[1]), ((2, 1), (1, 2)));
        assert_eq!((pool.len(), pool.available(), pool.waiting()), (0, 2, 0));
    }

    async fn paused_pool_starts_nothing_until_it_resumes(hub) {
        let pool = Pool::on(hub, 2);
        pool.pause();
        let mut spawn = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut spawn).await.is_none());
        let_others_run().await;
        assert!(poll_once(&mut spawn).await.is_none() && pool.is_empty());
        pool.resume();
        assert_eq!(spawn.await.await.unwrap(), 42);
        let elapsed = stopwatch();
        pool.pause_for(2 * MS);
        assert_eq!(pool.apply(async { 42 }).await.unwrap(), 42);
        assert!(elapsed() >= 2 * MS && pool.stats().paused >= 2 * MS);
    }

    async fn request_beyond_max_waiting_is_refused(hub) {
        let pool = Pool::builder().max_waiting(1).pool_on(hub, 1);
        let held = pool.slot().await.unwrap();
        let mut waiting = Box::pin(pool.slot());
        assert!(poll_once(&mut waiting).await.is_none());
        assert_eq!(pool.slot().await.unwrap_err(), SlotError::TooManyWaiting);
        assert!(matches!(pool.spawn(async {}).await.await, Err(Failure::Killed(_))));
        assert_eq!((pool.stats().shed, pool.waiting()), (2, 1));
        drop(held);
        drop(waiting.await.unwrap());
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn retried_items_keep_every_limit(hub) {
        let rate = Rate::per(40, MS).burst(3);
        let pool = Pool::builder().rate(rate).per_key(1).order(Order::Aging(5)).pool_on(hub, 3);
        let gauges = [Gauge::default(), Gauge::default()];
        let inside = gauges.clone();
        let tried = Log::default();
        let log = tried.clone();
        let work = move |n: usize| {
            let guard = inside[n % 2].enter();
            log.add(n);
            let fails = n % 5 == 0;
            async move {
                sleep(MS / 20).await;
                drop(guard);
                if fails { Err(n) } else { Ok(n) }
            }
        };
        let mapper = pool.mapper().key(|n: &usize| n % 2).priority(|n: &usize| i32::from(*n > 9));
        let mapper = mapper.retry(Retry::times(2).delays([Duration::ZERO, MS / 10]));
        let results: Vec<_> = mapper.try_imap_unordered(work, 0..20).collect().await;
        let failed = results.iter().filter(|result| result.is_err()).count();
        assert_eq!((results.len(), failed), (20, 4));
        assert_eq!((tried.take().len(), pool.stats().retried), (28, 8));
        assert_eq!(gauges.map(|gauge| gauge.peak()), [1, 1]);
        pool.join().await.unwrap();
        assert_eq!((pool.len(), pool.available(), pool.waiting()), (0, 3, 0));
    }

    async fn child_of_a_member_waits_for_its_start(hub) {
        let pool = Pool::builder().rate(Rate::per(1, MS)).pool_on(hub, 1);
        let (elapsed, inner) = (stopwatch(), pool.clone());
        let parent = async move { inner.apply(async { 42 }).await.unwrap() };
        assert_eq!(pool.apply(parent).within(LONG).await.unwrap().unwrap(), 42);
        assert!(elapsed() >= MS);
    }

    async fn request_that_leaves_passes_its_start_on(hub) {
        let pool = Pool::builder().rate(Rate::per(1, 2 * MS)).pool_on(hub, 1);
        drop(pool.slot().await.unwrap());
        let mut head = Box::pin(pool.slot());
        assert!(poll_once(&mut head).await.is_none());
        let mut next = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut next).await.is_none());
        drop(head);
        assert_eq!(next.within(LONG).await.unwrap().await.unwrap(), 42);
        assert_eq!((pool.len(), pool.available(), pool.waiting()), (0, 1, 0));
    }

    async fn limiter_spaces_tasks_of_every_hub(hub) {
        let limiter = RateLimiter::new(Rate::per(1, MS));
        let (pool, elapsed) = (Pool::on(hub, 4), stopwatch());
        let pass = move |_: u32| {
            let limiter = limiter.clone();
            async move { limiter.ready().await }
        };
        let passed = pool.try_map(pass, 0..6).within(LONG).await.unwrap();
        assert_eq!(passed.unwrap().len(), 6);
        assert!(elapsed() >= 5 * MS);
    }
}

#[test]
fn start_in_place_counts_once_when_another_item_is_served() {
    let sim = SimHub::new();
    sim.block_on(async {
        let elapsed = stopwatch();
        let pool = Pool::builder().rate(Rate::per(1, 10 * MS).burst(2)).pool_on(&sim, 2);
        let (held, inside) = (pool.slot().await.unwrap(), pool.clone());
        let member = pool.spawn(async move {
            let mapper = inside.mapper().priority(|n: &i32| *n);
            mapper.map(|n| async move { (sleep(MS).await, n).1 }, 0..2).await.unwrap()
        });
        let member = member.await;
        sleep(MS).await;
        // At its end there are two starts: item 1 has a slot, item 0 the place of the reader.
        pool.pause_for(30 * MS);
        drop(held);
        assert_eq!(member.await.unwrap(), [0, 1]);
        assert_eq!((elapsed(), pool.available()), (33 * MS, 2));
    });
}

#[test]
fn key_is_free_when_the_wait_for_a_start_changes_hands() {
    let sim = SimHub::new();
    sim.block_on(async {
        let pool = Pool::builder().per_key(1).pool_on(&sim, 2);
        let (key, inside) = (pool.slot().key("a").await.unwrap(), pool.clone());
        let member = pool.spawn(async move {
            let keyed = async move { inside.slot().key("a").spawn(async { 42 }).await.await };
            let mut keyed = Box::pin(keyed);
            assert!(poll_once(&mut keyed).await.is_none());
            (keyed,)
        });
        let (keyed,) = member.await.await.unwrap();
        // The key is free before a slot is: the start, which needs none, is granted.
        let free = async {
            pool.resize(0);
            drop(key);
            sleep(MS).await;
            pool.resize(2);
        };
        assert_eq!(zip(keyed, free).await.0.unwrap(), 42);
        assert_eq!((pool.len(), pool.available(), pool.waiting()), (0, 2, 0));
    });
}

/// A runtime whose timer is the alarm of a pool in the tests below.
fn runtime() -> tokio::runtime::Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn pause_runs_on_the_clock_of_its_caller() {
    let second = Duration::from_secs(1);
    let pool = Pool::builder().per_key(2).pool(2);
    let (first, later) = (SimHub::new(), SimHub::new());
    for (sim, paused) in [(&first, 1), (&later, 1), (&first, 2)] {
        sim.block_on(async {
            pool.pause_for(second);
            pool.apply(async {}).await.unwrap();
        });
        assert_eq!(sim.elapsed(), paused * second);
    }
    // The last of several pauses applies.
    first.block_on(async { pool.pause_for(second) });
    later.block_on(async {
        pool.pause_for(second);
        pool.apply(async {}).await.unwrap();
    });
    assert_eq!(later.elapsed(), 2 * second);
}

#[test]
fn pause_outlives_the_runtime_that_began_it() {
    LocalHub::new().block_on(async {
        let pool = Pool::new(1);
        let held = pool.slot().await.unwrap();
        let mut waiting = Box::pin(pool.slot());
        assert!(poll_once(&mut waiting).await.is_none());
        let (runtime, begin) = (runtime(), Instant::now());
        runtime.block_on(async { pool.pause_for(20 * MS) });
        drop((held, runtime));
        drop(waiting.within(LONG).await.unwrap().unwrap());
        assert!(begin.elapsed() >= 20 * MS);
    });
}

#[test]
fn rate_goes_on_when_the_runtime_of_its_alarm_shuts_down() {
    LocalHub::new().block_on(async {
        let (runtime, begin) = (runtime(), Instant::now());
        let pool = Pool::builder().rate(Rate::per(1, 20 * MS)).pool(1);
        drop(pool.slot().await.unwrap());
        let mut waiting = Box::pin(pool.slot());
        assert!(poll_once(&mut waiting).await.is_none());
        let on_tokio = runtime.block_on(async { poll_once(Box::pin(pool.slot())).await.is_none() });
        assert!(on_tokio);
        drop(runtime);
        drop(waiting.within(LONG).await.unwrap().unwrap());
        assert!(begin.elapsed() >= 20 * MS);
    });
}

#[test]
fn rate_of_a_runtime_that_has_shut_down_still_applies() {
    LocalHub::new().block_on(async {
        let pool = Pool::new(1);
        let held = pool.slot().await.unwrap();
        let (mut first, mut second) = (Box::pin(pool.slot()), Box::pin(pool.slot()));
        assert!(poll_once(&mut first).await.is_none());
        assert!(poll_once(&mut second).await.is_none());
        runtime().block_on(async { pool.set_rates([Rate::per(1, 20 * MS)]) });
        let begin = Instant::now();
        drop(held);
        drop(first.await.unwrap());
        drop(second.within(LONG).await.unwrap().unwrap());
        assert!(begin.elapsed() >= 20 * MS);
    });
}
