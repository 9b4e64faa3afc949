//! The building blocks of a greenlet's state: the types of the standard library or, in a model,
//! stand-ins that loom checks.
//!
//! A model is built with `--cfg spinney_loom` (`cargo xtask loom`), as in spinney-sync. State that
//! threads never contend for uses no stand-ins: a stored result, an unstarted task.

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

/// Locks `mutex`, also after a panic under the lock: each critical section leaves the data
/// consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
