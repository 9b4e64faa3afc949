//! W10: kills many parked tasks, and waits until all of them are gone.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use futures_lite::StreamExt;
use futures_lite::future::{poll_once, yield_now};
use futures_util::stream::FuturesUnordered;
use spinney::Group;
use tokio::task::JoinSet;

use crate::load::Load;
use crate::on;
use crate::stopwatch::{Outcome, Stopwatch};
use crate::target::Target;
use crate::workload::Workload;

/// Shared code for both hubs, whose bounds on the future differ.
macro_rules! kill_group {
    ($hub:expr, $load:expr) => {{
        let group = Group::on(&$hub);
        let parked = Parked::default();
        let spawn = |_| group.spawn(parked.clone().park()).detach();
        $load.numbers().for_each(spawn);
        parked.all($load).await;
        let stopwatch = Stopwatch::start();
        group.kill().await;
        parked.gone(stopwatch)
    }};
}

pub(super) fn workload() -> Workload {
    let load = Load { items: 100_000, slots: usize::MAX };
    Workload::new("W10", "kill all parked tasks of a group, and wait for it", load, u64::from)
        .rival("async-executor drop all", drop_all)
        .rival("async-executor cancel in turn", cancel_in_turn)
        .rival("tokio", |load| on::tokio(tokio(load)))
        .rival("futures in place", |load| on::executor(async |_| in_place(load).await))
        .ours("TokioHub", |load: Load| on::tokio_hub(async |hub| kill_group!(hub, load)))
        .ours("LocalHub", |load: Load| on::local_hub(async |hub| kill_group!(hub, load)))
        .on_hub("Hub", |load: Load| on::hub(|hub| async move { kill_group!(hub, load) }))
        .target(Target::wall("LocalHub").of("async-executor drop all").at_most(0.6))
        .target(Target::wall("LocalHub").of("tokio").at_most(0.6))
        .target(Target::wall("Hub, 1 thread").of("async-executor drop all"))
        .target(Target::wall("Hub, 1 thread").of("tokio").at_most(0.7))
}

fn drop_all(load: Load) -> Outcome {
    on::executor(async |executor| {
        let parked = Parked::default();
        let tasks: Vec<_> = load.numbers().map(|_| executor.spawn(parked.clone().park())).collect();
        parked.all(load).await;
        let stopwatch = Stopwatch::start();
        drop(tasks);
        while !executor.is_empty() {
            yield_now().await;
        }
        parked.gone(stopwatch)
    })
}

fn cancel_in_turn(load: Load) -> Outcome {
    on::executor(async |executor| {
        let parked = Parked::default();
        let tasks: Vec<_> = load.numbers().map(|_| executor.spawn(parked.clone().park())).collect();
        parked.all(load).await;
        let stopwatch = Stopwatch::start();
        for task in tasks {
            task.cancel().await;
        }
        parked.gone(stopwatch)
    })
}

async fn tokio(load: Load) -> Outcome {
    let parked = Parked::default();
    let mut set = JoinSet::new();
    for _ in load.numbers() {
        set.spawn(parked.clone().park());
    }
    parked.all(load).await;
    let stopwatch = Stopwatch::start();
    set.shutdown().await;
    parked.gone(stopwatch)
}

async fn in_place(load: Load) -> Outcome {
    let parked = Parked::default();
    let mut tasks: FuturesUnordered<_> = load.numbers().map(|_| parked.clone().park()).collect();
    while parked.started.load(Relaxed) < load.items {
        assert!(poll_once(tasks.next()).await.is_none(), "they wait for ever");
    }
    let stopwatch = Stopwatch::start();
    drop(tasks);
    parked.gone(stopwatch)
}

/// Tasks that wait for ever. Each holds one.
#[derive(Clone, Default)]
struct Parked {
    started: Arc<AtomicU32>,
}

impl Parked {
    async fn park(self) {
        self.started.fetch_add(1, Relaxed);
        std::future::pending::<()>().await;
    }

    /// Waits until all have been started.
    async fn all(&self, load: Load) {
        while self.started.load(Relaxed) < load.items {
            yield_now().await;
        }
    }

    /// How many were started and dropped, and the time that took.
    fn gone(&self, stopwatch: Stopwatch) -> Outcome {
        let outcome = stopwatch.stop(self.started.load(Relaxed).into());
        let all = Arc::strong_count(&self.started) == 1;
        Outcome { answer: if all { outcome.answer } else { 0 }, ..outcome }
    }
}
