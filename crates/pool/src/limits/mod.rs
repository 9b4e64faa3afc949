//! Limits of a pool beside its capacity: rates, keys, a bound on waiters, an order, a pause.
//!
//! All requests of a pool stand in one queue, the `SlotLine` of its semaphore. While a pool has no
//! limit that is a plain FIFO line, and free slots are taken without a look at it. The first limit,
//! weight or priority turns it into a `Limited` one, which holds the rule of order.

mod alarm;
mod limited;
mod line;
mod rate;

use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;
use std::time::Duration;

use spinney_sync::Closed;

pub(crate) use alarm::Alarm;
pub(crate) use line::{Kind, Request, SlotLine, Stats};
pub use rate::{Rate, RateLimiter};

use crate::Pool;

/// In which order a pool serves requests that wait.
///
/// Requests of a higher priority always stand first with `Oldest` and `Newest`, which promise no
/// fairness between priorities: while there are enough urgent requests, others never start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// By priority, FIFO among equals.
    #[default]
    Oldest,
    /// By priority, the newest first among equals: for requests that lose their worth while they wait.
    /// The oldest may wait for ever.
    Newest,
    /// By the number of arrival, where each step of priority is worth so many places: a request is
    /// overtaken by at most that many later requests for each step that their priority is higher. So
    /// none starves.
    Aging(u32),
}

/// The limits of a pool beside its capacity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) rates: Vec<Rate>,
    pub(crate) key_rates: Vec<Rate>,
    pub(crate) per_key: Option<usize>,
    pub(crate) max_waiting: Option<usize>,
    pub(crate) order: Order,
}

impl Limits {
    /// Whether a start has to be looked at, also where nothing waits.
    pub(crate) fn concern_starts(&self) -> bool {
        !self.rates.is_empty() || !self.key_rates.is_empty() || self.per_key.is_some()
    }

    pub(crate) fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Limits, changed while the pool is in use. Each concerns the requests that wait as well as those to
/// come, and those that may start now do.
impl<X> Pool<X> {
    /// Limits how many tasks start per period; several rates hold together, and none is no limit. A
    /// start that one of them refuses uses up nothing of the others. Starts of the past count: no
    /// change grants a burst that neither rate allows.
    ///
    /// A slot counts as a start when it is handed out. A rate belongs to the clock of its first start.
    pub fn set_rates(&self, rates: impl IntoIterator<Item = Rate>) {
        let rates = rates.into_iter().collect();
        self.slots().limit(|limits| limits.rates = rates);
    }

    /// Limits how many tasks with the same [key](crate::SlotRequest::key) start per period, as
    /// [`set_rates`](Self::set_rates) does for all. Keys that have started before begin anew.
    pub fn set_key_rates(&self, rates: impl IntoIterator<Item = Rate>) {
        let rates = rates.into_iter().collect();
        self.slots().limit(|limits| limits.key_rates = rates);
    }

    /// Limits how many tasks with the same [key](crate::SlotRequest::key) run at once; `None` is no
    /// limit. Tasks that started while there was neither a limit nor a waiter are not counted.
    ///
    /// Members that hold one key and wait for another can wait for each other for ever. A crawler
    /// feeds its pool from a queue rather than from the pool's own members.
    pub fn set_per_key(&self, most: Option<usize>) {
        self.slots().limit(|limits| limits.per_key = most);
    }

    /// Limits how many requests wait; beyond that one is refused immediately. `None` is no limit.
    /// Those that wait already stay. Maps, which wait for one slot at a time, and children that a
    /// member runs in its own place are neither counted nor refused.
    pub fn set_max_waiting(&self, most: Option<usize>) {
        self.slots().limit(|limits| limits.max_waiting = most);
    }

    /// Changes the order in which requests are served.
    pub fn set_order(&self, order: Order) {
        self.slots().limit(|limits| limits.order = order);
    }

    /// Starts nothing until [`resume`](Self::resume). What runs goes on; requests wait. Pausing again
    /// is a no-op. The time counts in [`stats`](crate::TaskSet::stats).
    pub fn pause(&self) {
        self.slots().pause(None);
    }

    /// Pauses for `duration` from now. Of several pauses the last one holds.
    ///
    /// The time runs on the clock of the caller's hub, or on that of the pool's rates if they have
    /// one. A duration that reaches beyond what the clock can name never ends.
    pub fn pause_for(&self, duration: Duration) {
        self.slots().pause(Some(duration));
    }

    /// Ends a pause. Without one it is a no-op.
    pub fn resume(&self) {
        self.slots().resume();
    }

    /// Whether the pool is paused.
    pub fn is_paused(&self) -> bool {
        self.slots().is_paused()
    }
}

/// Why a pool gave no slot. A small value to match on.
///
/// ```
/// # mod spinney { pub use spinney_pool::Pool; pub mod pool { pub use spinney_pool::SlotError; } }
/// use spinney::Pool;
/// use spinney::pool::SlotError;
///
/// let pool = Pool::new(1);
/// let slot = pool.try_slot()?;
/// assert_eq!(pool.try_slot().unwrap_err(), SlotError::Full);
/// assert_eq!(SlotError::Full.to_string(), "the pool is full");
/// drop(slot);
/// Ok::<(), SlotError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotError {
    /// A request that does not wait would have had to.
    Full,
    /// The pool was closed.
    Closed,
    /// As many requests wait as [may](Pool::set_max_waiting).
    TooManyWaiting,
    /// The request has a weight above the pool's capacity.
    TooHeavy,
    /// The pool's rates belong to another clock than the caller's.
    OtherClock,
}

impl fmt::Display for SlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the pool is full",
            Self::Closed => "the pool was closed",
            Self::TooManyWaiting => "too many requests wait for the pool",
            Self::TooHeavy => "the request weighs more than the capacity of the pool",
            Self::OtherClock => "the rates of the pool belong to another clock",
        })
    }
}

impl Error for SlotError {}

impl From<Closed> for SlotError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// What stands for a key: 128 bits that two hash functions with random seeds make of it, which no two
/// of a million keys have in common but with a probability of 10^-27. So a key is stored nowhere, and
/// its `Hash` runs at the call, under no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64, u64);

impl Key {
    pub(crate) fn of<K: Hash + ?Sized>(key: &K) -> Self {
        static SEEDS: LazyLock<[RandomState; 2]> =
            LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        Self(SEEDS[0].hash_one(key), SEEDS[1].hash_one(key))
    }
}
