//! [`Service`]: a worker that runs: its connection on a thread of its own, its tasks on a hub.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_lite::future::{self, FutureExt};
use lapin::options::BasicCancelOptions;
use spinney_greenlet::map::{Decision, Retry};
use spinney_greenlet::{named, spawn_on};
use spinney_hub::{Hub, LocalHub, Within};
use spinney_jobs::{Worker, WorkerHandle, WorkerReport};
use spinney_sync::Event;
use tracing::Instrument;

use crate::app::Settings;
use crate::control::Control;
use crate::message::{Message, Refused};
use crate::receipt::Receipt;
use crate::session::{Link, QueueSettings, is_unsupported};
use crate::source::Amqp;
use crate::task::{Call, Returned, Tasks};
use crate::{Error, TaskError};

/// How long the last messages and the end of a connection may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub(crate) struct Service {
    worker: Worker<Amqp>,
    settings: Settings,
}

impl Service {
    /// A worker whose tasks run on `hub`.
    pub(crate) fn new(source: Amqp, settings: Settings, hub: &Hub) -> Self {
        let _ = source.origin.set(settings.hostname.clone());
        let tasks = Arc::clone(&source.tasks);
        let worker = Worker::builder(&settings.pool)
            .prefetch(settings.prefetch)
            .on(hub)
            .retry(Retry::times(u32::MAX).when(may_retry))
            .build(source);
        for (name, task) in tasks.iter() {
            if task.settings.pace.is_some() {
                worker.handle().pace(name, task.settings.pace);
            }
        }
        Self { worker, settings }
    }

    /// Stops the worker: the first call lets running tasks end within their grace, a second kills
    /// them.
    pub(crate) fn stopper(&self) -> impl Fn() + Send + use<> {
        let (worker, grace) = (self.worker.handle(), self.settings.grace);
        move || worker.stop(grace)
    }

    /// Runs until the worker has finished. Dropping the future stops the worker.
    ///
    /// The box hides the future's type: the code of an async function is otherwise compiled with each
    /// program that polls it, which takes a minute.
    pub(crate) fn run(self) -> BoxFuture<'static, Result<WorkerReport, Error>> {
        Box::pin(self.run_on_thread())
    }

    async fn run_on_thread(self) -> Result<WorkerReport, Error> {
        let _stop = StopOnDrop(self.worker.handle());
        let (ended, end) = async_channel::bounded(1);
        let thread = thread::Builder::new().name("spinney-celery".to_owned());
        let body = move || {
            let served = LocalHub::new();
            let outcome = served.clone().block_on(self.serve(&served));
            // The caller may have gone.
            let _ = ended.try_send(outcome);
        };
        thread.spawn(body).map_err(Error::System)?;
        let panicked =
            |_| Error::System(std::io::Error::other("the thread of the connection panicked"));
        end.recv().await.map_err(panicked)?
    }

    /// Runs the worker and its connection, on the thread of the connection.
    async fn serve(self, hub: &LocalHub) -> Result<WorkerReport, Error> {
        let Self { worker, settings } = self;
        let handle = worker.handle();
        let tasks = Arc::clone(&handle.source().tasks);
        let session = Arc::clone(&handle.source().session);
        let done = Event::new();
        let works = async {
            let report = worker.run(move |job| work(Arc::clone(&tasks), job)).await;
            done.set();
            report
        };
        let control = Control {
            hostname: settings.hostname.clone(),
            worker: handle.clone(),
            grace: settings.grace,
            queues: settings.queues.iter().map(|queue| Arc::clone(&queue.name)).collect(),
        };
        let serve = async |link| {
            let line = LinkService { hub, handle: &handle, control: &control, done: &done, link };
            line.serve(&settings.queues).await
        };
        let lost = || handle.source().lose_connection();
        let mut keeps = pin!(session.keep(settings.connect_patience, serve, lost));
        let works = async { Ok(works.await) };
        let fails = async {
            match keeps.as_mut().await {
                Err(error) => Err(error),
                Ok(()) => future::pending().await,
            }
        };
        let report = works.or(fails).await?;
        // A connection that is not there needs no end.
        if session.is_linked() {
            let _ = keeps.within(CLOSE_LIMIT).await;
        }
        Ok(report)
    }
}

/// Whether a task has asked for another try. How many it may have is known where it ran.
fn may_retry(error: &TaskError) -> Decision {
    error.retry.map_or(Decision::GiveUp, Decision::RetryAfter)
}

/// Stops a worker whose run is dropped.
struct StopOnDrop(WorkerHandle<Amqp>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop(Duration::ZERO);
    }
}

/// Runs one task.
async fn work(tasks: Arc<Tasks>, job: Arc<Message>) -> Returned {
    let Some(task) = tasks.get(&job.name) else {
        return Err(TaskError::new("NotRegistered", &*job.name));
    };
    let span = tracing::info_span!("task", task_id = &*job.id, task = &*job.name);
    let running = (task.run)(Call::new(Arc::clone(&job), Arc::clone(&task.params)));
    let returned = named(Arc::clone(&job.name), running).instrument(span).await;
    returned.map_err(|mut error| {
        error.retry = error.retry.filter(|_| job.retries < task.settings.max_retries);
        error
    })
}

/// One connection of a worker.
struct LinkService<'a> {
    hub: &'a LocalHub,
    handle: &'a WorkerHandle<Amqp>,
    control: &'a Control,
    /// Set when the worker has finished.
    done: &'a Event,
    link: Arc<Link>,
}

impl LinkService<'_> {
    /// Serves the connection; returns whether the worker has finished, rather than the connection.
    async fn serve(&self, queues: &[QueueSettings]) -> Result<bool, Error> {
        let (source, link) = (self.handle.source(), &self.link);
        let acks = Arc::clone(&link.acks);
        let _sends = spawn_on(self.hub, async move { acks.keep_sending().await }).kill_on_drop();
        let done = async {
            self.done.wait().await;
            link.acks.send();
            source.events.say_offline(link).await;
            Ok(true)
        };
        let control = async {
            let served = self.control.serve(link).await;
            report("remote control", served);
            Ok(false)
        };
        let events = async {
            let served = source.events.serve(link).await;
            report("events", served);
            Ok(false)
        };
        let broken = async {
            link.broken().await;
            Ok(false)
        };
        let prefetch = async {
            source.keep_prefetch(link).await;
            Ok(false)
        };
        done.or(broken).or(control).or(events).or(prefetch).or(self.consume(queues)).await
    }

    /// Takes deliveries in until the connection fails; without end once the worker is stopped.
    async fn consume(&self, queues: &[QueueSettings]) -> Result<bool, Error> {
        let source = self.handle.source();
        if !source.is_stopped() {
            let mut tags = Vec::new();
            let mut pumps = Vec::new();
            if let Err(error) = self.link.set_prefetch(source.prefetch()).await {
                report("the prefetch count", Err(error));
                return Ok(false);
            }
            for queue in queues {
                let consumer = match self.link.consume(queue).await {
                    Ok(consumer) => consumer,
                    Err(error) if is_unsupported(&error) => {
                        let queue = queue.name.to_string();
                        return Err(Error::Queue { queue, reason: error.to_string() });
                    }
                    Err(error) => {
                        report("a queue", Err(error));
                        return Ok(false);
                    }
                };
                tags.push(consumer.tag());
                let (name, acks) = (Arc::clone(&queue.name), Arc::clone(&self.link.acks));
                let (handle, hub) = (self.handle.clone(), self.hub.clone());
                let pump = async move {
                    let refusals = |receipt, refused| refuse(&hub, &handle, receipt, refused);
                    handle.source().pump(name, acks, consumer, &refusals).await;
                };
                pumps.push(spawn_on(self.hub, pump).kill_on_drop());
            }
            tracing::info!(queues = queues.len(), "ready");
            let stopping = async {
                source.stopping.wait().await;
                true
            };
            let ended = async {
                spinney_greenlet::iwait(pumps.iter()).next().await;
                false
            };
            if !stopping.or(ended).await {
                return Ok(false);
            }
            for tag in tags {
                if let Err(error) =
                    self.link.work.basic_cancel(tag, BasicCancelOptions::default()).await
                {
                    report("the end of a queue", Err(error));
                }
            }
        }
        future::pending().await
    }
}

/// Settles a message that is refused, beside what else the session does.
fn refuse(hub: &LocalHub, handle: &WorkerHandle<Amqp>, receipt: Receipt, refused: Box<Refused>) {
    let handle = handle.clone();
    let refusal = async move { handle.source().refuse(receipt, refused).await };
    spawn_on(hub, refusal).detach();
}

fn report(what: &str, served: Result<(), lapin::Error>) {
    match served {
        Ok(()) => tracing::warn!("{what} ended"),
        Err(error) => tracing::warn!(%error, "{what} failed"),
    }
}
