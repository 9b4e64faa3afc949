//! [`VirtualClock`]: time that passes only when it is told to.

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
    /// In the order in which they ring: by time, then by who was first.
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

    /// Jumps to the next alarm and rings all that are due then; false if none is set.
    pub(crate) fn jump(&self) -> bool {
        let next = self.lock().alarms.keys().next().map(|(at, _)| *at);
        next.map(|at| self.advance_to(at)).is_some()
    }

    /// Lets `duration` pass, and rings what becomes due on the way.
    pub(crate) fn advance(&self, duration: Duration) {
        let now = self.lock().now;
        self.advance_to(now.checked_add(duration).expect("a clock cannot show a time that late"));
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
        let waker = state.times.remove(&key).and_then(|at| state.alarms.remove(&(at, key)));
        drop(state);
        drop(waker);
    }
}
