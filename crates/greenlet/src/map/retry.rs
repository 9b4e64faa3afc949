//! [`Retry`]: the policy for trying failed work again; [`Attempts`]: that policy as a setting of a
//! map.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spinney_hub::{Clock, Within, sleep};

use super::TaskError;
use crate::{Failure, GreenletExit};

/// A policy that retries work that returned an error or exceeded its time limit; an item of a map
/// also if it panicked. Killed work is not retried.
///
/// A policy can be cloned and used any number of times. By default the delays grow exponentially
/// with full jitter: the delay before try `n + 1` is random, at most 100 ms times two to the power
/// of `n - 1`, and at most a minute.
///
/// ```
/// # mod spinney { pub use spinney_greenlet::map::Retry; pub use spinney_hub::block_on; }
/// use std::cell::Cell;
/// use std::time::Duration;
/// use spinney::{Retry, block_on};
///
/// let calls = Cell::new(0);
/// let retry = Retry::times(3).exponential(Duration::from_millis(1), Duration::from_millis(5));
/// let answer = block_on(retry.run(|| async {
///     calls.set(calls.get() + 1);
///     if calls.get() < 3 { Err("busy") } else { Ok(42) }
/// }));
/// assert_eq!((answer.unwrap(), calls.get()), (42, 3));
/// ```
#[must_use = "a policy does nothing unless it is given something to try"]
pub struct Retry<E> {
    plan: Plan,
    when: Option<Arc<When<E>>>,
}

type When<E> = dyn Fn(&E) -> Decision + Send + Sync;
type Iter = Box<dyn Iterator<Item = Duration> + Send>;

/// The decision of a predicate about an error. A `bool` converts: `true` is [`Retry`](Self::Retry),
/// `false` is [`GiveUp`](Self::GiveUp).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No further try.
    GiveUp,
    /// Another try after the delay of the policy.
    Retry,
    /// Another try after this delay instead: the server's retry-after, for example.
    RetryAfter(Duration),
}

impl From<bool> for Decision {
    fn from(tries_again: bool) -> Self {
        if tries_again { Self::Retry } else { Self::GiveUp }
    }
}

impl<E> Retry<E> {
    /// Creates a policy with up to `times` further tries after the first.
    pub fn times(times: u32) -> Self {
        let delays = Delays::Jitter { first: FIRST, most: MOST, seed: None };
        let plan = Plan { times, delays, try_limit: None, limit: None, keeps_slot: false };
        Self { plan, when: None }
    }

    /// Sets the delays before the second try, the third and so on, as an iterator, of which each
    /// use begins with a clone. When the iterator ends, there is no further try.
    ///
    /// ```
    /// # mod spinney { pub use spinney_greenlet::map::Retry; }
    /// use std::time::Duration;
    /// use spinney::Retry;
    ///
    /// let steady = std::iter::repeat(Duration::from_secs(5));
    /// let retry: Retry<std::io::Error> = Retry::times(9).delays(steady);
    /// let _ = retry;
    /// ```
    pub fn delays<I>(self, delays: I) -> Self
    where
        I: IntoIterator<Item = Duration, IntoIter: Send + 'static> + Clone + Send + Sync + 'static,
    {
        self.delays_from(move || delays.clone())
    }

    /// Sets the delays like [`delays`](Self::delays), as an iterator that `make` creates for each
    /// use: for iterators that are not `Clone`, like those of the crates for backoff.
    ///
    /// ```
    /// # mod spinney { pub use spinney_greenlet::map::Retry; }
    /// use std::time::Duration;
    /// use spinney::Retry;
    ///
    /// let rising = || (1..).map(Duration::from_secs);
    /// let retry: Retry<std::io::Error> = Retry::times(9).delays_from(rising);
    /// let _ = retry;
    /// ```
    pub fn delays_from<I, F>(mut self, make: F) -> Self
    where
        I: IntoIterator<Item = Duration, IntoIter: Send + 'static>,
        F: Fn() -> I + Send + Sync + 'static,
    {
        self.plan.delays = Delays::Given(Arc::new(move || Box::new(make().into_iter())));
        self
    }

    /// Sets exponential delays with full jitter: a random delay of at most `first` before the
    /// second try, of at most twice as much before each further one, and never more than `most`.
    pub fn exponential(mut self, first: Duration, most: Duration) -> Self {
        let seed = self.plan.delays.seed();
        self.plan.delays = Delays::Jitter { first, most, seed };
        self
    }

    /// Makes the jitter reproducible: the same `seed` gives the same delays for the same item.
    pub fn seed(mut self, seed: u64) -> Self {
        if let Delays::Jitter { seed: own, .. } = &mut self.plan.delays {
            *own = Some(seed);
        }
        self
    }

    /// Calls `when` with each returned error. It decides whether to try again, as a `bool`, or sets
    /// the delay, as a [`Decision`]. By default, every error is retried.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_greenlet::map::Retry;
    /// #     pub mod map { pub use spinney_greenlet::map::Decision; }
    /// # }
    /// use std::time::Duration;
    /// use spinney::Retry;
    /// use spinney::map::Decision;
    ///
    /// struct Answer { status: u16, retry_after: Option<Duration> }
    ///
    /// let retry = Retry::times(5).when(|error: &Answer| match (error.status, error.retry_after) {
    ///     (429 | 503, Some(delay)) => Decision::RetryAfter(delay),
    ///     (429 | 503, None) => Decision::Retry,
    ///     _ => Decision::GiveUp,
    /// });
    /// let _ = retry;
    /// ```
    pub fn when<D, F>(mut self, when: F) -> Self
    where
        F: Fn(&E) -> D + Send + Sync + 'static,
        D: Into<Decision>,
    {
        self.when = Some(Arc::new(move |error| when(error).into()));
        self
    }

    /// Limits the time of each try; a try that takes longer is dropped, and has failed.
    pub fn try_timeout(mut self, limit: Duration) -> Self {
        self.plan.try_limit = Some(limit);
        self
    }

    /// Limits the time of all tries together, with the delays between them. At the limit the
    /// current try is dropped, and a delay that would exceed the limit does not begin.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.plan.limit = Some(limit);
        self
    }

    /// Keeps the slot of a map's item during the delays. By default the slot is freed, so that
    /// other items run meanwhile, and the item waits in the queue again.
    pub fn keep_slot(mut self) -> Self {
        self.plan.keeps_slot = true;
        self
    }

    /// Calls `func` and awaits the returned future, until that returns a value or there are no more
    /// tries.
    ///
    /// # Errors
    ///
    /// The error of the last try: [`TaskError::Returned`], or [`TaskError::Failed`] if it exceeded
    /// its time limit: killed, with [`Timeout`](spinney_hub::Timeout) as its reason.
    ///
    /// # Panics
    ///
    /// Panics if a try panics, with the panic of that try.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the current try.
    pub async fn run<T, F, Fut>(&self, mut func: F) -> Result<T, TaskError<E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut schedule = self.plan.begin(0);
        loop {
            let tried = match schedule.try_limit() {
                None => func().await.map_err(TaskError::Returned),
                Some(limit) => match func().within(limit).await {
                    Ok(tried) => tried.map_err(TaskError::Returned),
                    Err(late) => {
                        Err(TaskError::Failed(Failure::Killed(GreenletExit::because(late))))
                    }
                },
            };
            let Err(error) = tried else { return tried };
            let decision = match &error {
                TaskError::Returned(error) => self.decide(error),
                TaskError::Failed(_) => Decision::Retry,
            };
            let Some(delay) = schedule.next_delay(decision) else { return Err(error) };
            sleep(delay).await;
        }
    }

    fn decide(&self, error: &E) -> Decision {
        self.when.as_ref().map_or(Decision::Retry, |when| when(error))
    }
}

impl<E> Clone for Retry<E> {
    fn clone(&self) -> Self {
        Self { plan: self.plan.clone(), when: self.when.clone() }
    }
}

impl<E> fmt::Debug for Retry<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("times", &self.plan.times).finish_non_exhaustive()
    }
}

const FIRST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(60);

/// A policy without its predicate.
#[derive(Clone)]
struct Plan {
    times: u32,
    delays: Delays,
    try_limit: Option<Duration>,
    limit: Option<Duration>,
    keeps_slot: bool,
}

#[derive(Clone)]
enum Delays {
    Jitter { first: Duration, most: Duration, seed: Option<u64> },
    Given(Arc<dyn Fn() -> Iter + Send + Sync>),
}

impl Delays {
    fn seed(&self) -> Option<u64> {
        if let Self::Jitter { seed, .. } = self { *seed } else { None }
    }

    /// The delays of the item `index`.
    fn begin(&self, index: usize) -> Iter {
        let (first, most, seed) = match self {
            Self::Jitter { first, most, seed } => (*first, *most, *seed),
            Self::Given(delays) => return delays(),
        };
        let of_item = |seed: u64| fastrand::Rng::with_seed(seed ^ (index as u64).rotate_left(32));
        let mut rng = seed.map_or_else(fastrand::Rng::new, of_item);
        let doubled = |at_most: &Duration| Some(at_most.saturating_mul(2));
        let at_most = std::iter::successors(Some(first), doubled);
        Box::new(at_most.map(move |at_most| at_most.min(most).mul_f64(rng.f64())))
    }
}

impl Plan {
    fn begin(&self, index: usize) -> Schedule {
        let end = self.limit.map(|limit| Clock::current().now().checked_add(limit));
        Schedule {
            left: self.times,
            delays: self.delays.begin(index),
            try_limit: self.try_limit,
            end: end.flatten(),
        }
    }
}

/// The tries of one item, for containers. Dropping it ends them.
pub struct Schedule {
    left: u32,
    delays: Iter,
    try_limit: Option<Duration>,
    /// When all tries must have finished.
    end: Option<Instant>,
}

impl Schedule {
    /// How many tries there may be after the current one.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// The time limit of the next try; `None` without a limit.
    pub fn try_limit(&self) -> Option<Duration> {
        let rest = self.end.map(|end| end.saturating_duration_since(Clock::current().now()));
        self.try_limit.into_iter().chain(rest).min()
    }

    /// The delay before the next try, after a failed one; `None` if there is no further try.
    pub fn next_delay(&mut self, decision: Decision) -> Option<Duration> {
        if decision == Decision::GiveUp || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let own = self.delays.next();
        let delay = if let Decision::RetryAfter(delay) = decision { delay } else { own? };
        let is_late =
            |end: Instant| Clock::current().now().checked_add(delay).is_none_or(|at| at >= end);
        if self.end.is_some_and(is_late) { None } else { Some(delay) }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule").field("left", &self.left).finish_non_exhaustive()
    }
}

/// The retries of a map over items `A` whose tasks return `T`: [`Once`] or [`Retry`]. The trait is
/// sealed.
#[expect(private_bounds, reason = "a private bound seals the trait")]
pub trait Attempts<A, T>: Policy {
    /// The retry policy, if there is one.
    fn again(self) -> Option<Again<A, T>>;
}

trait Policy {}

impl Policy for Once {}
impl<E> Policy for Retry<E> {}

/// Each item is tried once.
#[derive(Clone, Copy, Debug)]
pub struct Once;

impl<A, T> Attempts<A, T> for Once {
    fn again(self) -> Option<Again<A, T>> {
        None
    }
}

impl<A: Clone, T: 'static, E: 'static> Attempts<A, Result<T, E>> for Retry<E> {
    fn again(self) -> Option<Again<A, Result<T, E>>> {
        let plan = self.plan.clone();
        let decide = Arc::new(move |result: &Result<T, E>| match result {
            Ok(_) => Decision::GiveUp,
            Err(error) => self.decide(error),
        });
        Some(Again { plan, clone: A::clone, decide })
    }
}

/// The retry policy of a map, whose items can be cloned. For containers.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::map::Retry;
/// #     pub mod map { pub use spinney_greenlet::{map::Attempts, map::Decision, map::Once}; }
/// # }
/// use spinney::Retry;
/// use spinney::map::{Attempts, Decision, Once};
///
/// let retry = Retry::times(1).when(|error: &&str| *error == "busy");
/// let again = Attempts::<String, Result<u32, &str>>::again(retry).unwrap();
/// assert_eq!(again.clone_item(&"a".to_owned()), "a");
/// let mut schedule = again.begin(7);
/// assert!(schedule.next_delay(again.decide(&Ok(Err("busy")))).is_some());
/// assert_eq!(again.decide(&Ok(Err("gone"))), Decision::GiveUp);
/// assert_eq!(schedule.left(), 0);
/// assert!(Attempts::<String, ()>::again(Once).is_none());
/// ```
pub struct Again<A, T> {
    plan: Plan,
    clone: fn(&A) -> A,
    decide: Arc<dyn Fn(&T) -> Decision + Send + Sync>,
}

impl<A, T> Again<A, T> {
    /// Begins the tries of the item `index`, which starts now.
    pub fn begin(&self, index: usize) -> Schedule {
        self.plan.begin(index)
    }

    /// Whether an item keeps its slot during a delay.
    pub fn keeps_slot(&self) -> bool {
        self.plan.keeps_slot
    }

    /// Clones the item for another try.
    pub fn clone_item(&self, item: &A) -> A {
        (self.clone)(item)
    }

    /// Decides whether to try again after this result, by the policy's predicate, which may panic.
    /// A failure is a panic, or a try that exceeded its time limit.
    pub fn decide(&self, result: &Result<T, Failure>) -> Decision {
        result.as_ref().map_or(Decision::Retry, |returned| (self.decide)(returned))
    }
}

impl<A, T> fmt::Debug for Again<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Again").field("times", &self.plan.times).finish_non_exhaustive()
    }
}
