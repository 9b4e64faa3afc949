//! The errors: [`Closed`], [`TryAcquireError`], [`OverRelease`], [`NotOwner`] and
//! [`SetterDropped`].

use std::error::Error;
use std::fmt;

/// The semaphore, or the pool that stands on it, was closed and admits no waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it was closed")
    }
}

impl Error for Closed {}

/// Why [`Semaphore::try_acquire`](crate::Semaphore::try_acquire) returned no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// Too few permits are free, or other tasks wait for them.
    WouldBlock,
    /// The semaphore was closed.
    Closed,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBlock => f.write_str("not enough permits are free"),
            Self::Closed => Closed.fmt(f),
        }
    }
}

impl Error for TryAcquireError {}

impl From<Closed> for TryAcquireError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// More permits were returned than are out.
/// [`BoundedSemaphore::release`](crate::BoundedSemaphore::release) changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverRelease;

impl fmt::Display for OverRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more permits were returned than are out")
    }
}

impl Error for OverRelease {}

/// The lock is not held by this owner. [`RLock::release`](crate::RLock::release) changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOwner;

impl fmt::Display for NotOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is not held by this owner")
    }
}

impl Error for NotOwner {}

/// The [`Setter`](crate::Setter) of an [`AsyncResult`](crate::AsyncResult) was dropped before it
/// set a result: the task that owned it returned, panicked or was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetterDropped;

impl fmt::Display for SetterDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the setter was dropped before it set a result")
    }
}

impl Error for SetterDropped {}
