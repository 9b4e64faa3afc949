//! [`State`]: the permits of a semaphore, counted.

use std::sync::Arc;
use std::task::Waker;

use crate::waiters::Waiters;
use crate::{Event, TryAcquireError};

/// What is counted at most without the lock, of permits and of those who wait. Only the capacity of
/// a semaphore without a limit is beyond it.
pub(super) const MOST: isize = isize::MAX >> 2;

pub(super) struct State {
    pub(super) capacity: usize,
    /// Permits that are held, or handed to a waiter that has yet to run.
    pub(super) out: usize,
    /// Who waits, and for how many permits.
    pub(super) waiters: Waiters<usize>,
    pub(super) closed: bool,
    /// Whether the capacity stays as it is when more comes back than is out.
    pub(super) fixed: bool,
    /// Set when the semaphore becomes idle; there if anybody waits for that. Each time has its
    /// own, so that nobody is told of one that was before they asked.
    pub(super) idle: Option<Arc<Event>>,
    /// Whether permits are taken and given back without the lock.
    pub(super) left_open: bool,
}

impl State {
    pub(super) fn new(capacity: usize, fixed: bool) -> Self {
        let waiters = Waiters::default();
        Self { capacity, out: 0, waiters, closed: false, fixed, idle: None, left_open: false }
    }

    pub(super) fn take(&mut self, permits: usize) -> Result<(), TryAcquireError> {
        if self.closed {
            return Err(TryAcquireError::Closed);
        }
        if permits > self.free() || !self.waiters.is_empty() {
            return Err(TryAcquireError::WouldBlock);
        }
        self.out += permits;
        Ok(())
    }

    #[track_caller]
    pub(super) fn put_back(&mut self, permits: usize) {
        assert!(permits <= self.out, "{permits} permits given back, {} are out", self.out);
        self.out -= permits;
    }

    /// Takes back permits of which more may come than are out: those add to the capacity, unless
    /// it is fixed.
    pub(super) fn give_back(&mut self, permits: usize) {
        let kept = self.out.checked_sub(permits);
        if kept.is_none() && !self.fixed {
            self.capacity = self.capacity.saturating_add(permits - self.out);
        }
        self.out = kept.unwrap_or(0);
    }

    /// Hands the first in the queue what they want, if it is there.
    pub(super) fn admit(&mut self) -> Option<Waker> {
        let free = self.free();
        let waiter = self.waiters.pop_if(|wanted| *wanted <= free)?;
        self.out += waiter.want;
        Some(waiter.waker)
    }

    pub(super) fn may_admit(&mut self) -> bool {
        let free = self.free();
        self.waiters.first().is_some_and(|wanted| *wanted <= free)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.out == 0 && self.waiters.is_empty()
    }

    pub(super) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.out)
    }

    pub(super) fn available(&self) -> isize {
        signed(self.capacity) - signed(self.out)
    }

    /// How many more permits could be out, less the number of waiters.
    pub(super) fn balance(&self) -> isize {
        self.available().saturating_sub(signed(self.waiters.len()))
    }

    /// Set when the semaphore becomes idle; None if it is.
    pub(super) fn idle(&mut self) -> Option<Arc<Event>> {
        (!self.is_idle()).then(|| Arc::clone(self.idle.get_or_insert_default()))
    }

    /// Whether a newcomer may take what is free, and who gives back need tell nobody.
    pub(super) fn is_open(&self) -> bool {
        let concerns_nobody = self.waiters.is_empty() && self.idle.is_none() && !self.closed;
        concerns_nobody && signed(self.out) <= MOST
    }

    /// The capacity, as far as it is counted without the lock.
    fn counted_capacity(&self) -> isize {
        signed(self.capacity).min(MOST)
    }

    /// How many more permits could be out, as far as is counted, less the number of waiters.
    pub(super) fn counted_balance(&self) -> isize {
        self.counted_capacity() - signed(self.out).min(MOST) - signed(self.waiters.len())
    }

    /// Counts what was taken and given back while this was open.
    pub(super) fn set_balance(&mut self, balance: isize) {
        self.out = usize::try_from(self.counted_capacity() - balance).unwrap_or(0);
    }
}

/// `count`, or the largest number if that is smaller.
pub(super) fn signed(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}
