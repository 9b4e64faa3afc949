//! [`Flags`]: how far a greenlet has come, in one atomic word.
//!
//! Most greenlets end without a kill, and nobody waits when they do. What is set here lets such a
//! one go its way without a lock.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::primitive::AtomicU16;

/// Its task has come to it: has polled it, or takes the steps of its end.
pub(super) const BEGUN: u16 = 1;
/// A kill was sent, and was not seen yet. Changes under the lock; looked at before each poll.
pub(super) const KILLED: u16 = 1 << 1;
/// It has yet to be started.
pub(super) const UNSTARTED: u16 = 1 << 2;
/// It is in the spawn tree.
pub(super) const TRACKED: u16 = 1 << 3;
/// The greenlet around it polls it, and its budget is that one's.
pub(super) const IN_PLACE: u16 = 1 << 4;
/// There were scopes, which may keep a kill from the greenlet as a whole.
pub(super) const NESTED: u16 = 1 << 5;
/// There were links, or guards. Set under the lock, before the first comes in.
pub(super) const LINKED: u16 = 1 << 6;
/// It has ended.
pub(super) const ENDED: u16 = 1 << 7;
/// It has ended without a result. Set with `ENDED`.
pub(super) const FAILED: u16 = 1 << 8;
/// That was a panic. Set with `ENDED`.
pub(super) const PANICKED: u16 = 1 << 9;
/// It has ended, left its groups, and told all links: who comes now is told at once.
pub(super) const LEFT: u16 = 1 << 10;
/// An abort was sent. Set under the lock, and never after the end.
pub(super) const ABORTED: u16 = 1 << 11;

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

    /// Returns what was set before.
    pub(super) fn clear(&self, flags: u16) -> u16 {
        self.0.fetch_and(!flags, AcqRel)
    }

    /// Goes from one state to another; false if it is in yet another. The usual way, in one step.
    pub(super) fn advance(&self, from: u16, to: u16) -> bool {
        self.0.compare_exchange(from, to, AcqRel, Acquire).is_ok()
    }

    /// Sets `flags`, and returns what was set before.
    ///
    /// # Errors
    ///
    /// What is set, if any of `others` is; then nothing changes.
    pub(super) fn set_unless(&self, flags: u16, others: u16) -> Result<u16, u16> {
        let set = |before| (before & others == 0).then_some(before | flags);
        self.0.fetch_update(AcqRel, Acquire, set)
    }
}
