//! [`Rate`]: a number of starts per period; [`RateLimiter`]: a rate for a section of code.
//!
//! A rate is the generic cell rate algorithm: each start moves the *theoretical arrival time*
//! forward by the interval between two starts, and a start conforms if that time is no further
//! ahead than the burst allows. The unit of time is a nanosecond divided by `count`, so that an
//! interval like a third of a second is exact.

use std::fmt;
use std::time::Duration;

use crate::SlotError;
use crate::limits::Limits;
use crate::slot::{AcquireSlot, SharedSlots};
use crate::task_set::UNLIMITED;

/// A number of starts per period, evenly spaced, with a burst: a setting of a [`Pool`](crate::Pool)
/// or a [`RateLimiter`].
///
/// With a burst of 1, the default, any window of one period has at most `count` starts. With a
/// burst of `b`, `b` starts may happen together after an idle time, and any window has at most
/// `count + b - 1` starts.
///
/// ```
/// # use spinney_pool as spinney;
/// use std::time::Duration;
/// use spinney::{Pool, Rate};
///
/// let pool = Pool::builder()
///     .rate(Rate::per(50, Duration::from_secs(1)))
///     .rate(Rate::per(1000, Duration::from_secs(3600)).burst(100))
///     .pool(20);
/// let _ = pool;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    period: Duration,
    burst: u32,
}

impl Rate {
    /// Creates a rate of `count` starts per `period`, with a burst of 1.
    ///
    /// # Panics
    ///
    /// Panics if `count` or `period` is zero: to start nothing, [pause](crate::Pool::pause) the
    /// pool; for no limit, set no rate.
    #[track_caller]
    #[must_use]
    pub const fn per(count: u32, period: Duration) -> Self {
        assert!(count > 0, "a rate allows at least one start per period");
        assert!(!period.is_zero(), "the period of a rate is longer than zero");
        Self { count, period, burst: 1 }
    }

    /// Allows `burst` starts together after an idle time.
    ///
    /// # Panics
    ///
    /// Panics if `burst` is zero.
    #[track_caller]
    #[must_use]
    pub const fn burst(self, burst: u32) -> Self {
        assert!(burst > 0, "a burst is at least one start");
        Self { burst, ..self }
    }

    /// The period, in units of the algorithm.
    fn interval(self) -> u128 {
        self.period.as_nanos()
    }

    fn parts(self, nanos: u128) -> u128 {
        nanos.saturating_mul(u128::from(self.count))
    }
}

/// `50 per 1s`, or `50 per 1s, burst 5`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.count, self.period)?;
        if self.burst > 1 { write!(f, ", burst {}", self.burst) } else { Ok(()) }
    }
}

/// A rate, and its past starts. Times are nanoseconds since an arbitrary point in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gcra {
    rate: Rate,
    /// The theoretical arrival time, in units of the algorithm.
    next: u128,
    /// The first time at which a start conforms: asked for more often than it changes.
    ready_at: u128,
}

impl Gcra {
    pub(crate) fn new(rate: Rate) -> Self {
        Self::with(rate, 0)
    }

    fn with(rate: Rate, next: u128) -> Self {
        let ahead = rate.interval().saturating_mul(u128::from(rate.burst - 1));
        let ready_at = next.saturating_sub(ahead).div_ceil(u128::from(rate.count));
        Self { rate, next, ready_at }
    }

    /// The first time at which a start conforms.
    pub(crate) fn ready_at(&self) -> u128 {
        self.ready_at
    }

    /// The time after which past starts have no effect.
    pub(crate) fn rested_at(&self) -> u128 {
        self.next.div_ceil(u128::from(self.rate.count))
    }

    /// Counts a start, which conforms.
    pub(crate) fn start(&mut self, now: u128) {
        let next = self.next.max(self.rate.parts(now)).saturating_add(self.rate.interval());
        *self = Self::with(self.rate, next);
    }

    /// Replaces `before` with `rates`. An unchanged rate keeps its state. A new rate takes over as
    /// many past starts as the rate with the most of them, at most its burst. So no change grants a
    /// burst that neither the old nor the new rate allows.
    pub(crate) fn replace(before: &[Self], rates: &[Rate], now: u128) -> Vec<Self> {
        let replaced = |rate: &Rate| {
            let same = before.iter().find(|old| old.rate == *rate);
            let inherits = || before.iter().map(|old| old.starts_behind(*rate, now)).max();
            let next = || rate.parts(now).saturating_add(inherits().unwrap_or(0));
            same.copied().unwrap_or_else(|| Self::with(*rate, next()))
        };
        rates.iter().map(replaced).collect()
    }

    /// How far ahead `rate` would be after the starts that this rate still counts.
    fn starts_behind(&self, rate: Rate, now: u128) -> u128 {
        let ahead = self.next.saturating_sub(self.rate.parts(now));
        let (starts, rest) = (ahead / self.rate.interval(), ahead % self.rate.interval());
        let interval = rate.interval();
        let part =
            rest.checked_mul(interval).map_or(interval, |part| part.div_ceil(self.rate.interval()));
        let most = interval.saturating_mul(u128::from(rate.burst));
        starts.saturating_mul(interval).saturating_add(part).min(most)
    }
}

/// A rate for a section of code, which tasks pass one by one, in FIFO order, at most as often as
/// the rate allows.
///
/// Cloning is cheap; clones share the limiter. Dropping it is harmless, because waiters keep it
/// alive. It belongs to the clock of its first use.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Rate;
/// #     pub mod pool { pub use spinney_pool::{RateLimiter, SlotError}; }
/// # }
/// use std::time::Duration;
/// use spinney::{Rate, block_on};
/// use spinney::pool::{RateLimiter, SlotError};
///
/// let limiter = RateLimiter::new(Rate::per(1000, Duration::from_secs(1)).burst(3));
/// block_on(async {
///     for _ in 0..5 {
///         limiter.ready().await?;
///         // Call the service.
///     }
///     Ok::<(), SlotError>(())
/// }).unwrap();
/// ```
#[derive(Clone)]
pub struct RateLimiter {
    slots: SharedSlots,
}

impl RateLimiter {
    /// Creates a limiter without past starts.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let limits = Limits { rates: vec![rate], ..Limits::default() };
        Self { slots: SharedSlots::with_limits(UNLIMITED, limits) }
    }

    /// Waits until the rate allows one more start, and counts it.
    ///
    /// # Errors
    ///
    /// [`SlotError::OtherClock`] if the caller's clock is not that of the first start.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue. A start that it was already granted is used up.
    #[track_caller]
    pub fn ready(&self) -> impl Future<Output = Result<(), SlotError>> + use<> {
        let slot = AcquireSlot::of_slots(&self.slots);
        async move { slot.await.map(drop) }
    }

    /// Counts a start if the rate allows one now. It allows none while there are waiters.
    ///
    /// # Errors
    ///
    /// [`SlotError::Full`] if the rate allows no start now; [`SlotError::OtherClock`] if the
    /// caller's clock is not that of the first start.
    pub fn try_ready(&self) -> Result<(), SlotError> {
        self.slots.try_permit().map(drop)
    }

    /// Changes the rate. Past starts count: no change grants a burst that neither the old nor the
    /// new rate allows.
    pub fn set_rate(&self, rate: Rate) {
        self.slots.limit(|limits| limits.rates = vec![rate]);
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("waiting", &self.slots.waiting())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Gcra, Rate};

    const SECOND: u128 = 1_000_000_000;

    /// The starts that a rate allows before `end`, each as early as possible.
    fn starts(gcra: &mut Gcra, mut now: u128, end: u128) -> Vec<u128> {
        let mut starts = Vec::new();
        while gcra.ready_at().max(now) < end {
            now = gcra.ready_at().max(now);
            gcra.start(now);
            starts.push(now);
        }
        starts
    }

    #[test]
    fn window_never_has_more_starts_than_the_rate() {
        for (count, burst) in [(1, 1), (3, 1), (7, 4), (1000, 13)] {
            let rate = Rate::per(count, Duration::from_secs(1)).burst(burst);
            let all = starts(&mut Gcra::new(rate), 17, 20 * SECOND);
            let most = usize::try_from(count + burst - 1).unwrap();
            for (first, start) in all.iter().enumerate() {
                let window = all[first..].iter().take_while(|other| **other < start + SECOND);
                assert!(window.count() <= most, "{count} {burst}");
            }
            // Over a long time no start is missing: 20 seconds, and the burst.
            assert_eq!(all.len(), usize::try_from(20 * count + burst - 1).unwrap());
        }
    }

    #[test]
    fn change_of_rate_grants_no_burst() {
        let (slow, fast) = (
            Rate::per(1, Duration::from_secs(10)).burst(5),
            Rate::per(10, Duration::from_secs(1)).burst(5),
        );
        let mut gcra = Gcra::new(slow);
        let mut now = 0;
        assert_eq!(starts(&mut gcra, now, 1).len(), 5);
        for round in 0..100 {
            let rate = if round % 2 == 0 { fast } else { slow };
            gcra = Gcra::replace(&[gcra], &[rate], now)[0];
            assert!(gcra.ready_at() > now, "round {round}");
            now += SECOND / 1000;
        }
    }

    #[test]
    fn unchanged_rate_keeps_its_state() {
        let rate = Rate::per(2, Duration::from_secs(1)).burst(2);
        let mut gcra = Gcra::new(rate);
        gcra.start(5);
        let kept = Gcra::replace(&[gcra], &[Rate::per(9, Duration::MAX), rate], 7);
        assert_eq!(kept[1].next, gcra.next);
    }

    #[test]
    fn absurd_rates_do_not_overflow() {
        let rate = Rate::per(u32::MAX, Duration::MAX).burst(u32::MAX);
        let mut gcra = Gcra::new(rate);
        for _ in 0..3 {
            gcra.start(u128::from(u64::MAX));
        }
        let other = Rate::per(1, Duration::from_nanos(1));
        let _ = Gcra::replace(&[gcra], &[other, rate], u128::from(u64::MAX));
        assert!(gcra.ready_at() <= gcra.rested_at());
    }
}
