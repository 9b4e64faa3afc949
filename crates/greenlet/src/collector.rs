//! [`Collector`]: the finished greenlets of a set, in the order in which they finished.
//!
//! A greenlet gets its place when its task finishes, and can be taken once it has also left its
//! group: so a greenlet that starts in the slot of another and finishes immediately does not
//! overtake it.

use std::collections::BTreeMap;
use std::task::{Context, Waker};

use spinney_sync::wake_all;

use crate::primitive::{self, Mutex, MutexGuard};

#[derive(Default)]
pub(crate) struct Collector {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Ordered by their number.
    places: BTreeMap<u64, Place>,
    /// The number of each greenlet's place.
    numbers: BTreeMap<u64, u64>,
    next: u64,
    /// The wakers of the tasks that wait for a greenlet to take, or for the set to be empty.
    waiting: Vec<Waker>,
}

struct Place {
    id: u64,
    /// The greenlet has left its group.
    ready: bool,
}

impl Collector {
    /// Records that `id` has finished and is about to leave its group. It keeps the place that it
    /// has: a greenlet that fails has finished already while its result links are called, and
    /// reserves its places after them.
    pub(crate) fn reserve(&self, id: u64) {
        let mut state = self.lock();
        if !state.numbers.contains_key(&id) {
            state.append(id, false);
        }
    }

    /// Makes `id`, which has finished, available to `take`, unless it was removed meanwhile.
    pub(crate) fn publish(&self, id: u64) {
        let mut state = self.lock();
        let number = state.numbers.get(&id).copied();
        if let Some(place) = number.and_then(|number| state.places.get_mut(&number)) {
            place.ready = true;
        }
        drop(state);
        self.wake_all();
    }

    /// Adds `id`, which had finished before it came into the set.
    pub(crate) fn add(&self, id: u64) {
        self.lock().append(id, true);
        self.wake_all();
    }

    /// Takes the greenlet that finished first, if it has left its group.
    pub(crate) fn take(&self) -> Option<u64> {
        self.lock().take()
    }

    /// Like [`take`](Self::take), but registers the waker of `cx` if there is nothing to take yet.
    pub(crate) fn take_or_wait(&self, cx: &Context<'_>) -> Option<u64> {
        let mut state = self.lock();
        let taken = state.take();
        if taken.is_none() && !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        taken
    }

    /// Forgets `id`.
    pub(crate) fn remove(&self, id: u64) {
        self.lock().remove(id);
        self.wake_all();
    }

    /// Wakes all waiters.
    pub(crate) fn wake_all(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        wake_all(waiting);
    }

    /// How many have finished and were not taken.
    pub(crate) fn len(&self) -> usize {
        self.lock().places.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        primitive::lock(&self.state)
    }
}

impl State {
    fn append(&mut self, id: u64, ready: bool) {
        self.places.insert(self.next, Place { id, ready });
        self.numbers.insert(id, self.next);
        self.next += 1;
    }

    fn take(&mut self) -> Option<u64> {
        let first = self.places.first_entry().filter(|first| first.get().ready)?;
        let Place { id, .. } = first.remove();
        self.numbers.remove(&id);
        Some(id)
    }

    fn remove(&mut self, id: u64) {
        if let Some(number) = self.numbers.remove(&id) {
            self.places.remove(&number);
        }
    }
}
