//! A thousand tasks take turns with ten permits, and yield while they hold one.

use std::error::Error;
use std::sync::Arc;

use async_channel::Sender;
use futures_lite::future::yield_now;
use spinney::Spawn;
use spinney_benches::{Args, Contest, on};

const TASKS: u32 = 1000;
const PERMITS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    Contest::new("semaphore", 300_000, u64::from)
        .rival("async-lock", executor::<async_lock::Semaphore>)
        .rival("tokio", |turns| on::tokio(tokio(turns)))
        .rival("spinney on async-executor", executor::<spinney::Semaphore>)
        .rival("LocalHub", |turns| {
            on::local_hub(|hub| spinney(turns, move |task| hub.spawn(task.run())))
        })
        .rival("Hub", |turns| on::hub(|hub| spinney(turns, move |task| hub.spawn(task.run()))))
        .run(&Args::read()?)?;
    Ok(())
}

fn executor<S: Permits>(turns: u32) -> u64 {
    on::executor(async |executor| all::<S>(turns, |task| executor.spawn(task.run()).detach()).await)
}

async fn tokio(turns: u32) -> u64 {
    all::<tokio::sync::Semaphore>(turns, |task| drop(tokio::spawn(task.run()))).await
}

async fn spinney(turns: u32, spawn: impl Fn(Task<spinney::Semaphore>)) -> u64 {
    all(turns, spawn).await
}

/// Shares `turns` out among the tasks, and counts those that were taken.
async fn all<S: Permits>(turns: u32, spawn: impl Fn(Task<S>)) -> u64 {
    let semaphore = Arc::new(S::new());
    let (done, all_done) = async_channel::unbounded();
    for n in 0..TASKS {
        let turns = turns / TASKS + u32::from(n < turns % TASKS);
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
    fn new() -> Self;
    fn take_turn(&self) -> impl Future<Output = ()> + Send;
}

impl Permits for async_lock::Semaphore {
    fn new() -> Self {
        Self::new(PERMITS)
    }

    async fn take_turn(&self) {
        let _permit = self.acquire().await;
        yield_now().await;
    }
}

impl Permits for tokio::sync::Semaphore {
    fn new() -> Self {
        Self::new(PERMITS)
    }

    async fn take_turn(&self) {
        let _permit = self.acquire().await.expect("nobody closes it");
        yield_now().await;
    }
}

impl Permits for spinney::Semaphore {
    fn new() -> Self {
        Self::new(PERMITS)
    }

    async fn take_turn(&self) {
        let _permit = self.acquire().await.expect("nobody closes it");
        yield_now().await;
    }
}
