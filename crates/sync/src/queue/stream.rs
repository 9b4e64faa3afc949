//! [`Items`]: a queue's items as a stream.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::order::Order;
use super::{Fifo, Get, OrderedQueue};

impl<T, O: Order<T>> OrderedQueue<T, O> {
    /// The items as a stream, each [taken](Self::get) when it is asked for. It ends when the queue
    /// was shut down and is empty. `for item in queue`.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Self::get): dropping the stream loses no item.
    #[track_caller]
    pub fn stream(&self) -> Items<'_, T, O> {
        Items { queue: self, get: None, at: Location::caller() }
    }
}

/// The stream of [`OrderedQueue::stream`].
///
/// Dropping it loses no item.
///
/// ```
/// use futures_lite::{StreamExt, future};
///
/// let queue = spinney_sync::Queue::unbounded();
/// queue.put_nowait(1).unwrap();
/// queue.put_nowait(2).unwrap();
/// queue.shutdown();
/// let items: Vec<_> = future::block_on(queue.stream().collect());
/// assert_eq!(items, [1, 2]);
/// ```
#[must_use = "a stream takes nothing unless it is polled"]
pub struct Items<'a, T, O: Order<T> = Fifo> {
    queue: &'a OrderedQueue<T, O>,
    /// The one under way.
    get: Option<Get<'a, T, O>>,
    /// Who waits.
    at: &'static Location<'static>,
}

impl<T, O: Order<T>> Stream for Items<'_, T, O> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let get = this.get.get_or_insert_with(|| Get::new(this.queue, this.at));
        let item = ready!(Pin::new(get).poll(cx));
        this.get = None;
        Poll::Ready(item.ok())
    }
}

impl<T, O: Order<T>> fmt::Debug for Items<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("waiting", &self.get.is_some()).finish()
    }
}
