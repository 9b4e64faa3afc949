//! [`Shared`]: the permits of a semaphore, counted in one word, and the rest of its state under a
//! lock.
//!
//! While no rule or waiter concerns a newcomer, the word is *open*: permits are taken from it and
//! released to it without the lock. Taking the lock *shuts* the word, so that the count stays
//! constant for the lock's holder. Releasing the lock opens the word again, unless there are
//! waiters or the line has a rule for each permit: then all tasks use the lock, and none overtakes.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
// Not watched by models: they are set under the lock alone, and only decide which tasks take
// the lock.
use std::sync::atomic::{AtomicBool, AtomicUsize as Unwatched};
use std::task::Waker;

use super::line::{Line, PermitCounts, Want};
use crate::Event;
use crate::primitive::{self, AtomicIsize, AtomicU64, Mutex, MutexGuard, glance};

/// The state, and the operations on it that take no lock.
pub(super) struct Shared<L> {
    state: Mutex<State<L>>,
    /// Twice the balance; plus one while the word is shut.
    count: AtomicIsize,
    /// The number of permits; the part above [`MOST`] is not in the count.
    capacity: Unwatched,
    /// Tickets below this one were served.
    served_below: AtomicU64,
    closed: AtomicBool,
}

const SHUT: isize = 1;

impl<L: Line> Shared<L> {
    pub(super) fn new(state: State<L>) -> Self {
        let shared = Self {
            count: AtomicIsize::new(SHUT),
            capacity: Unwatched::new(0),
            served_below: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            state: Mutex::new(state),
        };
        // Dropping the guard opens the word.
        drop(shared.lock());
        shared
    }

    /// Takes the lock, and shuts the word.
    pub(super) fn lock(&self) -> Locked<'_, L> {
        let mut state = primitive::lock(&self.state);
        if state.left_open {
            let count = self.count.fetch_or(SHUT, AcqRel);
            state.set_balance(count >> 1);
        }
        Locked { shared: self, state }
    }

    /// Takes permits without the lock; returns `false` if the lock is needed to decide.
    pub(super) fn try_take(&self, permits: usize) -> bool {
        self.try_count(|balance| {
            let permits = isize::try_from(permits).ok()?;
            (permits <= balance).then(|| balance - permits)
        })
    }

    /// Releases permits without the lock; returns `false` if the lock is needed to decide.
    ///
    /// The capacity may change between the two loads. Permits that are out are counted right in any
    /// case; a release of more than are out may go through that the lock would have recorded.
    pub(super) fn try_give_back(&self, permits: usize) -> bool {
        self.try_count(|balance| {
            let balance = balance.checked_add(isize::try_from(permits).ok()?)?;
            (balance <= signed(self.capacity()).min(MOST)).then_some(balance)
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

    /// Whether `ticket`, which has not left, was served; `false` may be out of date.
    pub(super) fn is_served(&self, ticket: u64) -> bool {
        ticket < self.served_below.load(Acquire)
    }

    /// Publishes that all tickets below this one were served; called under the lock.
    pub(super) fn set_served_below(&self, ticket: u64) {
        self.served_below.store(ticket, Release);
    }

    /// The number of free permits minus the number of waiters.
    pub(super) fn balance(&self) -> isize {
        let (count, capacity) = (self.count.load(Acquire), signed(self.capacity()));
        let (balance, is_shut) = (count >> 1, count & SHUT == SHUT);
        // While the word is open, all permits that are out are in the count.
        if is_shut && (capacity > MOST / 2 || balance < -MOST / 2) {
            return self.locked_balance();
        }
        balance + (capacity - MOST).max(0)
    }

    #[cold]
    fn locked_balance(&self) -> isize {
        self.lock().balance()
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity.load(Relaxed)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }
}

/// The state under its lock. Dropping it publishes the count.
pub(super) struct Locked<'a, L: Line> {
    shared: &'a Shared<L>,
    state: MutexGuard<'a, State<L>>,
}

impl<L: Line> Drop for Locked<'_, L> {
    fn drop(&mut self) {
        let (shared, state) = (self.shared, &mut *self.state);
        if state.closed {
            shared.closed.store(true, Release);
        }
        shared.capacity.store(state.capacity, Relaxed);
        state.left_open = state.is_open();
        let shut = if state.left_open { 0 } else { SHUT };
        shared.count.store(state.counted_balance() << 1 | shut, Release);
    }
}

impl<L: Line> Deref for Locked<'_, L> {
    type Target = State<L>;

    fn deref(&self) -> &State<L> {
        &self.state
    }
}

impl<L: Line> DerefMut for Locked<'_, L> {
    fn deref_mut(&mut self) -> &mut State<L> {
        &mut self.state
    }
}

/// The most permits, and the most waiters, that are counted without the lock. Only the capacity of
/// a semaphore without a limit is above it.
const MOST: isize = isize::MAX >> 2;

pub(super) struct State<L> {
    pub(super) capacity: usize,
    /// Permits that are held, or handed to a waiter that has not run yet.
    pub(super) out: usize,
    pub(super) line: L,
    pub(super) closed: bool,
    /// Whether the capacity stays the same when more permits are released than are out.
    pub(super) fixed: bool,
    /// Set when the semaphore becomes idle; `Some` if a task waits for that. Each time has its own
    /// event, so that no waiter sees an earlier one.
    pub(super) idle: Option<Arc<Event>>,
    /// Whether permits are taken and released without the lock.
    pub(super) left_open: bool,
}

impl<L: Line> State<L> {
    pub(super) fn new(capacity: usize, fixed: bool, line: L) -> Self {
        Self { capacity, out: 0, line, closed: false, fixed, idle: None, left_open: false }
    }

    /// Hands a newcomer its permits without a place in the line, if it may have them.
    pub(super) fn admit(&mut self, want: &Want<L::Request>, ticket: &mut Option<u64>) -> bool {
        let room = self.room();
        let is_served = self.line.admit(want, room, ticket);
        if is_served {
            self.out += want.permits;
        }
        is_served
    }

    /// Whether this request is refused because of a close.
    pub(super) fn refuses(&self, want: &Want<L::Request>) -> bool {
        self.closed && !want.despite_close
    }

    #[track_caller]
    pub(super) fn put_back(&mut self, permits: usize) {
        assert!(permits <= self.out, "{permits} permits given back, {} are out", self.out);
        self.out -= permits;
    }

    /// Releases permits. Those beyond the permits that are out add to the capacity, unless it is
    /// fixed.
    pub(super) fn give_back(&mut self, permits: usize) {
        let kept = self.out.checked_sub(permits);
        if kept.is_none() && !self.fixed {
            self.capacity = self.capacity.saturating_add(permits - self.out);
        }
        self.out = kept.unwrap_or(0);
    }

    /// Hands the next waiter its permits, if they are free.
    pub(super) fn serve(&mut self) -> Option<Waker> {
        let (permits, waker) = self.line.serve(self.room())?;
        self.out += permits;
        Some(waker)
    }

    pub(super) fn may_serve(&mut self) -> bool {
        let room = self.room();
        self.line.may_serve(room)
    }

    /// Whether released permits concern another task.
    pub(super) fn concerns_others(&mut self) -> bool {
        self.idle.is_some() || self.may_serve()
    }

    fn room(&self) -> PermitCounts {
        PermitCounts { capacity: self.capacity, free: self.free() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.out == 0 && self.line.len() == 0
    }

    pub(super) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.out)
    }

    pub(super) fn available(&self) -> isize {
        signed(self.capacity) - signed(self.out)
    }

    /// How many more permits can be out, minus the number of waiters.
    pub(super) fn balance(&self) -> isize {
        self.available().saturating_sub(signed(self.line.len()))
    }

    /// The event that is set when the semaphore becomes idle; `None` if it is.
    pub(super) fn idle(&mut self) -> Option<Arc<Event>> {
        (!self.is_idle()).then(|| Arc::clone(self.idle.get_or_insert_default()))
    }

    /// Whether a newcomer may take a free permit, and a permit may be released without a wake-up.
    pub(super) fn is_open(&self) -> bool {
        let concerns_no_task = self.line.is_open() && self.idle.is_none() && !self.closed;
        concerns_no_task && signed(self.out) <= MOST
    }

    /// The capacity, as far as it is counted without the lock.
    fn counted_capacity(&self) -> isize {
        signed(self.capacity).min(MOST)
    }

    /// How many more permits can be out, as far as is counted, minus the number of waiters.
    pub(super) fn counted_balance(&self) -> isize {
        self.counted_capacity() - signed(self.out).min(MOST) - signed(self.line.len())
    }

    /// Counts the permits that were taken and released while the word was open.
    pub(super) fn set_balance(&mut self, balance: isize) {
        self.out = usize::try_from(self.counted_capacity() - balance).unwrap_or(0);
    }
}

/// `count`, or [`isize::MAX`] if that is smaller.
fn signed(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}
