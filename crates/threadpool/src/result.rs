//! [`ThreadResult`]: the owner of one closure's result.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use spinney_greenlet::{Failure, GreenletExit, Handle, LinkId};
use spinney_sync::{GiveWay, Wait};

use crate::job::Owned;
use crate::park;

/// A closure that runs on another thread, and the right to its result: a future, which plain
/// threads [wait](Self::wait) for. gevent's `ThreadResult`, or rather what its `spawn` returns.
///
/// Dropping it leaves the closure to itself; its result is then dropped. A closure that waits in
/// the queue can be [cancelled](Self::cancel); one that has started cannot be stopped, by nothing.
///
/// ```
/// use spinney_threadpool::unblock;
///
/// let result = unblock(|| 6 * 7);
/// assert_eq!(result.wait().unwrap(), 42);
/// ```
#[must_use = "dropping a result leaves the closure to itself: say so with `detach()`"]
pub struct ThreadResult<T> {
    job: Arc<dyn Owned<T>>,
    /// There once it was asked for.
    handle: OnceLock<Handle>,
    /// Whether the result was taken.
    taken: bool,
    give_way: GiveWay,
    /// The line that spawned it.
    at: &'static Location<'static>,
}

impl<T> ThreadResult<T> {
    pub(crate) fn new(job: Arc<dyn Owned<T>>, at: &'static Location<'static>) -> Self {
        let (handle, give_way) = (OnceLock::new(), GiveWay::default());
        Self { job, handle, taken: false, give_way, at }
    }

    /// Whether it can be had without waiting.
    pub(crate) fn is_there(&self) -> bool {
        self.job.is_there()
    }

    /// Waits for the result; awaiting it does the same. `get`.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the closure panicked, or was killed before it started.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the right to the result; `(&mut result).await` keeps that.
    pub async fn get(self) -> Result<T, Failure> {
        self.await
    }

    /// Blocks this thread until the result is there. Not for tasks, which hold up their hub then;
    /// nor for a closure of the same pool, whose thread may be the one that is needed:
    /// [`apply`](crate::ThreadPool::apply) is for those.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn wait(mut self) -> Result<T, Failure> {
        loop {
            match self.wait_timeout(Duration::MAX) {
                Ok(result) => return result,
                Err(again) => self = again,
            }
        }
    }

    /// As [`wait`](Self::wait), for no longer than `limit`. `get(timeout=...)`, for plain threads;
    /// a task puts a limit on the future.
    ///
    /// # Errors
    ///
    /// Gives the right to the result back if time ran out. Inside of that, as [`get`](Self::get).
    pub fn wait_timeout(mut self, limit: Duration) -> Result<Result<T, Failure>, Self> {
        // An end beyond all time is none.
        let end = Instant::now().checked_add(limit);
        park::wait_until(&mut self, end).ok_or(self)
    }

    /// Whether the closure has ended, in whatever way. `ready`.
    pub fn is_ready(&self) -> bool {
        self.job.is_ready()
    }

    /// Whether the closure has ended with a result. `successful`.
    pub fn is_successful(&self) -> bool {
        self.job.is_successful()
    }

    /// Ends the closure as killed if it has not started: it never runs, what it holds is dropped,
    /// and its place in the queue is free at once. False if it has started, or has ended.
    /// `cancel`.
    pub fn cancel(&self) -> bool {
        self.job.end(GreenletExit::new())
    }

    /// Has `callback` called with the closure's handle when it has ended, once: by the thread that
    /// ran it, which it holds up, and before anyone who began to wait later is woken. After the
    /// end: by a task of the current hub. `link`.
    ///
    /// A callback that panics harms nobody; the panic hook reports it.
    ///
    /// # Panics
    ///
    /// After the end, if the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    pub fn link(&self, callback: impl FnOnce(&Handle) + Send + 'static) -> LinkId {
        self.handle().link(callback)
    }

    /// The closure's control handle, for `joinall` and the like.
    ///
    /// A closure becomes a greenlet when it starts, or when this is first asked for; it is the
    /// child of the greenlet that spawned it, if one did.
    ///
    /// A closure that is killed or aborted through the handle before it has started never runs, and
    /// is [ready](Self::is_ready) immediately. The handle knows nothing of pools: the closure keeps
    /// its place in the queue until its turn comes, and a wait for its end lasts until then.
    /// [`cancel`](Self::cancel) frees the place immediately. A kill or an abort of a started closure
    /// changes nothing.
    pub fn handle(&self) -> &Handle {
        self.handle.get_or_init(|| self.job.handle())
    }

    /// Leaves the closure to itself; its result will be dropped.
    pub fn detach(self) {
        drop(self);
    }
}

/// Ready when the closure has ended.
///
/// # Panics
///
/// If it is polled again after it gave its result.
///
/// # Cancel safety
///
/// `(&mut result).await` may be dropped and taken up again; nothing is lost.
impl<T> Future for ThreadResult<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = this.give_way.poll(cx, |cx| this.job.poll_result(cx));
        this.taken = polled.is_ready();
        if !this.taken {
            Wait::note("the end of a closure spawned", this.at);
        }
        polled
    }
}

impl<T> Drop for ThreadResult<T> {
    fn drop(&mut self) {
        if !self.taken {
            self.job.leave();
        }
    }
}

impl<T> AsRef<Handle> for ThreadResult<T> {
    fn as_ref(&self) -> &Handle {
        self.handle()
    }
}

impl<T> fmt::Debug for ThreadResult<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ThreadResult").field(self.handle()).finish()
    }
}
