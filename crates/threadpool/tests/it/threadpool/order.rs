//! The order in which closures begin, with one thread and with several.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use spinney_test_support::Gate;
use spinney_threadpool::{ThreadPool, ThreadResult};

fn unbounded(maxsize: usize) -> ThreadPool {
    ThreadPool::builder().capacity(maxsize).queue(usize::MAX).build()
}

fn held(pool: &ThreadPool, gate: &Gate) -> ThreadResult<()> {
    let gate = gate.clone();
    pool.submit(move || gate.pass())
}

/// A pool with a thread that has begun the first of `count` closures, after all of them were put
/// into the queue; they all wait at the gate. `others` threads wait at a gate of their own.
fn begun(others: usize, count: usize) -> (ThreadPool, Gate, Vec<ThreadResult<()>>, Gate) {
    let (pool, gate) = (unbounded(1 + others), Gate::default());
    let (before, other) = (Gate::default(), Gate::default());
    held(&pool, &before).detach();
    (0..others).for_each(|_| held(&pool, &other).detach());
    before.wait_for(1);
    other.wait_for(others);
    let results = (0..count).map(|_| held(&pool, &gate)).collect();
    before.open();
    gate.wait_for(1);
    (pool, gate, results, other)
}

#[test]
fn closures_begin_in_fifo_order() {
    let (pool, gate) = (unbounded(1), Gate::default());
    let (send, receive) = mpsc::channel();
    held(&pool, &gate).detach();
    for n in 0..1000 {
        let send = send.clone();
        pool.submit(move || send.send(n).unwrap()).detach();
        if n == 500 {
            gate.open();
        }
    }
    drop(send);
    assert!(receive.iter().eq(0..1000));
}

#[test]
fn closures_behind_a_slow_one_begin_on_other_threads() {
    let (_pool, gate, results, other) = begun(1, 20);
    assert_eq!(gate.counts(), (1, 1));
    other.open();
    gate.wait_for(2);
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
}

#[test]
fn kill_ends_all_closures_that_have_not_begun() {
    let (pool, gate, results, _) = begun(0, 200);
    let report = block_on(pool.drain(Duration::ZERO)).unwrap();
    assert_eq!((report.succeeded, report.killed, report.running), (1, 199, 1));
    gate.open();
    for (n, result) in results.into_iter().enumerate() {
        assert_eq!(result.wait().is_ok(), n == 0);
    }
}

#[test]
fn surplus_threads_begin_nothing_more() {
    let (pool, gate, results, other) = begun(2, 20);
    pool.resize(1);
    other.open();
    while pool.threads() > 1 {
        assert_eq!(gate.counts(), (1, 1));
        thread::yield_now();
    }
    assert_eq!(gate.counts(), (1, 1));
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
}

#[test]
fn no_more_threads_start_than_there_is_work_for() {
    let (pool, gate) = (unbounded(1), Gate::default());
    let mut results = vec![held(&pool, &gate)];
    gate.wait_for(1);
    results.extend([held(&pool, &gate), held(&pool, &gate)]);
    pool.resize(8);
    // The second thread takes the other closures.
    gate.wait_for(3);
    results.push(held(&pool, &gate));
    assert_eq!(pool.threads(), 4);
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
}
