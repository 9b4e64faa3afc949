//! [`ThreadResult`]: the owner of one closure's result.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::future;
use spinney_greenlet::{Failure, Greenlet, Handle};

/// A closure that runs on another thread, and the right to its result: a future, which plain
/// threads [wait](Self::wait) for. gevent's `ThreadResult`, or rather what its `spawn` returns.
///
/// Dropping it leaves the closure to itself; its result is then dropped. Killed through its
/// [handle](Self::handle) a closure never starts, and ends when its turn in the queue comes; one
/// that has started cannot be stopped.
///
/// ```
/// use spinney_threadpool::unblock;
///
/// let result = unblock(|| 6 * 7);
/// assert_eq!(result.wait().unwrap(), 42);
/// ```
#[must_use = "dropping a result leaves the closure to itself: say so with `detach()`"]
pub struct ThreadResult<T> {
    greenlet: Greenlet<T>,
}

impl<T> ThreadResult<T> {
    pub(crate) fn new(greenlet: Greenlet<T>) -> Self {
        Self { greenlet }
    }

    /// Waits for the result; awaiting it does the same. `get`.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the closure panicked, or was killed before it started.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the right to the result.
    pub async fn get(self) -> Result<T, Failure> {
        self.await
    }

    /// Blocks this thread until the result is there. Not for tasks, which hold up their hub then.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn wait(self) -> Result<T, Failure> {
        future::block_on(self)
    }

    /// Whether the closure has ended, in whatever way. `ready`.
    pub fn is_ready(&self) -> bool {
        self.greenlet.is_ready()
    }

    /// Whether the closure has ended with a result. `successful`.
    pub fn is_successful(&self) -> bool {
        self.greenlet.is_successful()
    }

    /// The closure's control handle.
    pub fn handle(&self) -> &Handle {
        self.greenlet.handle()
    }

    /// Leaves the closure to itself; its result will be dropped.
    pub fn detach(self) {
        self.greenlet.detach();
    }
}

impl<T> Future for ThreadResult<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.greenlet).poll(cx)
    }
}

impl<T> AsRef<Handle> for ThreadResult<T> {
    fn as_ref(&self) -> &Handle {
        self.greenlet.handle()
    }
}

impl<T> fmt::Debug for ThreadResult<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ThreadResult").field(self.handle()).finish()
    }
}
