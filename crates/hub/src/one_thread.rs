//! [`ForbidThreads`]: a part of a program that stays on its thread.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;

thread_local! {
    static FORBIDDEN: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, code on this thread that hands work to other threads panics: the global hub, hubs
/// with threads, thread pools. Dropping it restores what was allowed before.
///
/// For runs that have to be the same each time, such as those of a simulation that explores.
///
/// ```
/// use spinney_hub::{ForbidThreads, Hub};
///
/// let forbidden = ForbidThreads::begin();
/// assert!(std::panic::catch_unwind(Hub::global).is_err());
/// drop(forbidden);
/// assert!(std::panic::catch_unwind(Hub::global).is_ok());
/// ```
#[derive(Debug)]
#[must_use = "threads are allowed again when the guard is dropped"]
pub struct ForbidThreads {
    before: bool,
    /// It belongs to its thread.
    here: PhantomData<Rc<()>>,
}

impl ForbidThreads {
    /// Forbids other threads, until the guard is dropped.
    pub fn begin() -> Self {
        Self { before: FORBIDDEN.replace(true), here: PhantomData }
    }
}

impl Drop for ForbidThreads {
    fn drop(&mut self) {
        FORBIDDEN.set(self.before);
    }
}

/// For code that hands work to other threads, by means of `what`.
///
/// # Panics
///
/// While a [`ForbidThreads`] lives on this thread.
///
/// ```
/// spinney_hub::require_threads("a thread pool");
/// ```
#[track_caller]
pub fn require_threads(what: &str) {
    // Where the thread's locals are gone, no guard lives.
    let forbidden = FORBIDDEN.try_with(Cell::get).unwrap_or(false);
    assert!(!forbidden, "{what} runs on other threads, whose order cannot be explored");
}
