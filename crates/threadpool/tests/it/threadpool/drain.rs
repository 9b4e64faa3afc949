//! `join` and `drain`.

use std::pin::pin;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use spinney_test_support::Gate;
use spinney_threadpool::ThreadPool;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn join_waits_for_all_closures_and_leaves_the_pool_open() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        pool.join().await.unwrap();
        for _ in 0..5 {
            let held = gate.clone();
            pool.spawn(move || held.pass()).await.detach();
        }
        {
            let mut join = pin!(pool.join());
            assert!(poll_once(join.as_mut()).await.is_none());
            gate.open();
            join.await.unwrap();
        }
        assert_eq!(gate.counts().0, 5);
        assert_eq!(pool.apply(|| 42).await.unwrap(), 42);
    });
}

#[test]
fn drain_empties_the_queue_and_refuses_later_calls() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let mut results = Vec::new();
        for _ in 0..5 {
            let held = gate.clone();
            results.push(pool.spawn(move || held.pass()).await);
        }
        {
            let mut drain = pin!(pool.drain(LONG));
            assert!(poll_once(drain.as_mut()).await.is_none());
            assert!(pool.apply(|| ()).await.unwrap_err().is_killed());
            gate.open();
            let report = drain.await.unwrap();
            assert_eq!((report.succeeded, report.killed, report.running), (5, 0, 0));
        }
        for result in results {
            result.await.unwrap();
        }
        assert_eq!((pool.threads(), pool.len()), (0, 0));
    });
}

#[test]
fn drain_without_grace_kills_the_queue_and_leaves_running() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(2), Gate::default());
        let mut results = Vec::new();
        for _ in 0..5 {
            let held = gate.clone();
            results.push(pool.spawn(move || held.pass()).await);
        }
        gate.wait_for(2);
        let report = pool.drain(Duration::ZERO).await.unwrap();
        assert_eq!((report.succeeded, report.killed, report.running), (0, 3, 2));
        gate.open();
        for (n, result) in results.into_iter().enumerate() {
            assert_eq!(result.await.is_ok(), n < 2);
        }
        crate::end(&pool).await;
        assert_eq!(pool.threads(), 0);
    });
}

#[test]
fn map_goes_on_during_a_drain() {
    block_on(async {
        let pool = ThreadPool::new(2);
        let mapped = pool.map(|n: u32| n, 0..1000);
        pool.drain(LONG).await.unwrap();
        assert_eq!(mapped.await.unwrap().len(), 1000);
    });
}

#[test]
fn drain_of_an_unused_pool_returns_immediately() {
    block_on(async {
        let pool = ThreadPool::new(2);
        assert_eq!(pool.drain(LONG).await.unwrap(), spinney_greenlet::Report::default());
    });
}
