//! [`AsyncResult`]: one value or error, for all who wait for it.

use std::convert::Infallible;
use std::fmt;
use std::panic::Location;

use crate::Event;
use crate::primitive::{OnceLock, constructor};

/// A place for one value or error that is set once, while any number of tasks wait for it.
/// `gevent.event.AsyncResult`.
///
/// Readers borrow the result; dropping it drops the result.
///
/// ```
/// use spinney_sync::AsyncResult;
///
/// let answer: AsyncResult<u32> = AsyncResult::new();
/// answer.set(42)?;
/// assert_eq!(answer.set(7), Err(7), "the first one stays");
/// assert_eq!(futures_lite::future::block_on(answer.get()), Ok(&42));
/// # Ok::<(), u32>(())
/// ```
pub struct AsyncResult<T, E = Infallible> {
    result: OnceLock<Result<T, E>>,
    ready: Event,
}

impl<T, E> AsyncResult<T, E> {
    constructor! {
        /// A result that is not there yet.
        pub fn new() -> Self {
            Self { result: OnceLock::new(), ready: Event::new() }
        }
    }

    /// Sets the value and wakes all who wait.
    ///
    /// # Errors
    ///
    /// Gives `value` back if there is a value or an error already.
    pub fn set(&self, value: T) -> Result<(), T> {
        self.fulfil(Ok(value)).map_err(|result| match result {
            Ok(value) => value,
            Err(_) => unreachable!("what comes back is what was put in"),
        })
    }

    /// Sets the error and wakes all who wait. `set_exception`.
    ///
    /// # Errors
    ///
    /// Gives `error` back if there is a value or an error already.
    pub fn set_error(&self, error: E) -> Result<(), E> {
        self.fulfil(Err(error)).map_err(|result| match result {
            Err(error) => error,
            Ok(_) => unreachable!("what comes back is what was put in"),
        })
    }

    /// Waits for the value.
    ///
    /// # Errors
    ///
    /// The error, if that is what was set.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn get(&self) -> impl Future<Output = Result<&T, &E>> {
        let at = Location::caller();
        async move {
            loop {
                if let Some(result) = self.try_get() {
                    return result;
                }
                self.ready.wait_for("AsyncResult::get", at).await;
            }
        }
    }

    /// The result, if it is there. gevent's `get(block=False)`.
    pub fn try_get(&self) -> Option<Result<&T, &E>> {
        self.result.get().map(Result::as_ref)
    }

    /// Whether there is a value or an error. `ready`.
    pub fn is_ready(&self) -> bool {
        self.result.get().is_some()
    }

    /// Whether there is a value. `successful`.
    pub fn is_successful(&self) -> bool {
        matches!(self.result.get(), Some(Ok(_)))
    }

    /// The result by value, if it is there.
    pub fn into_inner(self) -> Option<Result<T, E>> {
        self.result.into_inner()
    }

    fn fulfil(&self, result: Result<T, E>) -> Result<(), Result<T, E>> {
        self.result.set(result)?;
        self.ready.set();
        Ok(())
    }
}

impl<T, E> Default for AsyncResult<T, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug, E: fmt::Debug> fmt::Debug for AsyncResult<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncResult").field("result", &self.result.get()).finish()
    }
}
