//! [`ItemEvent`]: the outcome of a try of an item; [`OnItem`]: the callback of a map, which gets
//! the events of its items.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spinney_hub::contain;

use super::TaskError;
use crate::Failure;

/// The outcome of a try of an item of a map, which is the outcome of the item unless the item is
/// tried again.
///
/// ```
/// # mod spinney { pub mod map { pub use spinney_greenlet::map::ItemEvent; } }
/// use spinney::map::ItemEvent;
///
/// fn line(item: &ItemEvent) -> String {
///     match (item.retry_after, &item.outcome) {
///         (Some(delay), _) => format!("item {} waits {delay:?} for a retry", item.index),
///         (None, Ok(())) => format!("item {} has finished", item.index),
///         (None, Err(_)) => format!("item {} has failed after {} tries", item.index, item.tries),
///     }
/// }
/// # let _ = line;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ItemEvent {
    /// The index of the item in the input.
    pub index: usize,
    /// The outcome of the try. With the verbs for tasks that return a `Result`, a returned error is
    /// [`TaskError::Returned`]; with the other verbs a task that returns is a success.
    pub outcome: Result<(), TaskError<()>>,
    /// How many tries of the item have started, this one included. 0 for an item that was refused
    /// before it started, and for an input that panicked.
    pub tries: usize,
    /// The delay before the next try, for which the item waits now; `None` if there is none.
    pub retry_after: Option<Duration>,
}

impl ItemEvent {
    /// Whether the item has finished. Each item has one such event, which is its last one.
    pub fn is_final(&self) -> bool {
        self.retry_after.is_none()
    }
}

/// Called with the events of items.
pub type ItemCallback = Box<dyn Fn(ItemEvent) + Send + Sync>;

/// The callback of a map to `T`, for containers. Dropping it drops the callback.
///
/// The caller holds no lock. A panic of the callback is contained.
///
/// ```
/// use spinney_greenlet::map::OnItem;
///
/// let on_item = OnItem::new(
///     Box::new(|item| assert!(item.index == 7 && item.tries == 1 && item.outcome.is_err())),
///     Result::<u32, &str>::is_err,
/// );
/// on_item.finished(7, &Ok(Err("no luck")));
/// ```
pub struct OnItem<T> {
    callback: ItemCallback,
    /// Whether a returned value is an error.
    is_error: fn(&T) -> bool,
    /// How many tries have started, by item: of unfinished items that are tried again.
    tries: Mutex<HashMap<usize, usize>>,
}

impl<T> OnItem<T> {
    /// Creates the callback. `is_error` tells which returned values are errors.
    pub fn new(callback: ItemCallback, is_error: fn(&T) -> bool) -> Self {
        Self { callback, is_error, tries: Mutex::default() }
    }

    /// The item `index` has failed with `result`, and is tried again after `delay`.
    pub fn waits_for_retry(&self, index: usize, result: &Result<T, Failure>, delay: Duration) {
        let tries = *self.tries().entry(index).or_insert(1);
        self.call(index, result, tries, Some(delay));
    }

    /// The next try of the item `index`, which waited for it, has started.
    pub fn tried_again(&self, index: usize) {
        if let Some(tries) = self.tries().get_mut(&index) {
            *tries += 1;
        }
    }

    /// The item `index` has finished.
    pub fn finished(&self, index: usize, result: &Result<T, Failure>) {
        let tries = self.tries().remove(&index).unwrap_or(1);
        self.call(index, result, tries, None);
    }

    /// The item `index` will not start.
    pub fn refused(&self, index: usize, failure: Failure) {
        self.call(index, &Err(failure), 0, None);
    }

    fn call(
        &self,
        index: usize,
        result: &Result<T, Failure>,
        tries: usize,
        retry_after: Option<Duration>,
    ) {
        let outcome = match result {
            Ok(value) if (self.is_error)(value) => Err(TaskError::Returned(())),
            Ok(_) => Ok(()),
            Err(failure) => Err(TaskError::Failed(failure.clone())),
        };
        contain(|| (self.callback)(ItemEvent { index, outcome, tries, retry_after }));
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<usize, usize>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for OnItem<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnItem").finish_non_exhaustive()
    }
}
