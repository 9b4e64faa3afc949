//! [`Gate`]: holds closures up until a test lets them through.

use std::sync::{Arc, Condvar, Mutex};

/// A cheap handle.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    open: bool,
    /// How many have come to the gate so far, and how many stand before it.
    came: usize,
    waiting: usize,
    /// The most that have stood before it at once.
    most: usize,
}

impl Gate {
    /// Waits until it is open.
    pub(crate) fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.came += 1;
        state.waiting += 1;
        state.most = state.most.max(state.waiting);
        changed.notify_all();
        state = changed.wait_while(state, |state| !state.open).unwrap();
        state.waiting -= 1;
    }

    pub(crate) fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().open = true;
        changed.notify_all();
    }

    /// Blocks this thread until `count` have come.
    pub(crate) fn wait_for(&self, count: usize) {
        let (state, changed) = &*self.0;
        drop(changed.wait_while(state.lock().unwrap(), |state| state.came < count).unwrap());
    }

    /// How many have come so far, and the most that have stood before it at once.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.0.0.lock().unwrap();
        (state.came, state.most)
    }
}
