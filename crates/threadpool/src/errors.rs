//! What can go wrong: [`NoThreads`], [`ThreadPoolFull`], [`ThreadPoolClosed`], [`ThreadRefused`]
//! and [`InsideThreadPool`].

use std::error::Error;
use std::fmt;
use std::io;

/// A thread pool was to have no thread, and would never run anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoThreads;

impl fmt::Display for NoThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a thread pool needs at least one thread")
    }
}

impl Error for NoThreads {}

/// A thread pool's queue had no place for a closure, which is in here. Dropping it drops the
/// closure, which never started.
#[derive(Clone, Copy)]
pub struct ThreadPoolFull<C> {
    closure: C,
}

impl<C> ThreadPoolFull<C> {
    pub(crate) fn new(closure: C) -> Self {
        Self { closure }
    }

    /// The closure, to try again with.
    pub fn into_closure(self) -> C {
        self.closure
    }
}

impl<C> fmt::Debug for ThreadPoolFull<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolFull").finish_non_exhaustive()
    }
}

impl<C> fmt::Display for ThreadPoolFull<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread pool's queue is full")
    }
}

impl<C> Error for ThreadPoolFull<C> {}

/// The reason of those who were killed because their thread pool was, before they had started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadPoolClosed;

impl fmt::Display for ThreadPoolClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread pool is closed")
    }
}

impl Error for ThreadPoolClosed {}

/// The reason of those who were killed because the system refused to start a thread for them, and
/// their pool had no other.
#[derive(Debug)]
pub struct ThreadRefused {
    error: io::Error,
}

impl ThreadRefused {
    pub(crate) fn new(error: io::Error) -> Self {
        Self { error }
    }

    /// What the system said.
    pub fn error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for ThreadRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no thread could be started: {}", self.error)
    }
}

/// Its text has that of the system in it, so there is no source that would tell it again.
impl Error for ThreadRefused {}

/// A closure of a thread pool asked to wait until the pool is empty, which it cannot be before the
/// closure itself has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsideThreadPool;

impl fmt::Display for InsideThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a closure cannot wait for its own thread pool to be empty")
    }
}

impl Error for InsideThreadPool {}
