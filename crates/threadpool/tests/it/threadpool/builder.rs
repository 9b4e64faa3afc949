//! Names, stacks, hooks, and threads that cannot be started.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;

use futures_lite::future::block_on;
use spinney_greenlet::Failure;
use spinney_test_support::Gate;
use spinney_threadpool::{ThreadPool, ThreadRefused};

#[test]
fn threads_are_named_and_numbered() {
    let (pool, gate) = (ThreadPool::builder().capacity(2).name("mill").build(), Gate::default());
    let name = || {
        let held = gate.clone();
        pool.submit(move || {
            held.pass();
            thread::current().name().unwrap().to_owned()
        })
    };
    let results = [name(), name()];
    gate.wait_for(2);
    gate.open();
    let names = BTreeSet::from(results.map(|result| result.wait().unwrap()));
    assert_eq!(names, BTreeSet::from(["mill-0".to_owned(), "mill-1".to_owned()]));
}

#[test]
fn threads_have_the_given_stack_size() {
    fn deep(levels: usize) -> usize {
        let filler = std::hint::black_box([levels; 128]);
        if levels == 0 { 0 } else { 1 + deep(filler[0] - 1) }
    }
    let pool = ThreadPool::builder().capacity(1).stack_size(64 << 20).build();
    // Deeper than the standard library's two megabytes allow.
    assert_eq!(pool.submit(|| deep(10_000)).wait().unwrap(), 10_000);
}

#[test]
fn each_hook_is_called_once_by_each_thread_with_its_number() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (starts, stops) = (Arc::clone(&seen), Arc::clone(&seen));
    let pool = ThreadPool::builder()
        .capacity(2)
        .on_start(move |index| {
            starts.lock().unwrap().push(("start", index, thread::current().id()));
        })
        .on_stop(move |index| {
            stops.lock().unwrap().push(("stop", index, thread::current().id()));
        })
        .build();
    let gate = Gate::default();
    for _ in 0..2 {
        let held = gate.clone();
        pool.submit(move || held.pass()).detach();
    }
    gate.wait_for(2);
    gate.open();
    block_on(crate::end(&pool));
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(seen.len(), 4);
    for index in 0..2 {
        let of = |what| seen.iter().find(|call| (call.0, call.1) == (what, index)).unwrap().2;
        assert_eq!(of("start"), of("stop"), "a thread stopped that never started");
    }
}

#[test]
fn panicking_hooks_end_no_thread() {
    let pool = ThreadPool::builder()
        .capacity(1)
        .on_start(|_| panic!("a panic of a start hook"))
        .on_stop(|_| panic!("a panic of a stop hook"))
        .build();
    assert_eq!(pool.submit(|| 42).wait().unwrap(), 42);
    assert_eq!(pool.threads(), 1);
    block_on(crate::end(&pool));
    assert_eq!(pool.threads(), 0);
}

/// Whether it was killed because no thread could be started.
fn is_thread_refused(failure: &Failure) -> bool {
    let Failure::Killed(exit) = failure else { return false };
    let Some(reason) = exit.reason() else { return false };
    reason.is::<ThreadRefused>()
}

#[test]
fn closure_without_a_thread_fails_with_the_system_error() {
    // No machine has a stack of this size.
    let pool = ThreadPool::builder().capacity(2).stack_size(1 << 60).build();
    for _ in 0..3 {
        assert!(is_thread_refused(&pool.submit(|| ()).wait().unwrap_err()));
    }
    let mapped = block_on(pool.map(|n: u32| n, 0..10)).unwrap_err();
    assert!(is_thread_refused(&mapped));
    assert_eq!((pool.threads(), pool.len()), (0, 0));
    block_on(async {
        pool.join().await.unwrap();
        crate::end(&pool).await;
    });
}

#[test]
fn invalid_thread_name_is_an_error() {
    let pool = ThreadPool::builder().name("a\0b").build();
    let failure = pool.submit(|| ()).wait().unwrap_err();
    assert!(is_thread_refused(&failure));
    assert!(failure.to_string().contains("no thread could be started"));
}

#[test]
fn queue_of_zero_admits_as_many_as_run() {
    let pool = ThreadPool::builder().capacity(2).queue(0).build();
    let gate = Gate::default();
    let held = || {
        let gate = gate.clone();
        move || gate.pass()
    };
    let results = [pool.try_spawn(held()).unwrap(), pool.try_spawn(held()).unwrap()];
    let full = pool.try_spawn(held()).unwrap_err();
    assert_eq!(full.to_string(), "the thread pool's queue is full");
    gate.wait_for(2);
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
    let again = pool.try_spawn(full.into_closure()).unwrap();
    again.wait().unwrap();
    assert_eq!(gate.counts(), (3, 2));
}

#[test]
fn unbounded_queue_admits_any_number() {
    let pool = ThreadPool::builder().capacity(1).queue(usize::MAX).build();
    let gate = Gate::default();
    let held = gate.clone();
    pool.submit(move || held.pass()).detach();
    let results: Vec<_> = (0..10_000).map(|n| pool.try_spawn(move || n).unwrap()).collect();
    assert_eq!(pool.len(), 10_001);
    gate.open();
    assert!(results.into_iter().map(|result| result.wait().unwrap()).eq(0..10_000));
}
