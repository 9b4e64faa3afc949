//! [`Worker`]: takes jobs from a source, runs them in a pool's slots, and settles each.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use spinney_greenlet::GreenletExit;
use spinney_greenlet::map::{Again, Attempts, Retry};
use spinney_hub::{Clock, Hub, contain};
use spinney_pool::Pool;
use spinney_sync::Event;

use crate::table::Table;
use crate::worker_loop::WorkerLoop;
use crate::{JobInfo, JobKill, Source};

/// The shortest [`WorkerBuilder::hold`].
const LEAST_HOLD: Duration = Duration::from_secs(1);

/// The settings of a [`Worker`]. Dropping it creates no worker.
#[must_use = "a builder does nothing until `build` is called"]
pub struct WorkerBuilder<S: Source> {
    settings: Settings<S>,
}

/// How jobs that returned an error are retried.
pub(crate) type JobRetry<S> = Again<(), Result<(), <S as Source>::Error>>;

pub(crate) struct Settings<S: Source> {
    pub(crate) pool: Pool,
    pub(crate) hub: Option<Hub>,
    pub(crate) prefetch: usize,
    pub(crate) hold: Duration,
    pub(crate) max_held: usize,
    pub(crate) retry: Option<JobRetry<S>>,
}

impl<S: Source> WorkerBuilder<S> {
    /// Sets how many deliveries may be pending for each slot. Default: 4; 0 counts as 1. With 1 the
    /// source delivers only jobs that can run immediately; more hides the time that a delivery takes.
    pub fn prefetch(mut self, per_slot: usize) -> Self {
        self.settings.prefetch = per_slot.max(1);
        self
    }

    /// Sets the hub of the jobs. Default: the hub that is current when [`run`](Worker::run) is polled
    /// first.
    pub fn on(mut self, hub: &Hub) -> Self {
        self.settings.hub = Some(hub.clone());
        self
    }

    /// Sets how long a delivery is held for its [time](crate::Terms::eta). After that a copy of the
    /// job is [sent](Source::resend) to the end of the queue. Default: 25 minutes, because
    /// `RabbitMQ` closes a channel that holds a delivery for 30. Less than a second counts as a
    /// second, because a copy may come back immediately.
    pub fn hold(mut self, limit: Duration) -> Self {
        self.settings.hold = limit.max(LEAST_HOLD);
        self
    }

    /// Sets for how many jobs that are held for their time the source gets further credit. Jobs that
    /// are held beyond that number take the place of jobs that could run. Default: 10,000.
    pub fn max_held(mut self, jobs: usize) -> Self {
        self.settings.max_held = jobs;
        self
    }

    /// Retries jobs that returned an error, after the delays of `retry`. Between two tries a job is
    /// back at its source, and takes no slot. The time limits are those of the job's
    /// [terms](crate::Terms); those of `retry` are not used. Default: no retry.
    pub fn retry(mut self, retry: Retry<S::Error>) -> Self {
        self.settings.retry = Attempts::again(retry);
        self
    }

    /// Creates a worker for the jobs of `source`.
    #[must_use]
    pub fn build(self, source: S) -> Worker<S> {
        let shared = Shared {
            source,
            settings: self.settings,
            table: Mutex::new(Table::new()),
            clock: OnceLock::new(),
            changed: Event::new(),
            stop: Mutex::new(None),
            cold: Event::new(),
        };
        Worker { shared: Arc::new(shared) }
    }
}

impl<S: Source> fmt::Debug for WorkerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("pool", &self.settings.pool)
            .field("prefetch", &self.settings.prefetch)
            .field("hold", &self.settings.hold)
            .finish_non_exhaustive()
    }
}

/// Takes jobs from a [`Source`], runs each in a slot of a pool, stores its outcome, and
/// acknowledges it. Dropping a worker is a no-op; dropping its [`run`](Self::run) kills the jobs
/// and puts them back.
///
/// A job holds its slot while it runs. Its outcome is stored, and it is acknowledged, by a task on
/// the hub of [`run`](Self::run), not on that of the jobs. While the outcomes of as many jobs as
/// the pool has slots are being stored, no further job begins. Jobs with the same id never run at
/// the same time: a job that is delivered again while the worker has it does not begin again.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Pool;
/// #     pub mod jobs { pub use spinney_jobs::{MemoryJob, MemorySource, NewJob, Worker}; }
/// # }
/// use std::sync::Arc;
/// use spinney::{Pool, block_on};
/// use spinney::jobs::{MemoryJob, MemorySource, NewJob, Worker};
///
/// block_on(async {
///     let queue = MemorySource::<u32, u32, String>::bounded(100);
///     let doubled = queue.push(NewJob::new("double", 21)).await.unwrap();
///     queue.close();
///     let worker = Worker::builder(&Pool::new(10)).build(queue);
///     let report = worker.run(|n: Arc<MemoryJob<_, _, _>>| async move { Ok(**n * 2) }).await;
///     assert_eq!(doubled.await.unwrap(), 42);
///     assert_eq!(report.succeeded, 1);
/// });
/// ```
pub struct Worker<S: Source> {
    shared: Arc<Shared<S>>,
}

impl<S: Source> Worker<S> {
    /// Returns the settings of a worker whose jobs run in the slots of `pool`.
    pub fn builder(pool: &Pool) -> WorkerBuilder<S> {
        let (prefetch, hold) = (4, Duration::from_secs(25 * 60));
        let pool = pool.clone();
        let settings = Settings { pool, hub: None, prefetch, hold, max_held: 10_000, retry: None };
        WorkerBuilder { settings }
    }

    /// Returns a handle that controls the worker, from any thread.
    pub fn handle(&self) -> WorkerHandle<S> {
        WorkerHandle { shared: Arc::clone(&self.shared) }
    }

    /// Runs `work` for each job, until the source has no more deliveries, the worker is
    /// [stopped](WorkerHandle::stop), or its pool is closed.
    ///
    /// A panic of `work` fails its job. A job may catch its kill; [`JobKill`] is the reason of the
    /// kill.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the running jobs. It puts back those that do not catch the kill, and
    /// those that have not begun.
    pub async fn run<F, Fut>(self, work: F) -> WorkerReport
    where
        F: Fn(Arc<S::Job>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<S::Output, S::Error>> + Send + 'static,
    {
        let shared = self.shared;
        shared.clock.get_or_init(Clock::current);
        let rest = PutBackRest { shared: &shared };
        let worker_loop = WorkerLoop::new(&shared, work);
        worker_loop.take_in().await;
        worker_loop.drain().await;
        drop(rest);
        shared.table().counts()
    }
}

impl<S: Source> fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("report", &self.shared.table().counts()).finish()
    }
}

/// Controls a [`Worker`], from any thread and while all threads that run jobs are blocked. Dropping
/// the handle does not affect the worker.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Pool;
/// #     pub mod jobs {
/// #         pub use spinney_jobs::{JobError, MemoryJob, MemorySource, NewJob, Worker};
/// #     }
/// # }
/// use std::sync::Arc;
/// use spinney::{Pool, block_on};
/// use spinney::jobs::{JobError, MemoryJob, MemorySource, NewJob, Worker};
///
/// block_on(async {
///     let queue = MemorySource::<u32, u32, String>::bounded(100);
///     let doubled = queue.push(NewJob::new("double", 21).id("a")).await.unwrap();
///     queue.close();
///     let worker = Worker::builder(&Pool::new(10)).build(queue);
///     let handle = worker.handle();
///     handle.revoke("a", false);
///     worker.run(|n: Arc<MemoryJob<_, _, _>>| async move { Ok(**n * 2) }).await;
///     assert_eq!(doubled.await, Err(JobError::Revoked));
///     assert_eq!(handle.report().revoked, 1);
/// });
/// ```
pub struct WorkerHandle<S: Source> {
    shared: Arc<Shared<S>>,
}

impl<S: Source> WorkerHandle<S> {
    /// Stops the worker. Jobs that have not begun are put back immediately. Running jobs have `grace`
    /// to finish; then they are killed, and put back unless they catch the kill and return. A second
    /// call kills them immediately.
    pub fn stop(&self, grace: Duration) {
        let mut stop = self.shared.lock_stop();
        let is_second = stop.is_some();
        stop.get_or_insert(grace);
        drop(stop);
        if is_second {
            self.shared.cold.set();
        }
        self.shared.changed.set();
    }

    /// Revokes the job with this id. A job that has not begun, or that is delivered later, is
    /// settled as [`Revoked`](crate::Outcome::Revoked). A running job goes on, unless `terminate`
    /// is `true`: it is then killed, with [`JobKill::Revoked`] as the reason.
    ///
    /// The last 50,000 revoked ids are remembered.
    pub fn revoke(&self, id: &str, terminate: bool) {
        let now = self.shared.now();
        let running = self.shared.table().revoke(id, terminate, now);
        if let Some(greenlet) = running {
            greenlet.kill_now_with(GreenletExit::because(JobKill::Revoked));
        }
        self.shared.changed.set();
    }

    /// Returns the remembered ids that were revoked, the oldest first.
    pub fn revoked(&self) -> Vec<Arc<str>> {
        self.shared.table().revoked()
    }

    /// Changes the number of slots of the worker's pool, and with it the credit of the source.
    pub fn resize(&self, capacity: usize) {
        self.shared.settings.pool.resize(capacity);
        self.shared.changed.set();
    }

    /// The number of slots of the worker's pool; `None` without a limit.
    pub fn capacity(&self) -> Option<usize> {
        self.shared.settings.pool.capacity()
    }

    /// Starts the jobs of this name at least `every` apart; `None` removes the limit. The change also
    /// applies to jobs that wait for an earlier pace.
    pub fn pace(&self, name: &str, every: Option<Duration>) {
        let now = self.shared.now();
        self.shared.table().set_pace(name, every, now);
        self.shared.changed.set();
    }

    /// Returns the jobs that the worker has, in the order of their deliveries.
    pub fn jobs(&self) -> Vec<JobInfo<S::Job>> {
        self.shared.table().jobs()
    }

    /// Returns the counts of the outcomes so far.
    pub fn report(&self) -> WorkerReport {
        self.shared.table().counts()
    }

    /// Returns the source of the worker's jobs.
    pub fn source(&self) -> &S {
        &self.shared.source
    }
}

impl<S: Source> Clone for WorkerHandle<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Source> fmt::Debug for WorkerHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerHandle").field("report", &self.report()).finish()
    }
}

/// The outcomes of a [`Worker`]'s jobs, and the stages of those that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerReport {
    /// How many jobs were delivered.
    pub received: usize,
    /// How many deliveries were of a job that the worker already had, or had settled.
    pub taken_over: usize,
    /// How many returned a value.
    pub succeeded: usize,
    /// How many returned an error, panicked, or exceeded a limit.
    pub failed: usize,
    /// How many were sent again after an error.
    pub retried: usize,
    /// How many were revoked, or had expired.
    pub revoked: usize,
    /// How many were sent to the end of their queue, because they were held for too long.
    pub resent: usize,
    /// How many were put back: killed by a shutdown, or not settled.
    pub put_back: usize,
    /// How many are held for their time.
    pub scheduled: usize,
    /// How many wait for a slot.
    pub reserved: usize,
    /// How many are running. In the report of a finished run, the jobs that never awaited.
    pub active: usize,
    /// How many have finished, and are not settled yet.
    pub settling: usize,
}

pub(crate) struct Shared<S: Source> {
    pub(crate) source: S,
    pub(crate) settings: Settings<S>,
    table: Mutex<Table<S>>,
    /// The clock of the hub that the worker runs on.
    clock: OnceLock<Clock>,
    /// Set when the loop has to check the table again.
    pub(crate) changed: Event,
    /// The grace, once the worker was stopped.
    stop: Mutex<Option<Duration>>,
    /// Set at the second stop.
    pub(crate) cold: Event,
}

impl<S: Source> Shared<S> {
    pub(crate) fn now(&self) -> Instant {
        self.clock.get().map_or_else(Instant::now, Clock::now)
    }

    /// The grace, once the worker was stopped.
    pub(crate) fn stopped(&self) -> Option<Duration> {
        *self.lock_stop()
    }

    /// Waits for a stop. Returns its grace.
    pub(crate) async fn wait_stopped(&self) -> Duration {
        loop {
            if let Some(grace) = self.stopped() {
                return grace;
            }
            self.changed.wait().await;
            self.changed.clear();
        }
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table<S>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_stop(&self) -> MutexGuard<'_, Option<Duration>> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts back the jobs that have not begun.
    pub(crate) fn put_back_unstarted(&self) {
        let mut table = self.table();
        let unstarted = table.take_unstarted();
        let released = table.take_released();
        table.report.put_back += unstarted.len();
        drop(table);
        drop((unstarted, released));
    }
}

/// Puts back the jobs that have not begun when the worker's run is dropped.
struct PutBackRest<'a, S: Source> {
    shared: &'a Shared<S>,
}

impl<S: Source> Drop for PutBackRest<'_, S> {
    fn drop(&mut self) {
        // It may be dropped by a panic of the source.
        contain(|| self.shared.source.stop());
        self.shared.put_back_unstarted();
    }
}
