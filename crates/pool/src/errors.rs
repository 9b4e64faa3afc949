//! Errors: [`PoolFull`] and [`InsideGroup`].

use std::error::Error;
use std::fmt;

use crate::SlotError;

/// The error of a pool that gave a task no slot; [`error`](Self::error) says why. It holds the task's
/// future, which never started; dropping the error drops the future.
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

    /// Returns the task's future, for another try.
    pub fn into_future(self) -> F {
        self.future
    }

    /// Whether the pool was closed: another try fails as well.
    pub fn is_closed(&self) -> bool {
        self.error == SlotError::Closed
    }

    /// Why the pool gave no slot.
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

/// The error of a member that waits until its own group is empty. The group cannot be empty before
/// the member has finished, so the wait would never end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsideGroup;

impl fmt::Display for InsideGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member cannot wait for its own group to be empty")
    }
}

impl Error for InsideGroup {}
