//! [`Failure`]: why a greenlet has no result.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spinney_hub::drop_contained;

use crate::{GreenletExit, Handle};

/// Why a greenlet finished without a result, and [which greenlet](Self::task) it was. Cloning is
/// cheap.
///
/// Its text is a sentence with the greenlet's number, its name if it has one, and the line that
/// spawned it: `greenlet 5 "fetch 1" (spawned at src/main.rs:3:5) panicked: no luck`. The
/// greenlet's control block lives as long as a failure of it.
///
/// ```
/// # mod spinney { pub use spinney_greenlet::{Failure, spawn}; pub use spinney_hub::block_on; }
/// use spinney::{Failure, block_on, spawn};
///
/// let failure = block_on(spawn(async { panic!("out of {}", "luck") })).unwrap_err();
/// match failure {
///     Failure::Panicked(panic) => assert_eq!(panic.message().unwrap(), "out of luck"),
///     Failure::Killed(exit) => panic!("{exit}"),
///     Failure::Aborted(_) => unreachable!("nothing aborted it"),
/// }
/// ```
#[derive(Clone, Debug)]
pub enum Failure {
    /// It was killed, or dropped by a hub that shut down.
    Killed(GreenletExit),
    /// It was [aborted](crate::Handle::abort), possibly after a kill. Holds the greenlet, if the
    /// failure belongs to one.
    Aborted(Option<Handle>),
    /// It panicked.
    Panicked(Panic),
}

impl Failure {
    /// The failure of code whose unwinding ended in `payload`, as
    /// [`catch_unwind`](std::panic::catch_unwind) returns it.
    pub fn panicked(payload: Box<dyn Any + Send>) -> Self {
        let payload = Arc::new(Payload(Mutex::new(Some(payload))));
        Self::Panicked(Panic { payload, task: None })
    }

    /// This failure, attributed to `task`.
    pub(crate) fn of(self, task: &Handle) -> Self {
        match self {
            Self::Killed(exit) => Self::Killed(exit.of(task)),
            Self::Aborted(_) => Self::Aborted(Some(task.clone())),
            Self::Panicked(panic) => Self::Panicked(Panic { task: Some(task.clone()), ..panic }),
        }
    }

    /// The greenlet that finished with it. `None` for the failure of code that ran under
    /// [`catch_unwind`](std::panic::catch_unwind).
    ///
    /// ```
    /// # mod spinney { pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; }
    /// use spinney::{block_on, spawn};
    ///
    /// block_on(async {
    ///     let fetch = spawn(async { panic!("no luck") }).named("fetch 1");
    ///     let (id, line) = (fetch.id(), line!() - 1);
    ///     let failure = fetch.await.unwrap_err();
    ///     let task = failure.task().unwrap();
    ///     assert_eq!((task.id(), task.name().as_deref()), (id, Some("fetch 1")));
    ///     assert_eq!(task.spawned_at().line(), line);
    /// });
    /// ```
    pub fn task(&self) -> Option<&Handle> {
        match self {
            Self::Killed(exit) => exit.task(),
            Self::Aborted(task) => task.as_ref(),
            Self::Panicked(panic) => panic.task.as_ref(),
        }
    }

    /// Ends the current greenlet with this failure: resumes the panic, or makes the greenlet see
    /// the kill here.
    ///
    /// An abort belongs to one greenlet. The current greenlet sees it as a kill whose reason is
    /// this failure, which its own `catch_exit` may catch.
    ///
    /// # Panics
    ///
    /// Panics with the payload, if the greenlet panicked; with its text, if another handle took
    /// the payload. For a kill or an abort: as [`GreenletExit::resume`].
    ///
    /// # Cancel safety
    ///
    /// The same as [`GreenletExit::resume`].
    ///
    /// ```
    /// # mod spinney { pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; }
    /// use spinney::{block_on, spawn};
    ///
    /// block_on(async {
    ///     let outer = spawn(async {
    ///         match spawn(async { panic!("no luck") }).await {
    ///             Ok(()) => "luck",
    ///             Err(failure) => failure.resume().await,
    ///         }
    ///     });
    ///     let (id, failure) = (outer.id(), outer.await.unwrap_err());
    ///     assert!(failure.is_panic());
    ///     assert_eq!(failure.task().unwrap().id(), id);
    /// });
    /// ```
    pub async fn resume<T>(self) -> T {
        match self {
            Self::Killed(exit) => exit.resume().await,
            Self::Aborted(_) => GreenletExit::because(self).resume().await,
            Self::Panicked(panic) => {
                let text = panic.to_string();
                resume_unwind(panic.into_payload().unwrap_or_else(|| Box::new(text)))
            }
        }
    }

    /// Whether the greenlet was killed; an abort is not a kill.
    pub fn is_killed(&self) -> bool {
        matches!(self, Self::Killed(_))
    }

    /// Whether the greenlet was aborted.
    pub fn is_aborted(&self) -> bool {
        matches!(self, Self::Aborted(_))
    }

    /// Whether the greenlet panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(task) = self.task() {
            let verb = if self.is_panic() { "" } else { "was " };
            write!(f, "{task} (spawned at {}) {verb}", task.spawned_at())?;
        }
        match self {
            Self::Killed(exit) => exit.fmt(f),
            Self::Aborted(_) => f.write_str("aborted"),
            Self::Panicked(panic) => panic.fmt(f),
        }
    }
}

impl Error for Failure {}

impl From<GreenletExit> for Failure {
    fn from(exit: GreenletExit) -> Self {
        Self::Killed(exit)
    }
}

impl From<Panic> for Failure {
    fn from(panic: Panic) -> Self {
        Self::Panicked(panic)
    }
}

/// A panic that ended a greenlet. Dropping the last clone drops the payload.
#[derive(Clone)]
pub struct Panic {
    payload: Arc<Payload>,
    /// The greenlet that panicked, if one did.
    task: Option<Handle>,
}

/// `None` once the payload was taken.
struct Payload(Mutex<Option<Box<dyn Any + Send>>>);

impl Payload {
    fn lock(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A payload may panic when it is dropped, on any thread. The panic hook reports it.
impl Drop for Payload {
    fn drop(&mut self) {
        let payload = self.lock().take();
        drop_contained(payload);
    }
}

impl Panic {
    /// This panic, attributed to no greenlet.
    pub(crate) fn unowned(self) -> Self {
        Self { task: None, ..self }
    }

    /// The message of the panic, if it is text and the payload was not taken.
    pub fn message(&self) -> Option<String> {
        let payload = self.payload.lock();
        let payload = payload.as_ref()?;
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned())
    }

    /// The payload, for [`resume_unwind`](std::panic::resume_unwind); `None` if another clone of
    /// this panic took it.
    pub fn into_payload(self) -> Option<Box<dyn Any + Send>> {
        self.payload.lock().take()
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic").field("message", &self.message()).finish_non_exhaustive()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => write!(f, "panicked: {message}"),
            None => f.write_str("panicked"),
        }
    }
}
