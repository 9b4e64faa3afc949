//! Bare tasks: spawned detached, run, and counted, in batches.

use spinney::Spawn;

use crate::load::Load;
use crate::on;
use crate::workload::Workload;
use crate::workloads::count::Count;

pub(super) fn workload() -> Workload {
    let load = Load { items: 1_000_000, slots: 1000 };
    Workload::new("spawn", "bare tasks, without a greenlet, 1000 at a time", load, u64::from)
        .rival("async-executor", |load| {
            on::executor(async |hub| all(load, |task| hub.spawn(task).detach()).await)
        })
        .rival("static executor", |load| {
            on::static_executor(async |hub| all(load, |task| hub.spawn(task).detach()).await)
        })
        .rival("tokio", |load| on::tokio(all(load, |task| drop(tokio::spawn(task)))))
        .ours("LocalHub", |load| on::local_hub(|hub| all(load, move |task| hub.spawn(task))))
        .on_hub("Hub", |load| on::hub(|hub| all(load, move |task| hub.spawn(task))))
}

async fn all(load: Load, spawn: impl Fn(Count)) -> u64 {
    let count = Count::new();
    let mut spawned = 0;
    while spawned < load.items {
        let end = load.items.min(spawned.saturating_add(load.slots.try_into().unwrap_or(u32::MAX)));
        (spawned..end).for_each(|_| spawn(count));
        spawned = end;
        count.reaches(spawned).await;
    }
    count.get()
}
