//! [`OnItem`]: the callback of a map, called once for each item.

use std::fmt;

use spinney_hub::contain;

use super::TaskError;
use crate::Failure;

/// Called with the index of an item and its outcome.
pub type ItemCallback = Box<dyn Fn(usize, Result<(), TaskError<()>>) + Send + Sync>;

/// The callback of a map to `T`, for containers. Dropping it drops the callback.
///
/// ```
/// use spinney_greenlet::map::OnItem;
///
/// let on_item = OnItem::new(
///     Box::new(|index, outcome| assert!(index == 7 && outcome.is_err())),
///     Result::<u32, &str>::is_err,
/// );
/// on_item.call(7, &Ok(Err("no luck")));
/// ```
pub struct OnItem<T> {
    callback: ItemCallback,
    /// Whether a returned value is an error.
    is_error: fn(&T) -> bool,
}

impl<T> OnItem<T> {
    /// Creates the callback, which gets the index of an item and its outcome. `is_error` tells
    /// which returned values are errors.
    pub fn new(callback: ItemCallback, is_error: fn(&T) -> bool) -> Self {
        Self { callback, is_error }
    }

    /// Calls the callback; the caller holds no lock. A panic of the callback is contained.
    pub fn call(&self, index: usize, result: &Result<T, Failure>) {
        let outcome = match result {
            Ok(value) if (self.is_error)(value) => Err(TaskError::Returned(())),
            Ok(_) => Ok(()),
            Err(failure) => Err(TaskError::Failed(failure.clone())),
        };
        contain(|| (self.callback)(index, outcome));
    }
}

impl<T> fmt::Debug for OnItem<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnItem").finish_non_exhaustive()
    }
}
