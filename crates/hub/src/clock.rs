//! [`Clock`], [`sleep`] and [`sleep_until`]: time as the current hub tells it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use crate::current;

/// Where the time comes from: the system, or a [`TimeSource`] of one's own. A cheap handle.
///
/// The default is the system's clock, with timers on async-io's reactor.
#[derive(Clone, Default)]
pub struct Clock {
    source: Source,
}

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    /// The timers of the tokio runtime that polls.
    #[cfg(feature = "tokio")]
    Tokio,
    Custom(Arc<dyn TimeSource>),
}

/// A clock that is not the system's, such as the virtual one of a simulation.
pub trait TimeSource: Send + Sync {
    /// What time it is.
    fn now(&self) -> Instant;

    /// Wakes `waker` once, when `at` has come. Returns the alarm's key.
    fn set_alarm(&self, at: Instant, waker: &Waker) -> u64;

    /// Forgets the alarm `key`; of no effect once it has rung.
    fn clear_alarm(&self, key: u64);
}

impl Clock {
    /// A clock that follows `source`.
    pub fn new(source: Arc<dyn TimeSource>) -> Self {
        Self { source: Source::Custom(source) }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn tokio() -> Self {
        Self { source: Source::Tokio }
    }

    /// The clock of the hub that is polling on this thread; outside of any hub, the system's.
    pub fn current() -> Self {
        current::clock()
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        match &self.source {
            Source::System => Instant::now(),
            #[cfg(feature = "tokio")]
            Source::Tokio => tokio::time::Instant::now().into_std(),
            Source::Custom(source) => source.now(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.source {
            Source::System => "system",
            #[cfg(feature = "tokio")]
            Source::Tokio => "tokio",
            Source::Custom(_) => "custom",
        };
        f.debug_struct("Clock").field("source", &kind).finish()
    }
}

/// Waits for `duration`, on the current hub's clock. `gevent.sleep`, `eventlet.sleep`.
///
/// The time runs from the first poll. Zero is ready at that poll; a duration that reaches beyond
/// what the clock can name is never over.
///
/// # Cancel safety
///
/// Dropping it takes its timer along; nothing is left behind.
///
/// ```
/// use std::time::Duration;
///
/// spinney_hub::block_on(spinney_hub::sleep(Duration::from_millis(1)));
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { state: State::For(duration), deadline: None }
}

/// Waits until `instant`, on the current hub's clock; ready at once if that has passed.
///
/// # Cancel safety
///
/// Dropping it takes its timer along; nothing is left behind.
pub fn sleep_until(instant: Instant) -> Sleep {
    Sleep { state: State::Until(instant), deadline: None }
}

/// The future of [`sleep`] and [`sleep_until`]. Dropping it removes its timer.
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    state: State,
    /// When it is over; known from the first poll on.
    deadline: Option<Instant>,
}

impl Sleep {
    /// When it is over; None before the first poll, and if that is never.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn start(&mut self, clock: Clock, now: Instant, deadline: Option<Instant>) {
        self.deadline = deadline;
        self.state = match (deadline, clock.source) {
            (None, _) => State::Never,
            (Some(at), _) if at <= now => State::Over,
            (Some(at), Source::System) => State::System(async_io::Timer::at(at)),
            #[cfg(feature = "tokio")]
            (Some(at), Source::Tokio) => {
                State::Tokio(Box::pin(tokio::time::sleep_until(at.into())))
            }
            (Some(at), Source::Custom(source)) => State::Alarm(Alarm { source, at, set: None }),
        };
    }
}

enum State {
    For(Duration),
    Until(Instant),
    System(async_io::Timer),
    #[cfg(feature = "tokio")]
    Tokio(Pin<Box<tokio::time::Sleep>>),
    Alarm(Alarm),
    Over,
    Never,
}

struct Alarm {
    source: Arc<dyn TimeSource>,
    at: Instant,
    /// The alarm that is set, and whom it wakes.
    set: Option<(u64, Waker)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.state {
                State::For(duration) => {
                    let clock = Clock::current();
                    let now = clock.now();
                    let deadline = now.checked_add(*duration);
                    self.start(clock, now, deadline);
                }
                State::Until(at) => {
                    let clock = Clock::current();
                    let (now, deadline) = (clock.now(), Some(*at));
                    self.start(clock, now, deadline);
                }
                State::Over => return Poll::Ready(()),
                State::System(timer) => {
                    ready!(Pin::new(timer).poll(cx));
                    return Poll::Ready(());
                }
                #[cfg(feature = "tokio")]
                State::Tokio(timer) => return timer.as_mut().poll(cx),
                State::Alarm(alarm) => return alarm.poll(cx),
                State::Never => return Poll::Pending,
            }
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Sleep");
        match &self.state {
            State::For(duration) => text.field("duration", duration),
            State::Until(at) => text.field("deadline", at),
            _ => text.field("deadline", &self.deadline),
        };
        text.finish()
    }
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
