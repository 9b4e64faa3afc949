//! [`OnItem`]: the callback of a map that is told of each item.

use spinney_greenlet::Failure;
use spinney_hub::contain;

use super::TaskError;

/// What [`Mapper::on_item`](super::Mapper::on_item) takes, in a box.
pub(crate) type Callback = Box<dyn Fn(usize, Result<(), TaskError<()>>) + Send + Sync>;

/// The callback of a map to `T`.
pub(crate) struct OnItem<T> {
    callback: Callback,
    /// Whether what a task returned is an error.
    is_error: fn(&T) -> bool,
}

impl<T> OnItem<T> {
    pub(crate) fn new(callback: Callback, is_error: fn(&T) -> bool) -> Self {
        Self { callback, is_error }
    }

    /// Calls it, under no lock. A panic of it is contained.
    pub(crate) fn call(&self, index: usize, result: &Result<T, Failure>) {
        let outcome = match result {
            Ok(value) if (self.is_error)(value) => Err(TaskError::Returned(())),
            Ok(_) => Ok(()),
            Err(failure) => Err(TaskError::Failed(failure.clone())),
        };
        contain(|| (self.callback)(index, outcome));
    }
}
