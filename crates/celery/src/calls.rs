//! The end of a task: its result is stored, and the calls that depend on it are made.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use spinney_jobs::NotSettled;

use crate::TaskError;
use crate::message::{Follow, Message, NewMessage, Signature, Wire, now_and, parse_time};
use crate::results::{self, Owner, Stored};
use crate::source::{Amqp, new_id};

impl Amqp {
    pub(crate) async fn publish(&self, wire: &Wire) -> Result<(), String> {
        self.session.publish(wire, true).await.map_err(|error| error.to_string())
    }

    pub(crate) async fn succeed(
        &self,
        message: &Arc<Message>,
        value: &RawValue,
    ) -> Result<(), NotSettled> {
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

    pub(crate) async fn fail(
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
        let outcome =
            results::Outcome { status: "RETRY", value: Stored::Error(error), children: vec![] };
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
                Stored::Error(error) => results::error_json(error),
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
        let raised =
            format!("Dependency {id} raised {}({})", text("exc_type"), error["exc_message"][0]);
        let error = TaskError::new("ChordError", raised);
        let body_id = body.options.get("task_id").and_then(Value::as_str).unwrap_or_default();
        let raw_id = serde_json::value::to_raw_value(body_id).map_err(NotSettled::because)?;
        for errback in body.signatures("link_error") {
            self.call(message, &errback, Some(&raw_id), &[]).await?;
        }
        let owner =
            Owner { id: body_id, task: &body.task, reply_to: None, group: None, parent: None };
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
                    task.join_group(&group, index);
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
            task.join_group(&group, index);
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
        let after =
            |seconds: f64| now_and(Duration::try_from_secs_f64(seconds).unwrap_or_default());
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
    /// Makes it the member at `index` of `group`.
    fn join_group(&mut self, group: &str, index: usize) {
        self.options.insert("group_id".into(), json!(group));
        self.options.insert("group_index".into(), json!(index));
    }

    /// An option that is a text, and not empty.
    fn text(&self, key: &str) -> Option<&str> {
        self.options.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The signatures in an option; a malformed signature is skipped.
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

    fn follow(&self) -> Follow {
        let some = |option| Some(self.signatures(option)).filter(|list| !list.is_empty());
        Follow {
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
