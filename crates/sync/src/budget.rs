//! [`Budget`] and [`BudgetedAwait`]: a loop of ready awaits yields to other tasks.
//!
//! An executor can stop, limit or kill a task only between two polls, and a task whose awaits are
//! all ready never returns from its poll. So each poll has a budget of ready awaits; an await that
//! finds it used up is deferred once.

use std::cell::Cell;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;
use std::task::{Context, Poll};

/// The number of ready awaits in one poll.
const READY_AWAITS: i64 = 128;

/// No budget: larger than any thread can use up, so that a ready await counts down without checking
/// whether there is a budget.
const NO_BUDGET: i64 = i64::MAX;

#[cfg(not(spinney_loom))]
thread_local! {
    /// The rest of the budget of the current poll; above 128 outside a poller, and below 0 once
    /// deferred awaits have gone ahead.
    static LEFT: Cell<i64> = const { Cell::new(NO_BUDGET) };
}

// The threads of a model run on one thread.
#[cfg(spinney_loom)]
loom::thread_local! {
    static LEFT: Cell<i64> = Cell::new(NO_BUDGET);
}

/// The budget of one poll: 128 ready awaits. For pollers: a hub's `block_on`, the poll of a task.
///
/// Without a poller there is no budget, and no await is deferred. Dropping the guard restores the
/// budget of the poller around it.
///
/// ```
/// # mod spinney { pub mod hub { pub use spinney_sync::{Budget, BudgetedAwait}; } }
/// use std::future::{Future, poll_fn};
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
///
/// use spinney::hub::{Budget, BudgetedAwait};
///
/// let mut endless = pin!(async {
///     loop {
///         let mut budgeted = BudgetedAwait::default();
///         poll_fn(|cx| budgeted.poll(cx, |_| Poll::Ready(()))).await;
///     }
/// });
/// let _budget = Budget::open();
/// let polled: Poll<()> = endless.as_mut().poll(&mut Context::from_waker(Waker::noop()));
/// assert!(polled.is_pending());
/// ```
#[derive(Debug)]
#[must_use = "the budget ends when the guard is dropped"]
pub struct Budget {
    outer: i64,
    /// A budget belongs to the thread that opened it.
    here: PhantomData<*const ()>,
}

impl Budget {
    /// Opens a budget of 128 ready awaits for the poll that follows.
    #[inline]
    pub fn open() -> Self {
        Self::replace(READY_AWAITS)
    }

    /// Opens a budget for the poll that follows, unless a poller around has opened one. For
    /// wrappers that may or may not be polled by a poller.
    #[inline]
    pub fn open_if_none() -> Option<Self> {
        (LEFT.with(Cell::get) > READY_AWAITS).then(Self::open)
    }

    /// Allows at least one ready await in the poll that follows, within the budget of the poller
    /// around it.
    #[inline]
    pub fn at_least_one() -> Option<Self> {
        (LEFT.with(Cell::get) <= 0).then(|| Self::replace(1))
    }

    /// Hides the budget of the poller around. For a hub that runs other tasks inside a poll: their
    /// awaits are neither counted nor deferred.
    #[inline]
    pub fn none() -> Self {
        Self::replace(NO_BUDGET)
    }

    #[inline]
    fn replace(left: i64) -> Self {
        Self { outer: LEFT.with(|cell| cell.replace(left)), here: PhantomData }
    }
}

impl Drop for Budget {
    #[inline]
    fn drop(&mut self) {
        LEFT.with(|left| left.set(self.outer));
    }
}

/// The part of an await that yields: each future that may be ready at its first poll has one.
///
/// When the [`Budget`] is used up, the await is deferred once: it returns pending, and its task is
/// woken immediately. At its next poll it goes ahead, whatever the budget. Without that rule a
/// `select` of ready branches could defer all of them for ever.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on;
/// #     pub mod hub { pub use spinney_sync::BudgetedAwait; }
/// # }
/// use std::future::{Future, poll_fn};
/// use std::task::Poll;
///
/// use spinney::block_on;
/// use spinney::hub::BudgetedAwait;
///
/// /// A future that is ready, and yields if the budget is used up.
/// fn ready(value: u32) -> impl Future<Output = u32> {
///     let mut budgeted = BudgetedAwait::default();
///     poll_fn(move |cx| budgeted.poll(cx, |_| Poll::Ready(value)))
/// }
/// assert_eq!(block_on(ready(7)), 7);
/// ```
#[derive(Clone, Debug, Default)]
pub struct BudgetedAwait {
    put_off: bool,
}

impl BudgetedAwait {
    /// Turns `future` into one await, which is deferred as a whole: the awaits within it are not
    /// deferred again. Dropping it drops `future`.
    ///
    /// `future` must not run foreign code, whose ready awaits would not count.
    ///
    /// # Cancel safety
    ///
    /// The same as `future`, which is dropped with this one.
    pub async fn around<F: Future>(future: F) -> F::Output {
        let (mut budgeted, mut future) = (Self::default(), pin!(future));
        poll_fn(|cx| budgeted.poll_whole(cx, |cx| future.as_mut().poll(cx))).await
    }

    /// Like [`poll`](Self::poll), for an await that consists of others: those are not deferred
    /// again.
    #[inline]
    pub fn poll_whole<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.poll(cx, |cx| {
            let _budget = Budget::at_least_one();
            poll(cx)
        })
    }

    /// Polls an await, unless the budget is used up. A ready await uses one of the budget; a
    /// pending one uses none.
    #[inline]
    pub fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if LEFT.with(Cell::get) <= 0 && !self.put_off {
            self.put_off = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = poll(cx);
        if polled.is_ready() {
            self.put_off = false;
            LEFT.with(|left| left.set(left.get() - 1));
        }
        polled
    }
}

/// A ready await, which yields if the budget is used up.
pub(crate) fn ready() -> impl Future<Output = ()> {
    let mut budgeted = BudgetedAwait::default();
    poll_fn(move |cx| budgeted.poll(cx, |_| Poll::Ready(())))
}
