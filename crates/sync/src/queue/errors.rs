//! The errors of a queue: [`ShutDown`], [`PutError`], [`GetError`] and [`TaskDoneError`].

use std::error::Error;
use std::fmt;

/// The queue was shut down: it accepts no more items, and none is left to get. The error of a put
/// holds the item.
///
/// Python: `gevent.queue.ShutDown`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShutDown<T = ()>(pub T);

/// Why [`put_nowait`](crate::OrderedQueue::put_nowait) did not put its item; it holds the item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// There is no room, and no getter waits.
    ///
    /// Python: `queue.Full`.
    Full(T),
    /// The queue was shut down.
    ///
    /// Python: `gevent.queue.ShutDown`.
    ShutDown(T),
}

impl<T> PutError<T> {
    /// The item that was not put.
    pub fn into_item(self) -> T {
        match self {
            Self::Full(item) | Self::ShutDown(item) => item,
        }
    }
}

/// Why [`get_nowait`](crate::OrderedQueue::get_nowait) or
/// [`peek_nowait`](crate::OrderedQueue::peek_nowait) returned no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetError {
    /// There is no item at the moment.
    ///
    /// Python: `queue.Empty`.
    Empty,
    /// There is no item, and none will come, because the queue was shut down.
    ///
    /// Python: `gevent.queue.ShutDown`.
    ShutDown,
}

/// More items were reported done than were put: [`task_done`](crate::OrderedQueue::task_done).
///
/// Python: `ValueError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskDoneError;

impl<T> From<ShutDown<T>> for PutError<T> {
    fn from(ShutDown(item): ShutDown<T>) -> Self {
        Self::ShutDown(item)
    }
}

impl From<ShutDown> for GetError {
    fn from(_: ShutDown) -> Self {
        Self::ShutDown
    }
}

impl<T> fmt::Display for ShutDown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue was shut down")
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the queue is full"),
            Self::ShutDown(_) => ShutDown(()).fmt(f),
        }
    }
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the queue is empty"),
            Self::ShutDown => ShutDown(()).fmt(f),
        }
    }
}

impl fmt::Display for TaskDoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more items were reported done than were put")
    }
}

// The items need not be `Debug`: an error that holds one can be unwrapped anyway.

impl<T> fmt::Debug for ShutDown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShutDown(..)")
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::ShutDown(_) => "ShutDown(..)",
        })
    }
}

impl<T> Error for ShutDown<T> {}
impl<T> Error for PutError<T> {}
impl Error for GetError {}
impl Error for TaskDoneError {}
