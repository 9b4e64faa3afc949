//! [`Barging`]: the semaphore of gevent and eventlet, made of our parts.
//!
//! It wakes who waits, but hands them nothing, so that whoever runs first gets the permit: they
//! barge in. Ours are handed over in order; this one is the recipe of `docs/migrating.md` for
//! those who rely on the other.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use spinney::Event;

/// A counter, and those who wait for it to be more than zero.
#[derive(Default)]
pub(super) struct Barging {
    counter: Cell<usize>,
    /// By their tickets.
    waiting: RefCell<BTreeMap<u64, Rc<Event>>>,
    next_ticket: Cell<u64>,
    /// How many were woken and have not run since.
    woken: Cell<usize>,
    /// Whether anybody has taken a permit, or seen one, that others had been woken for.
    barged: Cell<bool>,
    /// Wakes those who came last, for the test that this is noticed.
    last_first: bool,
}

/// A place among those who wait; dropped before its turn it passes the turn on.
struct Place<'a> {
    semaphore: &'a Barging,
    turn: Rc<Event>,
}

impl Barging {
    pub(super) fn new(counter: usize) -> Self {
        Self { counter: Cell::new(counter), ..Self::default() }
    }

    /// One that is broken: it wakes those first who came last.
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

    /// Waits until there is a permit, and leaves it.
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

    /// Waits in line until `done`; who is woken for nothing keeps their place in it.
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
