//! The end of a task: its result is stored, and the calls that depend on it are made.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use spinney_jobs::NotSettled;

use crate::TaskError;
use crate::canvas::Parts;
use crate::message::{Message, NewMessage, RawMessage, Signature, now_and, parse_time};
use crate::outbox::NotSent;
use crate::results::{self, Owner, Stored, TaskResult};
use crate::source::{Amqp, new_id};

/// Most tasks only have their result stored. What else may be done is boxed, because the future of
/// each task would have room for it.
impl Amqp {
    /// Sends the call of a task, within the patience of the app.
    pub(crate) async fn send_call(&self, raw: &RawMessage) -> Result<(), NotSettled> {
        let attempt = async || match self.session.publish_call(raw).await {
            Err(NotSent::Forbidden(reason)) => Ok(Err(ForbiddenCall(reason))),
            sent => sent.map(Ok).map_err(|error| error.to_string()),
        };
        self.persist(attempt).await?.map_err(NotSettled::because)
    }

    pub(crate) async fn succeed(
        &self,
        message: &Arc<Message>,
        value: &RawValue,
    ) -> Result<(), NotSettled> {
        let follow = &message.body.2;
        let mut children = Vec::new();
        for callback in follow.callbacks.iter().flatten() {
            children.push(Box::pin(self.call(message, callback.clone(), Some(value))).await?);
        }
        if let Some((next, rest)) = follow.chain.as_deref().and_then(<[_]>::split_last) {
            let mut next = next.clone();
            next.then(rest.to_vec());
            children.push(Box::pin(self.call(message, next, Some(value))).await?);
        }
        let value_stored = Stored::Value(value);
        self.store(message, "SUCCESS", value_stored, children).await
    }

    pub(crate) async fn fail(
        &self,
        message: &Arc<Message>,
        status: &'static str,
        error: &TaskError,
    ) -> Result<(), NotSettled> {
        let follow = &message.body.2;
        self.call_errbacks(message, follow.errbacks.as_deref().unwrap_or_default(), &message.id)
            .await?;
        self.store(message, status, Stored::Error(error), Vec::new()).await?;
        // The rest of a chain will not run: its callers wait for its last task.
        for next in follow.chain.iter().flatten() {
            Box::pin(self.fail_unsent(message, next.clone(), status, error)).await?;
        }
        Ok(())
    }

    async fn call_errbacks(
        &self,
        message: &Arc<Message>,
        errbacks: &[Signature],
        failed: &str,
    ) -> Result<(), NotSettled> {
        let id = serde_json::value::to_raw_value(failed).map_err(NotSettled::because)?;
        for errback in errbacks {
            let Err(error) = Box::pin(self.call(message, errback.clone(), Some(&id))).await else {
                continue;
            };
            // The task has failed already.
            let Some(error) = forbidden(&error) else { return Err(error) };
            tracing::error!(task_id = &*message.id, %error, "an errback is left out");
        }
        Ok(())
    }

    /// Stores the failure of calls that will not be made, and reports it to their chords.
    async fn fail_unsent(
        &self,
        message: &Arc<Message>,
        signature: Signature,
        status: &'static str,
        error: &TaskError,
    ) -> Result<(), NotSettled> {
        let (tasks, chain) = (signature.ends(), signature.signatures("chain"));
        for task in &tasks {
            let Some(id) = task.text("task_id") else { continue };
            let owner = Owner {
                id,
                task: &task.task,
                reply_to: task.text("reply_to").or(message.reply_to()),
                group: task.text("group_id"),
                parent: None,
            };
            let outcome = TaskResult { status, value: Stored::Error(error), children: vec![] };
            self.persist(|| self.results.store(&self.session, &owner, &outcome)).await?;
            let body = task.signatures("chord").pop();
            if let (Some(body), Some(group)) = (body, task.text("group_id")) {
                let index = task.options.get("group_index").and_then(Value::as_i64);
                let result = results::error_json(error);
                let part = ChordPart { group, index, id, status, result };
                Box::pin(self.report(message, &body, part)).await?;
            }
        }
        for next in chain {
            Box::pin(self.fail_unsent(message, next, status, error)).await?;
        }
        Ok(())
    }

    /// Says that a task will run again.
    pub(crate) async fn store_retry(
        &self,
        job: &Arc<Message>,
        error: &TaskError,
    ) -> Result<(), NotSettled> {
        if job.ignore_result {
            return Ok(());
        }
        let owner = Owner::of(job);
        let outcome = TaskResult { status: "RETRY", value: Stored::Error(error), children: vec![] };
        self.persist(|| self.results.store(&self.session, &owner, &outcome)).await
    }

    async fn store(
        &self,
        message: &Arc<Message>,
        status: &'static str,
        value: Stored<'_>,
        children: Vec<Value>,
    ) -> Result<(), NotSettled> {
        let settings = self.tasks.get(&message.name).map(|task| task.settings);
        let outcome = TaskResult { status, value, children };
        if !message.ignore_result && settings.is_none_or(|settings| !settings.ignore_result) {
            let owner = Owner::of(message);
            self.persist(|| self.results.store(&self.session, &owner, &outcome)).await?;
        }
        if let (Some(body), Some(group)) = (&message.body.2.chord, &message.group) {
            let result = match outcome.value {
                Stored::Value(value) => serde_json::to_value(value).map_err(NotSettled::because)?,
                Stored::Error(error) => results::error_json(error),
            };
            let (index, id) = (message.group_index, &*message.id);
            let part = ChordPart { group, index, id, status, result };
            Box::pin(self.report(message, body, part)).await?;
        }
        Ok(())
    }

    /// Reports a result to the chord whose header it is in; the last one sends the body of the chord.
    #[cfg_attr(not(feature = "redis"), expect(clippy::unused_async, reason = "it is for redis"))]
    async fn report(
        &self,
        message: &Arc<Message>,
        body: &Signature,
        part: ChordPart<'_>,
    ) -> Result<(), NotSettled> {
        #[cfg(feature = "redis")]
        if let Some(redis) = self.results.redis() {
            let ChordPart { group, index, id, status, result } = part;
            let part = json!([1, id, status, result]).to_string();
            let chord = || redis.add_to_chord(group, index, id, &part);
            if let Some(chord) = self.persist(chord).await? {
                self.finish_chord(message, body, &chord).await?;
                self.persist(|| redis.end_chord(&chord)).await?;
            }
        }
        #[cfg(not(feature = "redis"))]
        let _ = (message, body, part);
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
        let Some((id, error)) = chord.failed() else {
            let values = serde_json::value::to_raw_value(&chord.values());
            let values = values.map_err(NotSettled::because)?;
            return match self.call(message, body.clone(), Some(&values)).await {
                Err(error) => match forbidden(&error) {
                    Some(call) => {
                        let error = TaskError::new("ChordError", call.to_string());
                        self.fail_body(message, body, &error).await
                    }
                    None => Err(error),
                },
                Ok(_) => Ok(()),
            };
        };
        let text = error["exc_type"].as_str().unwrap_or_default();
        let raised = format!("Dependency {id} raised {text}({})", repr(&error["exc_message"][0]));
        self.fail_body(message, body, &TaskError::new("ChordError", raised)).await
    }

    async fn fail_body(
        &self,
        message: &Arc<Message>,
        body: &Signature,
        error: &TaskError,
    ) -> Result<(), NotSettled> {
        let id = body.text("task_id").unwrap_or_default();
        self.call_errbacks(message, &body.signatures("link_error"), id).await?;
        self.fail_unsent(message, body.clone(), "FAILURE", error).await
    }

    /// Makes the call of a signature, with `first` before its arguments. Returns what stands for it
    /// among the children of its parent.
    async fn call(
        &self,
        parent: &Arc<Message>,
        mut signature: Signature,
        first: Option<&RawValue>,
    ) -> Result<Value, NotSettled> {
        match signature.parts() {
            Parts::Task => self.call_task(parent, &mut signature, first).await,
            Parts::Chain(tasks) => {
                let Some(head) = signature.head_of(tasks) else { return Ok(Value::Null) };
                Box::pin(self.call(parent, head, first)).await
            }
            Parts::Group(_) => {
                let frozen = signature.freeze();
                for task in signature.members() {
                    Box::pin(self.call(parent, task, first)).await?;
                }
                Ok(frozen)
            }
            Parts::Chord { header, group, body } => {
                let Some(mut body) = body else { return Ok(Value::Null) };
                signature.hand_on_to_body(&mut body);
                let group = group.unwrap_or_else(new_id);
                Box::pin(self.call_chord(parent, header, &group, body, first)).await
            }
        }
    }

    async fn call_chord(
        &self,
        parent: &Arc<Message>,
        mut header: Vec<Signature>,
        group: &str,
        mut body: Signature,
        first: Option<&RawValue>,
    ) -> Result<Value, NotSettled> {
        let frozen = body.freeze();
        if header.is_empty() {
            let none = serde_json::value::to_raw_value(&[(); 0]).map_err(NotSettled::because)?;
            self.call(parent, body, Some(&none)).await?;
            return Ok(frozen);
        }
        let ids: Vec<Value> = header.iter_mut().map(Signature::freeze).collect();
        let size = header.iter().map(Signature::reports).sum();
        if !self.begin_chord(group, size, &ids).await? {
            let error = TaskError::new("ChordError", "chords need results in redis");
            self.fail_body(parent, &body, &error).await?;
            return Ok(frozen);
        }
        for (index, mut task) in header.into_iter().enumerate() {
            task.join_group(group, index);
            task.options.insert("chord".into(), json!(body));
            self.call(parent, task, first).await?;
        }
        Ok(frozen)
    }

    /// Notes how many results a chord waits for, and their ids; `false` without redis.
    #[cfg_attr(not(feature = "redis"), expect(clippy::unused_async, reason = "it is for redis"))]
    async fn begin_chord(
        &self,
        group: &str,
        size: usize,
        ids: &[Value],
    ) -> Result<bool, NotSettled> {
        #[cfg(feature = "redis")]
        if let Some(redis) = self.results.redis() {
            self.persist(|| redis.begin_chord(group, size, ids)).await?;
            return Ok(true);
        }
        #[cfg(not(feature = "redis"))]
        let _ = (group, size, ids);
        Ok(false)
    }

    async fn call_task(
        &self,
        parent: &Arc<Message>,
        signature: &mut Signature,
        first: Option<&RawValue>,
    ) -> Result<Value, NotSettled> {
        let id = signature.id();
        let first = first.filter(|_| !signature.immutable);
        let own = signature.args.iter().map(|arg| &**arg);
        let args: Vec<&RawValue> = first.into_iter().chain(own).collect();
        let seconds = |key| signature.options.get(key).and_then(Value::as_f64);
        let after =
            |seconds: f64| now_and(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let time = |key| signature.text(key).and_then(parse_time);
        let priority = signature.options.get("priority").and_then(Value::as_u64);
        let new = NewMessage {
            id: &id,
            task: &signature.task,
            args: &args,
            kwargs: signature.kwargs.clone(),
            follow: signature.follow(),
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
        let raw = new.to_raw(queue).map_err(NotSettled::because)?;
        self.send_call(&raw).await?;
        Ok(json!([[id, null], null]))
    }
}

/// A call that the broker will never accept.
#[derive(Debug)]
pub(crate) struct ForbiddenCall(String);

impl fmt::Display for ForbiddenCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a call that follows is forbidden: {}", self.0)
    }
}

impl Error for ForbiddenCall {}

/// The call because of which a task cannot be settled, if the broker will never accept it.
pub(crate) fn forbidden(error: &NotSettled) -> Option<&ForbiddenCall> {
    error.source()?.downcast_ref()
}

/// One result of the header of a chord.
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "chords need redis"))]
struct ChordPart<'a> {
    group: &'a str,
    index: Option<i64>,
    id: &'a str,
    status: &'static str,
    result: Value,
}

/// A value as Python shows it: texts in single quotes.
#[cfg(feature = "redis")]
fn repr(value: &Value) -> String {
    match value.as_str() {
        Some(text) if !text.contains('\'') => format!("'{text}'"),
        _ => value.to_string(),
    }
}
