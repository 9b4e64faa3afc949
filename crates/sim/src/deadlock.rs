//! [`Deadlock`]: nothing can ever happen again.

use std::error::Error;
use std::fmt;

/// Nothing is ready to run, no timer is set, and the main future has not ended: whatever it waits
/// for will not come, unless another thread brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlock {
    tasks: usize,
}

impl Deadlock {
    pub(crate) fn new(tasks: usize) -> Self {
        Self { tasks }
    }

    /// How many tasks are stuck, beside the main future.
    pub fn tasks(&self) -> usize {
        self.tasks
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deadlock: nothing is ready to run and no timer is set; ")?;
        write!(f, "the main future and {} tasks wait for ever", self.tasks)
    }
}

impl Error for Deadlock {}
