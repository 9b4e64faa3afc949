//! W8a: a thousand tasks take turns with ten permits, and yield while they hold one.

use std::sync::Arc;

use async_channel::Sender;
use futures_lite::future::yield_now;
use spinney::Spawn;

use crate::load::Load;
use crate::on;
use crate::target::Target;
use crate::workload::Workload;

const TASKS: u32 = 1000;

pub(super) fn workload() -> Workload {
    let load = Load { items: 1_000_000, slots: 10 };
    Workload::new("W8a", "1000 tasks take turns with ten permits", load, u64::from)
        .rival("async-lock", executor::<async_lock::Semaphore>)
        .rival("tokio", |load| on::tokio(tokio(load)))
        .ours("spinney on async-executor", executor::<spinney::Semaphore>)
        .ours("LocalHub", |load| {
            on::local_hub(|hub| spinney(load, move |task| hub.spawn(task.run())))
        })
        .on_hub("Hub", |load| on::hub(|hub| spinney(load, move |task| hub.spawn(task.run()))))
        .target(Target::wall("LocalHub").of("async-lock").at_most(0.8))
        .target(Target::wall("Hub, 1 thread").of("async-lock"))
}

fn executor<S: Permits>(load: Load) -> u64 {
    on::executor(async |executor| all::<S>(load, |task| executor.spawn(task.run()).detach()).await)
}

async fn tokio(load: Load) -> u64 {
    all::<tokio::sync::Semaphore>(load, |task| drop(tokio::spawn(task.run()))).await
}

async fn spinney(load: Load, spawn: impl Fn(Task<spinney::Semaphore>)) -> u64 {
    all(load, spawn).await
}

/// Distributes the turns among the tasks, and counts the turns taken.
async fn all<S: Permits>(load: Load, spawn: impl Fn(Task<S>)) -> u64 {
    let semaphore = Arc::new(S::new(load.slots));
    let (done, all_done) = async_channel::unbounded();
    for n in 0..TASKS {
        let turns = load.items / TASKS + u32::from(n < load.items % TASKS);
        spawn(Task { semaphore: Arc::clone(&semaphore), turns, done: done.clone() });
    }
    drop(done);
    let mut taken = 0;
    while let Ok(turns) = all_done.recv().await {
        taken += u64::from(turns);
    }
    taken
}

struct Task<S> {
    semaphore: Arc<S>,
    turns: u32,
    done: Sender<u32>,
}

impl<S: Permits> Task<S> {
    async fn run(self) {
        for _ in 0..self.turns {
            self.semaphore.take_turn().await;
        }
        self.done.try_send(self.turns).expect("the main task waits for all");
    }
}

trait Permits: Send + Sync + 'static {
    fn new(permits: usize) -> Self;
    fn take_turn(&self) -> impl Future<Output = ()> + Send;
}

impl Permits for async_lock::Semaphore {
    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    async fn take_turn(&self) {
        let _permit = self.acquire().await;
        yield_now().await;
    }
}

impl Permits for tokio::sync::Semaphore {
    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    async fn take_turn(&self) {
        let _permit = self.acquire().await.expect("the semaphore is never closed");
        yield_now().await;
    }
}

impl Permits for spinney::Semaphore {
    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    async fn take_turn(&self) {
        let _permit = self.acquire().await.expect("the semaphore is never closed");
        yield_now().await;
    }
}
