//! [`drive`]: has a thread run a hub's tasks one by one.
//!
//! async-executor's own loop first moves tasks from the queue of all threads into one of its
//! thread's: a second pass for each turn, which costs more than it saves.

use async_executor::{Executor, StaticExecutor};
use futures_lite::future;

use super::workers::Workers;

/// How many turns are run before the thread looks at the reactor again.
const BATCH: usize = 200;

/// An executor that runs one task at a time.
pub(super) trait Tick {
    /// False if none was ready.
    fn try_tick(&self) -> bool;

    /// Waits until one is.
    fn tick(&self) -> impl Future<Output = ()>;
}

impl Tick for StaticExecutor {
    fn try_tick(&self) -> bool {
        self.try_tick()
    }

    fn tick(&self) -> impl Future<Output = ()> {
        self.tick()
    }
}

impl Tick for Executor<'_> {
    fn try_tick(&self) -> bool {
        self.try_tick()
    }

    fn tick(&self) -> impl Future<Output = ()> {
        self.tick()
    }
}

/// Runs tasks until the hub has stopped, or one thread too many runs them.
pub(super) async fn drive(executor: &impl Tick, workers: &Workers) {
    future::or(workers.stopped(), run_tasks(executor, workers)).await;
}

async fn run_tasks(executor: &impl Tick, workers: &Workers) {
    loop {
        for _ in 0..BATCH {
            if !executor.try_tick() {
                executor.tick().await;
            }
            if workers.is_overstaffed() {
                return;
            }
        }
        future::yield_now().await;
    }
}
