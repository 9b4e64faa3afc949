//! [`Readers`]: the waits for the next result of a pile.
//!
//! A result wakes one reader. A reader that takes a result wakes the next, which checks for another
//! result and notices the end of the next task. A reader that was woken and leaves without a result
//! does the same, and so does one whose waker panics. So `n` results for `n` readers cost `2n`
//! wake-ups.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use spinney_hub::contain;

/// The readers of a pile, each with a ticket. As a waker it wakes one of them, once no [`Hold`] is
/// left: a waker is foreign code, which may read the pile immediately.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    state: Mutex<State>,
}

/// The ticket of a reader, from its first wait on.
pub(crate) type Ticket = Option<u64>;

/// The ticket of the pile itself, read as a stream. It is the first in the queue. A dropped stream
/// read cannot be noticed, so a wake-up of it never counts.
pub(crate) const STREAM: u64 = 0;

#[derive(Debug, Default)]
struct State {
    /// The readers that wait and have not been woken, in FIFO order.
    waiting: BTreeMap<u64, Waker>,
    last_ticket: u64,
    holds: usize,
    /// How many to wake when the last hold is dropped.
    due: usize,
}

impl Readers {
    /// Registers `waker` for the turn of `ticket`, which the first wait draws.
    pub(crate) fn wait(&self, ticket: &mut Ticket, waker: &Waker) {
        let before = self.change(|state| {
            let ticket = *ticket.get_or_insert_with(|| {
                state.last_ticket += 1;
                state.last_ticket
            });
            state.waiting.insert(ticket, waker.clone())
        });
        drop(before);
    }

    /// Ends the wait of `ticket` with a result.
    pub(crate) fn served(&self, ticket: &mut Ticket) {
        let waker = ticket.take().map(|ticket| self.change(|state| state.waiting.remove(&ticket)));
        drop(waker);
        self.wake_some(1);
    }

    /// Ends the wait of `ticket` without a result.
    pub(crate) fn leave(&self, ticket: &mut Ticket) {
        let Some(ticket) = ticket.take() else { return };
        let waiting = self.change(|state| state.waiting.remove(&ticket));
        if waiting.is_none() {
            self.wake_some(1);
        }
    }

    /// Wakes at most `count` readers.
    pub(crate) fn wake_some(&self, count: usize) {
        self.wake_due(|state| state.due = state.due.saturating_add(count));
    }

    /// Defers wake-ups until the guard is dropped: for the duration of the pile's lock.
    pub(crate) fn hold(&self) -> Hold<'_> {
        self.change(|state| state.holds += 1);
        Hold { readers: self }
    }

    /// Changes the state, and wakes the readers that are due then. A reader whose waker panics may
    /// never check: the next is woken instead.
    fn wake_due(&self, change: impl FnOnce(&mut State)) {
        let mut woken = self.change(|state| {
            change(state);
            state.take_due()
        });
        while !woken.is_empty() {
            let failed = woken.drain(..).filter_map(failed).count();
            woken = self.change(|state| {
                state.due = state.due.saturating_add(failed);
                state.take_due()
            });
        }
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
        self.readers.wake_due(|state| state.holds -= 1);
    }
}

/// Wakes `waker`; `Some` if it panics.
fn failed(waker: Waker) -> Option<()> {
    let mut failed = Some(());
    contain(|| {
        waker.wake();
        failed = None;
    });
    failed
}

impl State {
    /// The wakers of the readers to wake now.
    fn take_due(&mut self) -> Vec<Waker> {
        if self.holds > 0 || self.due == 0 {
            return Vec::new();
        }
        let due = mem::take(&mut self.due);
        let stream = self.waiting.remove(&STREAM);
        let first = std::iter::from_fn(|| Some(self.waiting.pop_first()?.1));
        stream.into_iter().chain(first.take(due)).collect()
    }
}

impl Wake for Readers {
    fn wake(self: Arc<Self>) {
        self.wake_some(1);
    }
}
