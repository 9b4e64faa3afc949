//! [`TokioHub`]: a running tokio runtime.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use crate::scope::{Enter, Scoped};
use crate::{BoxTask, Clock, Context, Executor, Hub, Spawn};

/// A running tokio runtime, of either flavour, for programs that use tokio. Needs the feature
/// `tokio`.
///
/// Cloning is cheap. The handle does not keep the runtime alive: when the runtime shuts down, it
/// drops the remaining tasks. Dropping the handle is a no-op. Timers are the runtime's, which must
/// be enabled, or the [system's](Self::with_system_clock).
///
/// ```
/// # mod spinney { pub use spinney_hub::Spawn; pub mod hub { pub use spinney_hub::TokioHub; } }
/// use spinney::Spawn;
/// use spinney::hub::TokioHub;
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// runtime.block_on(async {
///     let (done, ended) = async_channel::bounded(1);
///     TokioHub::current().spawn(async move { done.send("ran").await.unwrap() });
///     assert_eq!(ended.recv().await, Ok("ran"));
/// });
/// Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokioHub {
    handle: Handle,
    has_system_clock: bool,
}

impl TokioHub {
    /// Wraps the runtime of `handle`.
    pub fn new(handle: Handle) -> Self {
        Self { handle, has_system_clock: false }
    }

    /// The runtime that this thread is in.
    ///
    /// # Panics
    ///
    /// Panics outside any runtime.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self::new(Handle::current())
    }

    /// The same runtime with the system's clock: timers use async-io's reactor.
    #[must_use]
    pub fn with_system_clock(self) -> Self {
        Self { has_system_clock: true, ..self }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn clock(&self) -> Clock {
        if self.has_system_clock { Clock::default() } else { Clock::tokio() }
    }

    /// Makes this hub the current one at each poll of `future`. Only a hub [with the system's
    /// clock](Self::with_system_clock) needs this, for the main future: all other code on a runtime
    /// finds the runtime by itself.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F, Self> {
        Scoped::new(future, self.clone())
    }
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for TokioHub {
    fn spawn(&self, future: F) {
        // Tokio's handle detaches the task when it is dropped.
        if self.has_system_clock {
            drop(self.handle.spawn(self.scope(future)));
        } else {
            // The task finds the runtime through tokio's own context.
            drop(self.handle.spawn(future));
        }
    }
}

impl Executor for TokioHub {
    type AnyTask = BoxTask;

    fn is_current(&self) -> bool {
        Hub::from(self.clone()).is_innermost()
    }
}

impl Enter for TokioHub {
    fn context(&self) -> Context {
        Context::blocking(Hub::from(self.clone()))
    }
}

/// Runs `future` to its end inside `runtime`, with `hub` as the current one.
pub(crate) fn block_on<F: Future>(runtime: &Handle, hub: &Hub, future: F) -> F::Output {
    if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
        return block_in_place(|| hub.park(future));
    }
    // In a task of the runtime tokio panics before the first poll.
    let polled = Cell::new(false);
    let mut future = pin!(future);
    let future = poll_fn(|cx| {
        polled.set(true);
        future.as_mut().poll(cx)
    });
    let run = || hub.parked(|| runtime.block_on(future));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        if polled.get() {
            resume_unwind(panic);
        }
        panic!(
            "`block_on` inside of a task of tokio's current-thread runtime would hold up its only \
             thread: await the future instead, or call this in `spawn_blocking`"
        )
    })
}
