//! [`VirtualClock`]: time that passes only when the hub advances it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use spinney_hub::TimeSource;

pub(crate) struct VirtualClock {
    state: Mutex<State>,
}

struct State {
    start: Instant,
    now: Instant,
    next_key: u64,
    /// Ordered by time, then by the order in which they were set.
    alarms: BTreeMap<(Instant, u64), Waker>,
    times: BTreeMap<u64, Instant>,
}

impl VirtualClock {
    pub(crate) fn new() -> Self {
        let start = Instant::now();
        let (alarms, times) = (BTreeMap::new(), BTreeMap::new());
        Self { state: Mutex::new(State { start, now: start, next_key: 0, alarms, times }) }
    }

    /// How much time has passed.
    pub(crate) fn elapsed(&self) -> Duration {
        let state = self.lock();
        state.now - state.start
    }

    /// Jumps to the next alarm and rings all that are due then; `false` if none is set.
    pub(crate) fn jump(&self) -> bool {
        let next = self.lock().alarms.keys().next().map(|(at, _)| *at);
        next.map(|at| self.advance_to(at)).is_some()
    }

    /// Advances by `duration`, and rings the alarms that become due.
    pub(crate) fn advance(&self, duration: Duration) {
        let now = self.lock().now;
        self.advance_to(
            now.checked_add(duration).expect("the time is beyond the range of the clock"),
        );
    }

    /// Jumps to the next alarm and returns the keys of all alarms that are due then, in the order
    /// in which they were set. None of them rings yet.
    pub(crate) fn jump_silently(&self) -> Vec<u64> {
        let mut state = self.lock();
        let Some((at, _)) = state.alarms.keys().next().copied() else { return Vec::new() };
        state.now = at.max(state.now);
        let due = (state.now, u64::MAX);
        state.alarms.range(..=due).map(|((_, key), _)| *key).collect()
    }

    /// Rings the alarm `key`, unless it was cleared.
    pub(crate) fn ring(&self, key: u64) {
        let waker = self.lock().remove(key);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the alarm `key` has neither rung nor been cleared.
    pub(crate) fn is_set(&self, key: u64) -> bool {
        self.lock().times.contains_key(&key)
    }

    fn advance_to(&self, to: Instant) {
        let due = {
            let mut state = self.lock();
            let now = to.max(state.now);
            state.now = now;
            let later = state.alarms.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut state.alarms, later);
            for (_, key) in due.keys() {
                state.times.remove(key);
            }
            due
        };
        due.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, key: u64) -> Option<Waker> {
        let at = self.times.remove(&key)?;
        self.alarms.remove(&(at, key))
    }
}

impl TimeSource for VirtualClock {
    fn now(&self) -> Instant {
        self.lock().now
    }

    fn set_alarm(&self, at: Instant, waker: &Waker) -> u64 {
        let waker = waker.clone();
        let mut state = self.lock();
        let key = state.next_key;
        state.next_key += 1;
        state.alarms.insert((at, key), waker);
        state.times.insert(key, at);
        key
    }

    fn clear_alarm(&self, key: u64) {
        let mut state = self.lock();
        let waker = state.remove(key);
        drop(state);
        drop(waker);
    }
}
