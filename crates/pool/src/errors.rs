//! What can go wrong: [`PoolFull`] and [`InsideGroup`].

use std::error::Error;
use std::fmt;

/// A pool had no slot for a task, which is in here. `gevent.pool.PoolFull`.
///
/// Dropping it drops the task, which never started.
#[derive(Clone, Copy)]
pub struct PoolFull<F> {
    future: F,
}

impl<F> PoolFull<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future }
    }

    /// The task's future, to try again with.
    pub fn into_future(self) -> F {
        self.future
    }
}

impl<F> fmt::Debug for PoolFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolFull").finish_non_exhaustive()
    }
}

impl<F> fmt::Display for PoolFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool is full")
    }
}

impl<F> Error for PoolFull<F> {}

/// A member of a group asked to wait until the group is empty, which it cannot be before the
/// member itself has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsideGroup;

impl fmt::Display for InsideGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member cannot wait for its own group to be empty")
    }
}

impl Error for InsideGroup {}
