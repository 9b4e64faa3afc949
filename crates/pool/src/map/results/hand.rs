//! [`Hand`]: what a reader has taken of the results, and has yet to read.
//!
//! It takes what there is in one go, and is then left alone by the lock for a while. What it has
//! not read yet is still open, so that the bound on unread results holds: it counts each one that
//! it reads, and whoever has the lock next takes that off. A feeder that waits for room says so,
//! to be told of the next one. Both first say what they did and then look at the other side, so
//! that one of them sees the other.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};

use spinney_hub::drop_contained;

use super::Indexed;

/// The results in the reader's hand. Dropping it drops them, each of which may panic.
pub(crate) struct Hand<T> {
    pub(super) results: VecDeque<Indexed<T>>,
}

impl<T> Default for Hand<T> {
    fn default() -> Self {
        Self { results: VecDeque::new() }
    }
}

impl<T> Drop for Hand<T> {
    fn drop(&mut self) {
        for result in self.results.drain(..) {
            drop_contained(result);
        }
    }
}

/// What the reader and the others tell each other without the lock.
pub(super) struct Reads {
    /// All of them are on one thread, where no count comes between the two halves of another.
    is_local: bool,
    /// Results that were read, and still count as open.
    read: AtomicUsize,
    /// The feeder waits for room.
    stalled: AtomicBool,
}

impl Reads {
    pub(super) fn new(is_local: bool) -> Self {
        Self { is_local, read: AtomicUsize::new(0), stalled: AtomicBool::new(false) }
    }

    /// So many more have been read. True if somebody waits for that.
    pub(super) fn add(&self, read: usize) -> bool {
        if self.is_local {
            self.read.store(self.read.load(Relaxed) + read, Relaxed);
        } else {
            self.read.fetch_add(read, SeqCst);
        }
        self.is_stalled()
    }

    /// How many have been read since this was last asked.
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
