//! [`Terms`]: how long each item of a map may take, and whether it is tried again.

use std::future::{Pending, pending};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use spinney_greenlet::map::Again;
use spinney_greenlet::{Failure, GreenletExit};
use spinney_hub::{Sleep, Within, WithinFuture, sleep};

/// The terms of a map of `A` to `T`.
pub(crate) struct Terms<A, T> {
    pub(crate) limit: Option<Duration>,
    pub(crate) again: Option<Again<A>>,
    /// Whether what a task returned is an error, to be tried again.
    pub(crate) is_error: fn(&T) -> bool,
}

impl<A, T> Terms<A, T> {
    /// None where there are none, which is the rule.
    pub(crate) fn of(
        limit: Option<Duration>,
        again: Option<Again<A>>,
        is_error: fn(&T) -> bool,
    ) -> Option<Self> {
        let any = limit.is_some() || again.is_some();
        any.then_some(Self { limit, again, is_error })
    }

    fn limit(&self) -> Option<WithinFuture<Pending<()>>> {
        self.limit.map(|limit| pending().within(limit))
    }
}

/// The tries of one item.
pub(crate) struct Tries<A> {
    /// For the next one.
    spare: Option<A>,
    tried: u32,
    limit: Option<WithinFuture<Pending<()>>>,
    pause: Option<Sleep>,
}

impl<A> Tries<A> {
    pub(crate) fn new<T>(terms: &Terms<A, T>, item: &A) -> Self {
        let spare = terms.again.as_ref().filter(|again| again.times() > 0);
        let spare = spare.map(|again| again.clone_item(item));
        Self { spare, tried: 1, limit: terms.limit(), pause: None }
    }

    /// Waits out the time before the next try; then the item to try, if this is one.
    pub(crate) fn poll_next<T>(
        &mut self,
        terms: &Terms<A, T>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<A>> {
        let (Some(pause), Some(again)) = (&mut self.pause, &terms.again) else {
            return Poll::Ready(None);
        };
        ready!(Pin::new(pause).poll(cx));
        self.pause = None;
        self.limit = terms.limit();
        self.tried += 1;
        let next = if self.tried <= again.times() {
            self.spare.as_ref().map(|spare| again.clone_item(spare))
        } else {
            self.spare.take()
        };
        Poll::Ready(next)
    }

    /// Ready when the try has taken too long.
    pub(crate) fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        let Some(limit) = &mut self.limit else { return Poll::Pending };
        match ready!(Pin::new(limit).poll(cx)) {
            Err(timeout) => Poll::Ready(Failure::Killed(GreenletExit::because(timeout))),
            Ok(()) => unreachable!("that which is limited never ends"),
        }
    }

    /// Whether to try the item `index` again after this.
    pub(crate) fn is_again<T>(
        &mut self,
        terms: &Terms<A, T>,
        index: usize,
        result: &Result<T, Failure>,
    ) -> bool {
        // A kill would have dropped the task: what failed has panicked, or took too long.
        let failed = result.as_ref().map_or(true, terms.is_error);
        let Some(again) = terms.again.as_ref().filter(|_| failed && self.spare.is_some()) else {
            return false;
        };
        self.limit = None;
        self.pause = Some(sleep(again.pause(index, self.tried)));
        true
    }
}
