//! [`Handler`]: an async function that is a task; [`TaskError`]: its failure; [`Request`]: its call.

use std::any::type_name;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use spinney_threadpool::ThreadPool;

use crate::message::Message;

/// The failure of a task: the name of a Python exception, and its text.
///
/// `?` converts any error, and keeps the name of its type: Python finds the class by this name, or
/// creates one.
///
/// ```
/// use std::time::Duration;
/// use spinney_celery::TaskError;
///
/// let error = TaskError::new("ValueError", "no such shop").retry_after(Duration::from_secs(5));
/// assert_eq!(error.to_string(), "ValueError: no such shop");
/// ```
#[derive(Clone)]
pub struct TaskError {
    kind: String,
    text: String,
    causes: Vec<String>,
    pub(crate) retry: Option<Duration>,
}

impl TaskError {
    /// Creates a failure with the exception's name, for example `ValueError`, and its text.
    pub fn new(exception: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind: exception.into(), text: text.into(), causes: Vec::new(), retry: None }
    }

    /// Makes the worker retry the task after `delay`, up to the task's
    /// [limit](crate::App::max_retries).
    ///
    /// Python: `Task.retry(countdown=..)`.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        Self { retry: Some(delay), ..self }
    }

    /// The name of the exception.
    pub fn exception(&self) -> &str {
        &self.kind
    }

    /// The text of the exception.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The module in which Python finds the class.
    pub(crate) fn module(&self) -> &'static str {
        const CELERY: &[&str] = &[
            "ChordError",
            "ContentDisallowed",
            "NotRegistered",
            "SoftTimeLimitExceeded",
            "TaskRevokedError",
            "TimeLimitExceeded",
            "WorkerLostError",
        ];
        if CELERY.contains(&&*self.kind) { "celery.exceptions" } else { "builtins" }
    }

    /// The text that Python shows as the traceback.
    pub(crate) fn traceback(&self, task: &str) -> String {
        let mut text = format!("Traceback (most recent call last):\n  In task {task}\n{self}");
        for cause in &self.causes {
            text.push_str("\ncaused by: ");
            text.push_str(cause);
        }
        text
    }
}

impl<E: Error> From<E> for TaskError {
    fn from(error: E) -> Self {
        let path = type_name::<E>();
        let path = path.split('<').next().unwrap_or(path);
        let kind = path.rsplit("::").next().unwrap_or(path);
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        Self { causes, ..Self::new(kind, error.to_string()) }
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskError")
            .field("exception", &self.kind)
            .field("text", &self.text)
            .field("retry_after", &self.retry)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.text)
    }
}

/// The call for which a task runs; the first parameter of a [`Handler`] may be one. Dropping it is a
/// no-op.
///
/// Python: `self.request` of a bound task.
#[derive(Clone)]
pub struct Request {
    message: Arc<Message>,
}

impl Request {
    /// The id of the task.
    pub fn id(&self) -> &str {
        &self.message.id
    }

    /// The name of the task.
    pub fn name(&self) -> &str {
        &self.message.name
    }

    /// The number of tries before this one.
    pub fn retries(&self) -> u32 {
        self.message.retries
    }

    /// The id of the task from which this one descends.
    pub fn root_id(&self) -> &str {
        self.message.root()
    }

    /// The id of the task that called this one.
    pub fn parent_id(&self) -> Option<&str> {
        self.message.parent_id.as_deref()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("id", &self.id()).field("name", &self.name()).finish()
    }
}

/// An async function that is a task: it has up to eight parameters that can be read from JSON, and
/// before them a [`Request`] if it wants one. Its result is written as JSON.
///
/// It is implemented for such functions and closures, and for no other type.
pub trait Handler<Params>: Send + Sync + 'static {
    /// Calls it with the arguments of `call`.
    #[doc(hidden)]
    fn call(&self, call: Call) -> Ran;
}

/// A function that computes and is a task: it runs on the app's thread pool. Its parameters are those
/// of a [`Handler`].
pub trait CpuHandler<Params>: Send + Sync + 'static {
    /// Calls it with the arguments of `call`, on a thread of `threads`.
    #[doc(hidden)]
    fn call(self: Arc<Self>, call: Call, threads: &ThreadPool) -> Ran;
}

/// The result of a task, in JSON.
pub type Returned = Result<Box<RawValue>, TaskError>;

/// A running task.
pub type Ran = Pin<Box<dyn Future<Output = Returned> + Send>>;

/// The arguments of one call.
#[doc(hidden)]
pub struct Call {
    message: Arc<Message>,
    params: Arc<[&'static str]>,
    next: usize,
    named: usize,
}

impl Call {
    pub(crate) fn new(message: Arc<Message>, params: Arc<[&'static str]>) -> Self {
        Self { message, params, next: 0, named: 0 }
    }

    /// The next argument: by its place, or by its name.
    fn argument<A: DeserializeOwned>(&mut self) -> Result<A, TaskError> {
        let index = self.next;
        self.next += 1;
        let (args, kwargs) = (&self.message.body.0, &self.message.body.1);
        let named = self.params.get(index).and_then(|name| kwargs.get(*name));
        let read = match (args.get(index), named) {
            (Some(arg), _) => serde_json::from_str(arg.get()).map_err(|error| error.to_string()),
            (None, Some(arg)) => {
                self.named += 1;
                A::deserialize(arg).map_err(|error| error.to_string())
            }
            // Only an `Option` can be read from it.
            (None, None) => serde_json::from_str("null").map_err(|_| "it is missing".to_owned()),
        };
        read.map_err(|error| self.type_error(&format!("argument {}: {error}", index + 1)))
    }

    /// Fails if there are more arguments than parameters.
    fn finish(&self) -> Result<(), TaskError> {
        let (args, kwargs) = (&self.message.body.0, &self.message.body.1);
        if args.len() > self.next {
            let text = format!("it takes {} arguments, not {}", self.next, args.len());
            return Err(self.type_error(&text));
        }
        if kwargs.len() > self.named {
            let params = self.params.iter().take(self.next).skip(args.len());
            let known: Vec<&str> = params.copied().collect();
            let unknown = kwargs.keys().find(|key| !known.contains(&key.as_str()));
            let unknown = unknown.map_or("", String::as_str);
            return Err(self.type_error(&format!("it has no parameter named {unknown:?}")));
        }
        Ok(())
    }

    fn type_error(&self, text: &str) -> TaskError {
        TaskError::new("TypeError", format!("{}: {text}", self.message.name))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("message", &self.message).finish_non_exhaustive()
    }
}

/// A parameter of a [`Handler`].
#[doc(hidden)]
pub trait Parameter: Sized {
    /// Takes it from a call.
    ///
    /// # Errors
    ///
    /// If it is missing, or of another type.
    fn take(call: &mut Call) -> Result<Self, TaskError>;
}

impl<A: DeserializeOwned> Parameter for A {
    fn take(call: &mut Call) -> Result<Self, TaskError> {
        call.argument()
    }
}

impl Parameter for Request {
    fn take(call: &mut Call) -> Result<Self, TaskError> {
        Ok(Self { message: Arc::clone(&call.message) })
    }
}

fn to_json<T: Serialize, E: Into<TaskError>>(result: Result<T, E>) -> Returned {
    let value = result.map_err(Into::into)?;
    to_raw_value(&value).map_err(|error| {
        TaskError::new("EncodeError", format!("the result cannot be written as JSON: {error}"))
    })
}

macro_rules! handlers {
    ($($param:ident)*) => {
        impl<Func, Fut, T, E, $($param),*> Handler<($($param,)*)> for Func
        where
            Func: Fn($($param),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<T, E>> + Send + 'static,
            T: Serialize,
            E: Into<TaskError>,
            $($param: Parameter,)*
        {
            #[allow(non_snake_case, unused_mut, reason = "one macro for any number")]
            fn call(&self, mut call: Call) -> Ran {
                let arguments = (|| {
                    $(let $param = $param::take(&mut call)?;)*
                    call.finish()?;
                    Ok(($($param,)*))
                })();
                match arguments {
                    Ok(($($param,)*)) => {
                        let running = self($($param),*);
                        Box::pin(async move { to_json(running.await) })
                    }
                    Err(error) => Box::pin(async move { Err(error) }),
                }
            }
        }

        impl<Func, T, E, $($param),*> CpuHandler<($($param,)*)> for Func
        where
            Func: Fn($($param),*) -> Result<T, E> + Send + Sync + 'static,
            T: Serialize,
            E: Into<TaskError>,
            $($param: Parameter,)*
        {
            #[allow(non_snake_case, unused_mut, reason = "one macro for any number")]
            fn call(self: Arc<Self>, mut call: Call, threads: &ThreadPool) -> Ran {
                let threads = threads.clone();
                Box::pin(async move {
                    let running = threads.spawn(move || {
                        $(let $param = $param::take(&mut call)?;)*
                        call.finish()?;
                        to_json(self($($param),*))
                    });
                    match running.await.await {
                        Ok(returned) => returned,
                        Err(failure) => failure.resume().await,
                    }
                })
            }
        }
    };
}

handlers!();
handlers!(A);
handlers!(A B);
handlers!(A B C);
handlers!(A B C D);
handlers!(A B C D G);
handlers!(A B C D G H);
handlers!(A B C D G H I);
handlers!(A B C D G H I J);

/// A task of an app.
pub(crate) struct Task {
    pub(crate) run: Box<dyn Fn(Call) -> Ran + Send + Sync>,
    pub(crate) params: Arc<[&'static str]>,
    pub(crate) settings: TaskSettings,
}

/// How a task runs, unless its message says otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskSettings {
    pub(crate) soft_limit: Option<Duration>,
    pub(crate) hard_limit: Option<Duration>,
    pub(crate) ack_early: bool,
    pub(crate) ignore_result: bool,
    pub(crate) max_retries: u32,
    pub(crate) pace: Option<Duration>,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self {
            soft_limit: None,
            hard_limit: None,
            ack_early: false,
            ignore_result: false,
            max_retries: 3,
            pace: None,
        }
    }
}

/// The tasks of an app, by name.
pub(crate) type Tasks = HashMap<Arc<str>, Task>;

#[cfg(test)]
mod tests;
