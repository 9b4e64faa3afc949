//! [`ItemError`]: the failure of one item of a map, with its index.

use std::error::Error;
use std::fmt;
use std::ops::Deref;

use crate::{Failure, GreenletExit, Panic};

/// The failure of one item of a map, and the item's index. `E` is [`Failure`], or [`TaskError`] in
/// a map whose tasks return a `Result`.
///
/// [`returned`](Self::returned), [`panicked`](Self::panicked) and [`killed`](Self::killed) tell the
/// kinds of failure apart.
///
/// `?` converts it into a `Box<dyn Error>` if the error type of the tasks is `Debug` and `Display`:
/// a type that implements [`Error`], a `String`, a `Box<dyn Error + Send + Sync>`. Its text
/// contains the text of the error. It has no [`source`](Error::source), because the error need not
/// implement [`Error`]; [`returned`](Self::returned) gives access to a returned error.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::map::ItemError;
/// #     pub mod map { pub use spinney_greenlet::map::TaskError; }
/// # }
/// use spinney::ItemError;
/// use spinney::map::TaskError;
///
/// let error: ItemError<TaskError<&str>> = ItemError::new(4, TaskError::Returned("no route"));
/// assert_eq!(error.to_string(), "item 4 failed: no route");
/// assert_eq!((error.index(), error.returned()), (4, Some(&"no route")));
/// assert!(error.panicked().is_none() && error.killed().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct ItemError<E = Failure> {
    index: usize,
    error: E,
}

impl<E> ItemError<E> {
    /// Creates the failure of the item `index`, for containers.
    pub fn new(index: usize, error: E) -> Self {
        Self { index, error }
    }

    /// The index of the item in the input. If the input itself failed, it is one more than that of
    /// the last item.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the error.
    pub fn into_error(self) -> E {
        self.error
    }
}

impl ItemError {
    /// The panic, if the task panicked.
    pub fn panicked(&self) -> Option<&Panic> {
        panic_of(&self.error)
    }

    /// The kill, if the item was killed or exceeded its time limit.
    pub fn killed(&self) -> Option<&GreenletExit> {
        kill_of(&self.error)
    }
}

impl<E> ItemError<TaskError<E>> {
    /// The error, if the task returned one.
    pub fn returned(&self) -> Option<&E> {
        if let TaskError::Returned(error) = &self.error { Some(error) } else { None }
    }

    /// The panic, if the task panicked.
    pub fn panicked(&self) -> Option<&Panic> {
        self.failure().and_then(panic_of)
    }

    /// The kill, if the item was killed or exceeded its time limit.
    pub fn killed(&self) -> Option<&GreenletExit> {
        self.failure().and_then(kill_of)
    }

    fn failure(&self) -> Option<&Failure> {
        if let TaskError::Failed(failure) = &self.error { Some(failure) } else { None }
    }
}

fn panic_of(failure: &Failure) -> Option<&Panic> {
    if let Failure::Panicked(panic) = failure { Some(panic) } else { None }
}

fn kill_of(failure: &Failure) -> Option<&GreenletExit> {
    if let Failure::Killed(exit) = failure { Some(exit) } else { None }
}

impl<E> Deref for ItemError<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.error
    }
}

/// A sentence: `item 4 was killed: the pool was closed`. If the failure belongs to a greenlet, the
/// sentence names it: `item 4, greenlet 9 "fetch 4" (spawned at src/main.rs:3:5), panicked: no
/// luck`.
impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_failure(f, self.index, &self.error)
    }
}

/// `item 4 failed: connection refused` if the task returned an error; otherwise the sentence of the
/// failure.
impl<E: fmt::Display> fmt::Display for ItemError<TaskError<E>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            TaskError::Returned(error) => write!(f, "item {} failed: {error}", self.index),
            TaskError::Failed(failure) => write_failure(f, self.index, failure),
        }
    }
}

fn write_failure(f: &mut fmt::Formatter<'_>, index: usize, failure: &Failure) -> fmt::Result {
    write!(f, "item {index}")?;
    if let Some(task) = failure.task() {
        write!(f, ", {task} (spawned at {}),", task.spawned_at())?;
    }
    match failure {
        Failure::Killed(exit) => write!(f, " was {exit}"),
        Failure::Aborted(_) => f.write_str(" was aborted"),
        Failure::Panicked(panic) => write!(f, " {panic}"),
    }
}

impl<E> Error for ItemError<E> where Self: fmt::Debug + fmt::Display {}

impl From<ItemError> for Failure {
    fn from(error: ItemError) -> Self {
        error.into_error()
    }
}

/// Why an item failed in a map whose tasks return a `Result`.
#[derive(Clone, Debug)]
pub enum TaskError<E> {
    /// The task returned this error.
    Returned(E),
    /// The task panicked, was killed or aborted, or exceeded its time limit.
    Failed(Failure),
}

impl<E: fmt::Display> fmt::Display for TaskError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned(error) => error.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for TaskError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Returned(error) => error.source(),
            Self::Failed(failure) => failure.source(),
        }
    }
}
