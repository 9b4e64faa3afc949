//! [`Source`]: where jobs come from, and where their outcomes go.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A queue of jobs with acknowledgements: a message broker, or a queue in memory.
///
/// A source hands out deliveries and keeps each job until its delivery is acknowledged. A worker
/// acknowledges a job after its outcome was [settled](Self::settle), so that a crash repeats a job
/// and never loses one.
///
/// [`MemorySource`](crate::MemorySource) is one.
pub trait Source: Send + Sync + Sized + 'static {
    /// The payload of a job.
    type Job: Send + Sync + 'static;
    /// The value that a job returns.
    type Output: Send + 'static;
    /// The error that a job returns.
    type Error: Send + 'static;
    /// The right to acknowledge one delivery. Dropping it puts the job back, for any worker; after
    /// [`Arrival::ConnectionLost`] that is a no-op.
    type Receipt: Send + 'static;

    /// Waits for the next delivery; `None` if there will be no more.
    ///
    /// # Cancel safety
    ///
    /// An implementation loses no delivery when the future is dropped.
    fn next(&self) -> impl Future<Output = Option<Arrival<Self>>> + Send;

    /// Limits how many deliveries may be pending: neither acknowledged nor put back. `None` is no
    /// limit. The first call of a worker comes before its first [`next`](Self::next).
    fn set_credit(&self, credit: Option<usize>);

    /// Stores the outcome of a job where its sender looks for it, and sends the jobs that follow. It
    /// does not acknowledge the job.
    ///
    /// A job that is [`Retried`](Outcome::Retried) is sent anew, with its attempt counted up.
    ///
    /// # Errors
    ///
    /// [`NotSettled`] if the outcome could not be stored. The worker puts the job back then, and it
    /// runs again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave a part of its work undone. The worker puts the job back then.
    fn settle(
        &self,
        job: &Arc<Self::Job>,
        outcome: Outcome<Self::Output, Self::Error>,
    ) -> impl Future<Output = Result<(), NotSettled>> + Send;

    /// Acknowledges one delivery: the source forgets the job.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future puts the job back, unless the acknowledgement was sent.
    fn acknowledge(&self, receipt: Self::Receipt) -> impl Future<Output = ()> + Send;

    /// Sends a copy of a job to the end of its queue, with all its terms. A worker does so before it
    /// acknowledges a job that it has [held](crate::WorkerBuilder::hold) for too long.
    ///
    /// # Errors
    ///
    /// [`NotSettled`] if the copy could not be sent.
    ///
    /// # Cancel safety
    ///
    /// The copy may have been sent when the future is dropped.
    fn resend(&self, job: &Arc<Self::Job>) -> impl Future<Output = Result<(), NotSettled>> + Send;

    /// Stops the deliveries. [`next`](Self::next) returns those that are buffered, and then `None`.
    fn stop(&self);

    /// Called at each step of a job, in order, under no lock. Default: a no-op.
    fn observe(&self, _job: &Arc<Self::Job>, _step: Step<'_, Self>) {}
}

/// The next thing that a [`Source`] hands to its worker.
pub enum Arrival<S: Source> {
    /// A job.
    Delivery(Delivery<S>),
    /// The connection was lost: all receipts so far are void, and the source delivers their jobs
    /// again, to this worker or to another.
    ConnectionLost,
}

impl<S: Source> fmt::Debug for Arrival<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery(delivery) => f.debug_tuple("Delivery").field(delivery).finish(),
            Self::ConnectionLost => f.write_str("ConnectionLost"),
        }
    }
}

/// One delivery of a job. Dropping it puts the job back.
pub struct Delivery<S: Source> {
    /// The id of the job. A job that is retried keeps it.
    pub id: Arc<str>,
    /// The kind of the job; each kind has a [pace](crate::WorkerHandle::pace) of its own.
    pub name: Arc<str>,
    /// The number of tries before this one.
    pub attempt: u32,
    /// Whether the source may have delivered it before.
    pub redelivered: bool,
    /// When it may run, and for how long.
    pub terms: Terms,
    /// The payload.
    pub job: S::Job,
    /// The right to acknowledge this delivery.
    pub receipt: S::Receipt,
}

impl<S: Source> fmt::Debug for Delivery<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("attempt", &self.attempt)
            .field("redelivered", &self.redelivered)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// When a job may run, and for how long. By default a job runs immediately and without limits, and is
/// acknowledged after it has run.
///
/// ```
/// # mod spinney { pub mod jobs { pub use spinney_jobs::Terms; } }
/// use std::time::Duration;
/// use spinney::jobs::Terms;
///
/// let terms = Terms { hard_limit: Some(Duration::from_secs(5)), ..Terms::default() };
/// assert!(terms.eta.is_none() && !terms.ack_early);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The job does not begin before this time of the worker's clock.
    pub eta: Option<Instant>,
    /// The job does not begin after this time of the worker's clock.
    pub expires: Option<Instant>,
    /// A job that runs for longer is killed with [`JobKill::SoftLimit`], which it may catch.
    pub soft_limit: Option<Duration>,
    /// A job that runs for longer is dropped at its next await.
    pub hard_limit: Option<Duration>,
    /// Whether the job is acknowledged before it runs: a crash loses it, and never repeats it.
    pub ack_early: bool,
}

/// The outcome of a job.
#[derive(Debug)]
pub enum Outcome<T, E> {
    /// It returned a value.
    Done(T),
    /// It returned an error, and is not retried.
    Failed(E),
    /// It returned an error, and will run again after `after`.
    Retried {
        /// The error of the try that failed.
        error: E,
        /// The time until the next try.
        after: Duration,
    },
    /// It panicked with this message.
    Panicked(String),
    /// It was [revoked](crate::WorkerHandle::revoke), before it began or while it ran.
    Revoked,
    /// It [expired](Terms::expires) before it began.
    Expired,
    /// It was killed at its [soft limit](Terms::soft_limit).
    SoftLimit(Duration),
    /// It was dropped at its [hard limit](Terms::hard_limit).
    HardLimit(Duration),
}

/// Why a job was killed: the [reason](spinney_greenlet::GreenletExit::reason) of its kill. A kill for
/// any other reason, for example a shutdown, puts the job back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKill {
    /// It was [revoked](crate::WorkerHandle::revoke).
    Revoked,
    /// It ran for longer than its [soft limit](Terms::soft_limit).
    SoftLimit(Duration),
}

impl fmt::Display for JobKill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoked => f.write_str("the job was revoked"),
            Self::SoftLimit(limit) => write!(f, "the job exceeded its soft limit of {limit:?}"),
        }
    }
}

impl Error for JobKill {}

/// A step in the life of a job, for [`Source::observe`].
pub enum Step<'a, S: Source> {
    /// It was delivered.
    Received,
    /// It was delivered again while the worker has it: the new delivery takes the place of the old
    /// one.
    TakenOver,
    /// It begins to run.
    Started,
    /// It has finished, and is settled next.
    Ended {
        /// The outcome.
        outcome: &'a Outcome<S::Output, S::Error>,
        /// How long it ran; `None` if it did not begin.
        ran: Option<Duration>,
    },
    /// It could not be settled, and is put back.
    NotSettled(&'a NotSettled),
}

impl<S: Source> fmt::Debug for Step<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received => f.write_str("Received"),
            Self::TakenOver => f.write_str("TakenOver"),
            Self::Started => f.write_str("Started"),
            Self::Ended { ran, .. } => f.debug_struct("Ended").field("ran", ran).finish(),
            Self::NotSettled(error) => f.debug_tuple("NotSettled").field(error).finish(),
        }
    }
}

/// The error of a [`Source`] that could not store the outcome of a job, or send a copy of it.
#[derive(Debug)]
pub struct NotSettled {
    reason: Box<dyn Error + Send + Sync>,
}

impl NotSettled {
    /// Creates the error from its reason: an error, or a text.
    pub fn because(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { reason: reason.into() }
    }
}

impl fmt::Display for NotSettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the outcome of the job could not be stored: {}", self.reason)
    }
}

impl Error for NotSettled {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.reason)
    }
}
