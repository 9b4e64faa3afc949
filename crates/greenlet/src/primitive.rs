//! What a greenlet's state is built of: the standard library's pieces or, in a model, stand-ins
//! that loom watches.
//!
//! A model is built with `--cfg spinney_loom` (`cargo xtask loom`), as in spinney-sync. What
//! threads never contend for is not watched: a result in its place, a task before it is started.

use std::sync::PoisonError;

#[cfg(spinney_loom)]
pub(crate) use {
    loom::sync::atomic::{AtomicU16, AtomicU64},
    loom::sync::{Mutex, MutexGuard},
};
#[cfg(not(spinney_loom))]
pub(crate) use {
    std::sync::atomic::{AtomicU16, AtomicU64},
    std::sync::{Mutex, MutexGuard},
};

/// Locks `mutex`. Whoever panicked with the lock left nothing half done: that is for each user of
/// it to see to.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
