//! [`Drops`]: counts what is dropped.

use std::cell::Cell;
use std::rc::Rc;

/// How many guards were dropped.
#[derive(Clone, Default)]
pub(crate) struct Drops(Rc<Cell<usize>>);

impl Drops {
    /// Something whose drop is counted.
    pub(crate) fn guard(&self) -> Guard {
        Guard(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.get()
    }
}

pub(crate) struct Guard(Drops);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.set(self.0.count() + 1);
    }
}
