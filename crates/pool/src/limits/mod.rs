//! Limits of a pool besides its capacity: rates, keys, a bound on waiters, an order, a pause.
//!
//! All requests of a pool wait in one queue, the `SlotLine` of its semaphore. While a pool has no
//! limit, that is a plain FIFO queue, and free slots are taken without looking at it. The first
//! limit, weight or priority turns it into a `Limited` one, which implements the order of requests.

mod alarm;
mod key;
mod limited;
mod line;
mod rate;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use spinney_sync::Closed;

pub(crate) use alarm::Alarm;
pub(crate) use key::Key;
pub(crate) use line::{Kind, Request, SlotLine, Stats};
pub use rate::{Rate, RateLimiter};

use crate::Pool;

/// The order in which a pool serves waiting requests.
///
/// `Oldest` and `Newest` are strict: a request with a higher priority is always served before those
/// with a lower one. They promise no fairness between priorities: while there are enough urgent
/// requests, others never start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// By priority, FIFO among equals.
    #[default]
    Oldest,
    /// By priority, the newest first among equals: for requests that lose their value while they
    /// wait. The oldest may wait for ever.
    Newest,
    /// By arrival number minus this many places for each step of priority. A later request with a
    /// higher priority overtakes a request only if it arrives within that many places for each step
    /// of the difference. So no request starves.
    Aging(u32),
}

/// The limits of a pool besides its capacity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) rates: Vec<Rate>,
    pub(crate) key_rates: Vec<Rate>,
    pub(crate) per_key: Option<usize>,
    pub(crate) max_waiting: Option<usize>,
    pub(crate) order: Order,
}

impl Limits {
    /// Whether each start must be checked, even without waiters.
    pub(crate) fn concern_starts(&self) -> bool {
        self.have_rates() || self.per_key.is_some()
    }

    pub(crate) fn have_rates(&self) -> bool {
        !self.rates.is_empty() || !self.key_rates.is_empty()
    }

    pub(crate) fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The limits, which can change while the pool is in use. A change applies to waiting requests as
/// well as to later ones; requests that may start now do so.
impl<X> Pool<X> {
    /// Limits how many tasks start per period. All rates apply together; an empty list removes the
    /// limit. A start that one rate refuses uses up nothing of the others. Past starts count: no
    /// change of rates grants a burst that neither the old nor the new rates allow.
    ///
    /// A slot counts as a start when it is handed out. A rate belongs to the clock of its first
    /// start.
    pub fn set_rates(&self, rates: impl IntoIterator<Item = Rate>) {
        let rates = rates.into_iter().collect();
        self.slots().limit(|limits| limits.rates = rates);
    }

    /// Limits how many tasks with the same [key](crate::SlotRequest::key) start per period. The
    /// rates apply to each key like those of [`set_rates`](Self::set_rates) to all tasks. Starts of
    /// a key before the first key rate do not count.
    pub fn set_key_rates(&self, rates: impl IntoIterator<Item = Rate>) {
        let rates = rates.into_iter().collect();
        self.slots().limit(|limits| limits.key_rates = rates);
    }

    /// Limits how many tasks with the same [key](crate::SlotRequest::key) run at once; `None`
    /// removes the limit. With 0 no task with a key starts. Tasks that started without a limit and
    /// without waiters are not counted.
    ///
    /// Members that hold one key and wait for another can wait for each other for ever. So a
    /// crawler feeds its pool from a queue rather than from the pool's own members.
    pub fn set_per_key(&self, most: Option<usize>) {
        self.slots().limit(|limits| limits.per_key = most);
    }

    /// Limits how many requests wait; a request beyond that is refused immediately, with
    /// [`SlotError::TooManyWaiting`]. With 0 no request waits. `None` removes the limit. Requests
    /// that wait already stay. Maps, which wait for one slot at a time, and children that a member
    /// runs in its own place are neither counted nor refused.
    pub fn set_max_waiting(&self, most: Option<usize>) {
        self.slots().limit(|limits| limits.max_waiting = most);
    }

    /// Changes the order in which requests are served.
    pub fn set_order(&self, order: Order) {
        self.slots().limit(|limits| limits.order = order);
    }

    /// Pauses the pool: no task starts until [`resume`](Self::resume). Running tasks go on;
    /// requests wait. Pausing again is a no-op. [`stats`](crate::TaskSet::stats) counts the time.
    pub fn pause(&self) {
        self.slots().pause(None);
    }

    /// Pauses the pool for `duration` from now. The last of several pauses applies.
    ///
    /// The time runs on the clock of the caller's hub, or on that of the pool's rates if they have
    /// one. A pause whose end the clock cannot represent never ends.
    pub fn pause_for(&self, duration: Duration) {
        self.slots().pause(Some(duration));
    }

    /// Ends a pause. Without a pause it is a no-op.
    pub fn resume(&self) {
        self.slots().resume();
    }

    /// Whether the pool is paused.
    pub fn is_paused(&self) -> bool {
        self.slots().is_paused()
    }
}

/// Why a pool gave no slot.
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
    /// A request that does not wait found no free slot.
    Full,
    /// The pool was closed.
    Closed,
    /// The [most requests](Pool::set_max_waiting) that may wait already do.
    TooManyWaiting,
    /// The weight of the request is above the pool's capacity.
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
