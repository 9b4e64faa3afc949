//! [`ReadBuffer`]: the results that a reader has taken, and not read yet.
//!
//! The reader takes all readable results under the lock, and then reads them without it. Taken
//! results are still open, so that the bound on unread results holds: the reader counts each result
//! that it reads, and the next holder of the lock subtracts the count. A feeder that waits for room
//! sets a flag, to be woken by the next read. Both sides first write their own word and then read
//! the other's, so that one of them sees the other.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};

use spinney_hub::drop_contained;

use super::Indexed;

/// The results that the reader has taken. Dropping it drops them, each of which may panic.
pub(crate) struct ReadBuffer<T> {
    pub(super) results: VecDeque<Indexed<T>>,
}

impl<T> Default for ReadBuffer<T> {
    fn default() -> Self {
        Self { results: VecDeque::new() }
    }
}

impl<T> Drop for ReadBuffer<T> {
    fn drop(&mut self) {
        for result in self.results.drain(..) {
            drop_contained(result);
        }
    }
}

/// The words through which the reader and the feeder communicate without the lock.
pub(super) struct ReadCounter {
    /// All of them are on one thread, where no write comes between the halves of a
    /// read-modify-write.
    is_local: bool,
    /// Results that were read, and still count as open.
    read: AtomicUsize,
    /// The feeder waits for room.
    stalled: AtomicBool,
}

impl ReadCounter {
    pub(super) fn new(is_local: bool) -> Self {
        Self { is_local, read: AtomicUsize::new(0), stalled: AtomicBool::new(false) }
    }

    /// Counts `read` more results as read. Returns `true` if the feeder waits for room.
    pub(super) fn add(&self, read: usize) -> bool {
        if self.is_local {
            self.read.store(self.read.load(Relaxed) + read, Relaxed);
        } else {
            self.read.fetch_add(read, SeqCst);
        }
        self.is_stalled()
    }

    /// How many results were read since the last call.
    pub(super) fn take(&self) -> usize {
        match self.read.load(SeqCst) {
            0 => 0,
            read if self.is_local => {
                self.read.store(0, Relaxed);
                read
            }
            _ => self.read.swap(0, SeqCst),
        }
    }

    pub(super) fn set_stalled(&self, stalled: bool) {
        let order = if self.is_local { Relaxed } else { SeqCst };
        self.stalled.store(stalled, order);
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(SeqCst)
    }
}
