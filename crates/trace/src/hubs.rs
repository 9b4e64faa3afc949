//! [`HubReport`]: the numbers of a hub; [`HubNote`], which counts them.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use spinney_hub::{Clock, Hub, HubStats};

use crate::record::lock;

/// The hubs that have polled a greenlet, until all their greenlets and threads are gone.
static HUBS: Mutex<Vec<Weak<HubNote>>> = Mutex::new(Vec::new());

/// What is known of a hub. It does not keep the hub alive.
pub(crate) struct HubNote {
    /// Counts the hubs, from 1, in the order of their first polls.
    pub(crate) number: usize,
    /// `None` for polls outside any hub.
    hub: Option<Hub>,
    clock: Clock,
    polls: AtomicU64,
    wakes: AtomicU64,
    delays: Histogram,
}

impl HubNote {
    /// The note of `hub`, which is the current one.
    pub(crate) fn of(hub: Option<Hub>) -> Arc<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let mut hubs = lock(&HUBS);
        let known = hubs.iter().filter_map(Weak::upgrade).find(|note| note.is_of(hub.as_ref()));
        known.unwrap_or_else(|| {
            hubs.retain(|hub| hub.strong_count() > 0);
            let note = Arc::new(Self {
                number: NEXT.fetch_add(1, Relaxed),
                hub,
                clock: Clock::current(),
                polls: AtomicU64::new(0),
                wakes: AtomicU64::new(0),
                delays: Histogram::default(),
            });
            hubs.push(Arc::downgrade(&note));
            note
        })
    }

    pub(crate) fn is_of(&self, hub: Option<&Hub>) -> bool {
        self.hub.as_ref() == hub
    }

    pub(crate) fn all() -> Vec<Arc<Self>> {
        lock(&HUBS).iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn now(&self) -> Instant {
        if self.clock.is_real() { Instant::now() } else { self.clock.now() }
    }

    pub(crate) fn is_real(&self) -> bool {
        self.clock.is_real()
    }

    /// A greenlet is polled, this long after it was woken.
    pub(crate) fn polled(&self, delay: Option<Duration>) {
        self.polls.fetch_add(1, Relaxed);
        if let Some(delay) = delay {
            self.delays.add(delay);
        }
    }

    /// How many polls it has begun.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Relaxed)
    }

    pub(crate) fn woken(&self) {
        self.wakes.fetch_add(1, Relaxed);
    }

    pub(crate) fn stats(&self) -> HubStats {
        let Some(hub) = &self.hub else {
            let mut none = HubStats::default();
            none.name.push_str("no hub");
            return none;
        };
        hub.stats()
    }

    pub(crate) fn delays(&self) -> Delays {
        self.delays.read()
    }

    fn report(&self) -> HubReport {
        HubReport {
            number: self.number,
            hub: self.stats(),
            polls: self.polls.load(Relaxed),
            wakes: self.wakes.load(Relaxed),
            delays: self.delays(),
        }
    }
}

/// The numbers of each hub that has polled a greenlet since [`start`](crate::start) and still has
/// greenlets or threads.
pub fn hubs() -> Vec<HubReport> {
    HubNote::all().iter().map(|hub| hub.report()).collect()
}

/// The numbers of a hub.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubReport {
    /// Counts the hubs, from 1, in the order of their first polls.
    pub number: usize,
    /// Its threads and tasks.
    pub hub: HubStats,
    /// How many polls of greenlets it has begun. The items of a map that one poll runs are one.
    pub polls: u64,
    /// How often its greenlets were woken, spurious wake-ups included.
    pub wakes: u64,
    /// The times from wake-ups to the polls that followed. A wake-up by a greenlet counts from the
    /// beginning of that greenlet's poll, unless a timeline is recorded. Closures of thread pools
    /// are not counted.
    pub delays: Delays,
}

/// The number of buckets per octave of nanoseconds.
const STEPS: u64 = 8;
const BUCKETS: usize = 512;

/// Counts durations, each by its octave and an eighth of that.
struct Histogram([AtomicU64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Histogram {
    fn add(&self, duration: Duration) {
        let nanos = duration.as_secs().saturating_mul(1_000_000_000);
        let nanos = nanos.saturating_add(duration.subsec_nanos().into());
        self.0[bucket(nanos)].fetch_add(1, Relaxed);
    }

    fn read(&self) -> Delays {
        Delays { counts: self.0.iter().map(|count| count.load(Relaxed)).collect() }
    }
}

fn bucket(nanos: u64) -> usize {
    let octave = u64::from(nanos.max(1).ilog2());
    let index = if nanos < STEPS {
        nanos
    } else {
        octave * STEPS + ((nanos >> (octave - 3)) & (STEPS - 1))
    };
    usize::try_from(index).expect("a bucket's index is below 512")
}

/// The lower end of a bucket.
fn lower(bucket: usize) -> Duration {
    let (octave, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    let nanos = if octave < 3 { step } else { (STEPS + step) << (octave - 3) };
    Duration::from_nanos(nanos)
}

/// Counts of durations, from which percentiles are read, exact to an eighth.
#[derive(Clone, Default)]
pub struct Delays {
    counts: Vec<u64>,
}

impl Delays {
    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The duration that the fraction `share` of them, for example 0.99, does not exceed; zero if
    /// none was counted.
    ///
    /// # Panics
    ///
    /// Panics if `share` is not between 0 and 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is exact to one in 2^52"
    )]
    pub fn percentile(&self, share: f64) -> Duration {
        assert!((0.0..=1.0).contains(&share), "a share is between 0 and 1");
        let rank = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map(lower).unwrap_or_default()
    }

    /// The counts that were added after `before` was read.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let before = before.counts.iter().copied().chain(std::iter::repeat(0));
        Self { counts: self.counts.iter().zip(before).map(|(now, then)| now - then).collect() }
    }
}

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delays")
            .field("count", &self.count())
            .field("p50", &self.percentile(0.5))
            .field("p99", &self.percentile(0.99))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Histogram, bucket, lower};

    #[test]
    fn bucket_holds_its_durations_to_an_eighth() {
        for nanos in (0..100_000).chain([u64::MAX / 2, u64::MAX]) {
            let low = lower(bucket(nanos)).as_nanos();
            let nanos = u128::from(nanos);
            assert!(low <= nanos && nanos <= low + low / 8, "{nanos} in the bucket from {low}");
        }
    }

    #[test]
    fn percentiles_are_read_from_the_counts() {
        let histogram = Histogram::default();
        (1..=100).for_each(|millis| histogram.add(Duration::from_millis(millis)));
        let delays = histogram.read();
        let near = |share, millis: u64| {
            let (read, exact) = (delays.percentile(share), Duration::from_millis(millis));
            assert!(exact * 7 / 8 <= read && read <= exact, "{share}: {read:?}");
        };
        near(0.5, 50);
        near(0.99, 99);
        near(1.0, 100);
        assert_eq!(delays.count(), 100);
        assert_eq!(delays.since(&delays).percentile(0.99), Duration::ZERO);
    }
}
