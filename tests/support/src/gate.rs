//! [`Gate`]: blocks threads until a test opens it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A gate for threads, closed at first. Clones share the gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    open: bool,
    /// How many threads have arrived at the gate so far, and how many wait there.
    came: usize,
    waiting: usize,
    /// The largest number that have waited there.
    most: usize,
}

impl Gate {
    /// Blocks this thread until the gate is open.
    pub fn pass(&self) {
        let mut state = self.lock();
        state.came += 1;
        state.waiting += 1;
        state.most = state.most.max(state.waiting);
        self.0.1.notify_all();
        state = self.wait_while(state, |state| !state.open);
        state.waiting -= 1;
    }

    /// Opens the gate permanently.
    pub fn open(&self) {
        self.lock().open = true;
        self.0.1.notify_all();
    }

    /// Blocks this thread until `count` threads have arrived.
    pub fn wait_for(&self, count: usize) {
        drop(self.wait_while(self.lock(), |state| state.came < count));
    }

    /// Returns how many threads have arrived so far, and the largest number that waited.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.came, state.most)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        condition: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.0.1.wait_while(state, condition).unwrap_or_else(PoisonError::into_inner)
    }
}
