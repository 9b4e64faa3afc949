//! [`Channel`]: items pass from hand to hand.

use std::fmt;
use std::ops::Deref;

use super::Queue;

/// A queue that holds nothing: a put waits until somebody takes its item. `gevent.queue.Channel`,
/// `eventlet.queue.Queue(0)`.
///
/// [`put_nowait`](crate::OrderedQueue::put_nowait) succeeds exactly if somebody waits to get, and
/// [`get_nowait`](crate::OrderedQueue::get_nowait) exactly if somebody waits to put. It is a
/// [`Queue`] with a capacity of zero; resizing it makes it one with another.
///
/// Dropping it is harmless; whoever waits borrows it.
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
    /// A channel that nobody waits at.
    pub fn new() -> Self {
        Self(Queue::bounded(0))
    }

    /// How many more wait to put than to get; negative if more wait to get. `balance`.
    pub fn balance(&self) -> isize {
        let state = self.0.lock();
        signed(state.putting()) - signed(state.getting())
    }
}

/// More than this cannot wait.
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
