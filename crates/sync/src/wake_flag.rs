//! [`WakeFlag`]: queues a task once for any number of wake-ups.

use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use crate::primitive::{AtomicBool, constructor};

/// Whether a task's next turn is queued, or whether an inbox has entries. For hubs that keep their
/// own queue of ready tasks.
///
/// A wake-up [sets](Self::set) the flag, and queues the turn if the flag was clear. The hub
/// [takes](Self::take) the flag *before* it polls. Then no wake-up is lost: a wake-up that finds
/// the flag set comes before the `take` of the turn that is queued, and the poll after that `take`
/// sees everything that the waking thread did before it woke.
///
/// Both operations must be read-modify-writes. With a plain store instead of `take` the poll could
/// read the program's state before its store reaches the other threads: a wake-up in between finds
/// the flag set, queues nothing, and is not seen by the poll either.
///
/// ```
/// use spinney_sync::WakeFlag;
///
/// let queued = WakeFlag::new();
/// assert!(queued.set()); // the first wake-up queues the turn
/// assert!(!queued.set()); // it is queued
/// queued.take(); // the turn has come: poll
/// assert!(queued.set()); // woken during the poll: one more turn
/// ```
#[derive(Debug)]
pub struct WakeFlag {
    set: AtomicBool,
}

impl WakeFlag {
    constructor! {
        /// Creates a flag that is clear.
        pub fn new() -> Self {
            Self { set: AtomicBool::new(false) }
        }
    }

    /// Sets the flag. Returns `true` if it was clear: the caller then queues the turn.
    #[inline]
    pub fn set(&self) -> bool {
        // Release: the poll that takes the flag sees what the caller did before. Acquire: the turn
        // that the caller queues comes after the last poll that took the flag.
        !self.set.swap(true, AcqRel)
    }

    /// Clears the flag before a poll. Returns `true` if it was set.
    #[inline]
    pub fn take(&self) -> bool {
        // Acquire: the poll that follows sees what came before each `set`. Release: a `set` that
        // finds the flag clear comes after this.
        self.set.swap(false, AcqRel)
    }

    /// Whether the flag is set; another thread's `set` may be seen late. Use it to decide when to
    /// check, never whether the task may sleep.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.set.load(Relaxed)
    }
}

impl Default for WakeFlag {
    fn default() -> Self {
        Self::new()
    }
}
