//! [`Timer`]: one sleep on the system's clock.
//!
//! Each thread has a calendar for the sleeps that begin on it, or shares one with few others. A
//! calendar has one timer of async-io's, its alarm, which is set to the first sleep that is due:
//! so whoever drives the reactor wakes the sleepers, whatever becomes of the hub they began on.

mod calendar;

use std::cell::Cell;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::contain;

use calendar::{Calendar, Moment, Rank};

/// How many calendars there are.
const CALENDARS: u8 = 16;

/// How many are woken at a time, so that those who are ready meanwhile have their turn.
const WOKEN: usize = 1000;

static TIMERS: [Timers; CALENDARS as usize] = [const { Timers::new() }; CALENDARS as usize];

thread_local! {
    /// Which of them this thread adds to; none yet if there is no such.
    static HERE: Cell<u8> = const { Cell::new(u8::MAX) };
}

/// A sleep on the system's clock. It is in a calendar from its first poll on; dropping it removes
/// it from there.
pub(crate) struct Timer {
    at: Moment,
    /// Whether it is in a calendar; then in which, at which place, and for whom. A `bool` of its
    /// own has room for the states of a sleep.
    is_set: bool,
    timers: u8,
    rank: Rank,
    waker: Identity,
}

impl Timer {
    /// One until `at`; None if that is in more than five hundred years.
    pub(crate) fn new(at: Instant) -> Option<Self> {
        let at = moment(at)?;
        let (rank, waker) = (Rank::default(), Identity::default());
        Some(Self { at, is_set: false, timers: 0, rank, waker })
    }

    pub(crate) fn deadline(&self) -> Instant {
        instant(self.at)
    }

    /// Ready when its time has come. Until then only the waker of the last poll is woken.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let waits = if !self.is_set {
            self.set(cx.waker())
        } else if self.timers().has_passed(self.at) {
            false
        } else if self.waker == Identity::of(cx.waker()) {
            true
        } else {
            self.clear();
            self.set(cx.waker())
        };
        if waits { Poll::Pending } else { Poll::Ready(()) }
    }

    fn timers(&self) -> &'static Timers {
        &TIMERS[usize::from(self.timers)]
    }

    /// False if the time has come.
    fn set(&mut self, waker: &Waker) -> bool {
        self.timers = here();
        let Some(rank) = self.timers().add(self.at, waker) else { return false };
        (self.rank, self.waker) = (rank, Identity::of(waker));
        self.is_set = true;
        true
    }

    fn clear(&mut self) {
        if self.is_set {
            self.timers().remove(self.at, self.rank);
            self.is_set = false;
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Tells wakers apart that exist at the same time; cheaper to keep than another waker.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Identity {
    data: usize,
    vtable: usize,
}

impl Identity {
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data().addr(), vtable: std::ptr::from_ref(waker.vtable()).addr() }
    }
}

/// A calendar, and what wakes those in it.
struct Timers {
    state: Mutex<State>,
    /// What was due before it has come to its time, and is not in the calendar any more.
    over_before: AtomicU64,
    /// Locked before the state, if both are.
    alarm: Mutex<Option<async_io::Timer>>,
}

struct State {
    calendar: Calendar,
    /// When the alarm will ring; no later than the first sleep is due.
    alarm: Option<Moment>,
}

impl Timers {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State { calendar: Calendar::new(), alarm: None }),
            over_before: AtomicU64::new(0),
            alarm: Mutex::new(None),
        }
    }

    fn add(&'static self, at: Moment, waker: &Waker) -> Option<Rank> {
        let mut state = self.lock();
        let rank = state.calendar.add(at, waker)?;
        let is_first = state.alarm.is_none_or(|alarm| at < alarm);
        if is_first {
            state.alarm = Some(at);
        }
        drop(state);
        if is_first {
            self.set_alarm();
        }
        Some(rank)
    }

    fn remove(&self, at: Moment, rank: Rank) {
        if at >= self.over_before.load(Relaxed) {
            let waker = self.lock().calendar.remove(at, rank);
            drop(waker);
        }
    }

    fn has_passed(&self, at: Moment) -> bool {
        at < self.over_before.load(Relaxed) || at <= now()
    }

    /// Sets the alarm to what the state says by then.
    fn set_alarm(&'static self) {
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = self.lock().alarm else { return };
        let alarm = alarm.get_or_insert_with(|| {
            // A timer registers its waker only if it is polled before its time.
            let mut timer = async_io::Timer::after(Duration::from_secs(3600));
            let waker = Waker::from(Arc::new(Ring(self)));
            let _pending = Pin::new(&mut timer).poll(&mut Context::from_waker(&waker));
            timer
        });
        alarm.set_at(instant(at));
    }

    /// Wakes those whose time has come; if they are many, the first of them.
    fn ring(&'static self) {
        let mut state = self.lock();
        let due = state.calendar.take_due(now(), WOKEN);
        self.over_before.store(state.calendar.over_before(), Relaxed);
        state.alarm = state.calendar.first();
        let is_over = state.alarm.is_none();
        drop(state);
        if !is_over {
            self.set_alarm();
        }
        let mut due = due.into_iter();
        while due.len() > 0 {
            // Each is taken out before it is woken: one that panics is not woken again.
            contain(|| due.by_ref().for_each(Waker::wake));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What async-io wakes.
struct Ring(&'static Timers);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.0.ring();
    }
}

fn here() -> u8 {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    // A thread that is about to end has no thread-locals any more.
    let here = HERE.try_with(|here| {
        if here.get() == u8::MAX {
            here.set(NEXT.fetch_add(1, Relaxed) % CALENDARS);
        }
        here.get()
    });
    here.unwrap_or_default()
}

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// None if that is in more than five hundred years.
fn moment(at: Instant) -> Option<Moment> {
    let since = at.saturating_duration_since(epoch());
    since.as_secs().checked_mul(1_000_000_000)?.checked_add(since.subsec_nanos().into())
}

fn now() -> Moment {
    moment(Instant::now()).unwrap_or(Moment::MAX)
}

fn instant(at: Moment) -> Instant {
    epoch() + Duration::from_nanos(at)
}
