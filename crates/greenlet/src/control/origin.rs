//! [`Origin`]: which greenlet it is, and whose child.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::current;

#[derive(Clone, Copy)]
pub(crate) struct Origin {
    /// A number that no other has.
    pub(crate) id: u64,
    /// The greenlet that made it; 0 if none did.
    parent: u64,
}

impl Origin {
    /// For a greenlet that the current one makes.
    pub(crate) fn new() -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self { id: NEXT_ID.fetch_add(1, Relaxed), parent: current::id().unwrap_or(0) }
    }

    pub(crate) fn parent(&self) -> Option<u64> {
        (self.parent != 0).then_some(self.parent)
    }
}
