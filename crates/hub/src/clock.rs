//! [`Clock`]: time as the current hub tells it.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crate::current;

/// Where the time comes from: the system, or a [`TimeSource`] of one's own. A cheap handle.
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
