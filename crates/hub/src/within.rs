//! [`Within`]: the one way to put a time limit on anything.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use crate::{Sleep, sleep};

/// Gives every future a time limit on the current hub's clock. `gevent.Timeout`,
/// `eventlet.Timeout`, and each `timeout=` argument of theirs.
///
/// ```
/// use std::time::Duration;
/// use spinney_hub::{Within, block_on};
///
/// let answer = block_on(async { 42 }.within(Duration::from_secs(1)));
/// assert_eq!(answer, Ok(42));
/// ```
pub trait Within: Future + Sized {
    /// Ends with this future's output, or with [`Timeout`] when `limit` has passed before that.
    ///
    /// The time runs from the first poll. A future that is ready at its first poll wins over a
    /// limit of zero. Of nested limits the one that runs out first is the one reported.
    ///
    /// # Cancel safety
    ///
    /// When time runs out the future is dropped together with the returned one: its own cancel
    /// safety decides what that loses. To go on with it later, limit a borrow of it:
    /// `(&mut future).within(limit)`.
    fn within(self, limit: Duration) -> WithinFuture<Self> {
        WithinFuture { future: self, limit, sleep: sleep(limit), over: None }
    }
}

impl<F: Future> Within for F {}

/// [`Within::within`] with the limit first: `timeout(limit, future)`. gevent's `with_timeout`.
///
/// # Cancel safety
///
/// As [`Within::within`].
pub fn timeout<F: Future>(limit: Duration, future: F) -> WithinFuture<F> {
    future.within(limit)
}

thread_local! {
    /// When the first of the limits ran out that are around what is being polled.
    static OUTER: Cell<Option<Instant>> = const { Cell::new(None) };
}

pin_project! {
    /// The future of [`Within::within`]. Dropping it drops the limited future.
    #[derive(Debug)]
    #[must_use = "a time limit does nothing unless it is awaited"]
    pub struct WithinFuture<F> {
        #[pin]
        future: F,
        limit: Duration,
        #[pin]
        sleep: Sleep,
        // When it ran out, once that is known.
        over: Option<Instant>,
    }
}

impl<F: Future> Future for WithinFuture<F> {
    type Output = Result<F::Output, Timeout>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let first = this.sleep.deadline().is_none();
        if !first && this.over.is_none() && this.sleep.as_mut().poll(cx).is_ready() {
            *this.over = this.sleep.deadline();
        }
        let outer = OUTER.get();
        let polled = {
            let _inside = Inside::of(outer, *this.over);
            this.future.poll(cx)
        };
        if let Poll::Ready(output) = polled {
            return Poll::Ready(Ok(output));
        }
        if first && this.sleep.as_mut().poll(cx).is_ready() {
            *this.over = this.sleep.deadline();
        }
        match *this.over {
            // One around it ran out before, and is about to say so.
            Some(over) if outer.is_some_and(|outer| outer <= over) => {
                // Should this outlive that one, it is asked again.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(_) => Poll::Ready(Err(Timeout { limit: *this.limit })),
            None => Poll::Pending,
        }
    }
}

/// While it lives, what is polled is inside of a limit that ran out, or of none.
pub(crate) struct Inside {
    outer: Option<Instant>,
}

impl Inside {
    /// Of none: for who polls something of their own, which no limit around them can end.
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

/// A time limit ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    limit: Duration,
}

impl Timeout {
    /// How long it was waited for.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {:?}", self.limit)
    }
}

impl Error for Timeout {}

/// [`io::ErrorKind::TimedOut`], with the timeout in it.
impl From<Timeout> for io::Error {
    fn from(timeout: Timeout) -> Self {
        Self::new(io::ErrorKind::TimedOut, timeout)
    }
}
