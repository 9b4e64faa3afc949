//! [`Hub::block_on`]: polls a future on the calling thread, which parks while the future is
//! pending.

use std::future::poll_fn;
use std::pin::pin;

use spinney_sync::Budget;

use super::{BlockingGuard, Hub};
use crate::Context;
use crate::current::{self, Blocking};

impl Hub {
    /// Runs `future` to its end on this thread, with this hub as the current one. The thread runs
    /// nothing else meanwhile.
    ///
    /// `future` is outside all time limits around the call. It belongs to the calling greenlet, if
    /// there is one. How it blocks depends on the place of the call:
    ///
    /// | called inside | |
    /// |---|---|
    /// | nothing, a closure of a thread pool, another `block_on` | the thread parks |
    /// | a task of any `Hub` with threads | the thread parks; a spare thread runs that hub's other tasks meanwhile |
    /// | a tokio runtime with several threads | the same as `tokio::task::block_in_place` |
    /// | tokio's current-thread runtime | panics in its tasks; in `spawn_blocking`, or under `Handle::enter`, the thread parks |
    /// | a [`LocalHub`](crate::LocalHub), a `SimHub`, or the context of another executor | panics |
    /// | a task of smol | the thread parks; smol has one thread fewer meanwhile |
    ///
    /// For the length of one poll, after the block, more tasks may run at once than the hub has
    /// threads. If the system refuses to start a spare thread, the hub has one thread fewer
    /// meanwhile; [`refused_threads`](Self::refused_threads) counts these cases.
    ///
    /// # Panics
    ///
    /// Panics where it would block the only thread that can run the tasks, as the table shows:
    /// await the future there instead.
    ///
    /// ```
    /// # use spinney_hub as spinney;
    /// use spinney::Hub;
    ///
    /// assert_eq!(Hub::global().block_on(async { 6 * 7 }), 42);
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match current::blocking() {
            Blocking::Allowed => self.park(future),
            Blocking::Forbidden(hub) => panic!(
                "`block_on` inside a {hub} would block the only thread of its tasks: await the \
                 future instead"
            ),
            #[cfg(feature = "tokio")]
            Blocking::Tokio(runtime) => crate::tokio::block_on(&runtime, self, future),
        }
    }

    /// Makes this hub current, and parks this thread until `future` is ready.
    pub(crate) fn park<F: Future>(&self, future: F) -> F::Output {
        self.parked(|| park(future))
    }

    /// Runs `code`, which parks this thread on a future inside this hub.
    pub(crate) fn parked<T>(&self, code: impl FnOnce() -> T) -> T {
        let hub = self.resolve();
        #[cfg(feature = "tokio")]
        let _runtime = hub.enter_runtime();
        let _entered = Context::parked(hub.clone().downgrade()).enter_apart();
        code()
    }
}

/// Polls `future` on this thread until it is ready.
fn park<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut away = None;
    async_io::block_on(poll_fn(|cx| {
        let budget = Budget::open();
        let polled = future.as_mut().poll(cx);
        drop(budget);
        if polled.is_pending() && away.is_none() {
            away = Some(BlockingGuard::begin());
        }
        polled
    }))
}
