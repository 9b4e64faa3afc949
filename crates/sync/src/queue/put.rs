//! [`Put`]: a put under way.

use std::fmt;
use std::mem;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::order::Order;
use super::state::Refusal;
use super::{Fifo, OrderedQueue, PutError, ShutDown};
use crate::{GiveWay, Wait};

/// The future of [`OrderedQueue::put`].
///
/// Dropping it gives up its place, and drops the item unless that was put.
///
/// # Panics
///
/// If it is polled again after it was done, or its item taken back; or if comparing the item
/// panics.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use futures_lite::future::poll_once;
///
/// let queue = spinney_sync::Queue::bounded(1);
/// queue.put("one").await?;
/// let mut put = queue.put("two");
/// assert!(poll_once(&mut put).await.is_none());
/// assert_eq!(put.take_back(), Some("two"));
/// # Ok::<(), spinney_sync::ShutDown<&str>>(())
/// # }).unwrap();
/// ```
#[must_use = "nothing is put unless it is awaited"]
pub struct Put<'a, T, O: Order<T> = Fifo> {
    queue: &'a OrderedQueue<T, O>,
    stage: Stage<T>,
    /// The line of the program that waits.
    at: &'static Location<'static>,
    give_way: GiveWay,
}

enum Stage<T> {
    New(T),
    /// The item is with the queue, under this ticket.
    Waiting(u64),
    Done,
}

impl<'a, T, O: Order<T>> Put<'a, T, O> {
    pub(super) fn new(
        queue: &'a OrderedQueue<T, O>,
        item: T,
        at: &'static Location<'static>,
    ) -> Self {
        Self { queue, stage: Stage::New(item), at, give_way: GiveWay::default() }
    }

    /// Gives up, and returns the item; None if that was put already. So a put under a time limit
    /// loses nothing: `(&mut put).within(limit)`.
    ///
    /// # Panics
    ///
    /// If comparing the item has panicked.
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

/// The item is not pinned in place.
impl<T, O: Order<T>> Unpin for Put<'_, T, O> {}

impl<T, O: Order<T>> Future for Put<'_, T, O> {
    type Output = Result<(), ShutDown<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { queue, stage, at, give_way } = &mut *self;
        let polled = give_way.poll(cx, |cx| match mem::replace(stage, Stage::Done) {
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
            Stage::Done => panic!("polled after it had finished"),
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
