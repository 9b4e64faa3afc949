//! [`Within`]: a time limit for any future.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use spinney_sync::{Budget, BudgetedAwait};

use crate::limit::LimitTimer;
use crate::{Limit, cancel};

/// Gives every future a time limit on the current hub's clock.
///
/// ```
/// # use spinney_hub as spinney;
/// use std::time::Duration;
/// use spinney::{Within, block_on};
///
/// let answer = block_on(async { 42 }.within(Duration::from_secs(1)));
/// assert_eq!(answer, Ok(42));
/// ```
///
/// Python: `gevent.Timeout`, `eventlet.Timeout`, and each `timeout=` argument.
#[doc(alias("with_timeout", "wait_for"))]
pub trait Within: Future + Sized {
    /// Returns this future's output, or [`Timeout`] once `limit` has passed.
    ///
    /// The time runs from the first poll. A future that is ready at its first poll wins over a
    /// limit of zero. Of nested limits the one that expires first is reported. If the
    /// [budget](spinney_sync::Budget) of ready awaits is used up at the first poll, the future is
    /// deferred before its time runs; the limit itself is never deferred.
    ///
    /// # Cancel safety
    ///
    /// When time runs out the future is dropped, before the caller goes on: its own cancel safety
    /// decides what that loses, and its destructors find that [`is_cancelling`](crate::is_cancelling)
    /// is `true`. To go on with it later, limit a borrow of it: `(&mut future).within(limit)`.
    fn within(self, limit: Duration) -> WithinFuture<Self> {
        WithinFuture::new(self, LimitTimer::fixed(limit))
    }

    /// Like [`within`](Self::within), with a limit that can be changed and lifted meanwhile, and
    /// may be shared with other futures.
    ///
    /// # Cancel safety
    ///
    /// The same as [`within`](Self::within). Dropping the future does not change the limit.
    fn within_limit(self, limit: &Limit) -> WithinFuture<Self> {
        WithinFuture::new(self, LimitTimer::shared(limit))
    }
}

impl<F: Future> Within for F {}

/// Limits `future`: [`Within::within`] with the limit first.
///
/// # Cancel safety
///
/// The same as [`Within::within`].
///
/// Python: `gevent.with_timeout`.
#[doc(alias = "with_timeout")]
pub fn timeout<F: Future>(limit: Duration, future: F) -> WithinFuture<F> {
    future.within(limit)
}

thread_local! {
    /// When the first limit around the future that is being polled expired.
    static OUTER: Cell<Option<Instant>> = const { Cell::new(None) };
}

pin_project! {
    /// The future of [`Within::within`] and [`Within::within_limit`]. Dropping it drops the
    /// limited future.
    #[must_use = "a time limit does nothing unless it is awaited"]
    pub struct WithinFuture<F> {
        // None once it ran out of time.
        #[pin]
        future: Option<F>,
        limit: LimitTimer,
        budgeted: BudgetedAwait,
    }
}

impl<F: fmt::Debug> fmt::Debug for WithinFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("WithinFuture");
        if let Some(future) = &self.future {
            debug.field("future", future);
        }
        debug.field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<F> WithinFuture<F> {
    fn new(future: F, limit: LimitTimer) -> Self {
        Self { future: Some(future), limit, budgeted: BudgetedAwait::default() }
    }
}

impl<F: Future> Future for WithinFuture<F> {
    type Output = Result<F::Output, Timeout>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.limit.has_started() {
            let over = this.limit.poll(cx);
            return poll_limited(this.future, this.limit, over, cx);
        }
        // Deferred before the time runs. After that, a ready future wins even if the budget is used
        // up.
        this.budgeted.poll(cx, |cx| {
            let _budget = Budget::at_least_one();
            poll_limited(this.future, this.limit, None, cx)
        })
    }
}

/// Polls a future whose limit expired at `over`, if it did.
fn poll_limited<F: Future>(
    mut future: Pin<&mut Option<F>>,
    limit: &mut LimitTimer,
    over: Option<Instant>,
    cx: &mut Context<'_>,
) -> Poll<Result<F::Output, Timeout>> {
    let outer = OUTER.get();
    let polled = {
        let _inside = Inside::of(outer, over);
        let future = future.as_mut().as_pin_mut();
        future.expect("polled after it ran out of time").poll(cx)
    };
    if let Poll::Ready(output) = polled {
        return Poll::Ready(Ok(output));
    }
    match limit.poll_again(cx) {
        // A limit around it expired before, and is about to return.
        Some(over) if outer.is_some_and(|outer| outer <= over) => {
            // If this one outlives that limit, it is polled again.
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Some(_) => {
            cancel(|| future.set(None));
            Poll::Ready(Err(limit.timeout()))
        }
        None => Poll::Pending,
    }
}

/// While it lives, polled futures are inside a limit that expired, or inside none.
pub(crate) struct Inside {
    outer: Option<Instant>,
}

impl Inside {
    /// Inside no limit: for a hub that polls tasks of its own, which no limit around it can end.
    pub(crate) fn of_none() -> Self {
        Self { outer: OUTER.take() }
    }

    fn of(outer: Option<Instant>, over: Option<Instant>) -> Self {
        OUTER.set(outer.into_iter().chain(over).min());
        Self { outer }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        OUTER.set(self.outer);
    }
}

/// The error of a time limit that expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    limit: Duration,
    /// The id of the [`Limit`](crate::Limit); `None` for a duration.
    id: Option<u64>,
}

impl Timeout {
    pub(crate) fn new(limit: Duration, id: Option<u64>) -> Self {
        Self { limit, id }
    }

    /// The error of an expired limit of this length, for callers that keep time themselves.
    ///
    /// ```
    /// # use spinney_hub as spinney;
    /// use spinney::Timeout;
    /// use std::time::Duration;
    ///
    /// let timeout = Timeout::after(Duration::from_secs(5));
    /// assert_eq!(timeout.to_string(), "timed out after 5s");
    /// ```
    pub fn after(limit: Duration) -> Self {
        Self::new(limit, None)
    }

    /// The length of the limit.
    ///
    /// Python: `gevent.Timeout.seconds`.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn id(&self) -> Option<u64> {
        self.id
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {:?}", self.limit)
    }
}

impl Error for Timeout {}

/// [`io::ErrorKind::TimedOut`], with the timeout as its source.
impl From<Timeout> for io::Error {
    fn from(timeout: Timeout) -> Self {
        Self::new(io::ErrorKind::TimedOut, timeout)
    }
}
