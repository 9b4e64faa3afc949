//! [`Channel`]: items pass from hand to hand.

use std::fmt;
use std::ops::Deref;

use super::Queue;

/// A queue that holds nothing: a put finishes when a getter has taken its item.
///
/// A put that finds a getter waiting wakes it, and waits until it has run and taken the item. Both
/// are woken, the getter first, so on a hub that runs tasks in FIFO order both go on before any
/// task that is woken later. If the getter is dropped before it runs, the item goes to the next
/// getter, or stays with the put, which is still pending; dropping the put takes the item along,
/// and the getter waits again in its old place.
///
/// [`put_nowait`](crate::OrderedQueue::put_nowait) does not wait for the getter to run: it succeeds
/// exactly if a getter waits, and leaves the item with the queue for it. If that getter is dropped,
/// the item goes to the next one, now or later. [`get_nowait`](crate::OrderedQueue::get_nowait)
/// succeeds exactly if a put waits for a getter.
///
/// It is a [`Queue`] with a capacity of 0; resizing it makes it one with another. Dropping it is
/// harmless, as waiters borrow it.
///
/// Python: `gevent.queue.Channel`, `eventlet.queue.Queue(0)`.
///
/// ```
/// # futures_lite::future::block_on(async {
/// use futures_lite::future;
///
/// let channel = spinney_sync::Channel::new();
/// assert!(channel.put_nowait("nobody takes it").is_err());
/// let (put, got) = future::zip(channel.put("an item"), channel.get()).await;
/// assert_eq!((put, got), (Ok(()), Ok("an item")));
/// # });
/// ```
pub struct Channel<T>(Queue<T>);

impl<T> Channel<T> {
    /// A channel without waiters.
    pub fn new() -> Self {
        Self(Queue::bounded(0))
    }

    /// The number of waiting puts less the number of waiting gets. A put and a get that meet count
    /// as neither.
    ///
    /// Python: `balance`.
    pub fn balance(&self) -> isize {
        let state = self.0.lock();
        signed(state.putting()) - signed(state.getting())
    }
}

/// `count`, or the largest number if that is smaller.
fn signed(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}

impl<T> Default for Channel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Channel<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.0
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.0).finish()
    }
}
