//! What can go wrong: [`NoThreads`] and [`ThreadPoolClosed`].

use std::error::Error;
use std::fmt;

/// A thread pool was to have no thread, and would never run anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoThreads;

impl fmt::Display for NoThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a thread pool needs at least one thread")
    }
}

impl Error for NoThreads {}

/// The reason of those who were killed because their thread pool was, before they had started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadPoolClosed;

impl fmt::Display for ThreadPoolClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread pool is closed")
    }
}

impl Error for ThreadPoolClosed {}
