//! [`Interval`]: periodic ticks.

use std::time::{Duration, Instant};

use crate::{Clock, sleep_until, yield_now};

/// Creates an interval that ticks every `period` on the current hub's clock. The first tick is due
/// one period after the first [`tick`](Interval::tick) was awaited.
///
/// A period of zero yields to the other ready tasks before each tick.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub mod time { pub use spinney_hub::interval; } }
/// use std::time::Duration;
/// use spinney::block_on;
/// use spinney::time::interval;
///
/// block_on(async {
///     let mut ticks = interval(Duration::from_millis(1));
///     let first = ticks.tick().await;
///     let second = ticks.tick().await;
///     assert!(second - first >= Duration::from_millis(1)); // more if some were missed
/// });
/// ```
pub fn interval(period: Duration) -> Interval {
    Interval { period, next: None }
}

/// Periodic ticks; see [`interval`]. Dropping it leaves no timer behind.
#[derive(Clone, Debug)]
#[must_use = "an interval does nothing unless its ticks are awaited"]
pub struct Interval {
    period: Duration,
    /// The time of the next tick.
    next: Option<Instant>,
}

impl Interval {
    /// Waits for the next tick, and returns the time at which it was due. A late tick does not
    /// shift later ones; missed ticks are skipped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has finished loses no tick.
    pub async fn tick(&mut self) -> Instant {
        let clock = Clock::current();
        if self.period.is_zero() {
            yield_now().await;
            return clock.now();
        }
        let Some(due) = self.next.or_else(|| clock.now().checked_add(self.period)) else {
            return std::future::pending().await;
        };
        self.next = Some(due);
        sleep_until(due).await;
        let now = clock.now();
        self.next = self.skip(due, now - due);
        while let Some(passed) = self.next.filter(|next| *next <= now) {
            self.next = self.skip(passed, now - passed);
        }
        due
    }

    /// The first tick after the one at `passed` that does not lie within the delay `late`; if there
    /// are too many ticks to count, an earlier one.
    fn skip(&self, passed: Instant, late: Duration) -> Option<Instant> {
        let missed = u32::try_from(late.as_nanos() / self.period.as_nanos()).unwrap_or(u32::MAX);
        passed.checked_add(self.period.checked_mul(missed.saturating_add(1))?)
    }
}
