//! Results, and the places from which the pool can be used.

use std::sync::Arc;
use std::thread;

use futures_lite::future::block_on;
use spinney_hub::{Hub, LocalHub, Spawn};
use spinney_threadpool::ThreadPool;

#[test]
fn result_of_each_closure_reaches_its_owner() {
    block_on(async {
        let pool = ThreadPool::new(3);
        let mut results = Vec::new();
        for n in 0..1000_u64 {
            results.push(pool.spawn(move || n * n).await);
        }
        for (result, n) in results.into_iter().zip(0..1000_u64) {
            assert_eq!(result.await.unwrap(), n * n);
        }
    });
}

#[test]
fn one_thread_runs_closures_in_fifo_order() {
    block_on(async {
        let pool = ThreadPool::new(1);
        let (send, receive) = std::sync::mpsc::channel();
        for n in 0..50 {
            let send = send.clone();
            pool.spawn(move || send.send(n).unwrap()).await.detach();
        }
        drop(send);
        assert!(receive.iter().eq(0..50));
    });
}

#[test]
fn closures_run_on_the_pool_s_threads() {
    let pool = ThreadPool::new(1);
    let name = || thread::current().name().map(str::to_owned);
    let seen = block_on(pool.apply(name)).unwrap();
    assert_eq!(seen.as_deref(), Some("spinney-worker-0"));
}

#[test]
fn apply_waits_for_the_result() {
    let pool = ThreadPool::new(1);
    assert_eq!(block_on(pool.apply(|| 42)).unwrap(), 42);
    assert!(block_on(pool.apply(|| panic!("no luck"))).unwrap_err().is_panic());
}

#[test]
fn thread_pool_works_on_every_hub() {
    async fn use_it() -> u64 {
        let pool = ThreadPool::new(2);
        let one = pool.spawn(|| 40).await;
        let two = pool.apply(|| 2).await.unwrap();
        let sum = one.await.unwrap() + two;
        crate::end(&pool).await;
        sum
    }
    let hub = Hub::builder().threads(2).build().unwrap();
    assert_eq!(hub.block_on(use_it()), 42);
    assert_eq!(LocalHub::new().block_on(use_it()), 42);
    assert_eq!(block_on(use_it()), 42, "the pool does not work outside any hub");
}

#[test]
fn local_hub_goes_on_while_its_closures_run() {
    let hub = LocalHub::new();
    let pool = ThreadPool::new(1);
    let gate = spinney_test_support::Gate::default();
    let (held, open) = (gate.clone(), gate.clone());
    hub.block_on(async {
        let result = pool.spawn(move || held.pass()).await;
        gate.wait_for(1);
        // Only another task of this hub opens the gate.
        hub.spawn(async move { open.open() });
        result.await.unwrap();
    });
}

#[test]
fn handles_share_the_pool_on_any_thread() {
    let pool = ThreadPool::new(2);
    thread::scope(|scope| {
        for n in 0..8 {
            let pool = pool.clone();
            scope.spawn(move || {
                for _ in 0..100 {
                    assert_eq!(block_on(pool.apply(move || n)).unwrap(), n);
                }
            });
        }
    });
    assert!(pool.threads() <= 2);
}

#[test]
fn arguments_and_results_are_dropped_once() {
    let counted = Arc::new(());
    let pool = ThreadPool::new(2);
    block_on(async {
        let mut results = Vec::new();
        for _ in 0..100 {
            let argument = Arc::clone(&counted);
            results.push(pool.spawn(move || Arc::clone(&argument)).await);
        }
        for result in results {
            drop(result.await.unwrap());
        }
    });
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[test]
fn unpolled_spawn_drops_its_closure() {
    let (pool, counted) = (ThreadPool::new(1), Arc::new(()));
    let argument = Arc::clone(&counted);
    drop(pool.spawn(move || drop(argument)));
    assert_eq!((Arc::strong_count(&counted), pool.len(), pool.threads()), (1, 0, 0));
}
