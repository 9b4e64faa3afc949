//! The errors: [`ThreadPoolFull`], [`ThreadPoolClosed`], [`ThreadRefused`] and
//! [`InsideThreadPool`].

use std::error::Error;
use std::fmt;
use std::io;

/// The queue of a thread pool had no free place, or the pool was closed. Holds the closure;
/// dropping the error drops the closure, which never started.
///
/// ```
/// # use spinney_threadpool as spinney;
/// use spinney::ThreadPool;
///
/// let pool = ThreadPool::builder().capacity(0).queue(0).build();
/// let full = pool.try_spawn(|| 42).unwrap_err();
/// assert_eq!(full.to_string(), "the thread pool's queue is full");
/// assert_eq!(full.into_closure()(), 42);
/// ```
#[derive(Clone, Copy)]
pub struct ThreadPoolFull<C> {
    closure: C,
    closed: bool,
}

impl<C> ThreadPoolFull<C> {
    pub(crate) fn new(closure: C, closed: bool) -> Self {
        Self { closure, closed }
    }

    /// Returns the closure, for another try.
    pub fn into_closure(self) -> C {
        self.closure
    }

    /// Whether the pool was closed, so that another try would fail as well.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

impl<C> fmt::Debug for ThreadPoolFull<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolFull").field("closed", &self.closed).finish_non_exhaustive()
    }
}

impl<C> fmt::Display for ThreadPoolFull<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.closed {
            return ThreadPoolClosed.fmt(f);
        }
        f.write_str("the thread pool's queue is full")
    }
}

impl<C> Error for ThreadPoolFull<C> {}

/// The reason of a kill: the thread pool was closed before a closure or an item started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadPoolClosed;

impl fmt::Display for ThreadPoolClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread pool was closed")
    }
}

impl Error for ThreadPoolClosed {}

/// The reason of a kill: the system refused to start a thread, and the pool has no other.
#[derive(Debug)]
pub struct ThreadRefused {
    error: io::Error,
}

impl ThreadRefused {
    pub(crate) fn new(error: io::Error) -> Self {
        Self { error }
    }

    /// The error of the system.
    pub fn error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for ThreadRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no thread could be started: {}", self.error)
    }
}

/// Its text contains the text of the system's error, so it has no source, which would repeat it.
impl Error for ThreadRefused {}

/// A closure of a thread pool called a method that waits until the pool is empty, which cannot
/// happen before the closure itself has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsideThreadPool;

impl fmt::Display for InsideThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a closure cannot wait for its own thread pool to be empty")
    }
}

impl Error for InsideThreadPool {}
