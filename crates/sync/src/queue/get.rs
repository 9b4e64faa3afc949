//! [`Get`]: a get under way.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::order::Order;
use super::state::Want;
use super::turn::Turn;
use super::{Fifo, OrderedQueue, ShutDown};

/// The future of [`OrderedQueue::get`].
///
/// Dropping it gives up its place; an item that it already got goes to the next who waits, or
/// else back to its old place in the queue.
///
/// # Panics
///
/// If it is polled again after it has finished.
///
/// ```
/// let queue = spinney_sync::Queue::bounded(1);
/// queue.put_nowait("an item").unwrap();
/// assert_eq!(futures_lite::future::block_on(queue.get()), Ok("an item"));
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
