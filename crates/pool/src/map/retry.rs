//! [`Retry`] and [`Backoff`]: whether a map tries an item again that failed, and when.

use std::time::Duration;

/// Tries each item of a map again that panicked, or took too long, or whose task returned an error
/// to [`try_map`](crate::TaskSet::try_map). An item that was killed is not tried again.
///
/// The item keeps its slot meanwhile. It is cloned for each try but the last.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
/// use spinney_pool::Pool;
/// use spinney_pool::map::Retry;
///
/// static TRIES: AtomicU32 = AtomicU32::new(0);
///
/// async fn fetch(page: u32) -> Result<u32, &'static str> {
///     if TRIES.fetch_add(1, Relaxed) < 2 { Err("busy") } else { Ok(page) }
/// }
///
/// spinney_hub::block_on(async {
///     let pool = Pool::new(1);
///     let pages = pool.mapper().retry(Retry::times(2)).try_map(fetch, 7..=7).await;
///     assert_eq!(pages.unwrap(), [7]);
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a policy does nothing unless a map is given it"]
pub struct Retry {
    pub(crate) times: u32,
    backoff: Backoff,
}

impl Retry {
    /// Up to `times` tries more than the first, one right after the other.
    pub const fn times(times: u32) -> Self {
        Self { times, backoff: Backoff::NONE }
    }

    /// How long to wait before each of them.
    pub const fn backoff(self, backoff: Backoff) -> Self {
        Self { times: self.times, backoff }
    }

    /// How long to wait after try `tried`, counted from 1, of the item `index`.
    pub(crate) fn pause(&self, index: usize, tried: u32) -> Duration {
        self.backoff.pause(index, tried)
    }
}

/// How long to wait before an item is tried again.
///
/// ```
/// use std::time::Duration;
/// use spinney_pool::map::{Backoff, Retry};
///
/// // 100 ms, 200 ms, 400 ms, and so on up to 5 s; each between half of that and the whole.
/// let backoff = Backoff::exponential(Duration::from_millis(100))
///     .at_most(Duration::from_secs(5))
///     .jitter(17);
/// let policy = Retry::times(8).backoff(backoff);
/// # let _ = policy;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    factor: u32,
    most: Duration,
    seed: Option<u64>,
}

impl Backoff {
    /// Not at all.
    pub const NONE: Self = Self::constant(Duration::ZERO);

    /// The same time before each try.
    #[must_use]
    pub const fn constant(pause: Duration) -> Self {
        Self { first: pause, factor: 1, most: Duration::MAX, seed: None }
    }

    /// `first` before the second try, and twice as long as before for each that follows.
    #[must_use]
    pub const fn exponential(first: Duration) -> Self {
        Self { first, factor: 2, most: Duration::MAX, seed: None }
    }

    /// Never longer than `most`.
    #[must_use]
    pub const fn at_most(self, most: Duration) -> Self {
        Self { most, ..self }
    }

    /// Each time somewhere between half and the whole, so that those who failed together do not
    /// come back together. The same `seed` gives the same times for the same item.
    #[must_use]
    pub const fn jitter(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    fn pause(&self, index: usize, tried: u32) -> Duration {
        let times = self.factor.saturating_pow(tried.saturating_sub(1));
        let whole = self.first.saturating_mul(times).min(self.most);
        let Some(seed) = self.seed else { return whole };
        let of_item = fastrand::Rng::with_seed(seed).u64(..) ^ (index as u64);
        let mut rng = fastrand::Rng::with_seed(of_item.rotate_left(tried));
        whole.mul_f64(0.5 + rng.f64() / 2.0)
    }
}
