//! [`Results`]: where the outcomes of tasks are stored, and the chords that depend on them.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::TaskError;
use crate::message::{Message, RawMessage, json_properties, now_and, short, time_text};
use crate::session::{Error, Session, without_password};

/// A result backend: where results are stored.
pub(crate) enum Results {
    /// Nowhere.
    None,
    /// To the queue of the caller.
    Rpc,
    #[cfg(feature = "redis")]
    Redis(Box<redis_results::Redis>),
}

/// A result that is to be stored.
pub(crate) struct TaskResult<'a> {
    pub(crate) status: &'static str,
    pub(crate) value: Stored<'a>,
    pub(crate) children: Vec<Value>,
}

/// The value or the error of a task.
pub(crate) enum Stored<'a> {
    Value(&'a RawValue),
    Error(&'a TaskError),
}

/// A stored result, as Python reads it.
#[derive(Serialize)]
struct Meta<'a> {
    task_id: &'a str,
    status: &'a str,
    result: Body<'a>,
    traceback: Option<String>,
    children: &'a [Value],
    date_done: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Value(&'a RawValue),
    Error(Value),
}

/// The task that a result belongs to.
pub(crate) struct Owner<'a> {
    pub(crate) id: &'a str,
    pub(crate) task: &'a str,
    pub(crate) reply_to: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
    pub(crate) parent: Option<&'a str>,
}

impl<'a> Owner<'a> {
    pub(crate) fn of(message: &'a Message) -> Self {
        Self {
            id: &message.id,
            task: &message.name,
            reply_to: message.reply_to(),
            group: message.group.as_deref(),
            parent: message.parent_id.as_deref(),
        }
    }
}

impl Results {
    /// The backend of this address: `rpc://`, `redis://..` or `disabled://`.
    pub(crate) fn open(url: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Url { url: without_password(url), reason: reason.into() };
        match url.split_once("://").map_or(url, |(scheme, _)| scheme) {
            "rpc" => Ok(Self::Rpc),
            "" | "disabled" => Ok(Self::None),
            #[cfg(feature = "redis")]
            "redis" | "rediss" => {
                redis_results::Redis::open(url).map(|redis| Self::Redis(Box::new(redis)))
            }
            #[cfg(not(feature = "redis"))]
            "redis" => Err(wrong("the feature \"redis\" is off")),
            _ => Err(wrong("results go to rpc:// or redis://")),
        }
    }

    /// Stores a result.
    ///
    /// # Errors
    ///
    /// The reason, as a text.
    pub(crate) async fn store(
        &self,
        session: &Session,
        owner: &Owner<'_>,
        outcome: &TaskResult<'_>,
    ) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            Self::Rpc => {
                let Some(queue) = owner.reply_to else { return Ok(()) };
                let properties = json_properties().with_correlation_id(short(owner.id));
                let properties = properties.with_delivery_mode(1);
                let body = meta(owner, outcome);
                let (exchange, routing_key) = (String::new(), queue.to_owned());
                let raw = RawMessage { exchange, routing_key, properties, body };
                session.publish_result(Box::new(raw)).await.map_err(|error| error.to_string())
            }
            #[cfg(feature = "redis")]
            Self::Redis(redis) => {
                // Boxed, because the future of each task would have room for it.
                Box::pin(redis.store(owner.id, &meta(owner, outcome))).await
            }
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn redis(&self) -> Option<&redis_results::Redis> {
        if let Self::Redis(redis) = self { Some(redis) } else { None }
    }
}

fn meta(owner: &Owner<'_>, outcome: &TaskResult<'_>) -> Vec<u8> {
    let (result, traceback) = match outcome.value {
        Stored::Value(value) => (Body::Value(value), None),
        Stored::Error(error) => (Body::Error(error_json(error)), Some(error.traceback(owner.task))),
    };
    let is_final = outcome.status != "RETRY";
    let meta = Meta {
        task_id: owner.id,
        status: outcome.status,
        result,
        traceback,
        children: &outcome.children,
        date_done: is_final.then(|| time_text(now_and(std::time::Duration::ZERO))),
        group_id: owner.group,
        parent_id: owner.parent,
    };
    // Room for what stands around a short value.
    let mut json = Vec::with_capacity(512);
    serde_json::to_writer(&mut json, &meta).map(|()| json).unwrap_or_default()
}

/// An exception as Python reads it.
pub(crate) fn error_json(error: &TaskError) -> Value {
    json!({
        "exc_type": error.exception(),
        "exc_message": [error.text()],
        "exc_module": error.module(),
    })
}

#[cfg(feature = "redis")]
pub(crate) use redis_results::Chord;

#[cfg(feature = "redis")]
mod redis_results {
    //! Results in redis.

    use std::collections::HashMap;
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use futures_lite::StreamExt;
    use redis::aio::MultiplexedConnection;
    use redis::{Client, Cmd, FromRedisValue, Pipeline, RedisError, Script};
    use serde_json::{Value, json};
    use spinney_hub::Within;

    use crate::producer::is_final;
    use crate::session::{Error, without_password};

    /// How long a result is kept, in seconds. Celery's number.
    const EXPIRES: u64 = 86_400;

    /// How long one call may take.
    const CALL_LIMIT: Duration = Duration::from_secs(10);

    /// How long a worker may take to send the body of a chord, in seconds.
    const CLAIM: u64 = 30;

    /// Adds one result to a chord: a member counts once, and one caller sends the body.
    const PART: &str = r"
        local j, t, s, d, c, ids = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
        if redis.call('GET', c) == 'done' then return {0, false, false} end
        local member = ARGV[1] .. ':' .. ARGV[3]
        if redis.call('SADD', d, member) == 1 then redis.call('ZADD', j, ARGV[3], ARGV[2]) end
        for _, key in ipairs({j, t, s, d}) do redis.call('EXPIRE', key, ARGV[4]) end
        local size = redis.call('GET', s)
        if not size then return {0, false, false} end
        local total = tonumber(size) + tonumber(redis.call('GET', t) or 0)
        if redis.call('ZCARD', j) ~= total then return {0, false, false} end
        local claimed = redis.call('SET', c, ARGV[5], 'NX', 'EX', ARGV[6])
        return {claimed and 1 or 0, redis.call('ZRANGE', j, 0, -1), redis.call('GET', ids)}
    ";

    /// Removes a chord whose body was sent.
    const DONE: &str = r"
        if redis.call('GET', KEYS[5]) ~= ARGV[1] then return 0 end
        redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
        redis.call('SET', KEYS[5], 'done', 'EX', 300)
        return 1
    ";

    pub(crate) struct Redis {
        client: Client,
        connection: Mutex<Option<MultiplexedConnection>>,
        part: Script,
        done: Script,
    }

    /// A chord whose header is complete; the caller sends its body.
    pub(crate) struct Chord {
        group: String,
        token: String,
        /// The results of its header, in order: task, state, result.
        parts: Vec<(String, String, Value)>,
        /// The ids of its header, if there are groups in it.
        ids: Option<Value>,
    }

    impl Chord {
        /// The first task of its header that has failed, with the error.
        pub(crate) fn failed(&self) -> Option<(&str, &Value)> {
            let failed = self.parts.iter().find(|(_, state, _)| state != "SUCCESS");
            failed.map(|(id, _, error)| (&**id, error))
        }

        /// The values of its header; those of a group within it are a list.
        pub(crate) fn values(&self) -> Value {
            let by_id: HashMap<&str, &Value> =
                self.parts.iter().map(|(id, _, value)| (&**id, value)).collect();
            let nested = self.ids.as_ref().and_then(|ids| nested_values(&ids["result"], &by_id));
            nested.unwrap_or_else(|| self.parts.iter().map(|(_, _, value)| value.clone()).collect())
        }
    }

    /// The values of a result that was saved as `[[id, parent], members]`.
    fn nested_values(ids: &Value, by_id: &HashMap<&str, &Value>) -> Option<Value> {
        match &ids[1] {
            Value::Array(members) => members.iter().map(|ids| nested_values(ids, by_id)).collect(),
            _ => by_id.get(ids[0][0].as_str()?).map(|value| (*value).clone()),
        }
    }

    impl Redis {
        pub(crate) fn open(url: &str) -> Result<Self, Error> {
            let client = Client::open(url).map_err(|error| Error::Url {
                url: without_password(url),
                reason: error.to_string(),
            })?;
            let (part, done) = (Script::new(PART), Script::new(DONE));
            Ok(Self { client, connection: Mutex::new(None), part, done })
        }

        /// Stores the result of a task and notifies its waiters.
        pub(crate) async fn store(&self, id: &str, meta: &[u8]) -> Result<(), String> {
            let key = format!("celery-task-meta-{id}");
            let mut both = Pipeline::with_capacity(2);
            both.set_ex(&key, meta, EXPIRES).ignore().publish(&key, meta).ignore();
            self.run(|mut connection| async move { both.query_async(&mut connection).await }).await
        }

        /// Waits for the result of a task.
        pub(crate) async fn wait_for(&self, id: &str) -> Result<Vec<u8>, String> {
            let key = format!("celery-task-meta-{id}");
            let text = |error: RedisError| error.to_string();
            // First, so that no result falls between the two.
            let mut news = self.client.get_async_pubsub().await.map_err(text)?;
            news.subscribe(&key).await.map_err(text)?;
            let known: Option<Vec<u8>> = self.query(&Cmd::get(&key)).await?;
            if let Some(known) = known.filter(|meta| is_last(meta)) {
                return Ok(known);
            }
            let mut news = news.on_message();
            while let Some(message) = news.next().await {
                let meta: Vec<u8> = message.get_payload().map_err(|error| error.to_string())?;
                if is_last(&meta) {
                    return Ok(meta);
                }
            }
            Err("the connection to redis was lost".to_owned())
        }

        /// Notes how many results a chord waits for. `ids` are those of its header, as
        /// [`Signature::freeze`](crate::message::Signature::freeze) gives them.
        pub(crate) async fn begin_chord(
            &self,
            group: &str,
            size: usize,
            ids: &[Value],
        ) -> Result<(), String> {
            let [_, _, size_key, _, claim, ids_key] = keys(group);
            let mut all = Pipeline::with_capacity(3);
            all.del(claim).ignore().set_ex(size_key, size, EXPIRES).ignore();
            if ids.iter().any(|ids| ids[1].is_array()) {
                let ids = json!({ "result": [[group, null], ids] }).to_string();
                all.set_ex(ids_key, ids, EXPIRES).ignore();
            }
            self.run(|mut connection| async move { all.query_async(&mut connection).await }).await
        }

        /// Adds one result to a chord; returns the chord if that was the last one.
        pub(crate) async fn add_to_chord(
            &self,
            group: &str,
            index: Option<i64>,
            id: &str,
            part: &str,
        ) -> Result<Option<Chord>, String> {
            let index = index.map_or("+inf".to_owned(), |index| index.to_string());
            let token = uuid::Uuid::new_v4().simple().to_string();
            let mut call = self.part.prepare_invoke();
            for key in keys(group) {
                call.key(key);
            }
            call.arg(id).arg(part).arg(index).arg(EXPIRES).arg(&token).arg(CLAIM);
            let call = &call;
            let (claimed, parts, ids): (i64, Option<Vec<String>>, Option<String>) =
                self.run(|mut link| async move { call.invoke_async(&mut link).await }).await?;
            if claimed == 0 {
                return Ok(None);
            }
            let read = |part: &String| serde_json::from_str(part).map(part_of);
            let parts: Result<Vec<_>, _> = parts.unwrap_or_default().iter().map(read).collect();
            let parts =
                parts.map_err(|error| format!("the chord {group} is malformed: {error}"))?;
            let ids = ids.and_then(|ids| serde_json::from_str(&ids).ok());
            Ok(Some(Chord { group: group.to_owned(), token, parts, ids }))
        }

        /// Removes a chord whose body was sent.
        pub(crate) async fn end_chord(&self, chord: &Chord) -> Result<(), String> {
            let mut call = self.done.prepare_invoke();
            for key in keys(&chord.group) {
                call.key(key);
            }
            call.arg(&chord.token);
            let call = &call;
            let run = |mut link| async move { call.invoke_async::<i64>(&mut link).await };
            self.run(run).await.map(drop)
        }

        async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, String> {
            self.run(|mut connection| async move { command.query_async(&mut connection).await })
                .await
        }

        /// Makes a call on the connection, which is made anew after one that failed.
        async fn run<T, Fut>(
            &self,
            call: impl FnOnce(MultiplexedConnection) -> Fut,
        ) -> Result<T, String>
        where
            Fut: Future<Output = Result<T, RedisError>>,
        {
            let attempt = async {
                let connection = match self.known() {
                    Some(connection) => connection,
                    None => self.client.get_multiplexed_async_connection().await?,
                };
                let answer = call(connection.clone()).await?;
                Ok::<_, RedisError>((answer, connection))
            };
            match attempt.within(CALL_LIMIT).await {
                Ok(Ok((answer, connection))) => {
                    self.keep(Some(connection));
                    Ok(answer)
                }
                Ok(Err(error)) => {
                    self.keep(None);
                    Err(error.to_string())
                }
                Err(timeout) => {
                    self.keep(None);
                    Err(format!("redis: {timeout}"))
                }
            }
        }

        fn known(&self) -> Option<MultiplexedConnection> {
            self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        fn keep(&self, connection: Option<MultiplexedConnection>) {
            let mut kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let before = std::mem::replace(&mut *kept, connection);
            drop(kept);
            drop(before);
        }
    }

    /// The keys of a chord: its results, what its size changed by, its size, the tasks that were
    /// counted, the worker that sends the body, and the ids of the header.
    fn keys(group: &str) -> [String; 6] {
        [".j", ".t", ".s", ".d", ".c", ""].map(|key| format!("celery-taskset-meta-{group}{key}"))
    }

    /// Whether a stored result is the last of its task.
    fn is_last(meta: &[u8]) -> bool {
        #[derive(serde::Deserialize)]
        struct Status {
            status: String,
        }
        serde_json::from_slice::<Status>(meta).is_ok_and(|meta| is_final(&meta.status))
    }

    fn part_of(part: (i64, String, String, Value)) -> (String, String, Value) {
        (part.1, part.2, part.3)
    }

    #[cfg(test)]
    mod tests {
        use super::{Chord, json};

        #[test]
        fn values_of_a_group_in_a_header_are_a_list() {
            let part = |id: &str| (id.to_owned(), "SUCCESS".to_owned(), json!(id));
            let (group, token) = ("header".to_owned(), String::new());
            let parts = vec![part("a"), part("c"), part("b")];
            let chord = Chord { group, token, parts, ids: None };
            assert_eq!(chord.values(), json!(["a", "c", "b"]));
            let ids = json!([
                [["g", null], [[["a", null], null], [["b", null], null]]],
                [["c", null], null]
            ]);
            let ids = json!({ "result": [["header", null], ids] });
            assert_eq!(Chord { ids: Some(ids), ..chord }.values(), json!([["a", "b"], "c"]));
        }
    }
}
