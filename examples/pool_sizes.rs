//! eventlet's "Choosing Pool Size": a pool for each kind of work, with the capacity that its
//! resource allows.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use spinney::eventlet::{GreenPool, block_on};
use spinney::yield_now;

/// Gives `pool` far more work than fits, and returns the largest number of concurrent tasks.
async fn peak(pool: &GreenPool) -> usize {
    let running = Arc::new(AtomicUsize::new(0));
    let work = move |_| {
        let running = Arc::clone(&running);
        async move {
            let now = running.fetch_add(1, SeqCst) + 1;
            for _ in 0..10 {
                yield_now().await;
            }
            running.fetch_sub(1, SeqCst);
            now
        }
    };
    let mut results = pool.imap(work, 0..1000);
    let mut peak = 0;
    while let Some(running) = results.next().await {
        peak = peak.max(running.expect("no work panics"));
    }
    peak
}

fn main() {
    block_on(async {
        // Work that waits for the network or the disk: many tasks.
        let io_pool = GreenPool::new(100);
        // Work that computes, or needs a scarce resource. (If it computes for long, a
        // `ThreadPool`.)
        let cpu_pool = GreenPool::new(10);
        // Work that needs a connection: as many tasks as there are connections.
        let db_pool = GreenPool::new(20);

        for (name, pool) in [("io", io_pool), ("cpu", cpu_pool), ("db", db_pool)] {
            let peak = peak(&pool).await;
            assert!(peak <= pool.capacity(), "{peak} ran concurrently");
            println!("{name}: never more than {} at once", pool.capacity());
        }
    });
}
