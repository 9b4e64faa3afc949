//! `map`, `imap`, `imap_unordered`.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use futures_lite::StreamExt;
use futures_lite::future::{block_on, poll_once};
use spinney_greenlet::Handle;
use spinney_test_support::Gate;
use spinney_threadpool::{ThreadPool, ThreadPoolClosed};

/// An endless input, and how many items were taken from it.
fn counted() -> (impl Iterator<Item = usize> + Send, Arc<AtomicUsize>) {
    let pulled = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&pulled);
    let items = (0..).inspect(move |_| {
        counts.fetch_add(1, SeqCst);
    });
    (items, pulled)
}

/// Waits until `pool` has no work.
fn settle(pool: &ThreadPool) {
    while !pool.is_empty() {
        thread::yield_now();
    }
}

#[test]
fn map_returns_results_in_input_order() {
    let pool = ThreadPool::new(3);
    for items in [0, 1, 2, 1000] {
        let expected: Vec<u32> = (0..items).map(|n| 2 * n).collect();
        assert_eq!(block_on(pool.map(|n: u32| 2 * n, 0..items)).unwrap(), expected);
        let bounded = pool.mapper().maxsize(2).map(|n: u32| 2 * n, 0..items);
        assert_eq!(block_on(bounded).unwrap(), expected);
        let stream = pool.imap(|n: u32| 2 * n, 0..items).map(Result::unwrap);
        assert_eq!(block_on(stream.collect::<Vec<_>>()), expected);
    }
    settle(&pool);
}

#[test]
fn imap_unordered_yields_results_as_they_finish() {
    let (pool, gate) = (ThreadPool::new(2), Gate::default());
    let held = gate.clone();
    let wait_if_first = move |n: u32| {
        if n == 0 {
            held.pass();
        }
        n
    };
    let mut results = pool.imap_unordered(wait_if_first, 0..4);
    block_on(async {
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(results.next().await.unwrap().unwrap());
        }
        assert_eq!(seen, [1, 2, 3]);
        gate.open();
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        assert!(results.next().await.is_none());
        assert!(results.next().await.is_none(), "the stream did not stay ended");
    });
}

#[test]
fn map_uses_all_threads_and_no_more() {
    let (pool, gate) = (ThreadPool::new(3), Gate::default());
    let held = gate.clone();
    let mapped = pool.map(move |_| held.pass(), 0..20);
    gate.wait_for(3);
    assert_eq!((pool.threads(), pool.len()), (3, 3));
    gate.open();
    assert_eq!(block_on(mapped).unwrap().len(), 20);
    assert_eq!(gate.counts(), (20, 3));
}

#[test]
fn at_most_maxsize_items_are_open_and_one_for_the_reader() {
    let pool = ThreadPool::new(2);
    for maxsize in [0, 1, 3] {
        let (items, pulled) = counted();
        let mut results = pool.mapper().maxsize(maxsize).imap(|n| n, items);
        settle(&pool);
        assert_eq!(pulled.load(SeqCst), maxsize + 1, "not exactly one item was taken ahead");
        for n in 0..20 {
            assert_eq!(block_on(results.next()).unwrap().unwrap(), n);
            settle(&pool);
            assert!(pulled.load(SeqCst) <= n + 3 + maxsize);
        }
    }
}

#[test]
fn default_maxsize_is_twice_the_threads() {
    let pool = ThreadPool::new(2);
    let (items, pulled) = counted();
    let results = pool.imap(|n| n, items);
    settle(&pool);
    assert_eq!(pulled.load(SeqCst), 5, "not exactly four items are open and one is ahead");
    drop(results);
}

#[test]
fn unbounded_map_accumulates_unread_results() {
    let pool = ThreadPool::new(2);
    let results = pool.mapper().unbounded().imap(|n: u32| n, 0..1000);
    settle(&pool);
    assert_eq!(block_on(results.collect::<Vec<_>>()).len(), 1000);
}

#[test]
fn panicking_item_fails_in_its_place() {
    let pool = ThreadPool::new(2);
    let results = pool.imap(|n: u32| assert_ne!(n, 3), 0..10);
    let results: Vec<_> = block_on(results.collect());
    let failed: Vec<_> = results.iter().map(Result::is_err).collect();
    assert!(failed.iter().enumerate().all(|(n, failed)| *failed == (n == 3)));
    let first = block_on(pool.map(|n: u32| assert!(n % 4 != 3, "number {n}"), 0..10)).unwrap_err();
    assert_eq!(first.index(), 3);
    let text = first.to_string();
    assert!(
        text.starts_with("item 3, greenlet ") && text.ends_with(", panicked: number 3"),
        "{text}"
    );
}

#[test]
fn panicking_input_ends_the_map_with_its_panic() {
    let pool = ThreadPool::new(2);
    let items = (0..10).inspect(|n| assert!(*n < 5, "the input's panic"));
    let results: Vec<_> = block_on(pool.imap(|n: u32| n, items).collect());
    assert_eq!(results.len(), 6);
    assert_eq!(results[5].as_ref().unwrap_err().to_string(), "item 5 panicked: the input's panic");
    assert_eq!(pool.submit(|| 42).wait().unwrap(), 42);
}

#[test]
fn map_yields_to_other_entries() {
    let pool = ThreadPool::new(1);
    let endless = pool.mapper().unbounded().imap_unordered(|n: u64| n, 0..);
    for n in 0..10 {
        assert_eq!(pool.submit(move || n).wait().unwrap(), n);
    }
    let second = pool.map(|n: u32| n, 0..10);
    assert_eq!(block_on(second).unwrap().len(), 10);
    drop(endless);
    settle(&pool);
}

#[test]
fn dropped_stream_ends_the_map_and_drops_each_item_once() {
    let (pool, held) = (ThreadPool::new(2), Arc::new(()));
    let func = Arc::clone(&held);
    let results = pool.mapper().unbounded().imap(move |_| Arc::clone(&func), 0..);
    drop(results);
    settle(&pool);
    while Arc::strong_count(&held) > 1 {
        thread::yield_now();
    }
}

#[test]
fn detached_map_runs_to_its_end_and_keeps_its_pool() {
    let (pool, seen) = (ThreadPool::new(2), Arc::new(AtomicUsize::new(0)));
    let counts = Arc::clone(&seen);
    let results = pool.mapper().maxsize(1).imap(move |_| counts.fetch_add(1, SeqCst), 0..1000);
    results.detach();
    drop(pool);
    // The function is dropped with the map.
    while Arc::strong_count(&seen) > 1 {
        thread::yield_now();
    }
    assert_eq!(seen.load(SeqCst), 1000);
}

#[test]
fn kill_is_the_last_failure_of_a_map() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let held = gate.clone();
        let mut results = pool.mapper().unbounded().imap(move |n: u32| (held.pass(), n).1, 0..);
        gate.wait_for(1);
        {
            let mut kill = pin!(crate::end(&pool));
            assert!(poll_once(kill.as_mut()).await.is_none());
            gate.open();
            kill.await;
        }
        assert_eq!(results.next().await.unwrap().unwrap(), 0, "the running item was lost");
        let error = results.next().await.unwrap().unwrap_err();
        assert_eq!(error.index(), 1);
        assert!(error.killed().unwrap().reason().unwrap().is::<ThreadPoolClosed>());
        assert!(results.next().await.is_none());
        assert!(pool.map(|n: u32| n, 0..3).await.unwrap_err().is_killed());
        assert!(pool.is_empty());
    });
}

#[test]
fn turn_of_a_map_is_a_greenlet() {
    let pool = ThreadPool::new(1);
    let inside = block_on(pool.map(|_: u32| Handle::current().is_some(), 0..3)).unwrap();
    assert_eq!(inside, [true; 3]);
}

#[test]
fn plain_thread_may_read_a_stream() {
    let pool = ThreadPool::new(2);
    let sum = thread::spawn(move || {
        let results = futures_lite::stream::block_on(pool.imap(|n: u32| n, 0..100));
        results.map(Result::unwrap).sum::<u32>()
    });
    assert_eq!(sum.join().unwrap(), 4950);
}

#[test]
fn map_waits_for_its_last_running_item() {
    let (pool, gate) = (ThreadPool::new(2), Gate::default());
    let (held, done) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let counts = Arc::clone(&done);
    let run = move |n: usize| {
        if n == 1 {
            held.pass();
        }
        counts.fetch_add(1, SeqCst);
        n
    };
    let mut results = pool.mapper().unbounded().imap(run, 0..4);
    // One thread has left, the other is at the gate.
    gate.wait_for(1);
    while done.load(SeqCst) < 3 || pool.len() > 1 {
        thread::yield_now();
    }
    assert_eq!(block_on(results.next()).unwrap().unwrap(), 0);
    assert!(block_on(poll_once(results.next())).is_none());
    gate.open();
    assert!(block_on(results.map(Result::unwrap).collect::<Vec<_>>()).into_iter().eq(1..4));
}
