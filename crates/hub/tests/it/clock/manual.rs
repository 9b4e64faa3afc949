//! [`Manual`]: a clock that moves only when the test advances it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use spinney_hub::{BoxTask, Clock, Context, Entered, Spawn, TimeSource};

/// Clones share the clock.
#[derive(Clone)]
pub(crate) struct Manual(Arc<Mutex<State>>);

struct State {
    now: Instant,
    /// The alarms by key.
    alarms: BTreeMap<u64, (Instant, Waker)>,
    ever_set: u64,
}

impl Manual {
    /// Makes a new clock the current one until the guard is dropped.
    pub(crate) fn enter() -> (Self, Entered) {
        let state = State { now: Instant::now(), alarms: BTreeMap::new(), ever_set: 0 };
        let this = Self(Arc::new(Mutex::new(state)));
        let entered = this.enter_again();
        (this, entered)
    }

    pub(crate) fn enter_again(&self) -> Entered {
        Context::new(Clock::new(Arc::new(self.clone())), Arc::new(Nowhere)).enter()
    }

    pub(crate) fn advance(&self, duration: Duration) {
        let mut state = self.0.lock().unwrap();
        state.now += duration;
        let now = state.now;
        let (due, later) =
            std::mem::take(&mut state.alarms).into_iter().partition(|(_, (at, _))| *at <= now);
        state.alarms = later;
        drop(state);
        let due: BTreeMap<_, _> = due;
        for (_, waker) in due.into_values() {
            waker.wake();
        }
    }

    /// How many alarms are set now.
    pub(crate) fn alarms(&self) -> usize {
        self.0.lock().unwrap().alarms.len()
    }

    /// How many alarms were ever set.
    pub(crate) fn ever_set(&self) -> u64 {
        self.0.lock().unwrap().ever_set
    }
}

impl TimeSource for Manual {
    fn now(&self) -> Instant {
        self.0.lock().unwrap().now
    }

    fn set_alarm(&self, at: Instant, waker: &Waker) -> u64 {
        let mut state = self.0.lock().unwrap();
        state.ever_set += 1;
        let key = state.ever_set;
        state.alarms.insert(key, (at, waker.clone()));
        key
    }

    fn clear_alarm(&self, key: u64) {
        let alarm = self.0.lock().unwrap().alarms.remove(&key);
        drop(alarm);
    }
}

/// These tests spawn nothing.
struct Nowhere;

impl Spawn<BoxTask> for Nowhere {
    fn spawn(&self, _: BoxTask) {
        unreachable!("nothing is spawned");
    }
}
