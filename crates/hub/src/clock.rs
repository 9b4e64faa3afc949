//! [`Clock`]: the time of the current hub.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crate::current;

/// The source of time: the system, or a custom [`TimeSource`]. Cloning is cheap.
///
/// The default is the system's clock, with timers on async-io's reactor.
#[derive(Clone, Default)]
pub struct Clock {
    pub(crate) source: Source,
}

#[derive(Clone, Default)]
pub(crate) enum Source {
    #[default]
    System,
    /// The timers of the tokio runtime that polls.
    #[cfg(feature = "tokio")]
    Tokio,
    Custom(Arc<dyn TimeSource>),
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

    #[cfg(feature = "tokio")]
    pub(crate) fn tokio() -> Self {
        Self { source: Source::Tokio }
    }

    /// The clock of the hub that polls on this thread; outside any hub, the system's.
    pub fn current() -> Self {
        current::clock()
    }

    /// Whether it shows real time, rather than that of a custom [`TimeSource`].
    pub fn is_real(&self) -> bool {
        !matches!(self.source, Source::Custom(_))
    }

    /// The current time.
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
