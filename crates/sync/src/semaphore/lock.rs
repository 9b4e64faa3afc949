//! [`Locked`]: the state of a semaphore while somebody looks at it or changes it.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::{Acquire, Release};
// Not watched by models: it is written under the lock alone, and decides nothing here.
use std::sync::atomic::{AtomicBool, AtomicIsize};

use super::state::State;
use crate::primitive::{self, Mutex, MutexGuard};

/// The state, and what can be asked of it without the lock.
pub(super) struct Shared {
    state: Mutex<State>,
    balance: AtomicIsize,
    closed: AtomicBool,
}

impl Shared {
    pub(super) fn new(state: State) -> Self {
        let balance = AtomicIsize::new(state.balance());
        Self { state: Mutex::new(state), balance, closed: AtomicBool::new(false) }
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked { shared: self, state: primitive::lock(&self.state) }
    }

    /// What the last to have the lock left.
    pub(super) fn balance(&self) -> isize {
        self.balance.load(Acquire)
    }

    /// As [`balance`](Self::balance).
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
        self.shared.balance.store(self.state.balance(), Release);
        self.shared.closed.store(self.state.closed, Release);
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
