//! [`Alarm`]: the timer of a pool's queue, which serves the requests that wait for a point in time.
//!
//! It belongs to the queue rather than to a waiter, so the queue goes on even if its first waiter
//! is not polled. It is set under no lock, because a clock may be foreign code.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use spinney_hub::{Clock, Sleep, contain};

use super::line::SlotLine;
use crate::slot::{SharedSlots, Slots};

/// The timer of one queue. Dropping it drops its sleep.
pub(crate) struct Alarm {
    slots: Weak<Slots>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of the last setting.
    version: u64,
    at: Option<Instant>,
    sleep: Option<Sleep>,
}

/// A new setting of the alarm.
pub(crate) struct Setting {
    pub(crate) alarm: Arc<Alarm>,
    /// Distinguishes the setting from earlier ones.
    pub(crate) version: u64,
    /// When the alarm rings; `None` for never.
    pub(crate) at: Option<(Clock, Instant)>,
}

impl Alarm {
    pub(crate) fn new(slots: Weak<Slots>) -> Arc<Self> {
        Arc::new(Self { slots, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        if let Some(slots) = self.slots.upgrade() {
            SharedSlots::from(slots).change_line(SlotLine::alarm_rang);
        }
    }
}

impl Setting {
    /// Applies the setting, unless a later one was applied.
    pub(crate) fn make(self) {
        let Self { alarm, version, at } = self;
        let mut state = alarm.lock();
        if version <= state.version {
            return;
        }
        state.version = version;
        state.at = at.as_ref().map(|(_, at)| *at);
        let before = state.sleep.take();
        drop(state);
        contain(|| drop(before));
        let Some((clock, at)) = at else { return };
        let mut sleep = clock.sleep_until(at);
        let waker = Waker::from(Arc::clone(&alarm));
        let mut polled = Poll::Pending;
        contain(|| polled = Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker)));
        if polled.is_ready() {
            return alarm.ring();
        }
        let mut state = alarm.lock();
        let unwanted =
            if state.version == version { state.sleep.replace(sleep) } else { Some(sleep) };
        drop(state);
        contain(|| drop(unwanted));
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}
