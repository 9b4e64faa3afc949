//! [`ResourceStats`]: the statistics of a resource pool.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The current and the total counts of a [`ResourcePool`](super::ResourcePool).
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pile::ResourcePool;
/// #     pub mod pile { pub use spinney_pile::ResourceError; }
/// # }
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use spinney::{ResourcePool, block_on};
/// use spinney::pile::ResourceError;
///
/// block_on(async {
///     let pool = ResourcePool::builder(|| async { Ok::<_, Infallible>("a connection") }).build();
///     pool.item().await?.discard();
///     let item = pool.item().await?;
///     let stats = pool.stats();
///     assert_eq!((stats.size, stats.in_use, stats.created, stats.discarded.holder), (1, 1, 2, 1));
///     assert!(stats.waits.percentile(0.99) < Duration::from_secs(1));
///     Ok::<(), ResourceError<Infallible>>(())
/// }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ResourceStats {
    /// How many items there are: idle, in use, being created or recycled.
    pub size: usize,
    /// How many are idle.
    pub idle: usize,
    /// How many are in use.
    pub in_use: usize,
    /// How many are being created.
    pub creating: usize,
    /// How many callers wait for a slot.
    pub waiting: usize,
    /// How many items were created.
    pub created: u64,
    /// How many times `create` failed, timed out or panicked.
    pub failed: u64,
    /// How many items were discarded, and why.
    pub discarded: Discarded,
    /// How long callers waited for an item.
    pub waits: WaitTimes,
}

/// How many items a pool discarded, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discarded {
    /// The holder discarded or took the item.
    pub holder: u64,
    /// The holder panicked, was killed, exceeded a time limit or dropped the future of
    /// [`Item::run`](super::Item::run); or a check panicked or was dropped.
    pub failure: u64,
    /// [`check`](super::ResourcePoolBuilder::check) returned `false`.
    pub check: u64,
    /// [`recycle`](super::ResourcePoolBuilder::recycle) returned `false`.
    pub recycle: u64,
    /// The item was idle for too long.
    pub idle_timeout: u64,
    /// The item was too old.
    pub max_age: u64,
    /// The item had reached its number of uses.
    pub max_uses: u64,
    /// There were more items than the capacity: after a `resize`, or a `put` into a full pool.
    pub surplus: u64,
    /// `retain` or `clear` discarded the item.
    pub cleared: u64,
    /// The pool was closed.
    pub closed: u64,
}

impl Discarded {
    /// The sum of all reasons.
    pub fn total(&self) -> u64 {
        let Self { holder, failure, check, recycle, idle_timeout, .. } = self;
        let Self { max_age, max_uses, surplus, cleared, closed, .. } = self;
        let early = holder + failure + check + recycle + idle_timeout;
        early + max_age + max_uses + surplus + cleared + closed
    }

    pub(super) fn count(&mut self, reason: Reason) {
        *match reason {
            Reason::Holder => &mut self.holder,
            Reason::Failure => &mut self.failure,
            Reason::Check => &mut self.check,
            Reason::Recycle => &mut self.recycle,
            Reason::IdleTimeout => &mut self.idle_timeout,
            Reason::MaxAge => &mut self.max_age,
            Reason::MaxUses => &mut self.max_uses,
            Reason::Surplus => &mut self.surplus,
            Reason::Cleared => &mut self.cleared,
            Reason::Closed => &mut self.closed,
        } += 1;
    }
}

/// Why an item is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Holder,
    Failure,
    Check,
    Recycle,
    IdleTimeout,
    MaxAge,
    MaxUses,
    Surplus,
    Cleared,
    Closed,
}

/// Four buckets of nanoseconds for each power of two.
const BUCKETS: usize = 252;

/// How long callers waited for an item that they got. Cancelled waits are not counted.
///
/// A wait begins at the caller's first pending poll. It ends when the item has come back, was created
/// or has passed its check, even if the caller runs later.
///
/// A percentile is at most a quarter too high, because waits of similar length share a bucket.
#[derive(Clone)]
pub struct WaitTimes {
    /// How many callers did not wait.
    immediate: u64,
    waits: Box<[u64; BUCKETS]>,
}

/// The counts of a pool's waits so far, which grow without a lock.
pub(super) struct WaitCounts {
    immediate: AtomicU64,
    waits: Box<[AtomicU64; BUCKETS]>,
}

impl WaitCounts {
    pub(super) fn new() -> Self {
        let waits = Box::new([const { AtomicU64::new(0) }; BUCKETS]);
        Self { immediate: AtomicU64::new(0), waits }
    }

    /// Counts a caller that got its item; `None` if it did not wait.
    pub(super) fn record(&self, wait: Option<Duration>) {
        let count = wait.map_or(&self.immediate, |wait| &self.waits[bucket_of(wait)]);
        count.fetch_add(1, Relaxed);
    }

    pub(super) fn now(&self) -> WaitTimes {
        let immediate = self.immediate.load(Relaxed);
        let mut now = WaitTimes { immediate, ..WaitTimes::default() };
        for (count, counted) in now.waits.iter_mut().zip(&*self.waits) {
            *count = counted.load(Relaxed);
        }
        now
    }
}

impl WaitTimes {
    /// How many callers got an item.
    pub fn count(&self) -> u64 {
        self.immediate + self.waits.iter().sum::<u64>()
    }

    /// The time within which a `share` of callers, from 0 to 1, got their item: 0.5 is the median.
    /// Zero without callers.
    ///
    /// # Panics
    ///
    /// Panics if `share` is not between 0 and 1.
    #[track_caller]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of a count is a count, and need not be exact"
    )]
    pub fn percentile(&self, share: f64) -> Duration {
        assert!((0.0..=1.0).contains(&share), "a share of callers is between 0 and 1");
        let mut left = (self.count() as f64 * share).ceil() as u64;
        left = left.saturating_sub(self.immediate);
        for (bucket, count) in self.waits.iter().enumerate() {
            if left == 0 {
                return bucket.checked_sub(1).map_or(Duration::ZERO, longest_of);
            }
            left = left.saturating_sub(*count);
        }
        longest_of(BUCKETS - 1)
    }
}

fn bucket_of(wait: Duration) -> usize {
    let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    let Some(power) = nanos.checked_ilog2().filter(|power| *power >= 2) else {
        return usize::try_from(nanos).expect("it is below four");
    };
    let quarter = usize::try_from((nanos >> (power - 2)) & 3).expect("it is below four");
    (power as usize - 1) * 4 + quarter
}

/// The longest wait in `bucket`.
fn longest_of(bucket: usize) -> Duration {
    if bucket < 4 {
        return Duration::from_nanos(bucket as u64);
    }
    let next = u128::from(bucket as u64 % 4 + 5) << (bucket / 4 - 1);
    Duration::from_nanos(u64::try_from(next - 1).unwrap_or(u64::MAX))
}

impl Default for WaitTimes {
    fn default() -> Self {
        Self { immediate: 0, waits: Box::new([0; BUCKETS]) }
    }
}

impl fmt::Debug for WaitTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitTimes")
            .field("count", &self.count())
            .field("median", &self.percentile(0.5))
            .field("p99", &self.percentile(0.99))
            .field("longest", &self.percentile(1.0))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BUCKETS, WaitCounts, WaitTimes, bucket_of, longest_of};

    #[test]
    fn wait_is_counted_with_waits_of_about_its_length() {
        for nanos in (0..64).map(|power| 1_u64 << power).chain([3, 5, 7, 1000, u64::MAX]) {
            let wait = Duration::from_nanos(nanos);
            let longest = longest_of(bucket_of(wait));
            assert!(wait <= longest && longest <= wait + wait / 4, "{wait:?} {longest:?}");
        }
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentile_counts_callers_that_did_not_wait() {
        let counts = WaitCounts::new();
        (0..90).for_each(|_| counts.record(None));
        (0..9).for_each(|_| counts.record(Some(Duration::from_millis(1))));
        counts.record(Some(Duration::from_secs(1)));
        let waits = counts.now();
        assert_eq!(waits.count(), 100);
        assert_eq!(waits.percentile(0.9), Duration::ZERO);
        let millisecond = waits.percentile(0.99);
        assert!(millisecond >= Duration::from_millis(1) && millisecond < Duration::from_millis(2));
        assert!(waits.percentile(1.0) >= Duration::from_secs(1));
        assert_eq!(WaitTimes::default().percentile(1.0), Duration::ZERO);
    }
}
