//! [`Barging`]: gevent's and eventlet's semaphores, whose waiters are woken but not handed a
//! permit, so that whoever runs may get in first. Ours hand it over.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use spinney::Event;

/// A counter, and those who wait for it to be more than zero.
pub(super) struct Barging {
    counter: Cell<usize>,
    waiting: RefCell<VecDeque<Rc<Event>>>,
}

/// A place among those who wait; dropped before its turn it passes the turn on.
struct Place<'a> {
    semaphore: &'a Barging,
    turn: Rc<Event>,
}

impl Barging {
    pub(super) fn new(counter: usize) -> Self {
        Self { counter: Cell::new(counter), waiting: RefCell::default() }
    }

    pub(super) fn counter(&self) -> usize {
        self.counter.get()
    }

    /// The counter less one for each who waits.
    pub(super) fn balance(&self) -> isize {
        self.counter.get().cast_signed() - self.waiting.borrow().len().cast_signed()
    }

    pub(super) fn try_acquire(&self) -> bool {
        let free = self.counter.get() > 0;
        self.counter.set(self.counter.get() - usize::from(free));
        free
    }

    pub(super) async fn acquire(&self) {
        while !self.try_acquire() {
            self.turn().await;
        }
    }

    /// Waits until there is one, and leaves it.
    pub(super) async fn wait(&self) {
        while self.counter.get() == 0 {
            self.turn().await;
        }
        self.wake();
    }

    pub(super) fn release(&self) {
        self.counter.set(self.counter.get() + 1);
        self.wake();
    }

    async fn turn(&self) {
        let place = Place { semaphore: self, turn: Rc::default() };
        self.waiting.borrow_mut().push_back(Rc::clone(&place.turn));
        place.turn.wait().await;
    }

    fn wake(&self) {
        let free = self.counter.get();
        let woken: Vec<_> = {
            let mut waiting = self.waiting.borrow_mut();
            let count = free.min(waiting.len());
            waiting.drain(..count).collect()
        };
        woken.iter().for_each(|turn| turn.set());
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.semaphore.waiting.borrow_mut();
        let before = waiting.len();
        waiting.retain(|turn| !Rc::ptr_eq(turn, &self.turn));
        let was_woken = waiting.len() == before;
        drop(waiting);
        if was_woken {
            self.semaphore.wake();
        }
    }
}
