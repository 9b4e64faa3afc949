//! [`Dropped`]: counts dropped guards, and records their threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// Counts how many of its guards were dropped: one guard moves into each task whose end matters.
/// Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Dropped {
    threads: Arc<Mutex<Vec<ThreadId>>>,
}

impl Dropped {
    /// Returns a guard whose drop is counted.
    #[must_use]
    pub fn guard(&self) -> DropGuard {
        DropGuard { dropped: self.clone() }
    }

    /// Returns how many guards were dropped.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Returns the threads on which guards were dropped, in order.
    #[must_use]
    pub fn threads(&self) -> Vec<ThreadId> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ThreadId>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counted when it is dropped; see [`Dropped`].
#[derive(Debug)]
pub struct DropGuard {
    dropped: Dropped,
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.dropped.lock().push(thread::current().id());
    }
}
