//! [`Place`]: a closure's place in its pool, from the queue to its end.

use std::sync::Arc;

use crate::workers::Workers;

/// What a closure that was put to `workers` holds until it has ended. Dropping it says that it
/// has, and lets the next one in.
pub(crate) struct Place {
    workers: Arc<Workers>,
    /// Whether it took one of the pool's places, of which there are so many.
    counted: bool,
}

impl Place {
    pub(crate) fn new(workers: &Arc<Workers>, counted: bool) -> Self {
        Self { workers: Arc::clone(workers), counted }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.workers.finish(usize::from(self.counted));
    }
}
