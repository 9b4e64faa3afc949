//! [`Inbox`]: the turns that other threads queue for a hub that stays on its thread.
//!
//! Every task of a hub refers to the inbox, because its wakers may go to any thread. There is no
//! reference count: an inbox is never freed, but returned with its hub, and reused by a later one.
//! So there are as many as hubs existed at the same time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use spinney_sync::WakeFlag;

use crate::BoxTask;

/// A ready task; it refers to the hub's inbox.
pub(crate) type Runnable = async_task::Runnable<&'static Inbox>;

/// An entry of the run queue.
pub(crate) enum Turn {
    /// The future of [`LocalHub::block_on`].
    Main,
    Task(Runnable),
    /// A future that another thread spawned; it becomes a task when its turn comes.
    Spawn(BoxTask),
}

/// Inboxes without a hub.
static FREE: Mutex<Vec<&'static Inbox>> = Mutex::new(Vec::new());

#[derive(Default)]
pub(crate) struct Inbox {
    /// Whether `state` has turns; checked once a batch. Set under the lock: a hub that takes the
    /// flag gets the lock after the turn was added. Whether the hub may sleep is decided by
    /// `state`.
    filled: WakeFlag,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many hubs have used it before.
    generation: u64,
    turns: Vec<Turn>,
    /// Wakes the hub's thread; `Some` while it sleeps.
    sleeper: Option<Waker>,
}

impl Inbox {
    /// Returns an inbox for a new hub, and its generation.
    pub(crate) fn acquire() -> (&'static Self, u64) {
        let free = lock(&FREE).pop();
        let inbox = free.unwrap_or_else(|| Box::leak(Box::default()));
        let generation = lock(&inbox.state).generation;
        (inbox, generation)
    }

    /// Returns the inbox after its hub and all tasks are gone.
    pub(crate) fn release(&'static self) {
        let mut state = lock(&self.state);
        state.generation += 1;
        let left = (std::mem::take(&mut state.turns), state.sleeper.take());
        drop(state);
        drop(left);
        lock(&FREE).push(self);
    }

    /// Not for the hub's own thread, which has a shorter path.
    #[inline(never)]
    pub(crate) fn push(&self, turn: Turn) {
        self.add(lock(&self.state), turn);
    }

    /// Like [`push`](Self::push), if the hub may be gone: drops `turn` unless the inbox still
    /// belongs to the hub of `generation`.
    pub(crate) fn push_if(&self, generation: u64, turn: Turn) {
        let state = lock(&self.state);
        if state.generation == generation {
            self.add(state, turn);
        } else {
            drop(state);
            drop(turn);
        }
    }

    fn add(&self, mut state: MutexGuard<'_, State>, turn: Turn) {
        state.turns.push(turn);
        self.filled.set();
        let sleeper = state.sleeper.take();
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// Whether there may be turns.
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.is_set()
    }

    /// Moves all turns to the end of `queue`.
    pub(crate) fn empty_into(&self, queue: &mut VecDeque<Turn>) {
        if self.filled.take() {
            queue.extend(lock(&self.state).turns.drain(..));
        }
    }

    /// Registers `waker` for the next turn; `false` if there are turns already.
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
