//! Changing the number of threads, and threads that are idle.

use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use spinney_test_support::Gate;
use spinney_threadpool::{NoThreads, ThreadPool, ThreadResult};

/// Puts `count` closures to `pool` that wait at `gate`.
fn fill(pool: &ThreadPool, gate: &Gate, count: usize) -> Vec<ThreadResult<()>> {
    let held = || {
        let gate = gate.clone();
        pool.submit(move || gate.pass())
    };
    (0..count).map(|_| held()).collect()
}

/// Gives threads the time to end that are about to.
fn wait_for_size(pool: &ThreadPool, size: usize) {
    while pool.size() != size {
        thread::yield_now();
    }
}

#[test]
fn more_threads_take_up_what_waits_at_once() {
    let (pool, gate) = (ThreadPool::new(1).unwrap(), Gate::default());
    let results = fill(&pool, &gate, 10);
    gate.wait_for(1);
    assert_eq!((pool.size(), pool.idle()), (1, 0));
    pool.set_maxsize(4).unwrap();
    gate.wait_for(4);
    assert_eq!((pool.size(), pool.maxsize(), gate.counts()), (4, 4, (4, 4)));
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
    assert_eq!(gate.counts(), (10, 4));
}

#[test]
fn fewer_threads_end_as_they_finish() {
    let (pool, gate) = (ThreadPool::new(3).unwrap(), Gate::default());
    let running = fill(&pool, &gate, 3);
    gate.wait_for(3);
    pool.set_maxsize(1).unwrap();
    let later = Gate::default();
    let queued = fill(&pool, &later, 5);
    assert_eq!((pool.size(), pool.len()), (3, 8), "what runs goes on");
    gate.open();
    for result in running {
        result.wait().unwrap();
    }
    later.wait_for(1);
    wait_for_size(&pool, 1);
    assert_eq!(later.counts(), (1, 1));
    later.open();
    for result in queued {
        result.wait().unwrap();
    }
    assert_eq!(later.counts(), (5, 1));
}

#[test]
fn surplus_idle_threads_end_immediately_and_the_rest_works() {
    for _ in 0..50 {
        let (pool, gate) = (ThreadPool::new(4).unwrap(), Gate::default());
        let running = fill(&pool, &gate, 4);
        gate.wait_for(4);
        gate.open();
        for result in running {
            result.wait().unwrap();
        }
        pool.set_maxsize(1).unwrap();
        // It may be put to a thread that is about to end, which has to see to it.
        assert_eq!(pool.submit(|| 42).wait().unwrap(), 42);
        wait_for_size(&pool, 1);
    }
}

#[test]
fn more_threads_let_more_wait() {
    let (pool, gate) =
        (ThreadPool::builder().maxsize(1).queue(1).build().unwrap(), Gate::default());
    let mut results = fill(&pool, &gate, 2);
    assert!(pool.try_spawn(|| ()).is_err());
    pool.set_maxsize(2).unwrap();
    results.extend(fill(&pool, &gate, 1));
    assert!(pool.try_spawn(|| ()).is_err());
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
}

#[test]
fn no_threads_at_all_are_refused() {
    let pool = ThreadPool::new(2).unwrap();
    assert_eq!(pool.set_maxsize(0), Err(NoThreads));
    assert_eq!(pool.maxsize(), 2);
}

#[test]
fn idle_threads_end_after_their_timeout_and_come_back() {
    let pool = ThreadPool::builder().maxsize(2).idle_timeout(Duration::ZERO).build().unwrap();
    for n in 0..100 {
        assert_eq!(pool.submit(move || n).wait().unwrap(), n);
        if n % 10 == 0 {
            wait_for_size(&pool, 0);
        }
    }
    block_on(pool.kill());
}

#[test]
fn without_a_timeout_idle_threads_stay() {
    let (pool, gate) = (ThreadPool::new(2).unwrap(), Gate::default());
    let results = fill(&pool, &gate, 2);
    gate.wait_for(2);
    gate.open();
    for result in results {
        result.wait().unwrap();
    }
    while pool.idle() < 2 {
        thread::yield_now();
    }
    assert_eq!((pool.size(), pool.len()), (2, 0));
}

#[test]
fn an_idle_pool_uses_no_cpu() {
    let pool = ThreadPool::new(2).unwrap();
    let ticks = || {
        // A thread's time in user and in kernel mode, in ticks: behind its name in brackets.
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
