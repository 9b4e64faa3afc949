//! Changing the number of threads, and idle threads.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use spinney_test_support::Gate;
use spinney_threadpool::{ThreadPool, ThreadResult};

/// Spawns `count` closures in `pool` that wait at `gate`.
fn fill(pool: &ThreadPool, gate: &Gate, count: usize) -> Vec<ThreadResult<()>> {
    let held = || {
        let gate = gate.clone();
        pool.submit(move || gate.pass())
    };
    (0..count).map(|_| held()).collect()
}

/// Gives exiting threads the time to exit.
fn wait_for_threads(pool: &ThreadPool, size: usize) {
    while pool.threads() != size {
        thread::yield_now();
    }
}

#[test]
fn resize_up_starts_waiting_closures_immediately() {
    let (pool, gate) = (ThreadPool::new(1), Gate::default());
    let results = fill(&pool, &gate, 10);
    gate.wait_for(1);
    assert_eq!((pool.threads(), pool.idle()), (1, 0));
    pool.resize(4);
    gate.wait_for(4);
    assert_eq!((pool.threads(), pool.capacity(), gate.counts()), (4, 4, (4, 4)));
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
    assert_eq!(gate.counts(), (10, 4));
}

#[test]
fn resize_down_ends_threads_as_they_finish() {
    let (pool, gate) = (ThreadPool::new(3), Gate::default());
    let running = fill(&pool, &gate, 3);
    gate.wait_for(3);
    pool.resize(1);
    let later = Gate::default();
    let queued = fill(&pool, &later, 5);
    assert_eq!((pool.threads(), pool.len()), (3, 8), "a running closure was stopped");
    gate.open();
    for result in running {
        result.wait().unwrap();
    }
    later.wait_for(1);
    wait_for_threads(&pool, 1);
    assert_eq!(later.counts(), (1, 1));
    later.open();
    for result in queued {
        result.wait().unwrap();
    }
    assert_eq!(later.counts(), (5, 1));
}

#[test]
fn resize_down_ends_surplus_idle_threads_immediately() {
    for _ in 0..50 {
        let (pool, gate) = (ThreadPool::new(4), Gate::default());
        let running = fill(&pool, &gate, 4);
        gate.wait_for(4);
        gate.open();
        for result in running {
            result.wait().unwrap();
        }
        pool.resize(1);
        // The closure may be meant for a thread that is about to exit, which must pass it on.
        assert_eq!(pool.submit(|| 42).wait().unwrap(), 42);
        wait_for_threads(&pool, 1);
    }
}

#[test]
fn resize_up_lengthens_the_default_queue() {
    let (pool, gate) = (ThreadPool::builder().capacity(1).queue(1).build(), Gate::default());
    let mut results = fill(&pool, &gate, 2);
    assert!(pool.try_spawn(|| ()).is_err());
    pool.resize(2);
    results.extend(fill(&pool, &gate, 1));
    assert!(pool.try_spawn(|| ()).is_err());
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
}

#[test]
fn pool_of_capacity_zero_starts_nothing_until_resized() {
    let pool = ThreadPool::builder().capacity(0).queue(10).build();
    let result = pool.submit(|| 42);
    let mapped = pool.map(|n: u32| n, 0..3);
    assert!(pool.is_paused());
    assert_eq!((pool.threads(), pool.len(), pool.waiting()), (0, 2, 2));
    pool.resize(1);
    assert_eq!(result.wait().unwrap(), 42);
    assert_eq!(block_on(mapped).unwrap(), [0, 1, 2]);
    assert!(!pool.is_paused());
}

#[test]
fn new_pool_of_capacity_zero_has_no_place_until_resized() {
    let pool = ThreadPool::new(0);
    let mut waiting = Box::pin(pool.spawn(|| 42));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    assert_eq!((pool.len(), pool.waiting()), (0, 1));
    pool.resize(1);
    assert_eq!(block_on(waiting).wait().unwrap(), 42);
}

#[test]
fn resize_to_zero_finishes_the_running_closures() {
    let (pool, gate) = (ThreadPool::new(1), Gate::default());
    let running = fill(&pool, &gate, 2);
    gate.wait_for(1);
    pool.resize(0);
    gate.open();
    wait_for_threads(&pool, 0);
    assert_eq!((gate.counts().0, pool.len()), (1, 1));
    pool.resize(2);
    for result in running {
        result.wait().unwrap();
    }
}

#[test]
fn paused_pool_starts_nothing_until_it_is_resumed() {
    let (pool, gate) = (ThreadPool::new(2), Gate::default());
    let running = fill(&pool, &gate, 1);
    gate.wait_for(1);
    pool.pause();
    let queued = pool.submit(|| 42);
    let mapped = pool.map(|n: u32| n, 0..3);
    gate.open();
    for result in running {
        result.wait().unwrap();
    }
    while pool.idle() < pool.threads() {
        thread::yield_now();
    }
    assert!(pool.is_paused() && !queued.is_ready());
    pool.resume();
    assert_eq!(queued.wait().unwrap(), 42);
    assert_eq!(block_on(mapped).unwrap(), [0, 1, 2]);
}

#[test]
fn running_map_stops_at_a_pause_and_resumes() {
    let (pool, gate) = (ThreadPool::new(1), Gate::default());
    let held = gate.clone();
    let mapped = pool.map(move |n: u32| (held.pass(), n).1, 0..10);
    gate.wait_for(1);
    pool.pause();
    gate.open();
    while pool.waiting() == 0 {
        thread::yield_now();
    }
    assert_eq!(gate.counts().0, 1);
    pool.resume();
    assert_eq!(block_on(mapped).unwrap().len(), 10);
}

#[test]
fn idle_threads_exit_after_the_timeout_and_are_replaced() {
    let pool = ThreadPool::builder().capacity(2).idle_timeout(Duration::ZERO).build();
    for n in 0..100 {
        assert_eq!(pool.submit(move || n).wait().unwrap(), n);
        if n % 10 == 0 {
            wait_for_threads(&pool, 0);
        }
    }
    block_on(crate::end(&pool));
}

#[test]
fn idle_threads_stay_without_a_timeout() {
    let (pool, gate) = (ThreadPool::new(2), Gate::default());
    let results = fill(&pool, &gate, 2);
    gate.wait_for(2);
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
    while pool.idle() < 2 {
        thread::yield_now();
    }
    assert_eq!((pool.threads(), pool.len()), (2, 0));
}

#[test]
fn idle_pool_uses_no_cpu() {
    let pool = ThreadPool::new(2);
    let ticks = || {
        // A thread's time in user and in kernel mode, in ticks: after its name in brackets.
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = pool.submit(ticks).wait().unwrap();
    // The process is busy for a while, the pool is not.
    let busy = std::time::Instant::now();
    while busy.elapsed() < Duration::from_millis(200) {
        thread::yield_now();
    }
    assert!(pool.submit(ticks).wait().unwrap() <= before + 2);
}

#[test]
fn running_map_uses_the_threads_of_a_larger_capacity() {
    for capacity in [0, 1, 2] {
        let pool = ThreadPool::new(capacity);
        // Four items wait for each other.
        let four = Arc::new(Barrier::new(4));
        let list = Arc::clone(&four);
        let map = pool.map(move |n: u32| (list.wait(), n).1, 0..8);
        pool.resize(4);
        assert_eq!(block_on(map).unwrap(), (0..8).collect::<Vec<_>>());
        pool.resize(capacity);
        let mapper = pool.mapper().maxsize(4);
        let mut results = mapper.imap_unordered(move |n: u32| (four.wait(), n).1, 0..8);
        pool.resize(4);
        block_on(async {
            for _ in 0..8 {
                results.next().await.unwrap().unwrap();
            }
            assert!(results.next().await.is_none());
        });
    }
}
