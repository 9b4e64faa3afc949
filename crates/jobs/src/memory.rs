//! [`MemorySource`]: a queue of jobs in memory.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_lite::{FutureExt, Stream};
use spinney_hub::Clock;
use spinney_sync::{Acquire, Closed, Event, Permit, Queue, Semaphore};

use crate::table::later;
use crate::{Arrival, Delivery, NotSettled, Outcome, Source, Terms};

/// A queue of jobs in memory, for workers of one process. Jobs are lost with the process.
///
/// Clones are sources over the same queue: give one to each worker, and keep one to push to. Dropping
/// the last clone drops the queued jobs, whose [`JobResult`]s are then [`JobError::Lost`].
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Pool;
/// #     pub mod jobs { pub use spinney_jobs::{MemoryJob, MemorySource, NewJob, Terms, Worker}; }
/// # }
/// use std::sync::Arc;
/// use std::time::Duration;
/// use spinney::{Pool, block_on};
/// use spinney::jobs::{MemoryJob, MemorySource, NewJob, Terms, Worker};
///
/// block_on(async {
///     let queue = MemorySource::<&str, usize, String>::bounded(100);
///     let terms = Terms { hard_limit: Some(Duration::from_secs(5)), ..Terms::default() };
///     let length = queue.push(NewJob::new("length", "wood").terms(terms)).await.unwrap();
///     queue.close();
///     let worker = Worker::builder(&Pool::new(10)).build(queue);
///     worker.run(|text: Arc<MemoryJob<_, _, _>>| async move { Ok(text.len()) }).await;
///     assert_eq!(length.await.unwrap(), 4);
/// });
/// ```
pub struct MemorySource<J, T, E> {
    jobs: Arc<Jobs<J, T, E>>,
    /// How many deliveries of this source may be pending.
    credit: Arc<Semaphore>,
    stopped: Arc<Event>,
}

/// The state that all sources of one queue share.
struct Jobs<J, T, E> {
    queue: Queue<Queued<J, T, E>>,
    /// A permit for each job that is not settled.
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Jobs that are queued or delivered.
    unsettled: usize,
    closed: bool,
}

/// A job in the queue, once for each time that it is sent.
struct Queued<J, T, E> {
    job: MemoryJob<J, T, E>,
    terms: Terms,
    redelivered: bool,
}

impl<J, T, E> MemorySource<J, T, E> {
    /// Creates a queue of at most `capacity` jobs that are not settled, running jobs included.
    #[must_use]
    pub fn bounded(capacity: usize) -> Self {
        let room = Arc::new(Semaphore::new(capacity));
        Self::of(Arc::new(Jobs { queue: Queue::unbounded(), room, state: Mutex::default() }))
    }

    /// Creates a queue without a limit: `push` never waits.
    #[must_use]
    pub fn unbounded() -> Self {
        Self::bounded(usize::MAX)
    }

    fn of(jobs: Arc<Jobs<J, T, E>>) -> Self {
        let credit = Arc::new(Semaphore::new(usize::MAX));
        Self { jobs, credit, stopped: Arc::new(Event::new()) }
    }

    /// Waits for room, and adds a job to the queue.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the queue was closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the job, which was not added.
    pub async fn push(&self, job: NewJob<J>) -> Result<JobResult<T, E>, Closed> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let room = Acquire::of(Arc::clone(&self.jobs.room)).await?;
        let (sender, outcome) = async_channel::bounded(1);
        let id = job.id.unwrap_or_else(|| NEXT.fetch_add(1, Relaxed).to_string().into());
        let sent =
            Sent { id: Arc::clone(&id), name: job.name, payload: job.payload, sender, _room: room };
        let job = MemoryJob { sent: Arc::new(sent), attempt: 0, terms: job.terms };
        if !self.jobs.send(job, false) {
            return Err(Closed);
        }
        Ok(JobResult { id, outcome: Box::pin(outcome) })
    }

    /// Refuses further jobs. The workers finish once all jobs are settled.
    pub fn close(&self) {
        self.jobs.room.close();
        let mut state = self.jobs.state();
        state.closed = true;
        let is_over = state.unsettled == 0;
        drop(state);
        if is_over {
            self.jobs.queue.shutdown();
        }
    }

    /// How many jobs are queued or delivered, and not settled.
    pub fn len(&self) -> usize {
        self.jobs.state().unsettled
    }

    /// Whether all jobs are settled.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<J, T, E> Jobs<J, T, E> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job. A closed queue takes only a job that is sent `again`, and returns `false` for
    /// any other.
    fn send(&self, job: MemoryJob<J, T, E>, again: bool) -> bool {
        let mut state = self.state();
        if state.closed && !again {
            return false;
        }
        state.unsettled += 1;
        drop(state);
        let terms = job.terms;
        self.put(Queued { job, terms, redelivered: false });
        true
    }

    fn put(&self, queued: Queued<J, T, E>) {
        // The queue refuses a job only after the last one was settled, and this one is not.
        let refused = self.queue.put_nowait(queued);
        drop(refused);
    }

    /// A job is settled.
    fn leave(&self) {
        let mut state = self.state();
        state.unsettled -= 1;
        let is_over = state.closed && state.unsettled == 0;
        drop(state);
        if is_over {
            self.queue.shutdown();
        }
    }
}

impl<J, T, E> Source for MemorySource<J, T, E>
where
    J: Send + Sync + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    type Job = MemoryJob<J, T, E>;
    type Output = T;
    type Error = E;
    type Receipt = MemoryReceipt<J, T, E>;

    async fn next(&self) -> Option<Arrival<Self>> {
        let next = async {
            let credit = Acquire::of(Arc::clone(&self.credit)).await.ok()?;
            let queued = self.jobs.queue.get().await.ok()?;
            let job = queued.job.clone();
            Some(Arrival::Delivery(Delivery {
                id: Arc::clone(&job.sent.id),
                name: Arc::clone(&job.sent.name),
                attempt: job.attempt,
                redelivered: queued.redelivered,
                terms: queued.terms,
                job,
                receipt: MemoryReceipt {
                    jobs: Arc::clone(&self.jobs),
                    queued: Some(queued),
                    _credit: credit,
                },
            }))
        };
        let stopped = async {
            self.stopped.wait().await;
            None
        };
        stopped.or(next).await
    }

    fn set_credit(&self, credit: Option<usize>) {
        self.credit.resize(credit.unwrap_or(usize::MAX));
    }

    async fn settle(&self, job: &Arc<Self::Job>, outcome: Outcome<T, E>) -> Result<(), NotSettled> {
        let result = match outcome {
            Outcome::Retried { after, .. } => {
                let terms = Terms { eta: Some(later(Clock::current().now(), after)), ..job.terms };
                let job = MemoryJob { attempt: job.attempt + 1, terms, ..MemoryJob::clone(job) };
                self.jobs.send(job, true);
                return Ok(());
            }
            Outcome::Done(value) => Ok(value),
            Outcome::Failed(error) => Err(JobError::Failed(error)),
            Outcome::Panicked(message) => Err(JobError::Panicked(message)),
            Outcome::Revoked => Err(JobError::Revoked),
            Outcome::Expired => Err(JobError::Expired),
            Outcome::SoftLimit(limit) | Outcome::HardLimit(limit) => Err(JobError::TimedOut(limit)),
        };
        // The first outcome counts; a receiver that is gone needs none.
        let _ = job.sent.sender.try_send(result);
        Ok(())
    }

    async fn acknowledge(&self, mut receipt: Self::Receipt) {
        if receipt.queued.take().is_some() {
            self.jobs.leave();
        }
    }

    async fn resend(&self, job: &Arc<Self::Job>) -> Result<(), NotSettled> {
        self.jobs.send(MemoryJob::clone(job), true);
        Ok(())
    }

    fn stop(&self) {
        self.stopped.set();
    }
}

/// Another source over the same queue, which is not stopped and has no limit of deliveries.
impl<J, T, E> Clone for MemorySource<J, T, E> {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.jobs))
    }
}

impl<J, T, E> fmt::Debug for MemorySource<J, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySource")
            .field("queued", &self.jobs.queue.len())
            .field("unsettled", &self.len())
            .finish()
    }
}

/// A job to [push](MemorySource::push) to a [`MemorySource`]. Dropping it drops the payload.
#[derive(Clone, Debug)]
pub struct NewJob<J> {
    id: Option<Arc<str>>,
    name: Arc<str>,
    terms: Terms,
    payload: J,
}

impl<J> NewJob<J> {
    /// Creates a job of the kind `name`, with an id that is unique in this process, and default
    /// terms.
    pub fn new(name: impl Into<Arc<str>>, payload: J) -> Self {
        Self { id: None, name: name.into(), terms: Terms::default(), payload }
    }

    /// Sets the id, by which the job can be revoked. Jobs with the same id do not run at the same
    /// time, and share the outcome of the first.
    #[must_use]
    pub fn id(self, id: impl Into<Arc<str>>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Sets when the job may run, and for how long.
    #[must_use]
    pub fn terms(self, terms: Terms) -> Self {
        Self { terms, ..self }
    }
}

/// A job of a [`MemorySource`]. It dereferences to the payload that was [pushed](MemorySource::push).
/// Dropping it is a no-op.
pub struct MemoryJob<J, T, E> {
    sent: Arc<Sent<J, T, E>>,
    attempt: u32,
    terms: Terms,
}

/// The state that all tries of a job share.
struct Sent<J, T, E> {
    id: Arc<str>,
    name: Arc<str>,
    payload: J,
    sender: Sender<Result<T, JobError<E>>>,
    _room: Permit<Arc<Semaphore>>,
}

impl<J, T, E> MemoryJob<J, T, E> {
    /// The id of the job.
    pub fn id(&self) -> &Arc<str> {
        &self.sent.id
    }

    /// The kind of the job.
    pub fn name(&self) -> &Arc<str> {
        &self.sent.name
    }

    /// The number of tries before this one.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl<J, T, E> Deref for MemoryJob<J, T, E> {
    type Target = J;

    fn deref(&self) -> &J {
        &self.sent.payload
    }
}

impl<J, T, E> Clone for MemoryJob<J, T, E> {
    fn clone(&self) -> Self {
        Self { sent: Arc::clone(&self.sent), ..*self }
    }
}

impl<J, T, E> fmt::Debug for MemoryJob<J, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryJob")
            .field("id", &self.sent.id)
            .field("name", &self.sent.name)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The right to acknowledge a job of a [`MemorySource`]. Dropping it puts the job at the end of the
/// queue.
pub struct MemoryReceipt<J, T, E> {
    jobs: Arc<Jobs<J, T, E>>,
    /// `None` once it was acknowledged.
    queued: Option<Queued<J, T, E>>,
    _credit: Permit<Arc<Semaphore>>,
}

impl<J, T, E> Drop for MemoryReceipt<J, T, E> {
    fn drop(&mut self) {
        if let Some(queued) = self.queued.take() {
            self.jobs.put(Queued { redelivered: true, ..queued });
        }
    }
}

impl<J, T, E> fmt::Debug for MemoryReceipt<J, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReceipt").field("open", &self.queued.is_some()).finish()
    }
}

/// The outcome of a job that was [pushed](MemorySource::push): a future. Dropping it does not affect
/// the job.
///
/// # Cancel safety
///
/// `(&mut result).await` may be dropped and repeated; nothing is lost.
#[must_use = "a future does nothing unless it is awaited"]
pub struct JobResult<T, E> {
    id: Arc<str>,
    outcome: Pin<Box<OutcomeReceiver<T, E>>>,
}

type OutcomeReceiver<T, E> = Receiver<Result<T, JobError<E>>>;

impl<T, E> JobResult<T, E> {
    /// The id of the job.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }
}

impl<T, E> Future for JobResult<T, E> {
    type Output = Result<T, JobError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = self.outcome.as_mut().poll_next(cx);
        outcome.map(|outcome| outcome.unwrap_or(Err(JobError::Lost)))
    }
}

impl<T, E> fmt::Debug for JobResult<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobResult").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a job of a [`MemorySource`] has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobError<E> {
    /// It returned an error.
    Failed(E),
    /// It panicked with this message.
    Panicked(String),
    /// It was [revoked](crate::WorkerHandle::revoke).
    Revoked,
    /// It [expired](Terms::expires) before it began.
    Expired,
    /// It ran for longer than its limit.
    TimedOut(Duration),
    /// All sources of the queue were dropped before the job was settled.
    Lost,
}

impl<E: fmt::Display> fmt::Display for JobError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "the job failed: {error}"),
            Self::Panicked(message) => write!(f, "the job panicked: {message}"),
            Self::Revoked => f.write_str("the job was revoked"),
            Self::Expired => f.write_str("the job expired before it began"),
            Self::TimedOut(limit) => write!(f, "the job exceeded its limit of {limit:?}"),
            Self::Lost => f.write_str("the queue was dropped before the job was settled"),
        }
    }
}

impl<E: Error + 'static> Error for JobError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}
