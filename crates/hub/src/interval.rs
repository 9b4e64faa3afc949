//! [`Interval`]: something to do again and again.

use std::time::{Duration, Instant};

use crate::{Clock, sleep_until, yield_now};

/// Ticks every `period` on the current hub's clock, the first time one period after the first
/// [`tick`](Interval::tick) was asked for.
///
/// A period of zero ticks after everyone else has had a turn.
///
/// ```
/// use std::time::Duration;
/// use spinney_hub::{block_on, interval};
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

/// Ticks again and again; see [`interval`]. Dropping it leaves no timer behind.
#[derive(Clone, Debug)]
#[must_use = "an interval does nothing unless its ticks are awaited"]
pub struct Interval {
    period: Duration,
    /// When it ticks next.
    next: Option<Instant>,
}

impl Interval {
    /// Waits for the next tick, and returns the time that it was due. A tick that comes late does
    /// not shift those after it; ticks that were missed altogether are skipped.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before it is done loses no tick.
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

    /// The first tick that is not in the time of `late` after the one at `passed`; if there would
    /// have been too many to count, one on the way there.
    fn skip(&self, passed: Instant, late: Duration) -> Option<Instant> {
        let missed = u32::try_from(late.as_nanos() / self.period.as_nanos()).unwrap_or(u32::MAX);
        passed.checked_add(self.period.checked_mul(missed.saturating_add(1))?)
    }
}
