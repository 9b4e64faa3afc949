//! [`Collector`]: the greenlets of a set that have ended, in the order in which they did.
//!
//! A greenlet gets its place when its task ends it, and can be taken when it has also left its
//! group: so one that starts in the slot of another, and ends at once, does not overtake it.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use crate::primitive::{self, Mutex, MutexGuard};

#[derive(Default)]
pub(crate) struct Collector {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    places: VecDeque<Place>,
    /// Those who wait for one that can be taken, or for the set to be empty.
    waiting: Vec<Waker>,
}

struct Place {
    id: u64,
    /// It has left its group.
    ready: bool,
}

impl Collector {
    /// Notes that `id` has ended, and is about to leave its group.
    pub(crate) fn reserve(&self, id: u64) {
        self.lock().places.push_back(Place { id, ready: false });
    }

    /// Lets `id`, which has ended, be taken, unless it was removed meanwhile.
    pub(crate) fn publish(&self, id: u64) {
        // Most leave right after they ended: the place is among the last.
        if let Some(place) = self.lock().places.iter_mut().rfind(|place| place.id == id) {
            place.ready = true;
        }
        self.wake_all();
    }

    /// Lets `id`, which ended before it came into the set, be taken.
    pub(crate) fn add(&self, id: u64) {
        self.lock().places.push_back(Place { id, ready: true });
        self.wake_all();
    }

    /// Takes the first that has ended, if it can be taken.
    pub(crate) fn take(&self) -> Option<u64> {
        self.lock().take()
    }

    /// As [`take`](Self::take); if there is nothing to take, `cx` is woken when there may be.
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
        self.lock().places.retain(|place| place.id != id);
        self.wake_all();
    }

    /// Wakes all who wait.
    pub(crate) fn wake_all(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How many have ended and were not taken.
    pub(crate) fn len(&self) -> usize {
        self.lock().places.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        primitive::lock(&self.state)
    }
}

impl State {
    fn take(&mut self) -> Option<u64> {
        self.places.front().filter(|place| place.ready)?;
        self.places.pop_front().map(|place| place.id)
    }
}
