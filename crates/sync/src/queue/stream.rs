//! [`Items`]: the items of a queue as a stream.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::futures::Turn;
use super::order::Order;
use super::state::Want;
use super::{Fifo, OrderedQueue};

impl<T, O: Order<T>> OrderedQueue<T, O> {
    /// Returns the items as a stream that borrows the queue. Each is [taken](Self::get) when the
    /// stream is polled for it; the stream ends when the queue was shut down and is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream loses no item, like dropping [`get`](Self::get).
    ///
    /// Python: `for item in queue`.
    #[track_caller]
    pub fn stream(&self) -> Items<&Self, T, O> {
        Items::of(self)
    }

    /// Returns the items as a stream that keeps the queue alive; otherwise like
    /// [`stream`](Self::stream).
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream loses no item, unless the queue is dropped with it.
    ///
    /// ```
    /// # mod spinney { pub use futures_lite::future::block_on; pub use spinney_sync::Queue; }
    /// use std::sync::Arc;
    ///
    /// use spinney::{Queue, block_on};
    ///
    /// let queue = Arc::new(Queue::unbounded());
    /// let mut items = Arc::clone(&queue).into_stream();
    /// queue.put_nowait(3).unwrap();
    /// queue.shutdown();
    /// drop(queue);
    /// assert_eq!(block_on(items.next()), Some(3));
    /// assert_eq!(block_on(items.next()), None);
    /// ```
    #[track_caller]
    pub fn into_stream(self: Arc<Self>) -> Items<Arc<Self>, T, O> {
        Items::of(self)
    }
}

/// The stream of [`OrderedQueue::stream`], over any kind of pointer to a queue.
///
/// Dropping it leaves the line and loses no item.
///
/// ```
/// # mod spinney { pub use futures_lite::future::block_on; pub use spinney_sync::Queue; }
/// use spinney::{Queue, block_on};
///
/// let queue = Queue::unbounded();
/// queue.put_nowait(1).unwrap();
/// queue.put_nowait(2).unwrap();
/// queue.shutdown();
/// block_on(async {
///     let mut items = queue.stream();
///     assert_eq!(items.next().await, Some(1));
///     assert_eq!(items.next().await, Some(2));
///     assert_eq!(items.next().await, None);
/// });
/// ```
#[must_use = "a stream takes nothing unless it is polled"]
pub struct Items<Q, T, O = Fifo>
where
    Q: Deref<Target = OrderedQueue<T, O>>,
    O: Order<T>,
{
    queue: Q,
    turn: Turn<T>,
    order: PhantomData<fn() -> O>,
}

impl<Q, T, O> Items<Q, T, O>
where
    Q: Deref<Target = OrderedQueue<T, O>>,
    O: Order<T>,
{
    /// Returns the items of `queue`, any pointer to a queue: [`OrderedQueue::stream`] for an `Rc`.
    #[track_caller]
    pub fn of(queue: Q) -> Self {
        let turn = Turn::new(Want::Get, "Queue::get", Location::caller());
        Self { queue, turn, order: PhantomData }
    }

    /// Returns the next item; `None` once the queue is shut down and empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no item, and keeps the place in the line.
    pub async fn next(&mut self) -> Option<T> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

/// No field is structurally pinned.
impl<Q, T, O> Unpin for Items<Q, T, O>
where
    Q: Deref<Target = OrderedQueue<T, O>>,
    O: Order<T>,
{
}

impl<Q, T, O> Stream for Items<Q, T, O>
where
    Q: Deref<Target = OrderedQueue<T, O>>,
    O: Order<T>,
{
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let item = ready!(this.turn.poll(&this.queue, cx));
        this.turn.again();
        Poll::Ready(item.ok())
    }
}

impl<Q, T, O> Drop for Items<Q, T, O>
where
    Q: Deref<Target = OrderedQueue<T, O>>,
    O: Order<T>,
{
    fn drop(&mut self) {
        if self.turn.is_waiting() {
            self.turn.leave(&self.queue);
        }
    }
}

impl<Q, T, O> fmt::Debug for Items<Q, T, O>
where
    Q: Deref<Target = OrderedQueue<T, O>>,
    O: Order<T>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("waiting", &self.turn.is_waiting()).finish()
    }
}
