//! [`OnDrop`]: a destructor as a closure; and quiet panics.

use std::fmt;
use std::future::pending;
use std::panic::resume_unwind;

/// Calls a function when it is dropped.
pub struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    /// Calls `call` when it is dropped.
    pub fn new(call: F) -> Self {
        Self(Some(call))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

impl<F: FnOnce()> fmt::Debug for OnDrop<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnDrop").finish_non_exhaustive()
    }
}

/// Panics without a report on the terminal.
///
/// # Panics
///
/// Always panics, with `message`.
pub fn blow_up(message: &'static str) -> ! {
    resume_unwind(Box::new(message))
}

/// Waits for ever. When it is dropped, it drops `kept`, and then panics.
pub fn stuck_and_panics_on_drop<T>(kept: T) -> impl Future<Output = ()> {
    let both = (kept, panics_on_drop());
    async move {
        let _both = both;
        pending::<()>().await;
    }
}

/// Returns a value whose drop panics.
#[must_use]
pub fn panics_on_drop() -> OnDrop<impl FnOnce() + Send + 'static> {
    OnDrop::new(|| blow_up("the destructor"))
}
