//! [`Retry`] and [`Backoff`]: whether a map tries an item again that failed, and when; [`Attempts`]:
//! that, as the settings of a map know it.

use std::fmt;
use std::time::Duration;

/// Tries each item of a map again that panicked, or took too long, or whose task returned an error
/// where the map's verb is one for tasks that return a `Result`. An item that was killed is not tried
/// again.
///
/// The item keeps its slot meanwhile. It is cloned for each try but the last.
///
/// ```
/// use std::time::Duration;
/// use spinney_greenlet::map::{Backoff, Retry};
///
/// let retry = Retry::times(2).backoff(Backoff::constant(Duration::from_millis(5)));
/// assert_eq!(retry, Retry::times(2).backoff(Backoff::constant(Duration::from_millis(5))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a policy does nothing unless a map is given it"]
pub struct Retry {
    times: u32,
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
}

/// How long to wait before an item is tried again.
///
/// ```
/// use std::time::Duration;
/// use spinney_greenlet::map::{Backoff, Retry};
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

    /// Each time somewhere between half and the whole, so that items that failed together do not
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

/// Whether the items of a map are tried again: [`Once`] or [`Retry`]. There are no others, and none
/// can be made.
#[expect(private_bounds, reason = "that is what keeps others from being made")]
pub trait Attempts<A>: Policy {
    /// How, if so.
    fn again(self) -> Option<Again<A>>;
}

trait Policy {}

impl Policy for Once {}
impl Policy for Retry {}

/// Items are not tried again.
#[derive(Clone, Copy, Debug)]
pub struct Once;

impl<A> Attempts<A> for Once {
    fn again(self) -> Option<Again<A>> {
        None
    }
}

impl<A: Clone> Attempts<A> for Retry {
    fn again(self) -> Option<Again<A>> {
        Some(Again { retry: self, clone: A::clone })
    }
}

/// How the items of a map, which can be cloned, are tried again. For containers.
///
/// ```
/// use std::time::Duration;
/// use spinney_greenlet::map::{Attempts, Once, Retry};
///
/// let again = Attempts::<String>::again(Retry::times(1)).unwrap();
/// assert_eq!((again.times(), again.pause(7, 1)), (1, Duration::ZERO));
/// assert_eq!(again.clone_item(&"a".to_owned()), "a");
/// assert!(Attempts::<String>::again(Once).is_none());
/// ```
pub struct Again<A> {
    retry: Retry,
    clone: fn(&A) -> A,
}

impl<A> Again<A> {
    /// How many tries there may be, besides the first.
    pub fn times(&self) -> u32 {
        self.retry.times
    }

    /// How long to wait after try `tried`, counted from 1, of the item `index`.
    pub fn pause(&self, index: usize, tried: u32) -> Duration {
        self.retry.backoff.pause(index, tried)
    }

    /// The item for another try.
    pub fn clone_item(&self, item: &A) -> A {
        (self.clone)(item)
    }
}

impl<A> fmt::Debug for Again<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Again").field(&self.retry).finish()
    }
}
