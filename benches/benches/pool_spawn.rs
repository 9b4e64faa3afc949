//! A task for each item, through a pool of 1000 slots; all results are taken and summed.

use std::error::Error;
use std::future::{Ready, ready};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use spinney::{Hooked, Imap, Membership, Pool, Spawn, Task};
use spinney_benches::{Args, Contest, on, sum_below};
use tokio::task::JoinSet;

const SLOTS: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    Contest::new("pool_spawn", 200_000, sum_below)
        .rival("async-executor", executor)
        .rival("static executor", static_executor)
        .rival("tokio", |tasks| on::tokio(tokio(tasks)))
        .rival("futures in place", |tasks| on::executor(async |_| in_place(tasks).await))
        .rival("LocalHub spawn", |tasks| on::local_hub(|hub| spawn(Pool::on(&hub, SLOTS), tasks)))
        .rival("Hub spawn", |tasks| on::hub(|hub| spawn(Pool::on(&hub, SLOTS), tasks)))
        .rival("block_on", |tasks| on::hub_block_on(|hub| spawn(Pool::on(&hub, SLOTS), tasks)))
        .rival("LocalHub imap_unordered", |tasks| {
            on::local_hub(|hub| sum(Pool::on(&hub, SLOTS).imap_unordered(ready, below(tasks))))
        })
        .rival("Hub imap_unordered", |tasks| {
            on::hub(|hub| sum(Pool::on(&hub, SLOTS).imap_unordered(ready, below(tasks))))
        })
        .run(&Args::read()?)?;
    Ok(())
}

async fn spawn<X>(pool: Pool<X>, tasks: u32) -> u64
where
    X: Spawn<Task<Hooked<Ready<u64>>, Membership>>,
{
    let mut greenlets = Vec::new();
    for n in below(tasks) {
        greenlets.push(pool.spawn(ready(n)).await);
    }
    let mut sum = 0;
    for greenlet in greenlets {
        sum += greenlet.await.expect("a number is no panic");
    }
    sum
}

async fn sum<X>(mut results: Imap<u64, X>) -> u64 {
    let mut sum = 0;
    while let Some(result) = results.next().await {
        sum += result.expect("a number is no panic");
    }
    sum
}

macro_rules! spawn_with_semaphore {
    ($executor:expr, $tasks:expr) => {{
        let slots = Arc::new(async_lock::Semaphore::new(SLOTS));
        let mut tasks = Vec::new();
        for n in below($tasks) {
            let slot = slots.acquire_arc().await;
            tasks.push($executor.spawn(async move {
                let _slot = slot;
                n
            }));
        }
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        sum
    }};
}

fn executor(tasks: u32) -> u64 {
    on::executor(async |executor| spawn_with_semaphore!(executor, tasks))
}

fn static_executor(tasks: u32) -> u64 {
    on::static_executor(async |executor| spawn_with_semaphore!(executor, tasks))
}

async fn tokio(tasks: u32) -> u64 {
    let slots = Arc::new(tokio::sync::Semaphore::new(SLOTS));
    let mut set = JoinSet::new();
    for n in below(tasks) {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("nobody closes it");
        set.spawn(async move {
            let _slot = slot;
            n
        });
    }
    set.join_all().await.into_iter().sum()
}

async fn in_place(tasks: u32) -> u64 {
    let results = stream::iter(below(tasks)).map(ready).buffer_unordered(SLOTS);
    results.fold(0, |sum, n| ready(sum + n)).await
}

fn below(tasks: u32) -> std::ops::Range<u64> {
    0..u64::from(tasks)
}
