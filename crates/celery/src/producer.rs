//! [`Producer`]: calls tasks and waits for their results.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_lite::{FutureExt, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use spinney_hub::{LocalHub, Within};
use spinney_sync::Event;

use crate::TaskError;
use crate::app::{Routes, Settings};
use crate::message::{Follow, NewMessage, now_and};
use crate::results::Results;
use crate::service::BoxFuture;
use crate::session::{Error, Link, Session};
use crate::source::new_id;

/// A call of a task: its name, its arguments, and when and where it runs. Dropping it sends nothing.
///
/// ```
/// use std::time::Duration;
/// use spinney_celery::NewTask;
///
/// let task = NewTask::new("tasks.add").args((1, 2)).countdown(Duration::from_secs(10)).queue("slow");
/// # let _ = task;
/// ```
///
/// Python: the arguments of `Task.apply_async`.
#[derive(Debug)]
pub struct NewTask {
    name: String,
    id: Option<String>,
    args: Result<Vec<Box<RawValue>>, String>,
    kwargs: Map<String, Value>,
    queue: Option<String>,
    countdown: Option<Duration>,
    expires: Option<Duration>,
    soft_limit: Option<Duration>,
    hard_limit: Option<Duration>,
    priority: Option<u8>,
    ignore_result: bool,
}

impl NewTask {
    /// Creates a call without arguments.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            id: None,
            args: Ok(Vec::new()),
            kwargs: Map::new(),
            queue: None,
            countdown: None,
            expires: None,
            soft_limit: None,
            hard_limit: None,
            priority: None,
            ignore_result: false,
        }
    }

    /// Sets the arguments: a tuple, or a list. If they cannot be written as JSON,
    /// [sending](crate::App::send_task) the call fails.
    #[must_use]
    pub fn args(self, args: impl Serialize) -> Self {
        let list = serde_json::to_value(args).map_err(|error| error.to_string());
        let list = list.and_then(|args| match args {
            Value::Null => Ok(Vec::new()),
            Value::Array(args) => args
                .iter()
                .map(|arg| to_raw_value(arg).map_err(|error| error.to_string()))
                .collect(),
            _ => Err("the arguments are neither a tuple nor a list".to_owned()),
        });
        Self { args: list, ..self }
    }

    /// Adds a keyword argument. If it cannot be written as JSON, sending the call fails.
    #[must_use]
    pub fn kwarg(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => drop(self.kwargs.insert(name.into(), value)),
            Err(error) => self.args = Err(error.to_string()),
        }
        self
    }

    /// Sets the id. Default: a random id.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Sets the queue. Default: the queue of the app's [route](crate::App::route).
    #[must_use]
    pub fn queue(self, queue: impl Into<String>) -> Self {
        Self { queue: Some(queue.into()), ..self }
    }

    /// Delays the start of the task by at least this time. Default: zero.
    #[must_use]
    pub fn countdown(self, countdown: Duration) -> Self {
        Self { countdown: Some(countdown), ..self }
    }

    /// Lets the task expire: it does not start once this time has passed. Default: it never expires.
    #[must_use]
    pub fn expires(self, after: Duration) -> Self {
        Self { expires: Some(after), ..self }
    }

    /// Sets the soft limit, in place of the worker's.
    #[must_use]
    pub fn soft_limit(self, limit: Duration) -> Self {
        Self { soft_limit: Some(limit), ..self }
    }

    /// Sets the hard limit, in place of the worker's.
    #[must_use]
    pub fn hard_limit(self, limit: Duration) -> Self {
        Self { hard_limit: Some(limit), ..self }
    }

    /// Sets the priority, for a queue with priorities. The highest goes first.
    #[must_use]
    pub fn priority(self, priority: u8) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// Makes the worker store no result.
    #[must_use]
    pub fn ignore_result(self) -> Self {
        Self { ignore_result: true, ..self }
    }
}

/// The connection of a producer. Dropping it closes the connection.
pub(crate) struct Producer {
    inner: Arc<Inner>,
}

struct Inner {
    session: Session,
    results: Results,
    routes: Routes,
    /// The queue of this producer, to which results of `rpc://` come.
    replies: String,
    waiting: Mutex<HashMap<String, Sender<Vec<u8>>>>,
    /// Set once the producer was dropped.
    done: Event,
    /// Why there is no connection, if there will be none.
    failed: Mutex<Option<String>>,
    patience: Duration,
}

impl Producer {
    /// Starts a thread that connects.
    pub(crate) fn start(settings: &Settings, routes: Routes) -> Result<Self, Error> {
        let name = format!("{} (producer)", settings.hostname);
        let inner = Arc::new(Inner {
            session: Session::new(settings.url.clone(), name),
            results: Results::open(&settings.results)?,
            routes,
            replies: new_id(),
            waiting: Mutex::default(),
            done: Event::new(),
            failed: Mutex::new(None),
            patience: settings.connect_patience,
        });
        let served = Arc::clone(&inner);
        let thread = thread::Builder::new().name("spinney-celery".to_owned());
        thread.spawn(move || LocalHub::new().block_on(served.serve())).map_err(Error::System)?;
        Ok(Self { inner })
    }

    /// Sends a call. The box hides the future's type, as that of [`Service::run`].
    ///
    /// [`Service::run`]: crate::service::Service::run
    pub(crate) fn send(&self, task: NewTask) -> BoxFuture<'_, Result<Sent, Error>> {
        Box::pin(self.inner.send(task))
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.inner.done.set();
    }
}

impl Inner {
    async fn send(self: &Arc<Self>, task: NewTask) -> Result<Sent, Error> {
        let inner = self;
        let queue = task.queue.as_deref().unwrap_or_else(|| inner.routes.queue_of(&task.name));
        let failed = |reason: String| Error::Send { queue: queue.to_owned(), reason };
        let args = task.args.map_err(failed)?;
        let args: Vec<&RawValue> = args.iter().map(|arg| &**arg).collect();
        let id = task.id.unwrap_or_else(new_id);
        let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
        let reply_to = matches!(inner.results, Results::Rpc).then_some(&*inner.replies);
        let new = NewMessage {
            id: &id,
            task: &task.name,
            args: &args,
            kwargs: task.kwargs,
            follow: Follow::default(),
            eta: task.countdown.map(now_and),
            expires: task.expires.map(now_and),
            soft_limit: seconds(task.soft_limit),
            hard_limit: seconds(task.hard_limit),
            priority: task.priority,
            ignore_result: task.ignore_result,
            reply_to: reply_to.filter(|_| !task.ignore_result),
            origin: "spinney-celery",
            ..NewMessage::default()
        };
        let raw = new.to_raw(queue).map_err(|error| failed(error.to_string()))?;
        let (sender, reply) = async_channel::bounded(1);
        inner.waiting().insert(id.clone(), sender);
        let sent = Sent { id, reply, inner: Arc::clone(inner) };
        let publish = async { inner.session.publish_call(&raw).await.map_err(|e| e.to_string()) };
        let refused = async { Err(inner.failed().await) };
        match refused.or(publish).within(inner.patience).await {
            Ok(published) => published.map_err(failed)?,
            Err(timeout) => return Err(failed(timeout.to_string())),
        }
        Ok(sent)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Sender<Vec<u8>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the connection has failed for good; returns the reason.
    async fn failed(&self) -> String {
        self.done.wait().await;
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failed.unwrap_or_else(|| "the app was dropped".to_owned())
    }

    async fn serve(&self) {
        let serve = async |link: Arc<Link>| {
            let done = async {
                self.done.wait().await;
                true
            };
            let broken = async {
                link.broken().await;
                false
            };
            Ok(done.or(broken).or(self.take_replies(&link)).await)
        };
        let kept = self.session.keep(self.patience, serve, || {});
        let done = async {
            self.done.wait().await;
            Ok(())
        };
        if let Err(error) = kept.or(done).await {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            self.done.set();
        }
        // Callers that wait for a result get an error: no result will come.
        self.waiting().clear();
    }

    /// Hands results to the callers that wait for them, until the connection fails.
    async fn take_replies(&self, link: &Link) -> bool {
        if !matches!(self.results, Results::Rpc) {
            return futures_lite::future::pending().await;
        }
        let Ok(mut replies) = link.consume_own(&self.replies, None).await else { return false };
        while let Some(Ok(reply)) = replies.next().await {
            let id = reply.properties.correlation_id().as_ref().map(ToString::to_string);
            let is_final = serde_json::from_slice::<Meta>(&reply.data)
                .is_ok_and(|meta| is_final(&meta.status));
            if let Some(waiting) = id.filter(|_| is_final).and_then(|id| self.waiting().remove(&id))
            {
                let _ = waiting.try_send(reply.data);
            }
        }
        false
    }
}

/// A task that was sent. Dropping it loses the result; the task runs nevertheless.
///
/// Python: `celery.result.AsyncResult`.
#[must_use = "a task that was sent has a result; drop it if it is not needed"]
pub struct Sent {
    id: String,
    reply: Receiver<Vec<u8>>,
    inner: Arc<Inner>,
}

/// A result, as it is stored.
#[derive(Deserialize)]
struct Meta<'a> {
    status: String,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Raised {
    exc_type: String,
    #[serde(default)]
    exc_message: Value,
}

impl Sent {
    /// The id of the task.
    ///
    /// Python: `celery.result.AsyncResult.id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for the result, without limit; [`within`](spinney_hub::Within::within) sets one.
    ///
    /// # Errors
    ///
    /// [`ResultError::Failed`] with the error of the task; otherwise the reason why there is no
    /// result.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the result.
    ///
    /// Python: `celery.result.AsyncResult.get`.
    pub async fn get<T: DeserializeOwned>(self) -> Result<T, ResultError> {
        let meta = self.meta().await.map_err(ResultError::Lost)?;
        let malformed = |error: serde_json::Error| ResultError::Malformed(error.to_string());
        let meta: Meta<'_> = serde_json::from_slice(&meta).map_err(malformed)?;
        let result = meta.result.map_or("null", RawValue::get);
        if meta.status == "SUCCESS" {
            return serde_json::from_str(result).map_err(malformed);
        }
        let raised: Raised = serde_json::from_str(result).map_err(malformed)?;
        let text = match &raised.exc_message {
            Value::String(text) => text.clone(),
            Value::Array(list) => list
                .iter()
                .map(|part| part.as_str().map_or_else(|| part.to_string(), ToOwned::to_owned))
                .collect::<Vec<_>>()
                .join(", "),
            other => other.to_string(),
        };
        Err(ResultError::Failed(TaskError::new(raised.exc_type, text)))
    }
}

impl Sent {
    /// Waits for the stored result. The box hides the future's type, as that of [`Producer::send`].
    fn meta(&self) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        Box::pin(async {
            match &self.inner.results {
                Results::None => Err("the app stores no results".into()),
                Results::Rpc => {
                    self.reply.recv().await.map_err(|_| "the connection was closed".into())
                }
                #[cfg(feature = "redis")]
                Results::Redis(redis) => redis.wait_for(&self.id).await,
            }
        })
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let waiting = self.inner.waiting().remove(&self.id);
        drop(waiting);
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Whether a result of this state is the last.
pub(crate) fn is_final(status: &str) -> bool {
    matches!(status, "SUCCESS" | "FAILURE" | "REVOKED")
}

/// Why a task has no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum ResultError {
    /// The task failed, was revoked or expired.
    Failed(TaskError),
    /// The result is not of the type that the caller asked for.
    Malformed(String),
    /// No result will come, or it cannot be fetched.
    Lost(String),
}

impl fmt::Display for ResultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "the task failed: {error}"),
            Self::Malformed(reason) => write!(f, "the result cannot be read: {reason}"),
            Self::Lost(reason) => write!(f, "there is no result: {reason}"),
        }
    }
}

impl std::error::Error for ResultError {}
