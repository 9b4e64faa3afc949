//! [`ItemError`]: what went wrong with one item of a map.

use std::error::Error;
use std::fmt;
use std::ops::Deref;

use spinney_greenlet::Failure;

/// What went wrong with one item of a map, and with which.
///
/// ```
/// use spinney_pool::Pool;
///
/// spinney_hub::block_on(async {
///     let pool = Pool::new(2);
///     let error = pool.map(|n| async move { assert_ne!(n, 2, "not two") }, 0..5).await.unwrap_err();
///     assert_eq!(error.index(), 2);
///     assert!(error.is_panic());
///     assert!(error.to_string().starts_with("item 2 panicked: "));
/// });
/// ```
#[derive(Clone, Debug)]
pub struct ItemError<E = Failure> {
    index: usize,
    error: E,
}

impl<E> ItemError<E> {
    pub(crate) fn new(index: usize, error: E) -> Self {
        Self { index, error }
    }

    /// The item's place in the input; that after the last one if the input itself failed.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What went wrong.
    pub fn into_error(self) -> E {
        self.error
    }
}

impl<E> Deref for ItemError<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.error
    }
}

/// A sentence: `item 4 was killed: the pool was closed`. If the failure is a greenlet's, it names
/// that, too: `item 4, greenlet 9 "fetch 4" (spawned at src/main.rs:3:5), panicked: no luck`.
impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_failure(f, self.index, &self.error)
    }
}

/// As that of a failure: `item 4 failed: connection refused`, if the task returned the error.
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

impl<E: Error + 'static> Error for ItemError<E>
where
    Self: fmt::Display,
{
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl From<ItemError> for Failure {
    fn from(error: ItemError) -> Self {
        error.into_error()
    }
}

/// Why a task of a [`try_map`](crate::TaskSet::try_map) is no success.
#[derive(Clone, Debug)]
pub enum TaskError<E> {
    /// It returned this.
    Returned(E),
    /// It panicked, was killed, or took too long.
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
