//! [`Clock`]: the time of the current hub.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::timers::Slack;
use crate::{Sleep, current};

/// The source of time: the system, or a custom [`TimeSource`]. Cloning is cheap.
///
/// The default is the system's clock, with timers on async-io's reactor, which may be late by
/// [50 microseconds](Self::with_timer_slack). Dropping a clock is a no-op.
///
/// ```
/// # mod spinney { pub use spinney_hub::LocalHub; pub mod time { pub use spinney_hub::Clock; } }
/// use std::time::Duration;
/// use spinney::LocalHub;
/// use spinney::time::Clock;
///
/// let start = Clock::default().now();
/// let hub = LocalHub::new().with_timer_slack(Duration::ZERO);
/// hub.block_on(async {
///     let clock = Clock::current(); // the hub's
///     clock.sleep_until(start + Duration::from_millis(1)).await;
///     assert!(clock.is_real() && clock.now() - start >= Duration::from_millis(1));
/// });
/// ```
#[derive(Clone, Default)]
pub struct Clock {
    pub(crate) source: Source,
}

#[derive(Clone)]
pub(crate) enum Source {
    System(Slack),
    /// The timers of this tokio runtime; None for the one that polls.
    #[cfg(feature = "tokio")]
    Tokio(Option<tokio::runtime::Handle>),
    Custom(Arc<dyn TimeSource>),
}

impl Default for Source {
    fn default() -> Self {
        Self::System(Slack::default())
    }
}

/// A custom clock, for example the virtual one of a simulation.
pub trait TimeSource: Send + Sync {
    /// The current time.
    fn now(&self) -> Instant;

    /// Wakes `waker` once, when `at` has come. Returns the alarm's key.
    fn set_alarm(&self, at: Instant, waker: &Waker) -> u64;

    /// Removes the alarm `key`; a no-op after it has rung.
    fn clear_alarm(&self, key: u64);
}

impl Clock {
    /// Creates a clock from `source`.
    pub fn new(source: Arc<dyn TimeSource>) -> Self {
        Self { source: Source::Custom(source) }
    }

    /// Sets how late timers of the system's clock may be, so that one trip through the reactor
    /// wakes many sleepers: they wait for the next multiple of `slack`. They end in the order of
    /// their times, and never early. Default: 50 microseconds; at most four seconds; zero waits for
    /// nothing. A clock of another kind has no slack.
    #[must_use]
    pub fn with_timer_slack(self, slack: Duration) -> Self {
        if self.is_system() { Self::of_system(Slack::new(slack)) } else { self }
    }

    pub(crate) fn of_system(slack: Slack) -> Self {
        Self { source: Source::System(slack) }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn tokio() -> Self {
        Self { source: Source::Tokio(None) }
    }

    /// The clock of the hub that polls on this thread; outside any hub, the system's.
    pub fn current() -> Self {
        current::clock()
    }

    /// Whether it shows real time, rather than that of a custom [`TimeSource`].
    pub fn is_real(&self) -> bool {
        !matches!(self.source, Source::Custom(_))
    }

    /// Whether it is the system's clock, rather than one of a runtime or a custom [`TimeSource`]:
    /// asking it for the time runs no foreign code.
    pub fn is_system(&self) -> bool {
        matches!(self.source, Source::System(_))
    }

    /// The [current](Self::current) clock, to be asked and waited for from any thread, in any hub or
    /// none: for containers whose waiters share a timer.
    pub fn shared() -> Self {
        let clock = Self::current();
        #[cfg(feature = "tokio")]
        if let Source::Tokio(None) = clock.source {
            return Self { source: Source::Tokio(tokio::runtime::Handle::try_current().ok()) };
        }
        clock
    }

    /// Whether both tell the same time. All that tell the real time do.
    pub fn tells_time_of(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (Source::Custom(this), Source::Custom(other)) => Arc::ptr_eq(this, other),
            (Source::Custom(_), _) | (_, Source::Custom(_)) => false,
            _ => true,
        }
    }

    /// Waits until `instant` on this clock, like [`sleep_until`](crate::sleep_until) on the current
    /// one. Dropping the sleep removes its timer.
    ///
    /// # Panics
    ///
    /// Panics when it is polled if this is the clock of a tokio runtime that has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    #[track_caller]
    pub fn sleep_until(&self, instant: Instant) -> Sleep {
        Sleep::on_clock(self.clone(), instant)
    }

    /// The current time.
    pub fn now(&self) -> Instant {
        match &self.source {
            Source::System(_) => Instant::now(),
            #[cfg(feature = "tokio")]
            Source::Tokio(runtime) => {
                let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
                tokio::time::Instant::now().into_std()
            }
            Source::Custom(source) => source.now(),
        }
    }
}

/// The same source: of tokio's, the same runtime; of the system's, the same slack.
impl PartialEq for Clock {
    fn eq(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (Source::System(this), Source::System(other)) => this == other,
            #[cfg(feature = "tokio")]
            (Source::Tokio(this), Source::Tokio(other)) => {
                let id = |runtime: &Option<tokio::runtime::Handle>| {
                    runtime.as_ref().map(tokio::runtime::Handle::id)
                };
                id(this) == id(other)
            }
            (Source::Custom(this), Source::Custom(other)) => Arc::ptr_eq(this, other),
            _ => false,
        }
    }
}

impl Eq for Clock {}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.source {
            Source::System(_) => "system",
            #[cfg(feature = "tokio")]
            Source::Tokio(_) => "tokio",
            Source::Custom(_) => "custom",
        };
        f.debug_struct("Clock").field("source", &kind).finish()
    }
}
