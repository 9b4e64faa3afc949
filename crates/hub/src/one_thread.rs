//! [`ForbidThreads`]: keeps a part of a program on its thread.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;

thread_local! {
    static FORBIDDEN: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, code on this thread panics if it hands work to other threads: to the global hub,
/// hubs with threads, thread pools. Dropping it restores the previous state.
///
/// For runs that must be reproducible, for example those of a simulation that explores schedules.
///
/// ```
/// # mod spinney { pub use spinney_hub::Hub; pub mod hub { pub use spinney_hub::ForbidThreads; } }
/// use spinney::Hub;
/// use spinney::hub::ForbidThreads;
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
    /// The guard belongs to its thread.
    here: PhantomData<Rc<()>>,
}

impl ForbidThreads {
    /// Forbids other threads until the guard is dropped.
    pub fn begin() -> Self {
        Self { before: FORBIDDEN.replace(true), here: PhantomData }
    }
}

impl Drop for ForbidThreads {
    fn drop(&mut self) {
        FORBIDDEN.set(self.before);
    }
}

/// Checks that other threads are allowed. For code that hands work to them; `what` names it in the
/// message.
///
/// # Panics
///
/// Panics while a [`ForbidThreads`] lives on this thread.
///
/// ```
/// # mod spinney { pub mod hub { pub use spinney_hub::require_threads; } }
/// use spinney::hub::require_threads;
///
/// require_threads("a thread pool");
/// ```
#[track_caller]
pub fn require_threads(what: &str) {
    // Once the thread's locals have been destroyed, no guard lives.
    let forbidden = FORBIDDEN.try_with(Cell::get).unwrap_or(false);
    assert!(!forbidden, "{what} runs on other threads, whose order cannot be explored");
}
