//! Random cancels, resizes and kills of many concurrent closures.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use futures_lite::future::block_on;
use spinney_threadpool::{ThreadPool, ThreadResult};

/// The number of closures, unless the environment variable `SPINNEY_STRESS_CLOSURES` is set.
fn closures() -> usize {
    let wanted = std::env::var("SPINNEY_STRESS_CLOSURES").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(20_000)
}

/// The name of the threads.
const NAME: &str = "under-stress";
/// How many closures a pool gets before it is killed.
const A_POOL: usize = 5_000;

#[derive(Default)]
struct Counts {
    /// Closures that ran, and arguments that were dropped.
    ran: AtomicUsize,
    dropped: AtomicUsize,
}

struct Argument(Arc<Counts>);

impl Drop for Argument {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

/// How many threads of this process have a name with this prefix, according to the system.
fn threads_named(name: &str) -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let name_of = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(name_of).filter(|other| other.starts_with(name)).count()
}

/// Takes a result, and returns whether its closure ran.
fn take(result: ThreadResult<usize>, number: usize) -> bool {
    match result.wait() {
        Ok(got) => {
            assert_eq!(got, number);
            true
        }
        Err(failure) => failure.is_panic(),
    }
}

#[test]
fn random_cancels_resizes_and_kills_end_each_closure_once() {
    std::panic::set_hook(Box::new(|info| {
        // Expected panics are too many to be printed.
        if info.payload().downcast_ref::<usize>().is_none() {
            eprintln!("{info}");
        }
    }));
    let (mut rng, all) = (Rng::with_seed(7), closures());
    let counts = Arc::new(Counts::default());
    let (mut ran, mut put) = (0, 0);
    while put < all {
        let mut pool = ThreadPool::builder().capacity(rng.usize(1..5)).name(NAME);
        if rng.bool() {
            pool = pool.idle_timeout(Duration::from_micros(rng.u64(0..500)));
        }
        let pool = pool.queue(rng.usize(0..100)).build();
        let mut results = Vec::new();
        for number in put..all.min(put + A_POOL) {
            let (argument, panics) = (Argument(Arc::clone(&counts)), rng.u8(0..20) == 0);
            let result = pool.submit(move || {
                argument.0.ran.fetch_add(1, SeqCst);
                if panics {
                    std::panic::panic_any(number);
                }
                number
            });
            results.push((number, result));
            match rng.u8(0..100) {
                0 => pool.resize(rng.usize(1..6)),
                1..10 => drop(results[rng.usize(0..results.len())].1.cancel()),
                10..15 => results[rng.usize(0..results.len())].1.handle().kill_now(),
                15..60 => {
                    let (number, result) = results.swap_remove(rng.usize(0..results.len()));
                    ran += usize::from(take(result, number));
                }
                _ => {}
            }
        }
        put = all.min(put + A_POOL);
        match rng.u8(0..3) {
            0 => assert_eq!(block_on(pool.kill()).waiting, 0),
            1 => drop(block_on(pool.drain(Duration::from_millis(1))).unwrap()),
            _ => {}
        }
        for (number, result) in results {
            ran += usize::from(take(result, number));
        }
        pool.close();
        block_on(pool.kill());
        assert_eq!((pool.len(), pool.threads()), (0, 0));
        // The system takes a moment to remove a finished thread from its list.
        while threads_named(NAME) > 0 {
            thread::yield_now();
        }
    }
    assert_eq!(counts.ran.load(SeqCst), ran);
    assert_eq!(counts.dropped.load(SeqCst), all);
}
