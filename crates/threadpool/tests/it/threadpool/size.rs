//! The number of threads, and of waiting closures.

use std::pin::pin;

use futures_lite::future::{block_on, poll_once, yield_now};
use spinney_test_support::Gate;
use spinney_threadpool::{ThreadPool, ThreadResult};

/// Spawns `count` closures that wait at `gate`.
async fn fill(pool: &ThreadPool, gate: &Gate, count: usize) -> Vec<ThreadResult<()>> {
    let mut results = Vec::new();
    for _ in 0..count {
        let gate = gate.clone();
        results.push(pool.spawn(move || gate.pass()).await);
    }
    results
}

#[test]
fn threads_start_when_there_is_work_for_them() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(3), Gate::default());
        assert_eq!((pool.threads(), pool.capacity(), pool.len()), (0, 3, 0));
        let mut results = Vec::new();
        for expected in [1, 2, 3, 3, 3] {
            results.extend(fill(&pool, &gate, 1).await);
            assert_eq!(pool.threads(), expected);
        }
        assert_eq!(pool.len(), 5);
        gate.open();
        for result in results {
            result.await.unwrap();
        }
        assert_eq!(pool.threads(), 3);
    });
}

#[test]
fn idle_thread_is_reused() {
    block_on(async {
        let pool = ThreadPool::new(8);
        let first = pool.apply(|| std::thread::current().id()).await.unwrap();
        for _ in 0..20 {
            // A thread counts as idle a moment after its result is ready: one more may start.
            pool.apply(|| ()).await.unwrap();
            yield_now().await;
        }
        assert!(pool.threads() >= 1 && pool.threads() <= 8);
        assert_ne!(first, std::thread::current().id());
    });
}

#[test]
fn exactly_the_capacity_runs_at_once() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(4), Gate::default());
        let results = fill(&pool, &gate, 100).await;
        gate.wait_for(4);
        assert_eq!((gate.counts(), pool.threads(), pool.len()), ((4, 4), 4, 100));
        gate.open();
        for result in results {
            result.await.unwrap();
        }
        assert_eq!(gate.counts(), (100, 4));
    });
}

#[test]
fn spawn_into_a_full_queue_waits_for_a_place() {
    const PLACES: usize = 2 * (1 + 64);
    block_on(async {
        let (pool, gate) = (ThreadPool::new(2), Gate::default());
        let mut results = fill(&pool, &gate, PLACES).await;
        gate.wait_for(2);
        assert_eq!(pool.len(), PLACES);
        let late = gate.clone();
        {
            let mut more = pin!(pool.spawn(move || late.pass()));
            assert!(poll_once(more.as_mut()).await.is_none());
            assert_eq!(pool.len(), PLACES);
            gate.open();
            results.push(more.await);
        }
        for result in results {
            result.await.unwrap();
        }
        assert_eq!(gate.counts(), (PLACES + 1, 2));
    });
}

#[test]
fn dropped_spawn_runs_nothing_and_takes_no_place() {
    const PLACES: usize = 1 + 64;
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let results = fill(&pool, &gate, PLACES).await;
        assert!(poll_once(pool.spawn(|| panic!("it ran"))).await.is_none());
        gate.open();
        for result in results {
            result.await.unwrap();
        }
        // Behind everything else: all closures that would run have run by then.
        pool.apply(|| ()).await.unwrap();
        assert_eq!(gate.counts(), (PLACES, 1));
    });
}

#[test]
fn place_is_free_when_its_result_is_ready() {
    block_on(async {
        let pool = ThreadPool::new(1);
        for _ in 0..20_000 {
            pool.apply(|| ()).await.unwrap();
            assert!(pool.is_empty());
        }
    });
}

#[test]
fn debug_shows_how_full_the_pool_is() {
    let pool = ThreadPool::new(2);
    assert_eq!(format!("{pool:?}"), "ThreadPool { threads: 0, capacity: 2, len: 0 }");
}
