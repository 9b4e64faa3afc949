//! [`cancel`] and [`is_cancelling`]: a destructor can tell that its task did not finish.

use std::cell::Cell;

thread_local! {
    static CANCELLING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `drop`, which drops a future that has not finished. For code that ends futures early: a
/// kill, an abort, a time limit, a hub that stops.
///
/// Meanwhile [`is_cancelling`] returns `true` on this thread. A panic of `drop` passes through.
///
/// ```
/// # mod spinney { pub mod hub { pub use spinney_hub::{cancel, is_cancelling}; } }
/// use spinney::hub::{cancel, is_cancelling};
///
/// struct Guard;
///
/// impl Drop for Guard {
///     fn drop(&mut self) {
///         assert!(is_cancelling());
///     }
/// }
///
/// let guard = Guard;
/// let unfinished = async move { drop(guard) };
/// cancel(|| drop(unfinished));
/// assert!(!is_cancelling());
/// ```
pub fn cancel(drop: impl FnOnce()) {
    struct Restore(bool);

    impl Drop for Restore {
        fn drop(&mut self) {
            set(self.0);
        }
    }

    let _restore = Restore(set(true));
    drop();
}

/// Whether this thread drops a future that was killed, aborted or ran out of time, or whose hub
/// stops. A guard whose holder may have left something half-done asks this in its destructor,
/// beside [`std::thread::panicking`].
///
/// A future that its owner drops, for example the loser of a `select`, or one that a foreign
/// executor drops, is not noticed.
pub fn is_cancelling() -> bool {
    CANCELLING.try_with(Cell::get).unwrap_or(false)
}

/// Returns the value before. A thread that is about to end has none.
fn set(cancelling: bool) -> bool {
    CANCELLING.try_with(|cell| cell.replace(cancelling)).unwrap_or(false)
}
