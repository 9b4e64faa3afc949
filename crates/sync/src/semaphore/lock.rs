//! [`Shared`]: the count of a semaphore, in one word, and the rest of its state behind a lock.
//!
//! While nothing stands in the way of a newcomer, the word is *open*: permits are taken from it and
//! given back to it without the lock. Whoever takes the lock *shuts* it, and so knows that the
//! count stands still. It is opened again with the lock, unless somebody waits by then: while
//! anybody does, all go by way of the lock, and nobody overtakes.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
// Not watched by models: they are set under the lock alone, and decide nothing but who asks for it.
use std::sync::atomic::{AtomicBool, AtomicIsize as Unwatched};

use super::state::{MOST, State, signed};
use crate::primitive::{self, AtomicIsize, AtomicU64, Mutex, MutexGuard, glance};

/// The state, and what can be asked of it and done to it without the lock.
pub(super) struct Shared {
    state: Mutex<State>,
    /// The balance, times two; one more while it is shut.
    count: AtomicIsize,
    /// How many permits there are; what is above `MOST` is not in the count.
    capacity: Unwatched,
    /// Tickets below this one have been served.
    served_below: AtomicU64,
    closed: AtomicBool,
}

const SHUT: isize = 1;

impl Shared {
    pub(super) fn new(state: State) -> Self {
        let shared = Self {
            count: AtomicIsize::new(SHUT),
            capacity: Unwatched::new(0),
            served_below: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            state: Mutex::new(state),
        };
        // Dropping it opens the count.
        drop(shared.lock());
        shared
    }

    /// Takes the lock, and shuts the count.
    pub(super) fn lock(&self) -> Locked<'_> {
        let mut state = primitive::lock(&self.state);
        if state.left_open {
            let count = self.count.fetch_or(SHUT, AcqRel);
            state.set_balance(count >> 1);
        }
        Locked { shared: self, state }
    }

    /// Takes permits without the lock; false if that is for one who has the lock to decide.
    pub(super) fn try_take(&self, permits: usize) -> bool {
        self.try_count(|balance| {
            let permits = isize::try_from(permits).ok()?;
            (permits <= balance).then(|| balance - permits)
        })
    }

    /// Gives permits back without the lock; false if that is for one who has the lock to decide.
    ///
    /// The capacity may have changed between the two looks. Permits that are out are counted right
    /// all the same; of others one may get by that the lock would have told.
    pub(super) fn try_give_back(&self, permits: usize) -> bool {
        self.try_count(|balance| {
            let balance = balance.checked_add(isize::try_from(permits).ok()?)?;
            (balance <= self.capacity.load(Relaxed).min(MOST)).then_some(balance)
        })
    }

    fn try_count(&self, change: impl Fn(isize) -> Option<isize>) -> bool {
        let mut count = glance(&self.count);
        while count & SHUT == 0 {
            let Some(balance) = change(count >> 1) else { return false };
            match self.count.compare_exchange_weak(count, balance << 1, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(now) => count = now,
            }
        }
        false
    }

    /// Whether `ticket`, which has not given up, was served; false may be out of date.
    pub(super) fn is_served(&self, ticket: u64) -> bool {
        ticket < self.served_below.load(Acquire)
    }

    /// Says that all tickets below this one have been served; with the lock.
    pub(super) fn set_served_below(&self, ticket: u64) {
        self.served_below.store(ticket, Release);
    }

    /// How many permits are free, less the number of waiters.
    pub(super) fn balance(&self) -> isize {
        let (count, capacity) = (self.count.load(Acquire), self.capacity.load(Relaxed));
        let (balance, is_shut) = (count >> 1, count & SHUT == SHUT);
        // While it is open all that are out are in the count.
        if is_shut && (capacity > MOST / 2 || balance < -MOST / 2) {
            return self.lock().balance();
        }
        balance + (capacity - MOST).max(0)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }
}

/// The state under its lock. Dropping it lets the others see how things stand.
pub(super) struct Locked<'a> {
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let (shared, state) = (self.shared, &mut *self.state);
        if state.closed {
            shared.closed.store(true, Release);
        }
        shared.capacity.store(signed(state.capacity), Relaxed);
        state.left_open = state.is_open();
        let shut = if state.left_open { 0 } else { SHUT };
        shared.count.store(state.counted_balance() << 1 | shut, Release);
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}
