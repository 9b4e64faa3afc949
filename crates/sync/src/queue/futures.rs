//! The futures of a queue: [`Get`], [`Peek`] and [`Put`].

use std::fmt;
use std::mem;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::order::Order;
use super::state::{Answer, Refusal, Want};
use super::{Fifo, OrderedQueue, PutError, ShutDown};
use crate::{BudgetedAwait, Wait};

/// The future of [`OrderedQueue::get`].
///
/// Dropping it leaves the line; an item that it was given already goes to the next getter, or back
/// to its old place in the queue.
///
/// # Panics
///
/// Panics if it is polled again after it has finished.
///
/// ```
/// # mod spinney { pub use futures_lite::future::block_on; pub use spinney_sync::Queue; }
/// use spinney::{Queue, block_on};
///
/// let queue = Queue::bounded(1);
/// queue.put_nowait("an item").unwrap();
/// assert_eq!(block_on(queue.get()), Ok("an item"));
/// ```
#[must_use = "nothing is taken unless it is awaited"]
pub struct Get<'a, T, O: Order<T> = Fifo> {
    queue: &'a OrderedQueue<T, O>,
    turn: Turn<T>,
}

impl<'a, T, O: Order<T>> Get<'a, T, O> {
    pub(super) fn new(queue: &'a OrderedQueue<T, O>, at: &'static Location<'static>) -> Self {
        Self { queue, turn: Turn::new(Want::Get, "Queue::get", at) }
    }
}

impl<T, O: Order<T>> Future for Get<'_, T, O> {
    type Output = Result<T, ShutDown>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        self.turn.poll(queue, cx)
    }
}

impl<T, O: Order<T>> Drop for Get<'_, T, O> {
    fn drop(&mut self) {
        if self.turn.is_waiting() {
            self.turn.leave(self.queue);
        }
    }
}

impl<T, O: Order<T>> fmt::Debug for Get<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").field("waiting", &self.turn.is_waiting()).finish()
    }
}

/// The future of [`OrderedQueue::peek`].
///
/// Dropping it leaves the line, and drops a copy that it was given; no other waiter is affected.
///
/// # Panics
///
/// Panics if it is polled again after it has finished, or if the item's [`Clone`] panics.
///
/// ```
/// # mod spinney { pub use futures_lite::future::block_on; pub use spinney_sync::Queue; }
/// use spinney::{Queue, block_on};
///
/// let queue = Queue::bounded(1);
/// queue.put_nowait("an item").unwrap();
/// assert_eq!(block_on(queue.peek()), Ok("an item"));
/// assert_eq!(queue.len(), 1);
/// ```
#[must_use = "nothing is seen unless it is awaited"]
pub struct Peek<'a, T, O: Order<T> = Fifo> {
    queue: &'a OrderedQueue<T, O>,
    turn: Turn<T>,
}

impl<'a, T: Clone, O: Order<T>> Peek<'a, T, O> {
    pub(super) fn new(queue: &'a OrderedQueue<T, O>, at: &'static Location<'static>) -> Self {
        Self { queue, turn: Turn::new(Want::Peek(T::clone), "Queue::peek", at) }
    }
}

impl<T, O: Order<T>> Future for Peek<'_, T, O> {
    type Output = Result<T, ShutDown>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        self.turn.poll(queue, cx)
    }
}

impl<T, O: Order<T>> Drop for Peek<'_, T, O> {
    fn drop(&mut self) {
        if self.turn.is_waiting() {
            self.turn.leave(self.queue);
        }
    }
}

impl<T, O: Order<T>> fmt::Debug for Peek<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek").field("waiting", &self.turn.is_waiting()).finish()
    }
}

/// The future of [`OrderedQueue::put`].
///
/// Dropping it leaves the line, and drops the item unless it was put.
///
/// # Panics
///
/// Panics if it is polled again after it has finished or its item was taken back, or if comparing
/// the item panics.
///
/// ```
/// # use spinney_sync as spinney;
/// use std::pin::Pin;
/// use std::task::{Context, Waker};
///
/// use spinney::Queue;
///
/// let queue = Queue::bounded(1);
/// queue.put_nowait("one").unwrap();
/// let mut put = queue.put("two");
/// let poll = Pin::new(&mut put).poll(&mut Context::from_waker(Waker::noop()));
/// assert!(poll.is_pending());
/// assert_eq!(put.take_back(), Some("two"));
/// ```
#[must_use = "nothing is put unless it is awaited"]
pub struct Put<'a, T, O: Order<T> = Fifo> {
    queue: &'a OrderedQueue<T, O>,
    stage: Stage<T>,
    /// The line of the program that waits.
    at: &'static Location<'static>,
    budgeted: BudgetedAwait,
}

enum Stage<N> {
    /// Not polled yet. A put holds its item.
    New(N),
    /// In the line, with this ticket. The queue holds the item of a put.
    Waiting(u64),
    Done,
}

impl<'a, T, O: Order<T>> Put<'a, T, O> {
    pub(super) fn new(
        queue: &'a OrderedQueue<T, O>,
        item: T,
        at: &'static Location<'static>,
    ) -> Self {
        Self { queue, stage: Stage::New(item), at, budgeted: BudgetedAwait::default() }
    }

    /// Cancels the put and returns the item; `None` if it was put already. So a put under a time
    /// limit loses nothing: `(&mut put).within(limit)`.
    ///
    /// # Panics
    ///
    /// Panics if comparing the item has panicked.
    pub fn take_back(&mut self) -> Option<T> {
        Some(self.leave()?.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    #[cold]
    fn leave(&mut self) -> Option<Refusal<T>> {
        match mem::replace(&mut self.stage, Stage::Done) {
            Stage::New(item) => Some(Ok(item)),
            Stage::Waiting(ticket) => self.queue.change(|state| state.leave_put(ticket)),
            Stage::Done => None,
        }
    }
}

/// No field is structurally pinned.
impl<T, O: Order<T>> Unpin for Put<'_, T, O> {}

impl<T, O: Order<T>> Future for Put<'_, T, O> {
    type Output = Result<(), ShutDown<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { queue, stage, at, budgeted } = &mut *self;
        let polled = budgeted.poll(cx, |cx| match mem::replace(stage, Stage::Done) {
            Stage::New(item) => queue.change(|state| match state.put(item) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(PutError::ShutDown(item)) => Poll::Ready(Err(Ok(item))),
                Err(PutError::Full(item)) => {
                    *stage = Stage::Waiting(state.wait_to_put(item, cx.waker()));
                    Wait::note("Queue::put", at);
                    Poll::Pending
                }
            }),
            Stage::Waiting(ticket) => {
                let polled = queue.change(|state| state.poll_put(ticket, cx.waker()));
                if polled.is_pending() {
                    *stage = Stage::Waiting(ticket);
                    Wait::note("Queue::put", at);
                }
                polled
            }
            Stage::Done => panic!("polled after it has finished"),
        });
        polled.map_err(|refusal| match refusal {
            Ok(item) => ShutDown(item),
            Err(panic) => resume_unwind(panic),
        })
    }
}

impl<T, O: Order<T>> Drop for Put<'_, T, O> {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Done) {
            drop(self.leave());
        }
    }
}

impl<T, O: Order<T>> fmt::Debug for Put<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = matches!(self.stage, Stage::Waiting(_));
        f.debug_struct("Put").field("waiting", &waiting).finish()
    }
}

/// A wait for the next item; [`Get`], [`Peek`] and `Items` are this with a queue.
pub(super) struct Turn<T> {
    want: Want<T>,
    stage: Stage<()>,
    what: &'static str,
    /// The line of the program that waits.
    at: &'static Location<'static>,
    budgeted: BudgetedAwait,
}

impl<T> Turn<T> {
    pub(super) fn new(want: Want<T>, what: &'static str, at: &'static Location<'static>) -> Self {
        Self { want, stage: Stage::New(()), what, at, budgeted: BudgetedAwait::default() }
    }

    pub(super) fn poll<O: Order<T>>(
        &mut self,
        queue: &OrderedQueue<T, O>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, ShutDown>> {
        let Self { want, stage, what, at, budgeted } = self;
        budgeted.poll(cx, |cx| {
            let polled = match *stage {
                Stage::Waiting(ticket) => {
                    queue.change(|state| state.poll_get(ticket, *want, cx.waker()))
                }
                Stage::New(()) => queue.change(|state| match state.serve(*want) {
                    Some(answer) => Poll::Ready(Ok(answer)),
                    None if state.shut_down => Poll::Ready(Err(ShutDown(()))),
                    None => {
                        *stage = Stage::Waiting(state.wait_to_get(*want, cx.waker()));
                        Poll::Pending
                    }
                }),
                Stage::Done => panic!("polled after it has finished"),
            };
            match polled {
                Poll::Ready(answer) => {
                    *stage = Stage::Done;
                    Poll::Ready(answer.map(Answer::into_item))
                }
                Poll::Pending => {
                    Wait::note(what, at);
                    Poll::Pending
                }
            }
        })
    }

    /// Starts a wait for another item, after it has finished.
    #[cfg(feature = "stream")]
    pub(super) fn again(&mut self) {
        self.stage = Stage::New(());
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_))
    }

    #[cold]
    pub(super) fn leave<O: Order<T>>(&mut self, queue: &OrderedQueue<T, O>) {
        if let Stage::Waiting(ticket) = self.stage {
            self.stage = Stage::Done;
            drop(queue.change(|state| state.leave_get(ticket)));
        }
    }
}
