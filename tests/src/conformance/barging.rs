//! [`Barging`]: the semaphore of gevent and eventlet, built from our parts.
//!
//! It wakes waiters without handing them a permit, so the first task to run takes the permit: tasks
//! barge in. Our semaphores hand permits over in order; this one is the recipe of
//! `docs/migrating.md` for code that relies on barging.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use spinney::Event;

/// A counter, and the waiters for it to be above zero.
#[derive(Default)]
pub(super) struct Barging {
    counter: Cell<usize>,
    /// Ordered by their tickets.
    waiting: RefCell<BTreeMap<u64, Rc<Event>>>,
    next_ticket: Cell<u64>,
    /// How many were woken and have not run since.
    woken: Cell<usize>,
    /// Whether a permit was taken, or seen, that others had been woken for.
    barged: Cell<bool>,
    /// Wakes the last waiter first, for the test that this is detected.
    last_first: bool,
}

/// A place among the waiters; dropped before its turn it passes the turn on.
struct Place<'a> {
    semaphore: &'a Barging,
    turn: Rc<Event>,
}

impl Barging {
    pub(super) fn new(counter: usize) -> Self {
        Self { counter: Cell::new(counter), ..Self::default() }
    }

    /// A broken semaphore: it wakes the last waiter first.
    pub(super) fn last_first(counter: usize) -> Self {
        Self { last_first: true, ..Self::new(counter) }
    }

    pub(super) fn has_barged(&self) -> bool {
        self.barged.get()
    }

    pub(super) fn counter(&self) -> usize {
        self.notice(self.woken.get() > 0);
        self.counter.get()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// `acquire(blocking=False)`.
    pub(super) fn try_acquire(&self) -> bool {
        self.notice(self.waiting() + self.woken.get() > 0);
        self.take()
    }

    pub(super) async fn acquire(&self) {
        if !self.try_acquire() {
            self.wait_to(|| self.take()).await;
        }
    }

    /// Waits until there is a permit, and does not take it.
    pub(super) async fn wait(&self) {
        if self.counter() == 0 {
            self.wait_to(|| self.counter.get() > 0).await;
        }
    }

    pub(super) fn release(&self) {
        self.counter.set(self.counter.get() + 1);
        self.wake();
    }

    fn take(&self) -> bool {
        let left = self.counter.get().checked_sub(1);
        self.counter.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Waits in line until `done`; a spurious wake-up keeps the place in line.
    async fn wait_to(&self, done: impl Fn() -> bool) {
        let ticket = self.next_ticket.replace(self.next_ticket.get() + 1);
        loop {
            let place = Place { semaphore: self, turn: Rc::default() };
            self.waiting.borrow_mut().insert(ticket, Rc::clone(&place.turn));
            place.turn.wait().await;
            if done() {
                return;
            }
        }
    }

    fn wake(&self) {
        loop {
            let mut waiting = self.waiting.borrow_mut();
            if self.counter.get() <= self.woken.get() {
                return;
            }
            let next = if self.last_first { waiting.pop_last() } else { waiting.pop_first() };
            let Some((_, turn)) = next else { return };
            drop(waiting);
            self.woken.set(self.woken.get() + 1);
            turn.set();
        }
    }

    fn notice(&self, others: bool) {
        if others && self.counter.get() > 0 {
            self.barged.set(true);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Barging { waiting, woken, .. } = self.semaphore;
        waiting.borrow_mut().retain(|_, turn| !Rc::ptr_eq(turn, &self.turn));
        woken.set(woken.get() - usize::from(self.turn.is_set()));
        self.semaphore.wake();
    }
}
