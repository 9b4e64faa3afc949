//! [`Readers`]: who waits for the next result of a pile.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use spinney_hub::contain;

/// Those who wait, each with a ticket. As a waker it wakes all of them, or notes to do so when
/// nobody [holds](Self::hold) it back any more: a waker is somebody else's code, which may read the
/// pile there and then.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(u64, Waker)>,
    last_ticket: u64,
    holds: usize,
    /// Somebody was woken while it was held back.
    woken: bool,
}

impl Readers {
    /// Lets `waker` be woken with the others, under a ticket of its own, which is the caller's.
    pub(crate) fn wait(&self, ticket: &mut Option<u64>, waker: &Waker) {
        let before = self.change(|state| {
            let ticket = *ticket.get_or_insert_with(|| {
                state.last_ticket += 1;
                state.last_ticket
            });
            let before = state.remove(ticket);
            state.waiting.push((ticket, waker.clone()));
            before
        });
        drop(before);
    }

    /// Forgets who waits under `ticket`.
    pub(crate) fn leave(&self, ticket: &mut Option<u64>) {
        let waker = ticket.take().map(|ticket| self.change(|state| state.remove(ticket)));
        drop(waker);
    }

    /// Wakes all.
    pub(crate) fn wake_all(&self) {
        let woken = self.change(|state| {
            state.woken = state.holds > 0;
            if state.woken { Vec::new() } else { std::mem::take(&mut state.waiting) }
        });
        wake(woken);
    }

    /// Wakes nobody before the guard is dropped: for who has the lock of the pile.
    pub(crate) fn hold(&self) -> Hold<'_> {
        self.change(|state| state.holds += 1);
        Hold { readers: self }
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// See [`Readers::hold`].
pub(crate) struct Hold<'a> {
    readers: &'a Readers,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let woken = self.readers.change(|state| {
            state.holds -= 1;
            let woken = std::mem::take(&mut state.woken);
            if woken { std::mem::take(&mut state.waiting) } else { Vec::new() }
        });
        wake(woken);
    }
}

fn wake(readers: Vec<(u64, Waker)>) {
    for (_, waker) in readers {
        contain(|| waker.wake());
    }
}

impl State {
    fn remove(&mut self, ticket: u64) -> Option<Waker> {
        let place = self.waiting.iter().position(|(other, _)| *other == ticket)?;
        Some(self.waiting.remove(place).1)
    }
}

impl Wake for Readers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}
