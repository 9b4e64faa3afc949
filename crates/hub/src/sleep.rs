//! [`sleep`] and [`sleep_until`]: waiting on the current hub's clock.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::clock::Source;
use crate::timers::Timer;
use crate::{Clock, TimeSource};

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
    Sleep { state: State::For(duration) }
}

/// Waits until `instant`, on the current hub's clock; ready at once if that has passed.
///
/// # Cancel safety
///
/// Dropping it takes its timer along; nothing is left behind.
pub fn sleep_until(instant: Instant) -> Sleep {
    Sleep { state: State::Until(instant) }
}

/// The future of [`sleep`] and [`sleep_until`]. Dropping it removes its timer.
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    state: State,
}

/// One stands in every task that sleeps: what is rare or large is boxed.
enum State {
    For(Duration),
    Until(Instant),
    System(Timer),
    #[cfg(feature = "tokio")]
    Tokio(Pin<Box<tokio::time::Sleep>>),
    Custom(Box<Alarm>),
    Over(Instant),
    Never,
}

impl Sleep {
    /// When it is over; None before the first poll, and if that is never.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::For(_) | State::Until(_) | State::Never => None,
            State::System(timer) => Some(timer.deadline()),
            #[cfg(feature = "tokio")]
            State::Tokio(timer) => Some(timer.deadline().into_std()),
            State::Custom(alarm) => Some(alarm.at),
            State::Over(at) => Some(*at),
        }
    }
}

impl State {
    /// One that begins now, by the clock that is the current one.
    fn begin(deadline: impl FnOnce(Instant) -> Option<Instant>) -> Self {
        let clock = Clock::current();
        let now = clock.now();
        match (deadline(now), clock.source) {
            (None, _) => Self::Never,
            (Some(at), _) if at <= now => Self::Over(at),
            (Some(at), Source::System) => Timer::new(at).map_or(Self::Never, Self::System),
            #[cfg(feature = "tokio")]
            (Some(at), Source::Tokio) => Self::Tokio(Box::pin(tokio::time::sleep_until(at.into()))),
            (Some(at), Source::Custom(source)) => {
                Self::Custom(Box::new(Alarm { source, at, set: None }))
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::System(timer) => timer.poll(cx),
            #[cfg(feature = "tokio")]
            Self::Tokio(timer) => timer.as_mut().poll(cx),
            Self::Custom(alarm) => alarm.poll(cx),
            Self::Over(_) => Poll::Ready(()),
            Self::For(_) | Self::Until(_) | Self::Never => Poll::Pending,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.state {
            State::For(duration) => self.state = State::begin(|now| now.checked_add(duration)),
            State::Until(at) => self.state = State::begin(|_| Some(at)),
            _ => {}
        }
        self.state.poll(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Sleep");
        match &self.state {
            State::For(duration) => text.field("duration", duration),
            State::Until(at) => text.field("deadline", at),
            _ => text.field("deadline", &self.deadline()),
        };
        text.finish()
    }
}

struct Alarm {
    source: Arc<dyn TimeSource>,
    at: Instant,
    /// The alarm that is set, and whom it wakes.
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
