//! [`Alarm`]: the timer of a pool's queue, which serves the requests that wait for a point in time.
//!
//! It belongs to the queue rather than to a waiter, so the queue goes on even if its first waiter
//! is not polled. It is set under no lock, because a clock may be foreign code.
//!
//! The clock may be that of a tokio runtime that shuts down while other hubs wait. Such a runtime
//! wakes its timers early, and panics when it gets further ones; either way the system's clock,
//! which tells the same time, takes over.

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
    at: Option<(Clock, Instant)>,
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
        let at = self.lock().at.clone();
        if at.is_some_and(|(clock, at)| clock.is_real() && clock.now() < at) {
            return self.lose_clock();
        }
        self.change_line(SlotLine::alarm_rang);
    }

    /// Records that the clock sets no timers any more.
    fn lose_clock(&self) {
        self.change_line(SlotLine::alarm_lost_its_clock);
    }

    fn change_line(&self, change: impl FnOnce(&mut SlotLine)) {
        if let Some(slots) = self.slots.upgrade() {
            SharedSlots::from(slots).change_line(change);
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
        state.at.clone_from(&at);
        let before = state.sleep.take();
        drop(state);
        contain(|| drop(before));
        let Some((clock, at)) = at else { return };
        let mut sleep = clock.sleep_until(at);
        let waker = Waker::from(Arc::clone(&alarm));
        let mut polled = None;
        contain(|| polled = Some(Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker))));
        match polled {
            Some(Poll::Pending) => {}
            Some(Poll::Ready(())) => return alarm.ring(),
            None if clock.is_real() => return alarm.lose_clock(),
            None => return,
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
