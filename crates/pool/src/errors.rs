//! Errors: [`PoolFull`] and [`InsideGroup`].

use std::error::Error;
use std::fmt;

use crate::SlotError;

/// A pool had no slot for a task, or was closed; the task's future is in here. Dropping it drops the
/// future, which never started.
///
/// Python: `gevent.pool.PoolFull`.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pool::Pool; }
/// use spinney::{Pool, block_on};
///
/// let full = Pool::new(0).try_spawn(async { 42 }).unwrap_err();
/// assert_eq!(full.to_string(), "the pool is full");
/// assert_eq!(block_on(full.into_future()), 42);
/// ```
#[derive(Clone, Copy)]
pub struct PoolFull<F> {
    future: F,
    error: SlotError,
}

impl<F> PoolFull<F> {
    pub(crate) fn new(future: F, error: SlotError) -> Self {
        Self { future, error }
    }

    /// The task's future, to try again with.
    pub fn into_future(self) -> F {
        self.future
    }

    /// Whether the pool was closed, so that trying again is of no use.
    pub fn is_closed(&self) -> bool {
        self.error == SlotError::Closed
    }

    /// Why there was no slot.
    pub fn error(&self) -> SlotError {
        self.error
    }
}

impl<F> fmt::Debug for PoolFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolFull").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for PoolFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F> Error for PoolFull<F> {}

/// A member of a group called a verb that waits until the group is empty, which it cannot be before
/// the member itself has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsideGroup;

impl fmt::Display for InsideGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member cannot wait for its own group to be empty")
    }
}

impl Error for InsideGroup {}
