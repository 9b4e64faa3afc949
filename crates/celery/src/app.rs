//! [`App`]: an application of Celery, as a worker and as a producer.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_lite::{FutureExt, Stream, StreamExt, future, stream};
use serde::Serialize;
use spinney_hub::Hub;
use spinney_jobs::WorkerReport;
use spinney_pool::Pool;
use spinney_threadpool::ThreadPool;

use crate::Error;
use crate::events::Events;
use crate::producer::{NewTask, Producer, Sent};
use crate::results::Results;
use crate::service::Service;
use crate::session::{QueueSettings, Session, without_password};
use crate::source::Amqp;
use crate::task::{Call, CpuHandler, Handler, Task, TaskSettings, Tasks};

/// The queue of an app that names none. Celery's name.
const DEFAULT_QUEUE: &str = "celery";

/// An application of Celery on `RabbitMQ`: a worker with its tasks, and a producer that calls tasks
/// of others, in Rust or Python. Dropping it closes the producer's connection; a worker runs as
/// long as its [`run`](Self::run).
///
/// A setting after a [`task`](Self::task) applies to that task; a setting before the first task is
/// the default of all tasks.
///
/// ```no_run
/// use std::time::Duration;
/// use spinney_celery::{App, TaskError};
/// use spinney_pool::Pool;
///
/// async fn fetch(url: String) -> Result<usize, TaskError> {
///     Ok(url.len())
/// }
///
/// let app = App::amqp("amqp://guest:guest@localhost:5672/%2f")
///     .results("redis://localhost:6379/0")
///     .pool(&Pool::new(100))
///     .queue("shop")
///     .task("shop.fetch", fetch)
///     .params(["url"])
///     .soft_limit(Duration::from_secs(30));
/// spinney_hub::block_on(app.run_until_signal())?;
/// # Ok::<(), spinney_celery::Error>(())
/// ```
///
/// Python: `celery.Celery`.
pub struct App {
    settings: Settings,
    tasks: Tasks,
    /// The task that the next settings apply to.
    last: Option<Arc<str>>,
    defaults: TaskSettings,
    /// `None` until they are set or needed.
    threads: Arc<Mutex<Option<ThreadPool>>>,
    producer: OnceLock<Producer>,
}

pub(crate) struct Settings {
    pub(crate) url: String,
    pub(crate) results: String,
    pub(crate) pool: Pool,
    pub(crate) queues: Vec<QueueSettings>,
    pub(crate) hostname: String,
    pub(crate) prefetch: usize,
    pub(crate) grace: Duration,
    pub(crate) connect_patience: Duration,
    pub(crate) patience: Duration,
    pub(crate) max_body: usize,
    pub(crate) events: bool,
    pub(crate) routes: Routes,
}

/// Which queue a task is sent to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// Names of tasks, or prefixes that end with `*`; each with a queue.
    routes: Vec<(String, String)>,
    default: Option<String>,
}

impl Routes {
    pub(crate) fn queue_of(&self, task: &str) -> &str {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => task.starts_with(start),
            None => task == pattern,
        };
        let route = self.routes.iter().find(|(pattern, _)| matches(pattern));
        route.map_or(self.default.as_deref().unwrap_or(DEFAULT_QUEUE), |(_, queue)| queue)
    }
}

impl App {
    /// Creates an app on the broker at `url`, for example `amqp://user:password@host:5672/%2f`.
    /// `amqps` needs the feature `rustls`: the broker's certificate is checked against the
    /// authorities of the system, or on Linux those in the file that the environment variable
    /// `SSL_CERT_FILE` names. The interval of heartbeats is set by `?heartbeat=10`, in seconds.
    pub fn amqp(url: impl Into<String>) -> Self {
        let settings = Settings {
            url: url.into(),
            results: "rpc://".to_owned(),
            pool: Pool::new(100),
            queues: Vec::new(),
            hostname: format!("celery@{}", hostname()),
            prefetch: 4,
            grace: Duration::from_secs(30),
            connect_patience: Duration::from_secs(60),
            patience: Duration::from_secs(120),
            max_body: 16 << 20,
            events: false,
            routes: Routes::default(),
        };
        Self {
            settings,
            tasks: HashMap::new(),
            last: None,
            defaults: TaskSettings::default(),
            threads: Arc::default(),
            producer: OnceLock::new(),
        }
    }

    /// Sets where results are stored: with `rpc://`, the default, they are sent to the caller's own
    /// queue; with `redis://..` they are stored in redis; with `disabled://` they are dropped. Chords
    /// need redis.
    ///
    /// Python: `result_backend`.
    #[must_use]
    pub fn results(mut self, url: impl Into<String>) -> Self {
        self.settings.results = url.into();
        self
    }

    /// Sets the pool in whose slots tasks run. Default: a pool of the app's own, with 100 slots.
    ///
    /// Python: `--concurrency`.
    #[must_use]
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.settings.pool = pool.clone();
        self
    }

    /// Adds a queue to consume from. A missing queue is declared as durable. Calls of tasks without a
    /// route go to the first queue. Default: the queue `celery`.
    ///
    /// Python: `--queues`.
    #[must_use]
    pub fn queue(self, name: impl Into<Arc<str>>) -> Self {
        self.add_queue(name.into(), None)
    }

    /// Adds a queue to consume from, like [`queue`](Self::queue). A missing queue is declared with
    /// priorities from 0 to `most`.
    ///
    /// Python: `x-max-priority`.
    #[must_use]
    pub fn queue_with_priorities(self, name: impl Into<Arc<str>>, most: u8) -> Self {
        self.add_queue(name.into(), Some(most))
    }

    fn add_queue(mut self, name: Arc<str>, max_priority: Option<u8>) -> Self {
        self.settings.queues.push(QueueSettings { name, max_priority });
        self
    }

    /// Sends calls of `task` to `queue`. A pattern that ends with `*` matches every task with that
    /// prefix; the first match counts.
    ///
    /// Python: `task_routes`.
    #[must_use]
    pub fn route(mut self, task: impl Into<String>, queue: impl Into<String>) -> Self {
        self.settings.routes.routes.push((task.into(), queue.into()));
        self
    }

    /// Sets the name of the worker. Default: `celery@` and the name of the machine.
    ///
    /// Python: `--hostname`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.hostname = name.into();
        self
    }

    /// Sets how many messages are fetched for each slot. Default: 4.
    ///
    /// Python: `worker_prefetch_multiplier`.
    #[must_use]
    pub fn prefetch(mut self, per_slot: usize) -> Self {
        self.settings.prefetch = per_slot;
        self
    }

    /// Sets how long running tasks may take to finish when the worker is stopped. After that they are
    /// killed, and their messages go back to the queue. Default: 30 seconds.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// Sets how long storing the outcome of a task is retried, while its message stays
    /// unacknowledged. After that the message goes back to the queue, and the task runs again.
    /// Default: two minutes.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Sets how long the first connection to the broker is retried. A lost connection is retried
    /// without limit. Default: a minute.
    #[must_use]
    pub fn connect_patience(mut self, patience: Duration) -> Self {
        self.settings.connect_patience = patience;
        self
    }

    /// Sets the longest body of a message that is read, in bytes; messages with a longer one are
    /// refused. Default: 16 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// Sets whether events of tasks are sent to monitors from the beginning. Default: `false`; a
    /// monitor may request them.
    ///
    /// Python: `--task-events`.
    #[must_use]
    pub fn events(mut self, enabled: bool) -> Self {
        self.settings.events = enabled;
        self
    }

    /// Sets the threads on which [`cpu_task`](Self::cpu_task)s run, in place of those that were set
    /// before. Default: one per core.
    #[must_use]
    pub fn threads(self, threads: &ThreadPool) -> Self {
        *lock(&self.threads) = Some(threads.clone());
        self
    }

    /// Adds a task: an async function of up to eight parameters that can be read from JSON, which
    /// returns a `Result`. A first parameter of type [`Request`](crate::Request) describes the
    /// call. A later task of the same name replaces an earlier one.
    ///
    /// Python: `@app.task`.
    #[must_use]
    pub fn task<P>(self, name: impl Into<Arc<str>>, handler: impl Handler<P>) -> Self {
        self.add_task(name.into(), Box::new(move |call| handler.call(call)))
    }

    /// Adds a task that computes: a function that runs on the app's [`threads`](Self::threads), in a
    /// slot of the pool. A kill or a limit ends its wait; the function itself runs to its end.
    #[must_use]
    pub fn cpu_task<P>(self, name: impl Into<Arc<str>>, handler: impl CpuHandler<P>) -> Self {
        let (handler, threads) = (Arc::new(handler), Arc::clone(&self.threads));
        let run = move |call: Call| {
            let one_per_core = || ThreadPool::builder().build();
            let threads = lock(&threads).get_or_insert_with(one_per_core).clone();
            Arc::clone(&handler).call(call, &threads)
        };
        self.add_task(name.into(), Box::new(run))
    }

    fn add_task(
        mut self,
        name: Arc<str>,
        run: Box<dyn Fn(Call) -> crate::task::Ran + Send + Sync>,
    ) -> Self {
        let task = Task { run, params: Arc::new([]), settings: self.defaults };
        self.tasks.insert(Arc::clone(&name), task);
        self.last = Some(name);
        self
    }

    /// Sets the names of the task's parameters, in order, for calls with keyword arguments.
    ///
    /// # Panics
    ///
    /// Panics if no [`task`](Self::task) was added before.
    #[must_use]
    pub fn params<const N: usize>(mut self, names: [&'static str; N]) -> Self {
        let task = self.last.as_ref().and_then(|name| self.tasks.get_mut(name));
        task.expect("parameters are of the task before them").params = Arc::new(names);
        self
    }

    /// Kills a task that runs for longer than `limit`; the task may catch the kill. A limit in the
    /// message takes precedence.
    ///
    /// Python: `soft_time_limit`.
    #[must_use]
    pub fn soft_limit(self, limit: Duration) -> Self {
        self.set(|task| task.soft_limit = Some(limit))
    }

    /// Drops a task that runs for longer than `limit`, at its next await. A limit in the message
    /// takes precedence.
    ///
    /// Python: `time_limit`.
    #[must_use]
    pub fn hard_limit(self, limit: Duration) -> Self {
        self.set(|task| task.hard_limit = Some(limit))
    }

    /// Acknowledges the message before the task runs: a crash loses the task, and never repeats it.
    ///
    /// Python: `acks_late=False`, Celery's default; here messages are acknowledged late.
    #[must_use]
    pub fn ack_early(self) -> Self {
        self.set(|task| task.ack_early = true)
    }

    /// Stores no results of the task.
    ///
    /// Python: `ignore_result`.
    #[must_use]
    pub fn ignore_result(self) -> Self {
        self.set(|task| task.ignore_result = true)
    }

    /// Sets how many times the task may be [retried](crate::TaskError::retry_after). Default: 3.
    ///
    /// Python: `max_retries`.
    #[must_use]
    pub fn max_retries(self, times: u32) -> Self {
        self.set(|task| task.max_retries = times)
    }

    /// Starts the task at most `starts` times in each `period`, evenly spaced, in each worker.
    ///
    /// # Panics
    ///
    /// Panics if `starts` is 0.
    ///
    /// Python: `rate_limit`.
    #[must_use]
    pub fn rate(self, starts: u32, period: Duration) -> Self {
        self.set(|task| task.pace = Some(period / starts))
    }

    fn set(mut self, change: impl Fn(&mut TaskSettings)) -> Self {
        match self.last.as_ref().and_then(|name| self.tasks.get_mut(name)) {
            Some(task) => change(&mut task.settings),
            None => change(&mut self.defaults),
        }
        self
    }

    /// Runs the worker until remote control stops it. Tasks run on the current hub; the connection
    /// has a thread of its own.
    ///
    /// # Errors
    ///
    /// [`Error`] if an address cannot be read, if the broker refuses the connection, is not reached
    /// within [`connect_patience`](Self::connect_patience), or does not let a queue be consumed from.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the worker: running tasks are killed and put back.
    pub async fn run(self) -> Result<WorkerReport, Error> {
        self.run_until(stream::pending()).await
    }

    /// Runs the worker until SIGTERM or SIGINT. After the first signal running tasks have the
    /// [`grace`](Self::grace) to finish; a second signal kills them. Tasks that have not finished
    /// are put back.
    ///
    /// # Errors
    ///
    /// The same as [`run`](Self::run); also [`Error::System`] if signals cannot be handled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the worker: running tasks are killed and put back.
    pub async fn run_until_signal(self) -> Result<WorkerReport, Error> {
        use async_signal::{Signal, Signals};
        let signals = Signals::new([Signal::Term, Signal::Int]).map_err(Error::System)?;
        self.run_until(signals.map(drop)).await
    }

    /// Runs the worker until `stops` yields an item: running tasks then have the
    /// [`grace`](Self::grace) to finish; a second item kills them.
    ///
    /// # Errors
    ///
    /// The same as [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the worker: running tasks are killed and put back.
    pub async fn run_until(self, stops: impl Stream<Item = ()>) -> Result<WorkerReport, Error> {
        let service = self.into_service()?;
        let stop = service.stopper();
        let mut stops = pin!(stops);
        let stopping = async {
            while stops.next().await.is_some() {
                stop();
            }
            future::pending().await
        };
        service.run().or(stopping).await
    }

    /// Creates the worker, whose tasks run on the current hub.
    fn into_service(self) -> Result<Service, Error> {
        let Self { mut settings, tasks, .. } = self;
        settings.finish();
        let results = Results::open(&settings.results)?;
        let session = Session::new(settings.url.clone(), settings.hostname.clone());
        let events = Events::new(settings.hostname.clone(), settings.events);
        let (session, routes) = (Arc::new(session), settings.routes.clone());
        let mut source = Amqp::new(session, results, Arc::new(tasks), events, routes);
        source.patience = settings.patience;
        source.max_body = settings.max_body;
        Ok(Service::new(source, settings, &Hub::current()))
    }

    /// Calls the task `name` with a tuple of arguments. A worker in Rust or Python runs it.
    ///
    /// # Errors
    ///
    /// [`Error`] if the broker cannot be reached, or the arguments cannot be written as JSON.
    ///
    /// # Cancel safety
    ///
    /// The call may have been sent when the future is dropped.
    ///
    /// Python: `app.send_task`.
    pub async fn send(&self, name: &str, args: impl Serialize) -> Result<Sent, Error> {
        self.send_task(NewTask::new(name).args(args)).await
    }

    /// Calls a task with the settings of a [`NewTask`]: its queue, countdown, limits and priority.
    ///
    /// # Errors
    ///
    /// The same as [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// The call may have been sent when the future is dropped.
    ///
    /// Python: `Task.apply_async`.
    pub async fn send_task(&self, task: NewTask) -> Result<Sent, Error> {
        self.producer()?.send(task).await
    }

    fn producer(&self) -> Result<&Producer, Error> {
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        let mut routes = self.settings.routes.clone();
        routes.default = self.settings.queues.first().map(|queue| queue.name.to_string());
        let producer = Producer::start(&self.settings, routes)?;
        // If another call was faster, its producer is used.
        Ok(self.producer.get_or_init(|| producer))
    }
}

impl Settings {
    /// Sets what depends on other settings.
    fn finish(&mut self) {
        if self.queues.is_empty() {
            self.queues.push(QueueSettings { name: DEFAULT_QUEUE.into(), max_priority: None });
        }
        self.routes.default = Some(self.queues[0].name.to_string());
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("broker", &without_password(&self.settings.url))
            .field("results", &without_password(&self.settings.results))
            .field("tasks", &self.tasks.keys())
            .finish_non_exhaustive()
    }
}

fn lock(threads: &Mutex<Option<ThreadPool>>) -> MutexGuard<'_, Option<ThreadPool>> {
    threads.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of this machine.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.map(|name| name.trim().to_owned()).or_else(|| std::env::var("HOSTNAME").ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}
