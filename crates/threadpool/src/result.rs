//! [`ThreadResult`]: the owner of one closure's result.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use spinney_greenlet::{Failure, Handle, LinkId};
use spinney_sync::{BudgetedAwait, Wait};

use crate::backoff::backoff;
use crate::job::Owned;
use crate::workers::Workers;

/// A closure that runs on another thread, and the right to its result: a future, which plain
/// threads [wait](Self::wait) for.
///
/// Dropping it lets the closure run, and drops its result. A closure that waits in the queue can be
/// [cancelled](Self::cancel) or killed; a started closure cannot be stopped.
///
/// Python: `gevent.threadpool.ThreadResult`, and the return value of
/// `gevent.threadpool.ThreadPool.spawn`.
///
/// ```
/// # use spinney_threadpool as spinney;
/// use spinney::unblock;
///
/// let result = unblock(|| 6 * 7);
/// assert_eq!(result.wait().unwrap(), 42);
/// ```
#[doc(alias = "JoinHandle")]
#[must_use = "dropping a result detaches the closure: call `detach()` to do so explicitly"]
pub struct ThreadResult<T> {
    job: Arc<dyn Owned<T>>,
    /// `None` if the closure runs in no pool of this crate.
    workers: Option<Arc<Workers>>,
    /// `Some` once it was asked for.
    handle: OnceLock<Handle>,
    /// Whether the result was taken.
    taken: bool,
    budgeted: BudgetedAwait,
    /// The line that spawned the closure.
    at: &'static Location<'static>,
}

impl<T> ThreadResult<T> {
    pub(crate) fn new(
        job: Arc<dyn Owned<T>>,
        workers: Option<Arc<Workers>>,
        at: &'static Location<'static>,
    ) -> Self {
        let (handle, budgeted) = (OnceLock::new(), BudgetedAwait::default());
        Self { job, workers, handle, taken: false, budgeted, at }
    }

    /// Whether the result can be taken without waiting.
    pub(crate) fn is_there(&self) -> bool {
        self.job.is_there()
    }

    /// Waits for the result; awaiting it does the same.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the closure panicked, or was killed before it started.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the right to the result; `(&mut result).await` keeps it.
    ///
    /// Python: `gevent.threadpool.ThreadResult.get`.
    pub async fn get(self) -> Result<T, Failure> {
        self.await
    }

    /// Blocks this thread until the result is there. Not for tasks, which would block their hub;
    /// nor for a closure of the same pool, whose thread may be needed: these use
    /// [`apply`](crate::ThreadPool::apply).
    ///
    /// # Errors
    ///
    /// [`Failure`] if the closure panicked, or was killed before it started.
    pub fn wait(mut self) -> Result<T, Failure> {
        loop {
            match self.wait_timeout(Duration::MAX) {
                Ok(result) => return result,
                Err(again) => self = again,
            }
        }
    }

    /// Blocks this thread like [`wait`](Self::wait), at most for `limit`. A task limits the future
    /// instead.
    ///
    /// # Errors
    ///
    /// Returns this if the time has passed. The inner error is a [`Failure`], as for
    /// [`wait`](Self::wait).
    ///
    /// Python: `gevent.threadpool.ThreadResult.get(timeout=..)`.
    pub fn wait_timeout(mut self, limit: Duration) -> Result<Result<T, Failure>, Self> {
        // An end beyond the range of the clock is no limit.
        let end = Instant::now().checked_add(limit);
        wait_until(&mut self, end).ok_or(self)
    }

    /// Whether the closure has finished: with a result, by a panic, or by a kill.
    ///
    /// Python: `gevent.threadpool.ThreadResult.ready`.
    pub fn is_ready(&self) -> bool {
        self.job.is_ready()
    }

    /// Whether the closure has finished with a result.
    ///
    /// Python: `gevent.threadpool.ThreadResult.successful`.
    pub fn is_successful(&self) -> bool {
        self.job.is_successful()
    }

    /// Kills the closure if it has not started: it never runs, its data is dropped, and its place
    /// in the queue is free immediately. Returns `false` if the closure has started, or was killed
    /// before.
    ///
    /// Python: `concurrent.futures.Future.cancel`.
    pub fn cancel(&self) -> bool {
        self.job.cancel(self.workers.as_deref())
    }

    /// Calls `callback` once with the closure's handle when the closure has finished: on the thread
    /// that ran it, which it blocks meanwhile, and before any later waiter is woken. After the end
    /// a task of the current hub calls it.
    ///
    /// A panic of `callback` is contained; the panic hook reports it.
    ///
    /// # Panics
    ///
    /// Panics after the end if the [global hub](spinney_hub::Hub::global) has to be started and
    /// cannot be.
    ///
    /// Python: `gevent.event.AsyncResult.rawlink`.
    pub fn link(&self, callback: impl FnOnce(&Handle) + Send + 'static) -> LinkId {
        self.handle().link(callback)
    }

    /// The closure's control handle, for example for `joinall`.
    ///
    /// A closure becomes a greenlet when it starts, or when this is first called; its parent is the
    /// greenlet that spawned it, if there is one. A kill or an abort through the handle ends a
    /// closure that has not started, like [`cancel`](Self::cancel). A kill or an abort of a started
    /// closure is a no-op.
    pub fn handle(&self) -> &Handle {
        self.handle.get_or_init(|| Arc::clone(&self.job).handle(self.workers.as_ref()))
    }

    /// Names the closure's greenlet, which may have run by then. [`Handle::set_name`] names it from
    /// within.
    ///
    /// Python: `gevent.Greenlet.name`.
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        self.handle().set_name(name);
        self
    }

    /// Detaches the closure: it runs on, and its result is dropped.
    pub fn detach(self) {
        drop(self);
    }
}

/// Completes when the closure has finished.
///
/// # Panics
///
/// Panics if it is polled again after it has returned the result.
///
/// # Cancel safety
///
/// `(&mut result).await` may be dropped and repeated; nothing is lost.
impl<T> Future for ThreadResult<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = this.budgeted.poll(cx, |cx| this.job.poll_result(cx));
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

/// Polls `future` on this thread until it is ready; `None` if `end` came first. It uses the
/// system's clock: a hub's may stand still while its thread is blocked.
pub(crate) fn wait_until<F: Future + Unpin>(
    future: &mut F,
    end: Option<Instant>,
) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut output = None;
    let mut poll = || {
        if let Poll::Ready(ready) = Pin::new(&mut *future).poll(&mut cx) {
            output = Some(ready);
        }
        output.is_some()
    };
    if poll() || backoff(&mut poll) {
        return output;
    }
    loop {
        match end {
            None => thread::park(),
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::park_timeout(left);
            }
        }
        if let Poll::Ready(output) = Pin::new(&mut *future).poll(&mut cx) {
            return Some(output);
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
