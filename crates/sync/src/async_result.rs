//! [`AsyncResult`]: one value or error for all its readers; [`Setter`]: the half that sets it.

use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::primitive::{OnceLock, constructor};
use crate::{Event, SetterDropped, budget};

/// A value or an error that is set once, while any number of tasks wait for it.
///
/// Readers borrow it; dropping it drops the result. If no task sets it, its readers wait for ever.
/// A [`setter`](Self::setter) for the task that sets it makes the readers fail when it is dropped.
///
/// Python: `gevent.event.AsyncResult`, `eventlet.event.Event`.
///
/// ```
/// # mod spinney { pub use futures_lite::future::block_on; pub use spinney_sync::AsyncResult; }
/// use spinney::{AsyncResult, block_on};
///
/// let answer: AsyncResult<u32> = AsyncResult::new();
/// answer.set(42)?;
/// assert_eq!(answer.set(7), Err(7), "the first one stays");
/// assert_eq!(block_on(answer.get()), Ok(&42));
/// Ok::<(), u32>(())
/// ```
#[doc(alias("OnceCell", "Future"))]
pub struct AsyncResult<T, E = Infallible> {
    result: OnceLock<Result<T, E>>,
    ready: Event,
}

impl<T, E> AsyncResult<T, E> {
    constructor! {
        /// Creates a result that is not set.
        pub fn new() -> Self {
            Self { result: OnceLock::new(), ready: Event::new() }
        }
    }

    /// Returns the half for the task that sets the result: if it is dropped first, for example
    /// because that task panicked or was killed, the readers fail.
    pub fn setter(self: &Arc<Self>) -> Setter<T, E>
    where
        E: From<SetterDropped>,
    {
        Setter { result: Arc::clone(self) }
    }

    /// Sets the value and wakes all readers. A panic of a waker is contained.
    ///
    /// # Errors
    ///
    /// Returns `value` if there is a value or an error already.
    ///
    /// Python: `gevent.event.AsyncResult.set`, `eventlet.event.Event.send`.
    pub fn set(&self, value: T) -> Result<(), T> {
        self.fulfil(Ok(value)).map_err(|result| match result {
            Ok(value) => value,
            Err(_) => unreachable!("a refused value is returned as a value"),
        })
    }

    /// Sets the error and wakes all readers. A panic of a waker is contained.
    ///
    /// # Errors
    ///
    /// Returns `error` if there is a value or an error already.
    ///
    /// Python: `gevent.event.AsyncResult.set_exception`, `eventlet.event.Event.send_exception`.
    #[doc(alias = "set_exception")]
    pub fn set_error(&self, error: E) -> Result<(), E> {
        self.fulfil(Err(error)).map_err(|result| match result {
            Err(error) => error,
            Ok(_) => unreachable!("a refused error is returned as an error"),
        })
    }

    /// Waits for the value; returns immediately if the result is set.
    ///
    /// # Errors
    ///
    /// The error, if an error was set.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// Python: `gevent.event.AsyncResult.get`.
    #[track_caller]
    #[expect(clippy::missing_panics_doc, reason = "the event is set after the result")]
    pub fn get(&self) -> impl Future<Output = Result<&T, &E>> {
        let at = Location::caller();
        async move {
            if self.is_ready() {
                budget::ready().await;
            } else {
                self.ready.wait_for("AsyncResult::get", at).await;
            }
            self.try_get().expect("the event is set after the result")
        }
    }

    /// The result, if it is set.
    ///
    /// Python: `gevent.event.AsyncResult.get(block=False)`.
    pub fn try_get(&self) -> Option<Result<&T, &E>> {
        self.result.get().map(Result::as_ref)
    }

    /// Whether there is a value or an error.
    ///
    /// Python: `gevent.event.AsyncResult.ready`.
    pub fn is_ready(&self) -> bool {
        self.result.get().is_some()
    }

    /// Whether there is a value.
    ///
    /// Python: `gevent.event.AsyncResult.successful`.
    pub fn is_successful(&self) -> bool {
        matches!(self.result.get(), Some(Ok(_)))
    }

    /// Returns the result by value, if it is set.
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

/// The half of an [`AsyncResult`] that sets it, once.
///
/// Dropping it without a result fails the readers with [`SetterDropped`], converted to their error
/// type. The drop changes nothing if the result was set elsewhere before.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on; pub use spinney_sync::AsyncResult;
/// #     pub mod sync { pub use spinney_sync::SetterDropped; }
/// # }
/// use std::sync::Arc;
///
/// use spinney::{AsyncResult, block_on};
/// use spinney::sync::SetterDropped;
///
/// let answer: Arc<AsyncResult<u32, SetterDropped>> = Arc::default();
/// let setter = answer.setter();
/// let task = async move {
///     if true {
///         return; // It forgets to set the answer.
///     }
///     let _ = setter.set(42);
/// };
/// block_on(task);
/// assert_eq!(block_on(answer.get()), Err(&SetterDropped));
/// ```
#[doc(alias("oneshot", "Promise"))]
#[must_use = "the readers fail as soon as this is dropped"]
pub struct Setter<T, E: From<SetterDropped> = SetterDropped> {
    result: Arc<AsyncResult<T, E>>,
}

impl<T, E: From<SetterDropped>> Setter<T, E> {
    /// Sets the value and wakes all readers: [`AsyncResult::set`].
    ///
    /// # Errors
    ///
    /// Returns `value` if there is a value or an error already.
    pub fn set(self, value: T) -> Result<(), T> {
        self.result.set(value)
    }

    /// Sets the error and wakes all readers: [`AsyncResult::set_error`].
    ///
    /// # Errors
    ///
    /// Returns `error` if there is a value or an error already.
    pub fn set_error(self, error: E) -> Result<(), E> {
        self.result.set_error(error)
    }
}

impl<T, E: From<SetterDropped>> Drop for Setter<T, E> {
    fn drop(&mut self) {
        if !self.result.is_ready() {
            // Fails if the result was set a moment ago.
            let _ = self.result.set_error(SetterDropped.into());
        }
    }
}

impl<T: fmt::Debug, E: From<SetterDropped> + fmt::Debug> fmt::Debug for Setter<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setter").field("result", &self.result).finish()
    }
}
