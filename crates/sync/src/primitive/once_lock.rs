//! [`OnceLock`]: stands in for `std::sync::OnceLock` in models.

use super::{Mutex, lock};

/// The cell of the standard library behind a lock that loom watches. Whoever finds it full has
/// seen it filled, as with the real one; unlike there, whoever finds it empty is ordered with the
/// others, too.
pub(crate) struct OnceLock<T> {
    looks: Mutex<()>,
    cell: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { looks: Mutex::new(()), cell: std::sync::OnceLock::new() }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        let _look = lock(&self.looks);
        self.cell.get()
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let _look = lock(&self.looks);
        self.cell.set(value)
    }

    pub(crate) fn into_inner(self) -> Option<T> {
        self.cell.into_inner()
    }
}
