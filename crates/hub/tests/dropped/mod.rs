//! [`Drops`]: counts what is dropped, and where.

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

/// The threads on which guards were dropped, in order.
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<Mutex<Vec<ThreadId>>>);

impl Drops {
    /// Something whose drop is counted.
    pub(crate) fn guard(&self) -> Guard {
        Guard(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.threads().len()
    }

    pub(crate) fn threads(&self) -> Vec<ThreadId> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) struct Guard(Drops);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().push(thread::current().id());
    }
}
