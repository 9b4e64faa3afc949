//! W1: a task for each item, through a pool; all results are collected and summed.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::{StreamExt, stream};
use spinney::hub::Executor;
use spinney::map::Imap;
use spinney::pool::Runs;
use spinney::sync::Acquire;
use spinney::{LocalHub, Pool, Semaphore, Spawn};
use tokio::task::JoinSet;

use crate::answers::sum_below;
use crate::load::Load;
use crate::on;
use crate::target::Target;
use crate::workload::Workload;

pub(super) fn workload() -> Workload {
    let load = Load { items: 1_000_000, slots: 1000 };
    Workload::new(
        "W1",
        "a pool of 1000 slots: spawn trivial tasks, sum the results",
        load,
        sum_below,
    )
    .rival("async-executor", executor)
    .rival("static executor", static_executor)
    .rival("tokio", |load| on::tokio(tokio(load)))
    .rival("futures in place", |load| on::executor(async |_| in_place(load).await))
    .ours("LocalHub spawn", |load| on::local_hub(|hub| spawn(Pool::on(&hub, load.slots), load)))
    .ours("LocalHub by hand", |load| on::local_hub(|hub| by_hand(hub, load)))
    .ours("LocalHub imap_unordered", |load| {
        on::local_hub(|hub| sum(Pool::on(&hub, load.slots).imap_unordered(ready, load.numbers())))
    })
    .ours("TokioHub spawn", |load| on::tokio_hub(|hub| spawn(Pool::on(&hub, load.slots), load)))
    .on_hub("Hub spawn", |load| on::hub(|hub| spawn(Pool::on(&hub, load.slots), load)))
    .on_hub("Hub imap_unordered", |load| {
        on::hub(|hub| sum(Pool::on(&hub, load.slots).imap_unordered(ready, load.numbers())))
    })
    .on_hub("block_on spawn", |load| {
        on::hub_block_on(|hub| spawn(Pool::on(&hub, load.slots), load))
    })
    .target(Target::wall("LocalHub spawn").of("async-executor").at_most(0.55))
    .target(Target::wall("LocalHub spawn").of("tokio").at_most(0.55))
    .target(Target::wall("Hub spawn, 1 thread").of("tokio").at_most(0.65))
    .target(Target::wall("Hub spawn, 1 thread").of("async-executor").at_most(0.85))
    .target(Target::wall("TokioHub spawn").of("tokio").at_most(0.95))
    .map_targets("imap_unordered")
}

async fn spawn<X>(pool: Pool<X>, load: Load) -> u64
where
    X: Runs<Ready<u64>>,
{
    let mut greenlets = Vec::new();
    for n in load.numbers() {
        greenlets.push(pool.spawn(ready(n)).await);
    }
    let mut sum = 0;
    for greenlet in greenlets {
        sum += greenlet.await.expect("a number is no panic");
    }
    sum
}

/// The remaining cost without greenlets: tasks with a slot, and places for results. No task can be
/// joined, killed or listed.
async fn by_hand(hub: LocalHub, load: Load) -> u64 {
    let slots = Arc::new(Semaphore::new(load.slots));
    let mut places = Vec::new();
    for n in load.numbers() {
        let slot = Acquire::of(Arc::clone(&slots)).await.expect("the semaphore is never closed");
        let place = Arc::new(AtomicU64::new(0));
        let result = Arc::clone(&place);
        hub.spawn(async move {
            let _slot = slot;
            result.store(n, Relaxed);
        });
        places.push(place);
    }
    let all = slots.acquire_many(load.slots).await;
    drop(all.expect("the semaphore is never closed"));
    places.into_iter().map(|place| place.load(Relaxed)).sum()
}

async fn sum<X: Executor>(mut results: Imap<u64, X>) -> u64 {
    let mut sum = 0;
    while let Some(result) = results.next().await {
        sum += result.expect("a number is no panic");
    }
    sum
}

/// Shared code for both executors, which have no trait in common.
macro_rules! spawn_with_semaphore {
    ($executor:expr, $load:expr) => {{
        let slots = Arc::new(async_lock::Semaphore::new($load.slots));
        let mut tasks = Vec::new();
        for n in $load.numbers() {
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

fn executor(load: Load) -> u64 {
    on::executor(async |executor| spawn_with_semaphore!(executor, load))
}

fn static_executor(load: Load) -> u64 {
    on::static_executor(async |executor| spawn_with_semaphore!(executor, load))
}

async fn tokio(load: Load) -> u64 {
    let slots = Arc::new(tokio::sync::Semaphore::new(load.slots));
    let mut set = JoinSet::new();
    for n in load.numbers() {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
        set.spawn(async move {
            let _slot = slot;
            n
        });
    }
    set.join_all().await.into_iter().sum()
}

async fn in_place(load: Load) -> u64 {
    let results = stream::iter(load.numbers()).map(ready).buffer_unordered(load.slots);
    results.fold(0, |sum, n| ready(sum + n)).await
}
