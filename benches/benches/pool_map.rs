//! A function over many items, through 100 slots: in order, as they come, and as a stream over a
//! lazy input.

use std::collections::VecDeque;
use std::error::Error;
use std::future::ready;
use std::ops::Range;
use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};
use spinney::{Imap, Map, Pool, yield_now};
use spinney_benches::{Args, Contest, digest, digest_below, extend_digest, on, sum_below};
use tokio::task::{JoinError, JoinSet};

const SLOTS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::read()?;
    ordered().run(&args)?;
    unordered().run(&args)?;
    lazy_stream().run(&args)?;
    Ok(())
}

/// Every item yields once.
fn ordered() -> Contest {
    Contest::new("pool_map ordered", 200_000, digest_below)
        .rival("async-executor", |items| {
            on::executor(async |executor| {
                window(items, |n| executor.spawn(yielding(n)), |n| n).await
            })
        })
        .rival("static executor", |items| {
            on::static_executor(async |executor| {
                window(items, |n| executor.spawn(yielding(n)), |n| n).await
            })
        })
        .rival("tokio", |items| on::tokio(window(items, |n| tokio::spawn(yielding(n)), joined)))
        .rival("futures in place", |items| {
            on::executor(async |_| {
                digest_stream(stream::iter(below(items)).map(yielding).buffered(SLOTS)).await
            })
        })
        .rival("LocalHub", |items| {
            on::local_hub(|hub| digest_map(Pool::on(&hub, SLOTS).map(yielding, below(items))))
        })
        .rival("Hub", |items| {
            on::hub(|hub| digest_map(Pool::on(&hub, SLOTS).map(yielding, below(items))))
        })
        .rival("block_on", |items| {
            on::hub_block_on(|hub| digest_map(Pool::on(&hub, SLOTS).map(yielding, below(items))))
        })
}

/// Every item yields once.
fn unordered() -> Contest {
    Contest::new("pool_map unordered", 200_000, sum_below)
        .rival("async-executor", |items| {
            on::executor(async |executor| {
                channel(items, |task| executor.spawn(task.run()).detach()).await
            })
        })
        .rival("static executor", |items| {
            on::static_executor(async |executor| {
                channel(items, |task| executor.spawn(task.run()).detach()).await
            })
        })
        .rival("tokio", |items| on::tokio(join_set(items)))
        .rival("futures in place", |items| {
            on::executor(async |_| {
                sum(stream::iter(below(items)).map(yielding).buffer_unordered(SLOTS)).await
            })
        })
        .rival("LocalHub", |items| {
            on::local_hub(|hub| {
                sum_imap(Pool::on(&hub, SLOTS).imap_unordered(yielding, below(items)))
            })
        })
        .rival("Hub", |items| {
            on::hub(|hub| sum_imap(Pool::on(&hub, SLOTS).imap_unordered(yielding, below(items))))
        })
}

/// No item waits.
fn lazy_stream() -> Contest {
    Contest::new("pool_map stream", 500_000, digest_below)
        .rival("async-executor", |items| {
            on::executor(async |executor| window(items, |n| executor.spawn(ready(n)), |n| n).await)
        })
        .rival("static executor", |items| {
            on::static_executor(async |executor| {
                window(items, |n| executor.spawn(ready(n)), |n| n).await
            })
        })
        .rival("tokio", |items| on::tokio(window(items, |n| tokio::spawn(ready(n)), joined)))
        .rival("futures in place", |items| {
            on::executor(async |_| {
                digest_stream(stream::iter(below(items)).map(ready).buffered(SLOTS)).await
            })
        })
        .rival("LocalHub", |items| {
            on::local_hub(|hub| digest_imap(Pool::on(&hub, SLOTS).imap(ready, below(items))))
        })
        .rival("Hub", |items| {
            on::hub(|hub| digest_imap(Pool::on(&hub, SLOTS).imap(ready, below(items))))
        })
        .rival("block_on", |items| {
            on::hub_block_on(|hub| digest_imap(Pool::on(&hub, SLOTS).imap(ready, below(items))))
        })
}

async fn yielding(n: u64) -> u64 {
    yield_now().await;
    n
}

async fn digest_map<X>(map: Map<u64, X>) -> u64 {
    digest(map.await.expect("a number is no panic"))
}

async fn digest_imap<X>(results: Imap<u64, X>) -> u64 {
    digest_stream(results.map(|result| result.expect("a number is no panic"))).await
}

async fn sum_imap<X>(results: Imap<u64, X>) -> u64 {
    sum(results.map(|result| result.expect("a number is no panic"))).await
}

async fn digest_stream(results: impl Stream<Item = u64>) -> u64 {
    results.fold(0, |digest, n| ready(extend_digest(digest, n))).await
}

async fn sum(results: impl Stream<Item = u64>) -> u64 {
    results.fold(0, |sum, n| ready(sum + n)).await
}

/// A task for each item; the oldest is waited for whenever all slots are taken.
async fn window<T: Future>(
    items: u32,
    spawn: impl Fn(u64) -> T,
    value: impl Fn(T::Output) -> u64,
) -> u64 {
    let mut tasks = VecDeque::new();
    let mut digest = 0;
    for n in below(items) {
        if tasks.len() == SLOTS {
            if let Some(oldest) = tasks.pop_front() {
                digest = extend_digest(digest, value(oldest.await));
            }
        }
        tasks.push_back(spawn(n));
    }
    for task in tasks {
        digest = extend_digest(digest, value(task.await));
    }
    digest
}

/// A task for each item, with a semaphore for the slots and a channel for the results.
async fn channel(items: u32, spawn: impl Fn(Task)) -> u64 {
    let slots = Arc::new(async_lock::Semaphore::new(SLOTS));
    let (done, all_done) = async_channel::unbounded();
    for n in below(items) {
        spawn(Task { n, slot: slots.acquire_arc().await, done: done.clone() });
    }
    drop(done);
    sum(all_done).await
}

struct Task {
    n: u64,
    slot: async_lock::SemaphoreGuardArc,
    done: async_channel::Sender<u64>,
}

impl Task {
    async fn run(self) {
        let result = yielding(self.n).await;
        self.done.try_send(result).expect("the main task waits for all");
        drop(self.slot);
    }
}

async fn join_set(items: u32) -> u64 {
    let mut set = JoinSet::new();
    let mut sum = 0;
    for n in below(items) {
        if set.len() == SLOTS {
            sum += set.join_next().await.map_or(0, joined);
        }
        set.spawn(yielding(n));
    }
    sum + set.join_all().await.into_iter().sum::<u64>()
}

fn joined(result: Result<u64, JoinError>) -> u64 {
    result.expect("a number is no panic")
}

fn below(items: u32) -> Range<u64> {
    0..u64::from(items)
}
