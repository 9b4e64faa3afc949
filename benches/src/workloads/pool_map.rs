//! W3 to W5: a function over many items, through 100 slots: in input order, in completion order,
//! and as a stream over a lazy input.

use std::collections::VecDeque;
use std::future::ready;
use std::num::NonZero;
use std::sync::Arc;

use futures_concurrency::concurrent_stream::{ConcurrentStream, IntoConcurrentStream};
use futures_util::{Stream, StreamExt, stream};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use spinney::hub::Executor;
use spinney::map::{Imap, Map};
use spinney::{Pool, yield_now};
use tokio::task::{JoinError, JoinSet};

use crate::answers::{digest, digest_below, extend_digest, sum_below};
use crate::load::Load;
use crate::on;
use crate::target::Target;
use crate::workload::Workload;
use crate::workloads::work::compute_2_us;

const SLOTS: usize = 100;

/// W3: every item yields once.
pub(super) fn ordered() -> Workload {
    let load = Load { items: 1_000_000, slots: SLOTS };
    Workload::new("W3", "ordered map through 100 slots, each item yields once", load, digest_below)
        .rival("async-executor", |load| {
            on::executor(async |hub| window(load, |n| hub.spawn(yielding(n)), |n| n).await)
        })
        .rival("static executor", |load| {
            on::static_executor(async |hub| window(load, |n| hub.spawn(yielding(n)), |n| n).await)
        })
        .rival("tokio", |load| on::tokio(window(load, |n| tokio::spawn(yielding(n)), joined)))
        .rival("futures in place", |load| {
            let results = stream::iter(load.numbers()).map(yielding).buffered(load.slots);
            on::executor(async |_| digest_stream(results).await)
        })
        .ours("LocalHub map", |load| {
            on::local_hub(|hub| {
                digest_map(Pool::on(&hub, load.slots).map(yielding, load.numbers()))
            })
        })
        .ours("TokioHub map", |load| {
            on::tokio_hub(|hub| {
                digest_map(Pool::on(&hub, load.slots).map(yielding, load.numbers()))
            })
        })
        .on_hub("Hub map", |load| {
            on::hub(|hub| digest_map(Pool::on(&hub, load.slots).map(yielding, load.numbers())))
        })
        .on_hub("block_on map", |load| {
            on::hub_block_on(|hub| {
                digest_map(Pool::on(&hub, load.slots).map(yielding, load.numbers()))
            })
        })
        .map_targets("map")
}

/// W3b: every item computes, so that a second thread pays.
pub(super) fn computing() -> Workload {
    let load = Load { items: 200_000, slots: SLOTS };
    Workload::new(
        "W3b",
        "ordered map through 100 slots, each item computes for 2 us",
        load,
        digest_below,
    )
    .rival("async-executor", |load| {
        on::executor(async |hub| window(load, |n| hub.spawn(computed(n)), |n| n).await)
    })
    .rival("async-executor, 2 threads", |load| {
        on::executor_with_io(2, async |hub| window(load, |n| hub.spawn(computed(n)), |n| n).await)
    })
    .rival("tokio, 2 threads", |load| {
        on::tokio_threads(window(load, |n| tokio::spawn(computed(n)), joined))
    })
    .rival("rayon, 2 threads", |load| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        let pool = pool.expect("the system grants two threads");
        let map = || load.numbers().into_par_iter().map(compute_2_us).collect::<Vec<_>>();
        digest(pool.install(map))
    })
    .ours("LocalHub map", |load| {
        on::local_hub(|hub| digest_map(Pool::on(&hub, load.slots).map(computed, load.numbers())))
    })
    .on_hub("Hub map", |load| {
        on::hub(|hub| digest_map(Pool::on(&hub, load.slots).map(computed, load.numbers())))
    })
    .target(Target::wall("Hub map, 2 threads").of("Hub map, 1 thread").at_most(0.55))
}

/// W4: every item yields once.
pub(super) fn unordered() -> Workload {
    let load = Load { items: 1_000_000, slots: SLOTS };
    Workload::new("W4", "map in the order of completion, each item yields once", load, sum_below)
        .rival("async-executor", |load| {
            on::executor(async |hub| channel(load, |task| hub.spawn(task.run()).detach()).await)
        })
        .rival("static executor", |load| {
            on::static_executor(async |hub| {
                channel(load, |task| hub.spawn(task.run()).detach()).await
            })
        })
        .rival("tokio", |load| on::tokio(join_set(load)))
        .rival("futures in place", |load| {
            let results = stream::iter(load.numbers()).map(yielding).buffer_unordered(load.slots);
            on::executor(async |_| sum(results).await)
        })
        .rival("futures-concurrency in place", |load| {
            on::executor(async |_| concurrent_stream(load).await)
        })
        .ours("LocalHub imap_unordered", |load| {
            on::local_hub(|hub| {
                sum_imap(Pool::on(&hub, load.slots).imap_unordered(yielding, load.numbers()))
            })
        })
        .ours("TokioHub imap_unordered", |load| {
            on::tokio_hub(|hub| {
                sum_imap(Pool::on(&hub, load.slots).imap_unordered(yielding, load.numbers()))
            })
        })
        .on_hub("Hub imap_unordered", |load| {
            on::hub(|hub| {
                sum_imap(Pool::on(&hub, load.slots).imap_unordered(yielding, load.numbers()))
            })
        })
        .map_targets("imap_unordered")
}

/// W5: no item waits.
pub(super) fn lazy_stream() -> Workload {
    let load = Load { items: 10_000_000, slots: SLOTS };
    Workload::new("W5", "a bounded, ordered stream over a lazy iterator", load, digest_below)
        .rival("async-executor", |load| {
            on::executor(async |hub| window(load, |n| hub.spawn(ready(n)), |n| n).await)
        })
        .rival("static executor", |load| {
            on::static_executor(async |hub| window(load, |n| hub.spawn(ready(n)), |n| n).await)
        })
        .rival("tokio", |load| on::tokio(window(load, |n| tokio::spawn(ready(n)), joined)))
        .rival("futures in place", |load| {
            let results = stream::iter(load.numbers()).map(ready).buffered(load.slots);
            on::executor(async |_| digest_stream(results).await)
        })
        .ours("LocalHub imap", |load| {
            on::local_hub(|hub| digest_imap(Pool::on(&hub, load.slots).imap(ready, load.numbers())))
        })
        .ours("TokioHub imap", |load| {
            on::tokio_hub(|hub| digest_imap(Pool::on(&hub, load.slots).imap(ready, load.numbers())))
        })
        .on_hub("Hub imap", |load| {
            on::hub(|hub| digest_imap(Pool::on(&hub, load.slots).imap(ready, load.numbers())))
        })
        .map_targets("imap")
        .target(Target::bytes("LocalHub imap").at_most(1e6))
        .target(Target::bytes("Hub imap, 1 thread").at_most(1e6))
        .target(Target::bytes("Hub imap, 2 threads").at_most(1e6))
}

async fn yielding(n: u64) -> u64 {
    yield_now().await;
    n
}

async fn computed(n: u64) -> u64 {
    compute_2_us(n)
}

async fn digest_map<X: Executor>(map: Map<u64, X>) -> u64 {
    digest(map.await.expect("a number is no panic"))
}

async fn digest_imap<X: Executor>(results: Imap<u64, X>) -> u64 {
    digest_stream(results.map(|result| result.expect("a number is no panic"))).await
}

async fn sum_imap<X: Executor>(results: Imap<u64, X>) -> u64 {
    sum(results.map(|result| result.expect("a number is no panic"))).await
}

async fn digest_stream(results: impl Stream<Item = u64>) -> u64 {
    results.fold(0, |digest, n| ready(extend_digest(digest, n))).await
}

async fn sum(results: impl Stream<Item = u64>) -> u64 {
    results.fold(0, |sum, n| ready(sum + n)).await
}

/// A task for each item; it waits for the oldest whenever all slots are taken.
async fn window<T: Future>(
    load: Load,
    spawn: impl Fn(u64) -> T,
    value: impl Fn(T::Output) -> u64,
) -> u64 {
    let mut tasks = VecDeque::new();
    let mut digest = 0;
    for n in load.numbers() {
        if tasks.len() == load.slots {
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
async fn channel(load: Load, spawn: impl Fn(Task)) -> u64 {
    let slots = Arc::new(async_lock::Semaphore::new(load.slots));
    let (done, all_done) = async_channel::unbounded();
    for n in load.numbers() {
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

async fn join_set(load: Load) -> u64 {
    let mut set = JoinSet::new();
    let mut sum = 0;
    for n in load.numbers() {
        if set.len() == load.slots {
            sum += set.join_next().await.map_or(0, joined);
        }
        set.spawn(yielding(n));
    }
    sum + set.join_all().await.into_iter().sum::<u64>()
}

async fn concurrent_stream(load: Load) -> u64 {
    let items: Vec<u64> = load.numbers().collect();
    let limited = items.into_co_stream().limit(NonZero::new(load.slots)).map(yielding);
    limited.collect::<Vec<_>>().await.into_iter().sum()
}

fn joined(result: Result<u64, JoinError>) -> u64 {
    result.expect("a number is no panic")
}
