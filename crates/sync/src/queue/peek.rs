//! [`Peek`]: a peek under way.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::order::Order;
use super::state::Want;
use super::turn::Turn;
use super::{Fifo, OrderedQueue, ShutDown};

/// The future of [`OrderedQueue::peek`].
///
/// Dropping it gives up its place, and a copy that it already got; nobody else is concerned.
///
/// # Panics
///
/// If it is polled again after it has finished, or if the item's [`Clone`] panics.
///
/// ```
/// let queue = spinney_sync::Queue::bounded(1);
/// queue.put_nowait("an item").unwrap();
/// assert_eq!(futures_lite::future::block_on(queue.peek()), Ok("an item"));
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
