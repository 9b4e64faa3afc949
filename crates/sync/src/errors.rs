//! What can go wrong: [`Closed`] and [`TryAcquireError`].

use std::error::Error;
use std::fmt;

/// It was closed: nobody gets in any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is closed")
    }
}

impl Error for Closed {}

/// Why [`Semaphore::try_acquire`](crate::Semaphore::try_acquire) gave no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// All permits are out, or others wait for the one that is not.
    WouldBlock,
    /// The semaphore was closed.
    Closed,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBlock => f.write_str("no permit is free"),
            Self::Closed => Closed.fmt(f),
        }
    }
}

impl Error for TryAcquireError {}
