//! The building blocks of this crate: the types of the standard library or, in a model, stand-ins
//! that loom checks.
//!
//! A model is built with `--cfg spinney_loom` (`cargo xtask loom`). Loom's own `--cfg loom` would
//! reach each outside crate as well, and the executors below spinney-greenlet do not build with it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Acquire;

#[cfg(spinney_loom)]
pub(crate) use {
    loom::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize},
    loom::sync::{Mutex, MutexGuard},
    once_lock::OnceLock,
};
#[cfg(not(spinney_loom))]
pub(crate) use {
    std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize},
    std::sync::{Mutex, MutexGuard, OnceLock},
};

/// Locks `mutex`, also after a panic under the lock: each critical section leaves the data
/// consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value of `count`, which may be stale: for callers that handle a concurrent change. A model
/// reads the current value, because stale ones would multiply the interleavings.
pub(crate) fn glance(count: &AtomicIsize) -> isize {
    #[cfg(not(spinney_loom))]
    return count.load(Acquire);
    #[cfg(spinney_loom)]
    count.compare_exchange(isize::MIN, isize::MIN, Acquire, Acquire).unwrap_or_else(|now| now)
}

/// A constructor that is `const`, except in models: loom registers its objects at run time.
macro_rules! constructor {
    ($(#[$doc:meta])* pub fn $name:ident() -> Self $body:block) => {
        $(#[$doc])*
        #[must_use]
        #[cfg(not(spinney_loom))]
        pub const fn $name() -> Self $body

        $(#[$doc])*
        #[must_use]
        #[cfg(spinney_loom)]
        pub fn $name() -> Self $body
    };
}
pub(crate) use constructor;

#[cfg(spinney_loom)]
mod once_lock {
    use super::{Mutex, lock};

    /// The cell of the standard library behind a lock that loom checks. A reader that finds it full
    /// has seen it filled, as with the real one; unlike there, a reader that finds it empty is
    /// ordered with the others as well.
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
}
