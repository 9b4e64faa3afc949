//! [`Timer`]: one sleep on the system's clock.
//!
//! Each thread adds its sleeps to one calendar, which few other threads share. A calendar has timers
//! of async-io, its alarms, the first of them set to the first sleep: so the thread that drives the
//! reactor wakes the sleeping tasks, even if the hub on which they began is gone. The time of an
//! alarm is rounded up to a multiple of the slack, so that sleeps that end at about the same time
//! are woken together.

mod alarms;
mod calendar;

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::contain;

use alarms::Alarms;
use calendar::{Calendar, Moment, Rank};

/// The number of calendars.
const CALENDARS: u8 = 16;

/// At most this many are woken in one batch, so that tasks that become ready meanwhile get their
/// turn.
const WOKEN: usize = 1000;

static TIMERS: [Timers; CALENDARS as usize] = [const { Timers::new() }; CALENDARS as usize];

thread_local! {
    /// The index of this thread's calendar; out of range until one is assigned.
    static HERE: Cell<u8> = const { Cell::new(u8::MAX) };
}

/// A sleep on the system's clock. It is in a calendar from its first poll on; dropping it removes
/// it from there.
pub(crate) struct Timer {
    at: Moment,
    slack: Slack,
    /// Whether it is in a calendar; the other fields then say in which one, and for which waker. As
    /// a `bool` of its own it leaves a niche for the states of a sleep.
    is_set: bool,
    timers: u8,
    rank: Rank,
    waker: Identity,
}

impl Timer {
    /// Creates a timer for `at`; `None` if that is more than five hundred years away.
    pub(crate) fn new(at: Instant, slack: Slack) -> Option<Self> {
        let at = moment(at)?;
        let (rank, waker) = (Rank::default(), Identity::default());
        Some(Self { at, slack, is_set: false, timers: 0, rank, waker })
    }

    pub(crate) fn deadline(&self) -> Instant {
        instant(self.at)
    }

    /// Ready when its time has come. Until then it keeps the waker of the last poll only.
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

    /// Adds it to the calendar; `false` if the time has come.
    fn set(&mut self, waker: &Waker) -> bool {
        self.timers = here();
        let Some(rank) = self.timers().add(self.at, self.slack, waker) else { return false };
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

/// How late a timer may be, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slack(u32);

impl Slack {
    const MAX: Self = Self(u32::MAX);

    /// A slack above four seconds counts as four seconds.
    pub(crate) fn new(slack: Duration) -> Self {
        Self(slack.as_nanos().try_into().unwrap_or(u32::MAX))
    }

    fn round_up(self, at: Moment) -> Moment {
        at.checked_next_multiple_of(self.0.into()).unwrap_or(at)
    }
}

impl Default for Slack {
    fn default() -> Self {
        Self(50_000)
    }
}

/// Tells wakers apart that exist at the same time; cheaper to store than another waker.
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

/// A calendar and its alarms.
struct Timers {
    state: Mutex<State>,
    /// All sleeps due before this have been woken, and are not in the calendar any more.
    over_before: AtomicU64,
    /// Lock order: the alarms before the state.
    alarms: Mutex<Alarms>,
}

struct State {
    calendar: Calendar,
    /// The smallest slack of the sleeps that were added since the calendar was empty.
    slack: Slack,
    /// The time by which an alarm rings, or is about to be set; later than the first sleep by less
    /// than the slack.
    alarm: Option<Moment>,
}

impl State {
    /// The times of the next alarms, in order, as far as they are known.
    fn upcoming(&self) -> impl Iterator<Item = Moment> {
        self.calendar.upcoming().map(|at| self.slack.round_up(at))
    }
}

impl Timers {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State { calendar: Calendar::new(), slack: Slack::MAX, alarm: None }),
            over_before: AtomicU64::new(0),
            alarms: Mutex::new(Alarms::new()),
        }
    }

    fn add(&'static self, at: Moment, slack: Slack, waker: &Waker) -> Option<Rank> {
        let mut state = self.lock();
        let rank = state.calendar.add(at, waker)?;
        state.slack = state.slack.min(slack);
        let alarm = slack.round_up(at);
        let is_first = state.alarm.is_none_or(|first| alarm < first);
        if is_first {
            state.alarm = Some(alarm);
        }
        drop(state);
        if is_first {
            self.set_alarms();
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

    /// Sets an alarm for the time in the state, unless one rings by then, and for the next sleeps.
    fn set_alarms(&'static self) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        alarms.forget_until(now());
        let state = self.lock();
        // Not the first sleep: that may have been removed meanwhile, but later ones rely on this time.
        let Some(first) = state.alarm else { return };
        if alarms.first().is_some_and(|set| set <= first) {
            return;
        }
        let wanted = Alarms::choose(first, state.upcoming());
        drop(state);
        for at in wanted {
            alarms.set(at, || Waker::from(Arc::new(Ring(self))));
        }
    }

    /// Wakes the tasks whose time has come, at most one batch.
    fn ring(&'static self) {
        let mut state = self.lock();
        let due = state.calendar.take_due(now(), WOKEN);
        self.over_before.store(state.calendar.over_before(), Relaxed);
        let first = state.upcoming().next();
        state.alarm = first;
        let is_over = first.is_none();
        if is_over {
            state.slack = Slack::MAX;
        }
        drop(state);
        if !is_over {
            self.set_alarms();
        }
        let mut due = due.into_iter();
        while due.len() > 0 {
            // Each is taken out before it is woken: a waker that panics is not woken again.
            contain(|| due.by_ref().for_each(Waker::wake));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker of an alarm.
struct Ring(&'static Timers);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.0.ring();
    }
}

fn here() -> u8 {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    // A thread that exits has no thread-locals any more.
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

/// `None` if that is more than five hundred years away.
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

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::{Moment, Slack, Timers, now};

    const HOUR: Moment = 3_600_000_000_000;
    const MILLI: Slack = Slack(1_000_000);

    fn timers() -> &'static Timers {
        Box::leak(Box::new(Timers::new()))
    }

    fn alarm_after(timers: &'static Timers, at: Moment, slack: Slack) -> Moment {
        timers.add(at, slack, Waker::noop()).unwrap();
        timers.lock().alarm.unwrap()
    }

    #[test]
    fn alarm_waits_for_the_next_multiple_of_the_slack() {
        let (timers, hour) = (timers(), (now() + HOUR).next_multiple_of(MILLI.0.into()));
        assert_eq!(alarm_after(timers, hour + 1, MILLI), hour + 1_000_000);
        assert_eq!(alarm_after(timers, hour + 2, MILLI), hour + 1_000_000);
        assert_eq!(alarm_after(timers, hour, MILLI), hour);
    }

    #[test]
    fn sleep_without_slack_has_an_exact_alarm_beside_others() {
        let (timers, hour) = (timers(), (now() + HOUR).next_multiple_of(MILLI.0.into()));
        alarm_after(timers, hour + 7, MILLI);
        assert_eq!(alarm_after(timers, hour + 8, Slack(0)), hour + 8);
        // Also when the next alarm is set, because the calendar does not note whose it is.
        timers.ring();
        assert_eq!(timers.lock().alarm, Some(hour + 7));
    }

    #[test]
    fn alarm_is_set_although_its_sleep_was_removed_meanwhile() {
        let (timers, hour) = (timers(), now() + HOUR);
        let rank = timers.add(hour, MILLI, Waker::noop()).unwrap();
        // As between the two locks of an alarm that rings.
        timers.lock().alarm = Some(hour + 1);
        timers.alarms.lock().unwrap().forget_until(Moment::MAX);
        timers.remove(hour, rank);
        timers.set_alarms();
        assert_eq!(timers.alarms.lock().unwrap().first(), Some(hour + 1));
    }

    #[test]
    fn slack_is_at_most_four_seconds() {
        assert_eq!(Slack::new(Duration::MAX), Slack::MAX);
        assert_eq!(Slack::new(Duration::from_millis(1)), MILLI);
        assert_eq!(Slack(0).round_up(7), 7);
    }
}
