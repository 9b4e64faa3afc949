//! [`Front`]: the first of a pool's queue, where threads take them one by one.
//!
//! Whoever pushes does so at the other end. So that those who take do not meet them there, and each
//! other, for each piece of work, a thread that finds the front empty moves a handful there.
//!
//! The front gets something only under the lock of the state, which knows how much is there at the
//! most, and which is taken first. So whoever has that, and knows the front to be empty, has the
//! whole queue.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::state::State;
use crate::apart::Apart;
use crate::work::Work;

/// How much is moved at a time. What is void is not swept from here, so it is no more than what is
/// not worth sweeping.
const HANDFUL: usize = 64;

pub(super) struct Front(Apart<Mutex<VecDeque<Arc<dyn Work>>>>);

impl Front {
    pub(super) fn new() -> Self {
        Self(Apart(Mutex::default()))
    }

    /// Takes the first, if there is any here.
    pub(super) fn pop(&self) -> Option<Arc<dyn Work>> {
        self.lock().pop_front()
    }

    /// Takes the first of the whole queue.
    pub(super) fn pop_of(&self, state: &mut State) -> Option<Arc<dyn Work>> {
        if state.in_front > 0 {
            let mut front = self.lock();
            let work = front.pop_front();
            state.in_front = front.len();
            if work.is_some() {
                return work;
            }
        }
        let work = state.queue.pop_front();
        if !state.queue.is_empty() {
            state.in_front = state.queue.len().min(HANDFUL);
            self.lock().extend(state.queue.drain(..state.in_front));
        }
        work
    }

    /// Tells the state how much is here.
    pub(super) fn count(&self, state: &mut State) {
        if state.in_front > 0 {
            state.in_front = self.lock().len();
        }
    }

    /// Puts all back into the queue: who wants some has to ask the state again.
    pub(super) fn recall(&self, state: &mut State) {
        state.in_front = 0;
        let mut front = self.lock();
        while let Some(last) = front.pop_back() {
            state.queue.push_front(last);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<dyn Work>>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
