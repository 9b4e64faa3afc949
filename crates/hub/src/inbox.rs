//! [`Inbox`]: what other threads have for a hub that stays on its own.
//!
//! Every task of a hub knows its inbox, for its wakers may go anywhere. None of them counts: an
//! inbox is never freed, but given back with its hub, and rented out to one that is made later. So
//! there are as many as there were hubs at a time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use spinney_sync::WakeFlag;

use crate::local::Turn;

/// A task of a hub, ready to run; it knows the hub's inbox.
pub(crate) type Runnable = async_task::Runnable<&'static Inbox>;

/// Those that have no hub now.
static FREE: Mutex<Vec<&'static Inbox>> = Mutex::new(Vec::new());

#[derive(Default)]
pub(crate) struct Inbox {
    /// Whether `state` has turns; looked at once a batch. Set under the lock: a hub that takes it
    /// gets the lock after the turn has come in. Whether the hub may sleep is decided by `state`.
    filled: WakeFlag,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    turns: Vec<Turn>,
    /// Wakes the hub's thread; there while it sleeps.
    sleeper: Option<Waker>,
}

impl Inbox {
    /// One for a new hub.
    pub(crate) fn rent() -> &'static Self {
        let free = lock(&FREE).pop();
        free.unwrap_or_else(|| Box::leak(Box::default()))
    }

    /// The hub is gone, and its tasks are.
    pub(crate) fn give_back(&'static self) {
        let left = std::mem::take(&mut *lock(&self.state));
        drop(left);
        lock(&FREE).push(self);
    }

    /// Not for the hub's own thread, whose way past it is to be short.
    #[inline(never)]
    pub(crate) fn push(&self, turn: Turn) {
        let mut state = lock(&self.state);
        state.turns.push(turn);
        self.filled.set();
        let sleeper = state.sleeper.take();
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// Whether there may be anything.
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.is_set()
    }

    /// Moves what is there to the end of `queue`.
    pub(crate) fn empty_into(&self, queue: &mut VecDeque<Turn>) {
        if self.filled.take() {
            queue.extend(lock(&self.state).turns.drain(..));
        }
    }

    /// Has `waker` woken by the next who comes; false if somebody has come already.
    pub(crate) fn fall_asleep(&self, waker: &Waker) -> bool {
        let mut state = lock(&self.state);
        let may_sleep = state.turns.is_empty();
        if may_sleep {
            state.sleeper = Some(waker.clone());
        }
        may_sleep
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
