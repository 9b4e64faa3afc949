//! [`Terms`]: how long each item of a map may take, and whether it is tried again.

use std::future::{Pending, pending};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use spinney_greenlet::{Failure, GreenletExit};
use spinney_hub::{Sleep, Within, WithinFuture, sleep};

use super::Retry;

/// The terms of a map of `A` to `T`.
pub(crate) struct Terms<A, T> {
    pub(crate) limit: Option<Duration>,
    pub(crate) again: Option<Again<A>>,
    /// Whether what a task returned is an error, to be tried again.
    pub(crate) is_error: fn(&T) -> bool,
}

/// How items are tried again.
pub struct Again<A> {
    retry: Retry,
    clone: fn(&A) -> A,
}

/// Whether the items of a map are tried again: [`Once`] or [`Retry`]. There are no others, and none
/// can be made.
#[expect(private_bounds, reason = "that is what keeps others from being made")]
pub trait Attempts<A>: Policy {
    /// How, if so.
    fn again(self) -> Option<Again<A>>;
}

trait Policy {}

impl Policy for Once {}
impl Policy for Retry {}

/// Items are not tried again.
#[derive(Clone, Copy, Debug)]
pub struct Once;

impl<A> Attempts<A> for Once {
    fn again(self) -> Option<Again<A>> {
        None
    }
}

impl<A: Clone> Attempts<A> for Retry {
    fn again(self) -> Option<Again<A>> {
        Some(Again { retry: self, clone: A::clone })
    }
}

impl<A> std::fmt::Debug for Again<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Again").field(&self.retry).finish()
    }
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
        let spare = terms.again.as_ref().filter(|again| again.retry.times > 0);
        let spare = spare.map(|again| (again.clone)(item));
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
        let more = self.tried <= again.retry.times;
        let next = if more { self.spare.as_ref().map(again.clone) } else { self.spare.take() };
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
        self.pause = Some(sleep(again.retry.pause(index, self.tried)));
        true
    }
}
