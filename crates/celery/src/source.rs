//! [`Amqp`]: the queues of a broker as a source of jobs, and what is to be done when a task has ended.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_channel::{Receiver, Sender};
use futures_lite::future;
use jiff::Timestamp;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use spinney_hub::{Clock, Within, sleep};
use spinney_jobs::{Arrival, Delivery, NotSettled, Outcome, Source, Step, Terms};
use spinney_sync::Event;

use crate::events::Events;
use crate::message::{Message, NewMessage, Refused, Signature, Wire, now_and, parse_time};
use crate::results::{self, Owner, Results, Stored, error_json};
use crate::session::{Link, Session, wire_of};
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
    /// For how long an outcome that cannot be stored is tried again.
    pub(crate) patience: Duration,
    /// The longest body that is read.
    pub(crate) max_body: usize,
    /// Limits that remote control has set, by the name of the task.
    pub(crate) limits: Mutex<Vec<(String, Option<Duration>, Option<Duration>)>>,
    arrivals: (Sender<Arrival<Self>>, Receiver<Arrival<Self>>),
    /// How many deliveries may be out; 0 is no limit.
    credit: AtomicUsize,
    pub(crate) credit_changed: Event,
    stopped: AtomicBool,
    pub(crate) stopping: Event,
    /// The name of this worker, as it stands in messages.
    pub(crate) origin: OnceLock<String>,
}

/// The right to acknowledge a message. Dropping it puts the message back.
pub(crate) struct Receipt(Option<Acker>);

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(acker) = self.0.take() {
            let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            send_now(acker.nack(back));
        }
    }
}

/// Sends an acknowledgement. The first poll puts it in line behind all that was sent before; the rest
/// of it would wait until it is written.
fn send_now(answer: impl Future) {
    let _ = future::block_on(future::poll_once(answer));
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

    /// Takes a delivery of `queue` in. Returns a message that is refused.
    pub(crate) fn receive(
        &self,
        queue: &Arc<str>,
        mut delivery: lapin::message::Delivery,
    ) -> Result<(), (Receipt, Box<Refused>)> {
        let receipt = Receipt(Some(delivery.acker.clone()));
        let redelivered = delivery.redelivered;
        let mut wire = wire_of(&mut delivery);
        // A task that is retried goes back to the queue that it came from.
        (wire.exchange, wire.routing_key) = (String::new(), queue.to_string());
        let message = match Message::parse(wire, self.max_body) {
            Ok(message) => message,
            Err(refused) => return Err((receipt, refused)),
        };
        let Some(task) = self.tasks.get(&message.name) else {
            let error = TaskError::new("NotRegistered", &*message.name);
            let reply_to = message.reply_to().map(ToOwned::to_owned);
            let id = Some(message.id.to_string());
            return Err((receipt, Box::new(Refused { id, reply_to, error })));
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
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let set = limits.iter().find(|(name, ..)| *name == *message.name);
        let (soft, hard) = set.map_or((settings.soft_limit, settings.hard_limit), |(_, soft, hard)| {
            (*soft, *hard)
        });
        Terms {
            eta: message.eta.map(instant_of),
            expires: message.expires.map(instant_of),
            soft_limit: message.soft_limit.or(soft),
            hard_limit: message.hard_limit.or(hard),
            ack_early: settings.ack_early,
        }
    }

    /// Stores why a message is refused, and rejects it.
    pub(crate) async fn refuse(&self, receipt: Receipt, refused: Box<Refused>) {
        let Refused { id, reply_to, error } = *refused;
        tracing::error!(task_id = id, %error, "message refused");
        if let Some(id) = &id {
            let reply_to = reply_to.as_deref();
            let owner = Owner { id, task: "unknown", reply_to, group: None, parent: None };
            let stored = Stored::Error(&error);
            let outcome = results::Outcome { status: "FAILURE", value: stored, children: vec![] };
            let store = self.persist(|| self.results.store(&self.session, &owner, &outcome));
            if let Err(error) = store.await {
                tracing::error!(task_id = id, %error, "message put back");
                return;
            }
        }
        reject(receipt);
    }

    /// Makes an attempt until one succeeds, within the patience of the app.
    async fn persist<T, Fut>(&self, attempt: impl Fn() -> Fut) -> Result<T, NotSettled>
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

    async fn publish(&self, wire: &Wire) -> Result<(), String> {
        self.session.publish(wire, true).await.map_err(|error| error.to_string())
    }

    async fn succeed(&self, message: &Arc<Message>, value: &RawValue) -> Result<(), NotSettled> {
        let follow = &message.body.2;
        let mut children = Vec::new();
        for callback in follow.callbacks.iter().flatten() {
            children.push(self.call(message, callback, Some(value), &[]).await?);
        }
        if let Some((next, rest)) = follow.chain.as_deref().and_then(<[_]>::split_last) {
            children.push(self.call(message, next, Some(value), rest).await?);
        }
        let value_stored = Stored::Value(value);
        self.store(message, "SUCCESS", value_stored, children).await
    }

    async fn fail(
        &self,
        message: &Arc<Message>,
        status: &'static str,
        error: &TaskError,
    ) -> Result<(), NotSettled> {
        let id = serde_json::value::to_raw_value(&*message.id).map_err(NotSettled::because)?;
        for errback in message.body.2.errbacks.iter().flatten() {
            self.call(message, errback, Some(&id), &[]).await?;
        }
        self.store(message, status, Stored::Error(error), Vec::new()).await
    }

    async fn store(
        &self,
        message: &Arc<Message>,
        status: &'static str,
        value: Stored<'_>,
        children: Vec<Value>,
    ) -> Result<(), NotSettled> {
        let settings = self.tasks.get(&message.name).map(|task| task.settings);
        let outcome = results::Outcome { status, value, children };
        if !message.ignore_result && settings.is_none_or(|settings| !settings.ignore_result) {
            let owner = Owner::of(message);
            self.persist(|| self.results.store(&self.session, &owner, &outcome)).await?;
        }
        #[cfg(feature = "redis")]
        if let (Some(body), Some(group), Some(redis)) =
            (&message.body.2.chord, &message.group, self.results.redis())
        {
            let result = match outcome.value {
                Stored::Value(value) => serde_json::to_value(value).map_err(NotSettled::because)?,
                Stored::Error(error) => error_json(error),
            };
            let part = json!([1, &*message.id, status, result]).to_string();
            let index = message.group_index;
            let chord = || redis.add_to_chord(group, index, &message.id, &part);
            if let Some(chord) = self.persist(chord).await? {
                self.finish_chord(message, body, &chord).await?;
                self.persist(|| redis.end_chord(&chord)).await?;
            }
        }
        Ok(())
    }

    /// Sends the body of a chord whose header is done, or fails it.
    #[cfg(feature = "redis")]
    async fn finish_chord(
        &self,
        message: &Arc<Message>,
        body: &Signature,
        chord: &results::Chord,
    ) -> Result<(), NotSettled> {
        let failed = chord.parts.iter().find(|(_, state, _)| state != "SUCCESS");
        let Some((id, _, error)) = failed else {
            let values: Vec<&Value> = chord.parts.iter().map(|(_, _, value)| value).collect();
            let values = serde_json::value::to_raw_value(&values).map_err(NotSettled::because)?;
            return self.call(message, body, Some(&values), &[]).await.map(drop);
        };
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let raised = format!("Dependency {id} raised {}({})", text("exc_type"), error["exc_message"][0]);
        let error = TaskError::new("ChordError", raised);
        let body_id = body.options.get("task_id").and_then(Value::as_str).unwrap_or_default();
        let raw_id = serde_json::value::to_raw_value(body_id).map_err(NotSettled::because)?;
        for errback in body.signatures("link_error") {
            self.call(message, &errback, Some(&raw_id), &[]).await?;
        }
        let owner = Owner { id: body_id, task: &body.task, reply_to: None, group: None, parent: None };
        let outcome =
            results::Outcome { status: "FAILURE", value: Stored::Error(&error), children: vec![] };
        self.persist(|| self.results.store(&self.session, &owner, &outcome)).await
    }

    /// Makes the call of a signature, with `first` before its arguments and `chain` behind it.
    /// Returns what stands for it among the children of its parent.
    async fn call(
        &self,
        parent: &Arc<Message>,
        signature: &Signature,
        first: Option<&RawValue>,
        chain: &[Signature],
    ) -> Result<Value, NotSettled> {
        match signature.subtask_type.as_deref() {
            Some("chain") => {
                let mut tasks = signature.members("tasks");
                tasks.reverse();
                let Some(head) = tasks.pop() else { return Ok(Value::Null) };
                let rest: Vec<Signature> = chain.iter().cloned().chain(tasks).collect();
                Box::pin(self.call(parent, &head, first, &rest)).await
            }
            Some("group") => {
                let group = signature.text("task_id").map_or_else(new_id, ToOwned::to_owned);
                let mut children = Vec::new();
                for (index, mut task) in signature.members("tasks").into_iter().enumerate() {
                    task.options.insert("group_id".into(), json!(group));
                    task.options.insert("group_index".into(), json!(index));
                    children.push(Box::pin(self.call(parent, &task, first, chain)).await?);
                }
                Ok(json!([[group, null], children]))
            }
            Some("chord") => Box::pin(self.call_chord(parent, signature, first, chain)).await,
            _ => self.call_task(parent, signature, first, chain).await,
        }
    }

    async fn call_chord(
        &self,
        parent: &Arc<Message>,
        signature: &Signature,
        first: Option<&RawValue>,
        chain: &[Signature],
    ) -> Result<Value, NotSettled> {
        let mut header = signature.members("header");
        let mut bodies = signature.members("body");
        let group = new_id();
        let Some(body) = bodies.first_mut() else { return Ok(Value::Null) };
        let body_id = body.text("task_id").map_or_else(new_id, ToOwned::to_owned);
        body.options.insert("task_id".into(), json!(body_id));
        body.options.insert("chain".into(), json!(chain));
        #[cfg(feature = "redis")]
        if let Some(redis) = self.results.redis() {
            self.persist(|| redis.begin_chord(&group, header.len())).await?;
        }
        for (index, task) in header.iter_mut().enumerate() {
            task.options.insert("group_id".into(), json!(group));
            task.options.insert("group_index".into(), json!(index));
            task.options.insert("chord".into(), json!(body));
            Box::pin(self.call(parent, task, first, &[])).await?;
        }
        Ok(json!([[body_id, null], null]))
    }

    async fn call_task(
        &self,
        parent: &Arc<Message>,
        signature: &Signature,
        first: Option<&RawValue>,
        chain: &[Signature],
    ) -> Result<Value, NotSettled> {
        let id = signature.text("task_id").map_or_else(new_id, ToOwned::to_owned);
        let first = first.filter(|_| !signature.immutable);
        let own = signature.args.iter().map(|arg| &**arg);
        let args: Vec<&RawValue> = first.into_iter().chain(own).collect();
        let seconds = |key| signature.options.get(key).and_then(Value::as_f64);
        let after = |seconds: f64| now_and(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let time = |key| signature.text(key).and_then(parse_time);
        let mut follow = signature.follow();
        if !chain.is_empty() {
            let inner = follow.chain.take().unwrap_or_default();
            follow.chain = Some(chain.iter().cloned().chain(inner).collect());
        }
        let priority = signature.options.get("priority").and_then(Value::as_u64);
        let new = NewMessage {
            id: &id,
            task: &signature.task,
            args: &args,
            kwargs: signature.kwargs.clone(),
            follow,
            root_id: Some(parent.root()),
            parent_id: Some(&parent.id),
            group: signature.text("group_id"),
            group_index: signature.options.get("group_index").and_then(Value::as_i64),
            eta: time("eta").or_else(|| seconds("countdown").map(after)),
            expires: time("expires").or_else(|| seconds("expires").map(after)),
            hard_limit: seconds("time_limit"),
            soft_limit: seconds("soft_time_limit"),
            ignore_result: signature.options.get("ignore_result") == Some(&Value::Bool(true)),
            reply_to: signature.text("reply_to").or(parent.reply_to()),
            priority: priority.map_or(parent.priority(), |priority| u8::try_from(priority).ok()),
            origin: self.origin.get().map_or("", String::as_str),
        };
        let queue = signature.text("queue").or_else(|| signature.text("routing_key"));
        let queue = queue.unwrap_or_else(|| self.routes.queue_of(&signature.task));
        let wire = new.to_wire(queue).map_err(NotSettled::because)?;
        self.persist(|| self.publish(&wire)).await?;
        Ok(json!([[id, null], null]))
    }
}

impl Signature {
    /// An option that is a text, and not empty.
    fn text(&self, key: &str) -> Option<&str> {
        self.options.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The signatures in an option; one that is malformed is passed over.
    fn signatures(&self, option: &str) -> Vec<Self> {
        read_signatures(&self.options, option)
    }

    /// The signatures in a keyword argument, those of a group included.
    fn members(&self, kwarg: &str) -> Vec<Self> {
        let members = read_signatures(&self.kwargs, kwarg);
        match &members[..] {
            [group] if kwarg == "header" && group.subtask_type.as_deref() == Some("group") => {
                group.members("tasks")
            }
            _ => members,
        }
    }

    fn follow(&self) -> crate::message::Follow {
        let some = |option| Some(self.signatures(option)).filter(|list| !list.is_empty());
        crate::message::Follow {
            callbacks: some("link"),
            errbacks: some("link_error"),
            chain: some("chain"),
            chord: self.signatures("chord").pop().map(Box::new),
        }
    }
}

/// One signature or a list of them.
fn read_signatures(from: &Map<String, Value>, key: &str) -> Vec<Signature> {
    let read = |value: &Value| serde_json::from_value(value.clone()).ok();
    match from.get(key) {
        Some(Value::Array(list)) => list.iter().filter_map(read).collect(),
        Some(value) => read(value).into_iter().collect(),
        None => Vec::new(),
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

fn reject(mut receipt: Receipt) {
    if let Some(acker) = receipt.0.take() {
        send_now(acker.reject(BasicRejectOptions { requeue: false }));
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
        let error = match outcome {
            Outcome::Done(value) => return self.succeed(job, &value).await,
            Outcome::Retried { error, after } => {
                // Stored first: the next try may be done before this is.
                self.store_retry(job, &error).await?;
                let wire = job.retried(after);
                return self.persist(|| self.publish(&wire)).await;
            }
            Outcome::Revoked | Outcome::Expired => {
                let why = if matches!(outcome, Outcome::Revoked) { "revoked" } else { "expired" };
                let error = TaskError::new("TaskRevokedError", why);
                return self.fail(job, "REVOKED", &error).await;
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
        self.fail(job, "FAILURE", &error).await
    }

    async fn acknowledge(&self, mut receipt: Receipt) {
        if let Some(acker) = receipt.0.take() {
            send_now(acker.ack(BasicAckOptions::default()));
        }
    }

    async fn resend(&self, job: &Arc<Message>) -> Result<(), NotSettled> {
        let wire = job.resent();
        self.persist(|| self.publish(&wire)).await
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
    async fn store_retry(&self, job: &Arc<Message>, error: &TaskError) -> Result<(), NotSettled> {
        if job.ignore_result {
            return Ok(());
        }
        let owner = Owner::of(job);
        let outcome =
            results::Outcome { status: "RETRY", value: Stored::Error(error), children: vec![] };
        self.persist(|| self.results.store(&self.session, &owner, &outcome)).await
    }

    /// Takes the deliveries of a queue in, until the broker delivers no more.
    pub(crate) async fn pump(
        &self,
        queue: Arc<str>,
        mut consumer: lapin::Consumer,
        refusals: &impl Fn(Receipt, Box<Refused>),
    ) {
        use futures_lite::StreamExt;
        while let Some(Ok(delivery)) = consumer.next().await {
            if let Err((receipt, refused)) = self.receive(&queue, delivery) {
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
