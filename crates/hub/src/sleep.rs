//! [`sleep`] and [`sleep_until`]: waiting on the current hub's clock; [`yield_now`].

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_lite::future::{self, YieldNow};
use spinney_sync::{BudgetedAwait, Wait};

use crate::clock::Source;
use crate::timers::Timer;
use crate::{Clock, TimeSource};

/// Waits for `duration` on the current hub's clock.
///
/// The time runs from the first poll. A sleep of zero yields once: the other ready tasks run first,
/// as with [`yield_now`]. A duration that exceeds the range of the clock never
/// ends. On the system's clock it may end [50 microseconds](Clock::with_timer_slack) late. Dropping
/// the sleep removes its timer.
///
/// # Cancel safety
///
/// Nothing is lost when the future is dropped.
///
/// ```
/// # use spinney_hub as spinney;
/// use spinney::{block_on, sleep};
/// use std::time::Duration;
///
/// block_on(sleep(Duration::from_millis(1)));
/// ```
///
/// Python: `gevent.sleep`, `eventlet.sleep`.
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { state: State::For(duration), at: Location::caller() }
}

/// Waits until `instant` on the current hub's clock. If `instant` has passed, the sleep is ready at
/// its first poll, which counts against the [budget](spinney_sync::Budget) of ready awaits.
/// Dropping the sleep removes its timer.
///
/// # Cancel safety
///
/// Nothing is lost when the future is dropped.
#[track_caller]
pub fn sleep_until(instant: Instant) -> Sleep {
    Sleep { state: State::Until(instant), at: Location::caller() }
}

/// Yields once to the other ready tasks. The same as [`sleep`] of zero, without
/// reading the clock.
///
/// # Cancel safety
///
/// Nothing is lost when the future is dropped.
///
/// Python: `gevent.sleep(0)`, `gevent.idle` without priorities.
#[doc(alias = "idle")]
pub async fn yield_now() {
    future::yield_now().await;
}

/// The future of [`sleep`] and [`sleep_until`]. Dropping it removes its timer.
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    state: State,
    /// The line that sleeps.
    at: &'static Location<'static>,
}

enum State {
    /// Not polled yet.
    For(Duration),
    Until(Instant),
    /// Not polled yet, and not on the current clock.
    On(Box<(Clock, Instant)>),
    /// A sleep of zero, which yields once.
    GivesWay(YieldNow, Instant),
    /// The time had passed at the first poll: a ready await.
    Passed(BudgetedAwait, Instant),
    Waits(Countdown),
}

impl Sleep {
    #[track_caller]
    pub(crate) fn on_clock(clock: Clock, at: Instant) -> Self {
        Self { state: State::On(Box::new((clock, at))), at: Location::caller() }
    }

    /// When the sleep ends; `None` before the first poll, and if it never ends.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::For(_) | State::Until(_) | State::On(_) => None,
            State::GivesWay(_, at) | State::Passed(_, at) => Some(*at),
            State::Waits(countdown) => countdown.deadline(),
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.poll_state(cx);
        if polled.is_pending() {
            Wait::note("sleep", self.at);
        }
        polled
    }
}

impl Sleep {
    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.state {
            State::For(Duration::ZERO) => {
                self.state = State::GivesWay(future::yield_now(), Clock::current().now());
            }
            State::For(duration) => {
                self.state = State::begin(Countdown::begin(|now| now.checked_add(duration)), cx);
            }
            State::Until(at) => self.state = State::begin(Countdown::begin(|_| Some(at)), cx),
            State::On(ref on) => {
                let (clock, at) = (**on).clone();
                self.state = State::begin(Countdown::begin_on(clock, |_| Some(at)), cx);
            }
            State::Waits(ref mut countdown) => return countdown.poll(cx),
            State::GivesWay(..) | State::Passed(..) => {}
        }
        match &mut self.state {
            State::GivesWay(yield_now, _) => Pin::new(yield_now).poll(cx),
            State::Passed(budgeted, _) => budgeted.poll(cx, |_| Poll::Ready(())),
            State::For(_) | State::Until(_) | State::On(_) | State::Waits(_) => Poll::Pending,
        }
    }
}

impl State {
    /// The state after the first poll of `countdown`.
    fn begin(mut countdown: Countdown, cx: &mut Context<'_>) -> Self {
        match countdown.deadline() {
            Some(at) if countdown.poll(cx).is_ready() => Self::Passed(BudgetedAwait::default(), at),
            _ => Self::Waits(countdown),
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Sleep");
        match &self.state {
            State::For(duration) => text.field("duration", duration),
            State::Until(at) => text.field("deadline", at),
            State::On(on) => text.field("deadline", &on.1),
            _ => text.field("deadline", &self.deadline()),
        };
        text.finish()
    }
}

/// A timer that has started, on the clock that was current then. It is never deferred.
///
/// Each task that sleeps or has a limit holds one: rare and large variants are boxed.
pub(crate) enum Countdown {
    System(Timer),
    #[cfg(feature = "tokio")]
    Tokio(Pin<Box<tokio::time::Sleep>>),
    Custom(Box<Alarm>),
    Over(Instant),
    Never,
}

impl Countdown {
    /// Starts now. `deadline` gets the current time and returns the end; `None` is never.
    pub(crate) fn begin(deadline: impl FnOnce(Instant) -> Option<Instant>) -> Self {
        Self::begin_on(Clock::current(), deadline)
    }

    /// As [`begin`](Self::begin), on a `clock` that need not be the current one.
    #[inline]
    pub(crate) fn begin_on(
        clock: Clock,
        deadline: impl FnOnce(Instant) -> Option<Instant>,
    ) -> Self {
        let now = clock.now();
        match (deadline(now), clock.source) {
            (None, _) => Self::Never,
            (Some(at), _) if at <= now => Self::Over(at),
            (Some(at), Source::System(slack)) => {
                Timer::new(at, slack).map_or(Self::Never, Self::System)
            }
            #[cfg(feature = "tokio")]
            (Some(at), Source::Tokio(runtime)) => {
                let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
                Self::Tokio(Box::pin(tokio::time::sleep_until(at.into())))
            }
            (Some(at), Source::Custom(source)) => {
                Self::Custom(Box::new(Alarm { source, at, set: None }))
            }
        }
    }

    /// When its time comes; `None` for never.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::System(timer) => Some(timer.deadline()),
            #[cfg(feature = "tokio")]
            Self::Tokio(timer) => Some(timer.deadline().into_std()),
            Self::Custom(alarm) => Some(alarm.at),
            Self::Over(at) => Some(*at),
            Self::Never => None,
        }
    }

    /// Ready when its time has come; must not be polled again after that.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::System(timer) => timer.poll(cx),
            #[cfg(feature = "tokio")]
            Self::Tokio(timer) => timer.as_mut().poll(cx),
            Self::Custom(alarm) => alarm.poll(cx),
            Self::Over(_) => Poll::Ready(()),
            Self::Never => Poll::Pending,
        }
    }
}

impl fmt::Debug for Countdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Countdown").field("deadline", &self.deadline()).finish()
    }
}

/// A timer on a custom clock.
pub(crate) struct Alarm {
    source: Arc<dyn TimeSource>,
    at: Instant,
    /// The key of the alarm that is set, and the waker that it wakes.
    set: Option<(u64, Waker)>,
}

impl Alarm {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.source.now() >= self.at {
            return Poll::Ready(());
        }
        if !self.set.as_ref().is_some_and(|(_, waker)| waker.will_wake(cx.waker())) {
            self.clear();
            let key = self.source.set_alarm(self.at, cx.waker());
            self.set = Some((key, cx.waker().clone()));
        }
        Poll::Pending
    }

    fn clear(&mut self) {
        if let Some((key, _)) = self.set.take() {
            self.source.clear_alarm(key);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clear();
    }
}
