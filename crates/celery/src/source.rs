//! [`Amqp`]: the queues of a broker as a source of jobs, and what happens when a task has finished.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_channel::{Receiver, Sender};
use futures_lite::StreamExt;
use jiff::Timestamp;
use serde_json::value::RawValue;
use spinney_hub::{Clock, Within, sleep};
use spinney_jobs::{Arrival, Delivery, NotSettled, Outcome, Source, Step, Terms};
use spinney_sync::Event;

use crate::calls::forbidden;
use crate::events::Events;
use crate::message::{Message, RawMessage, Refused};
use crate::receipt::{Acks, Receipt};
use crate::results::{Owner, Results, Stored, TaskResult};
use crate::session::{Link, Session};
use crate::task::{TaskSettings, Tasks};
use crate::{Routes, TaskError};

/// The first pause before a result is stored again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The queues of a broker. What the worker, the session and remote control share.
pub(crate) struct Amqp {
    pub(crate) session: Arc<Session>,
    pub(crate) results: Results,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) events: Events,
    pub(crate) routes: Routes,
    /// How long storing an outcome is retried.
    pub(crate) patience: Duration,
    /// The longest body that is read.
    pub(crate) max_body: usize,
    /// Limits that remote control has set, by the name of the task.
    pub(crate) limits: Mutex<HashMap<String, Limits>>,
    arrivals: (Sender<Arrival<Self>>, Receiver<Arrival<Self>>),
    /// How many deliveries may be unacknowledged; 0 is no limit.
    credit: AtomicUsize,
    pub(crate) credit_changed: Event,
    stopped: AtomicBool,
    pub(crate) stopping: Event,
    /// The name of this worker, as it stands in messages.
    pub(crate) origin: OnceLock<String>,
}

/// How long a task may run.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) soft: Option<Duration>,
    pub(crate) hard: Option<Duration>,
}

impl Amqp {
    pub(crate) fn new(
        session: Arc<Session>,
        results: Results,
        tasks: Arc<Tasks>,
        events: Events,
        routes: Routes,
    ) -> Self {
        Self {
            session,
            results,
            tasks,
            events,
            routes,
            patience: Duration::from_secs(120),
            max_body: 16 << 20,
            limits: Mutex::default(),
            // Bounded by the credit.
            arrivals: async_channel::unbounded(),
            credit: AtomicUsize::new(1),
            credit_changed: Event::new(),
            stopped: AtomicBool::new(false),
            stopping: Event::new(),
            origin: OnceLock::new(),
        }
    }

    /// The prefetch count that the worker asks for.
    pub(crate) fn prefetch(&self) -> u16 {
        u16::try_from(self.credit.load(Relaxed)).unwrap_or(u16::MAX)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// The connection was lost.
    pub(crate) fn lose_connection(&self) {
        self.arrive(Arrival::ConnectionLost);
    }

    fn arrive(&self, arrival: Arrival<Self>) {
        // The receiver is here, too.
        let _ = self.arrivals.0.try_send(arrival);
    }

    /// Hands a delivery from `queue` to the worker. A message that is refused is the error.
    pub(crate) fn receive(
        &self,
        queue: &Arc<str>,
        acks: &Arc<Acks>,
        delivery: lapin::message::Delivery,
    ) -> Result<(), (Receipt, Box<Refused>)> {
        let receipt = acks.receipt(delivery.delivery_tag);
        let redelivered = delivery.redelivered;
        // A task that is retried goes back to the queue that it came from.
        let (exchange, routing_key) = (String::new(), queue.to_string());
        let (properties, body) = (delivery.properties, delivery.data);
        let raw = RawMessage { exchange, routing_key, properties, body };
        let message = match Message::parse(Box::new(raw), self.max_body) {
            Ok(message) => message,
            Err(refused) => return Err((receipt, refused)),
        };
        let Some(task) = self.tasks.get(&message.name) else {
            let error = TaskError::new("NotRegistered", &*message.name);
            let (id, message) = (Some(message.id.to_string()), Some(Arc::new(message)));
            return Err((receipt, Box::new(Refused { id, reply_to: None, message, error })));
        };
        let terms = self.terms(&message, &task.settings);
        self.arrive(Arrival::Delivery(Delivery {
            id: Arc::clone(&message.id),
            name: Arc::clone(&message.name),
            attempt: message.retries,
            redelivered,
            terms,
            job: message,
            receipt,
        }));
        Ok(())
    }

    fn terms(&self, message: &Message, settings: &TaskSettings) -> Terms {
        let set = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let own = Limits { soft: settings.soft_limit, hard: settings.hard_limit };
        let limits = set.get(&*message.name).copied().unwrap_or(own);
        Terms {
            eta: message.eta.map(instant_of),
            expires: message.expires.map(instant_of),
            soft_limit: message.soft_limit.or(limits.soft),
            hard_limit: message.hard_limit.or(limits.hard),
            ack_early: settings.ack_early,
        }
    }

    /// Stores why a message is refused, and rejects it.
    pub(crate) async fn refuse(&self, receipt: Receipt, refused: Box<Refused>) {
        tracing::error!(task_id = refused.id, error = %refused.error, "message refused");
        match self.store_refusal(&refused).await {
            Ok(()) => receipt.reject(),
            Err(error) => tracing::error!(task_id = refused.id, %error, "message put back"),
        }
    }

    async fn store_refusal(&self, refused: &Refused) -> Result<(), NotSettled> {
        let Refused { id, reply_to, message, error } = refused;
        if let Some(message) = message {
            return self.fail(message, "FAILURE", error).await;
        }
        let Some(id) = id else { return Ok(()) };
        let reply_to = reply_to.as_deref();
        let owner = Owner { id, task: "unknown", reply_to, group: None, parent: None };
        let value = Stored::Error(error);
        let result = TaskResult { status: "FAILURE", value, children: vec![] };
        self.persist(|| self.results.store(&self.session, &owner, &result)).await
    }

    /// Repeats `attempt` until it succeeds, within the patience of the app.
    pub(crate) async fn persist<T, Fut>(&self, attempt: impl Fn() -> Fut) -> Result<T, NotSettled>
    where
        Fut: Future<Output = Result<T, String>>,
    {
        let mut pause = FIRST_PAUSE;
        let attempts = async {
            loop {
                match attempt().await {
                    Ok(done) => return done,
                    Err(error) => tracing::warn!(error, "an outcome is not stored; trying again"),
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        attempts.within(self.patience).await.map_err(NotSettled::because)
    }
}

pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A time on the worker's clock.
fn instant_of(time: Timestamp) -> Instant {
    let now = Clock::current().now();
    let now_there = SystemTime::now();
    let time = SystemTime::from(time);
    match time.duration_since(now_there) {
        Ok(ahead) => now.checked_add(ahead).unwrap_or(now + Duration::from_secs(1 << 32)),
        Err(behind) => now.checked_sub(behind.duration()).unwrap_or(now),
    }
}

impl Source for Amqp {
    type Job = Message;
    type Output = Box<RawValue>;
    type Error = TaskError;
    type Receipt = Receipt;

    async fn next(&self) -> Option<Arrival<Self>> {
        self.arrivals.1.recv().await.ok()
    }

    fn set_credit(&self, credit: Option<usize>) {
        self.credit.store(credit.unwrap_or(0), Relaxed);
        self.credit_changed.set();
    }

    async fn settle(
        &self,
        job: &Arc<Message>,
        outcome: Outcome<Box<RawValue>, TaskError>,
    ) -> Result<(), NotSettled> {
        // All but the common case is boxed, because the future of each task would have room for it.
        let error = match outcome {
            Outcome::Done(value) => match self.succeed(job, &value).await {
                Err(error) => match forbidden(&error) {
                    Some(call) => TaskError::new("AccessRefused", call.to_string()),
                    None => return Err(error),
                },
                Ok(()) => return Ok(()),
            },
            Outcome::Retried { error, after } => {
                return Box::pin(self.retry(job, &error, after)).await;
            }
            Outcome::Revoked | Outcome::Expired => {
                let why = if matches!(outcome, Outcome::Revoked) { "revoked" } else { "expired" };
                let error = TaskError::new("TaskRevokedError", why);
                return Box::pin(self.fail(job, "REVOKED", &error)).await;
            }
            Outcome::Failed(error) => error,
            Outcome::Panicked(text) => TaskError::new("RuntimeError", text),
            Outcome::SoftLimit(limit) => {
                TaskError::new("SoftTimeLimitExceeded", format!("{}", limit.as_secs_f64()))
            }
            Outcome::HardLimit(limit) => {
                TaskError::new("TimeLimitExceeded", format!("{}", limit.as_secs_f64()))
            }
        };
        Box::pin(self.fail(job, "FAILURE", &error)).await
    }

    async fn acknowledge(&self, receipt: Receipt) {
        receipt.acknowledge();
    }

    async fn resend(&self, job: &Arc<Message>) -> Result<(), NotSettled> {
        let raw = job.resent();
        self.send_call(&raw).await
    }

    fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.stopping.set();
    }

    fn observe(&self, job: &Arc<Message>, step: Step<'_, Self>) {
        match &step {
            Step::TakenOver => tracing::info!(task_id = &*job.id, "taken over"),
            Step::Received => tracing::debug!(task_id = &*job.id, task = &*job.name, "received"),
            Step::Started => tracing::debug!(task_id = &*job.id, task = &*job.name, "started"),
            Step::Ended { outcome: Outcome::Done(_), ran } => {
                tracing::info!(task_id = &*job.id, task = &*job.name, ?ran, "succeeded");
            }
            Step::Ended { outcome, ran } => {
                tracing::warn!(task_id = &*job.id, task = &*job.name, ?ran, ?outcome, "not done");
            }
            Step::NotSettled(error) => tracing::error!(task_id = &*job.id, %error, "put back"),
        }
        self.events.task(job, &step);
    }
}

impl Amqp {
    /// Sends a task to its queue again.
    async fn retry(
        &self,
        job: &Arc<Message>,
        error: &TaskError,
        after: Duration,
    ) -> Result<(), NotSettled> {
        // Stored first: the next try may be done before this is.
        self.store_retry(job, error).await?;
        let raw = job.retried(after);
        self.send_call(&raw).await
    }

    /// Hands the deliveries of a queue to the worker, until the broker ends them.
    pub(crate) async fn pump(
        &self,
        queue: Arc<str>,
        acks: Arc<Acks>,
        mut consumer: lapin::Consumer,
        refusals: &impl Fn(Receipt, Box<Refused>),
    ) {
        while let Some(Ok(delivery)) = consumer.next().await {
            if let Err((receipt, refused)) = self.receive(&queue, &acks, delivery) {
                refusals(receipt, refused);
            }
        }
        tracing::warn!(queue = &*queue, "the broker delivers no more");
    }

    /// Keeps the prefetch count of a connection at the worker's credit.
    pub(crate) async fn keep_prefetch(&self, link: &Link) {
        let mut last = self.prefetch();
        loop {
            self.credit_changed.wait().await;
            self.credit_changed.clear();
            let prefetch = self.prefetch();
            if prefetch != last && link.set_prefetch(prefetch).await.is_err() {
                return;
            }
            last = prefetch;
        }
    }
}

impl fmt::Debug for Amqp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amqp").field("session", &self.session).finish_non_exhaustive()
    }
}
