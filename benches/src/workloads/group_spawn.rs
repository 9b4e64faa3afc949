//! W2: a task for each item, all spawned, then joined. Results are dropped.

use futures_concurrency::future::Join;
use futures_lite::StreamExt;
use futures_util::stream::FuturesUnordered;
use spinney::Group;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::load::Load;
use crate::on;
use crate::target::Target;
use crate::workload::Workload;
use crate::workloads::count::Count;

/// Shared code for both hubs, whose bounds on the future differ.
macro_rules! group {
    ($hub:expr, $load:expr) => {{
        let group = Group::on(&$hub);
        let done = Count::new();
        $load.numbers().for_each(|_| group.spawn(done).detach());
        group.join().await.expect("this is not a member");
        done.get()
    }};
}

/// Shared code for both executors, which have no trait in common.
macro_rules! all {
    ($executor:expr, $load:expr) => {{
        let done = Count::new();
        let tasks: Vec<_> = $load.numbers().map(|_| $executor.spawn(done)).collect();
        for task in tasks {
            task.await;
        }
        done.get()
    }};
}

pub(super) fn workload() -> Workload {
    let load = Load { items: 1_000_000, slots: usize::MAX };
    Workload::new("W2", "a group without a limit: spawn trivial tasks, join", load, u64::from)
        .rival("async-executor", |load: Load| on::executor(async |hub| all!(hub, load)))
        .rival("static executor", |load: Load| on::static_executor(async |hub| all!(hub, load)))
        .rival("tokio JoinSet", |load| on::tokio(join_set(load)))
        .rival("tokio TaskTracker", |load| on::tokio(task_tracker(load)))
        .rival("futures in place", |load| on::executor(async |_| in_place(load).await))
        .rival("futures-concurrency in place", |load| on::executor(async |_| join(load).await))
        .ours("LocalHub", |load: Load| on::local_hub(async |hub| group!(hub, load)))
        .ours("TokioHub", |load: Load| on::tokio_hub(async |hub| group!(hub, load)))
        .on_hub("Hub", |load: Load| on::hub(|hub| async move { group!(hub, load) }))
        .target(Target::wall("LocalHub").of("async-executor").at_most(0.6))
        .target(Target::wall("Hub, 1 thread").of("async-executor"))
        .target(Target::wall("LocalHub").of("tokio TaskTracker"))
        .target(Target::wall("Hub, 1 thread").of("tokio TaskTracker"))
        .target(Target::bytes_an_item("LocalHub").at_most(280.0))
        .target(Target::bytes_an_item("Hub, 1 thread").at_most(280.0))
}

async fn join_set(load: Load) -> u64 {
    let done = Count::new();
    let mut set = JoinSet::new();
    for _ in load.numbers() {
        set.spawn(done);
    }
    while set.join_next().await.is_some() {}
    done.get()
}

async fn task_tracker(load: Load) -> u64 {
    let done = Count::new();
    let tracker = TaskTracker::new();
    for _ in load.numbers() {
        tracker.spawn(done);
    }
    tracker.close();
    tracker.wait().await;
    done.get()
}

async fn in_place(load: Load) -> u64 {
    let done = Count::new();
    let futures: FuturesUnordered<_> = load.numbers().map(|_| done).collect();
    futures.for_each(drop).await;
    done.get()
}

async fn join(load: Load) -> u64 {
    let done = Count::new();
    load.numbers().map(|_| done).collect::<Vec<_>>().join().await;
    done.get()
}
