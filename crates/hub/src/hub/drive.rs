//! [`drive`]: has a thread run a hub's tasks one by one.
//!
//! async-executor's own loop first moves tasks from the queue of all threads into one of its
//! thread's: a second pass for each turn, which costs more than it saves.

use std::convert::Infallible;

use async_executor::{Executor, StaticExecutor};
use futures_lite::future;

/// How many turns are run before the thread looks at its own future and the reactor again.
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

/// Runs `future` to its end, and tasks meanwhile.
pub(super) async fn drive<T>(executor: &impl Tick, future: impl Future<Output = T>) -> T {
    let tasks = async { match run_tasks(executor).await {} };
    future::or(future, tasks).await
}

async fn run_tasks(executor: &impl Tick) -> Infallible {
    loop {
        for _ in 0..BATCH {
            if !executor.try_tick() {
                executor.tick().await;
            }
        }
        future::yield_now().await;
    }
}
