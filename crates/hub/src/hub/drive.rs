//! [`drive`]: has a thread run a hub's tasks one by one.
//!
//! async-executor's own loop first moves tasks from the queue of all threads into one of its
//! thread's: a second pass for each turn, which costs more than it saves.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;

use async_executor::{Executor, StaticExecutor};
use futures_lite::future;
use spinney_sync::Budget;

/// How many turns are run before the thread looks at its own future and the reactor again.
const BATCH: usize = 200;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// How many tasks of a [`Hub`](crate::Hub) this thread is polling, one inside of the other: for a
/// task that [blocks](crate::Hub::block_on) on a hub has its thread help with the others
/// meanwhile. For those who keep in a thread-local what belongs to the task, or to the thread, that
/// is at work there: at another depth it is not.
///
/// ```
/// use spinney_hub::{Hub, hub_depth};
///
/// assert_eq!(Hub::global().block_on(async { hub_depth() }), 0);
/// ```
#[inline]
pub fn hub_depth() -> usize {
    DEPTH.get()
}

/// While it lives, this thread polls a hub's tasks.
struct Deeper;

impl Deeper {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Deeper {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

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
    let mut future = pin!(future);
    let future = poll_fn(|cx| {
        let _budget = Budget::open();
        future.as_mut().poll(cx)
    });
    let mut tasks = pin!(async { match run_tasks(executor).await {} });
    let tasks = poll_fn(|cx| {
        let _deeper = Deeper::enter();
        tasks.as_mut().poll(cx)
    });
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
