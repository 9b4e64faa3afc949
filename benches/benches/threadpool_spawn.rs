//! Trivial closures on two threads: all submitted and then collected; and one round trip at a
//! time.

use std::error::Error;
use std::sync::mpsc;

use futures_lite::future;
use spinney::ThreadPool;
use spinney_benches::{Args, Contest, on, sum_below};

const THREADS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::read()?;
    Contest::new("threadpool_spawn collect", 200_000, sum_below)
        .rival("blocking", |closures| future::block_on(blocking(closures)))
        .rival("tokio", |closures| on::tokio(tokio(closures)))
        .rival("rayon", rayon)
        .rival("ThreadPool", |closures| future::block_on(spinney(closures)))
        .run(&args)?;
    Contest::new("threadpool_spawn round trip", 20_000, sum_below)
        .rival("rayon", rayon_round_trips)
        .rival("blocking", |closures| future::block_on(blocking_round_trips(closures)))
        .rival("tokio", |closures| on::tokio(tokio_round_trips(closures)))
        .rival("ThreadPool", |closures| future::block_on(spinney_round_trips(closures)))
        .run(&args)?;
    Ok(())
}

async fn blocking(closures: u32) -> u64 {
    let tasks: Vec<_> = (0..closures).map(|n| blocking::unblock(move || n)).collect();
    let mut sum = 0;
    for task in tasks {
        sum += u64::from(task.await);
    }
    sum
}

async fn blocking_round_trips(closures: u32) -> u64 {
    let mut sum = 0;
    for n in 0..closures {
        sum += u64::from(blocking::unblock(move || n).await);
    }
    sum
}

async fn tokio(closures: u32) -> u64 {
    let tasks: Vec<_> = (0..closures).map(|n| tokio::task::spawn_blocking(move || n)).collect();
    let mut sum = 0;
    for task in tasks {
        sum += u64::from(task.await.expect("a number is no panic"));
    }
    sum
}

async fn tokio_round_trips(closures: u32) -> u64 {
    let mut sum = 0;
    for n in 0..closures {
        let task = tokio::task::spawn_blocking(move || n);
        sum += u64::from(task.await.expect("a number is no panic"));
    }
    sum
}

fn rayon(closures: u32) -> u64 {
    let pool = rayon_pool();
    let (done, all_done) = mpsc::channel();
    for n in 0..closures {
        let done = done.clone();
        pool.spawn(move || done.send(u64::from(n)).expect("the main thread waits for all"));
    }
    drop(done);
    all_done.iter().sum()
}

fn rayon_round_trips(closures: u32) -> u64 {
    let pool = rayon_pool();
    (0..closures).map(|n| pool.install(move || u64::from(n))).sum()
}

fn rayon_pool() -> rayon::ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(THREADS).build();
    pool.expect("the system grants two threads")
}

async fn spinney(closures: u32) -> u64 {
    let pool = ThreadPool::new(THREADS).expect("two are enough");
    let mut results = Vec::new();
    for n in 0..closures {
        results.push(pool.spawn(move || n).await);
    }
    let mut sum = 0;
    for result in results {
        sum += u64::from(result.await.expect("a number is no panic"));
    }
    sum
}

async fn spinney_round_trips(closures: u32) -> u64 {
    let pool = ThreadPool::new(THREADS).expect("two are enough");
    let mut sum = 0;
    for n in 0..closures {
        sum += u64::from(pool.apply(move || n).await.expect("a number is no panic"));
    }
    sum
}
