//! [`Flags`]: the progress of a greenlet, in one atomic word.
//!
//! Most greenlets finish without a kill and without a waiter. The flags let them do so without a
//! lock.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::primitive::AtomicU16;

/// The task has polled the greenlet, or performs the steps of its end.
pub(super) const BEGUN: u16 = 1;
/// A kill is pending. Set and cleared under the lock; checked before each poll.
pub(super) const KILLED: u16 = 1 << 1;
/// The greenlet has not been started.
pub(super) const UNSTARTED: u16 = 1 << 2;
/// The greenlet is in the spawn tree.
pub(super) const TRACKED: u16 = 1 << 3;
/// The greenlet is polled within another greenlet, and shares that one's budget.
pub(super) const IN_PLACE: u16 = 1 << 4;
/// The greenlet has opened scopes, which may defer or catch a kill.
pub(super) const NESTED: u16 = 1 << 5;
/// The greenlet has links or guards. Set under the lock, before the first is added.
pub(super) const LINKED: u16 = 1 << 6;
/// The greenlet has finished.
pub(super) const ENDED: u16 = 1 << 7;
/// It has finished without a result. Set with `ENDED`.
pub(super) const FAILED: u16 = 1 << 8;
/// Its failure was a panic. Set with `ENDED`.
pub(super) const PANICKED: u16 = 1 << 9;
/// It has finished, left its groups and called all links: a later link is called immediately.
pub(super) const LEFT: u16 = 1 << 10;
/// An abort was sent. Set under the lock, and never after the end.
pub(super) const ABORTED: u16 = 1 << 11;
/// The observer knows the greenlet.
pub(super) const OBSERVED: u16 = 1 << 12;

pub(super) struct Flags(AtomicU16);

impl Flags {
    pub(super) fn of(flags: u16) -> Self {
        Self(AtomicU16::new(flags))
    }

    pub(super) fn get(&self) -> u16 {
        self.0.load(Acquire)
    }

    /// Whether any of `flags` is set.
    pub(super) fn has(&self, flags: u16) -> bool {
        self.get() & flags != 0
    }

    pub(super) fn set(&self, flags: u16) {
        self.0.fetch_or(flags, AcqRel);
    }

    /// Returns the flags that were set before.
    pub(super) fn clear(&self, flags: u16) -> u16 {
        self.0.fetch_and(!flags, AcqRel)
    }

    /// Moves from one state to another; `false` in any other state. The common path, in one step.
    pub(super) fn advance(&self, from: u16, to: u16) -> bool {
        self.0.compare_exchange(from, to, AcqRel, Acquire).is_ok()
    }

    /// Sets `flags`, and returns the flags that were set before.
    ///
    /// # Errors
    ///
    /// The current flags, if any of `others` is set; then nothing changes.
    pub(super) fn set_unless(&self, flags: u16, others: u16) -> Result<u16, u16> {
        let set = |before| (before & others == 0).then_some(before | flags);
        self.0.fetch_update(AcqRel, Acquire, set)
    }
}
