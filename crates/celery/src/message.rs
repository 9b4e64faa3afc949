//! [`Message`]: a task message of Celery's protocol 2, taken apart and put together.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::TaskError;

/// The only content type that is read.
const JSON: &str = "application/json";

/// A task message, which is also the job.
pub(crate) struct Message {
    pub(crate) id: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) root_id: Option<Box<str>>,
    pub(crate) parent_id: Option<Box<str>>,
    pub(crate) group: Option<Box<str>>,
    pub(crate) group_index: Option<i64>,
    pub(crate) retries: u32,
    pub(crate) eta: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) soft_limit: Option<Duration>,
    pub(crate) hard_limit: Option<Duration>,
    pub(crate) ignore_result: bool,
    pub(crate) body: Body,
    /// The message as it was received.
    pub(crate) raw: Box<RawMessage>,
}

/// A message as the broker stores it: its address, its properties and its bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawMessage {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Vec<u8>,
}

/// The body of a message: its arguments, and what follows.
#[derive(Debug, Deserialize)]
pub(crate) struct Body(
    pub(crate) Vec<Box<RawValue>>,
    pub(crate) Map<String, Value>,
    #[serde(default)] pub(crate) Follow,
);

/// The calls that follow a task: of its own, of its chain and of its chord.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Follow {
    #[serde(default)]
    pub(crate) callbacks: Option<Vec<Signature>>,
    #[serde(default)]
    pub(crate) errbacks: Option<Vec<Signature>>,
    /// The calls after this one; the next call stands last.
    #[serde(default)]
    pub(crate) chain: Option<Vec<Signature>>,
    #[serde(default)]
    pub(crate) chord: Option<Box<Signature>>,
}

/// A call that is yet to be made.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Signature {
    pub(crate) task: String,
    #[serde(default)]
    pub(crate) args: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(crate) kwargs: Map<String, Value>,
    #[serde(default)]
    pub(crate) options: Map<String, Value>,
    #[serde(default)]
    pub(crate) subtask_type: Option<String>,
    #[serde(default)]
    pub(crate) immutable: bool,
}

/// A message that is refused, the reason, and the queue for it.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) id: Option<String>,
    pub(crate) reply_to: Option<String>,
    /// The message, if it could be read.
    pub(crate) message: Option<Arc<Message>>,
    pub(crate) error: TaskError,
}

impl Message {
    /// Takes a message apart. One whose body is longer than `limit` is refused.
    pub(crate) fn parse(raw: Box<RawMessage>, limit: usize) -> Result<Self, Box<Refused>> {
        let id = id_of(&raw);
        let reply_to = raw.properties.reply_to().clone();
        Self::try_parse(raw, id.as_deref(), limit).map_err(|error| {
            let reply_to = reply_to.map(|queue| queue.to_string());
            Box::new(Refused { id, reply_to, message: None, error })
        })
    }

    fn try_parse(raw: Box<RawMessage>, id: Option<&str>, limit: usize) -> Result<Self, TaskError> {
        if raw.body.len() > limit {
            let text = format!("the body has {} bytes, more than {limit}", raw.body.len());
            return Err(refusal("ContentDisallowed", text));
        }
        let content_type = raw.properties.content_type().as_ref().map(ShortString::as_str);
        if content_type != Some(JSON) {
            let content_type = content_type.unwrap_or("unknown");
            let text = format!("Refusing to deserialize content of type {content_type}");
            return Err(refusal("ContentDisallowed", text));
        }
        let empty = FieldTable::default();
        let headers = Headers(raw.properties.headers().as_ref().unwrap_or(&empty));
        let Some(name) = headers.text("task")? else {
            let text = "the message has no header \"task\": only protocol 2 is understood";
            return Err(refusal("InvalidTaskError", text));
        };
        let id = id.ok_or_else(|| refusal("InvalidTaskError", "the message has no id"))?;
        let body = serde_json::from_slice(&raw.body)
            .map_err(|error| refusal("DecodeError", format!("the body is malformed: {error}")))?;
        let (hard_limit, soft_limit) = headers.limits()?;
        Ok(Self {
            id: id.into(),
            name: name.into(),
            root_id: headers.text("root_id")?.map(Into::into),
            parent_id: headers.text("parent_id")?.map(Into::into),
            group: headers.text("group")?.map(Into::into),
            group_index: headers.integer("group_index")?,
            retries: u32::try_from(headers.integer("retries")?.unwrap_or(0)).unwrap_or(0),
            eta: headers.time("eta")?,
            expires: headers.time("expires")?,
            soft_limit,
            hard_limit,
            ignore_result: matches!(headers.get("ignore_result"), Some(AMQPValue::Boolean(true))),
            body,
            raw,
        })
    }

    /// The same message for another try after `after`.
    pub(crate) fn retried(&self, after: Duration) -> RawMessage {
        let mut headers = self.raw.properties.headers().clone().unwrap_or_default();
        let retries = i64::from(self.retries) + 1;
        headers.insert("retries".into(), AMQPValue::LongLongInt(retries));
        headers.insert("eta".into(), amqp_text(&time_text(now_and(after))));
        RawMessage {
            properties: self.raw.properties.clone().with_headers(headers),
            ..self.resent()
        }
    }

    /// The same message, to be sent to the same place.
    pub(crate) fn resent(&self) -> RawMessage {
        RawMessage::clone(&self.raw)
    }

    pub(crate) fn priority(&self) -> Option<u8> {
        *self.raw.properties.priority()
    }

    /// The queue on which its sender waits for the result, with an `rpc://` backend.
    pub(crate) fn reply_to(&self) -> Option<&str> {
        let reply_to = self.raw.properties.reply_to().as_ref().map(ShortString::as_str);
        reply_to.filter(|queue| !queue.is_empty())
    }

    /// The id of the task from which this one descends.
    pub(crate) fn root(&self) -> &str {
        self.root_id.as_deref().unwrap_or(&self.id)
    }

    /// A header that is a text, for events; empty if there is none.
    pub(crate) fn header(&self, key: &str) -> &str {
        let headers = self.raw.properties.headers().as_ref();
        headers.and_then(|headers| Headers(headers).text(key).ok()?).unwrap_or_default()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("name", &self.name).finish()
    }
}

/// A task message that is to be sent.
#[derive(Debug, Default)]
pub(crate) struct NewMessage<'a> {
    pub(crate) id: &'a str,
    pub(crate) task: &'a str,
    pub(crate) args: &'a [&'a RawValue],
    pub(crate) kwargs: Map<String, Value>,
    pub(crate) follow: Follow,
    pub(crate) root_id: Option<&'a str>,
    pub(crate) parent_id: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
    pub(crate) group_index: Option<i64>,
    pub(crate) eta: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) hard_limit: Option<f64>,
    pub(crate) soft_limit: Option<f64>,
    pub(crate) ignore_result: bool,
    pub(crate) reply_to: Option<&'a str>,
    pub(crate) priority: Option<u8>,
    pub(crate) origin: &'a str,
}

impl NewMessage<'_> {
    /// The message, to be sent to `queue`.
    pub(crate) fn to_raw(&self, queue: &str) -> Result<RawMessage, serde_json::Error> {
        let body = serde_json::to_vec(&(self.args, &self.kwargs, &self.follow))?;
        let text = |text: Option<&str>| text.map_or(AMQPValue::Void, amqp_text);
        let number = |number: Option<i64>| number.map_or(AMQPValue::Void, AMQPValue::LongLongInt);
        let seconds = |limit: Option<f64>| limit.map_or(AMQPValue::Void, AMQPValue::Double);
        let time = |time: Option<Timestamp>| text(time.map(time_text).as_deref());
        let limits = vec![seconds(self.hard_limit), seconds(self.soft_limit)];
        let args = serde_json::to_string(self.args)?;
        let kwargs = serde_json::to_string(&self.kwargs)?;
        let entries = [
            ("lang", amqp_text("rs")),
            ("task", amqp_text(self.task)),
            ("id", amqp_text(self.id)),
            ("shadow", AMQPValue::Void),
            ("eta", time(self.eta)),
            ("expires", time(self.expires)),
            ("group", text(self.group)),
            ("group_index", number(self.group_index)),
            ("retries", number(Some(0))),
            ("timelimit", AMQPValue::FieldArray(FieldArray::from(limits))),
            ("root_id", text(self.root_id.or(Some(self.id)))),
            ("parent_id", text(self.parent_id)),
            ("argsrepr", amqp_text(shortened(&args))),
            ("kwargsrepr", amqp_text(shortened(&kwargs))),
            ("origin", amqp_text(self.origin)),
            ("ignore_result", AMQPValue::Boolean(self.ignore_result)),
            ("replaced_task_nesting", number(Some(0))),
            ("stamped_headers", AMQPValue::Void),
            ("stamps", AMQPValue::FieldTable(FieldTable::default())),
        ];
        let mut headers = FieldTable::default();
        for (key, value) in entries {
            headers.insert(key.into(), value);
        }
        let mut properties = json_properties()
            .with_delivery_mode(2)
            .with_headers(headers)
            .with_correlation_id(short(self.id))
            .with_priority(self.priority.unwrap_or(0));
        if let Some(queue) = self.reply_to {
            properties = properties.with_reply_to(short(queue));
        }
        Ok(RawMessage { exchange: String::new(), routing_key: queue.to_owned(), properties, body })
    }
}

/// The properties of a message in JSON.
pub(crate) fn json_properties() -> BasicProperties {
    BasicProperties::default().with_content_type(JSON.into()).with_content_encoding("utf-8".into())
}

/// A short text of the protocol; a longer text is cut.
pub(crate) fn short(text: &str) -> ShortString {
    let end = (0..=text.len().min(255)).rev().find(|end| text.is_char_boundary(*end));
    ShortString::from(&text[..end.unwrap_or(0)])
}

pub(crate) fn amqp_text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

/// A time as Celery writes it.
pub(crate) fn time_text(time: Timestamp) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
    PRINTER.timestamp_with_offset_to_string(&time, Offset::UTC)
}

/// The time `after` from now.
pub(crate) fn now_and(after: Duration) -> Timestamp {
    let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
    Timestamp::now().checked_add(after).unwrap_or(Timestamp::MAX)
}

/// A text of a task's arguments as it stands in headers.
fn shortened(text: &str) -> &str {
    let end = (0..=text.len().min(1024)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The id of a message, however malformed the rest of it is.
fn id_of(raw: &RawMessage) -> Option<String> {
    /// The body of a message of protocol 1.
    #[derive(Deserialize)]
    struct First {
        id: String,
    }
    let headers = raw.properties.headers().as_ref();
    let in_headers = headers.and_then(|headers| Headers(headers).text("id").ok()?);
    let correlation = raw.properties.correlation_id().as_ref().map(ShortString::as_str);
    let id = in_headers.or(correlation).filter(|id| !id.is_empty()).map(ToOwned::to_owned);
    id.or_else(|| serde_json::from_slice::<First>(&raw.body).ok().map(|first| first.id))
}

/// The headers of a message, which may hold anything.
struct Headers<'a>(&'a FieldTable);

impl<'a> Headers<'a> {
    fn get(&self, key: &str) -> Option<&'a AMQPValue> {
        self.0.inner().get(key).filter(|value| !matches!(value, AMQPValue::Void))
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, TaskError> {
        let text = match self.get(key) {
            None => return Ok(None),
            Some(AMQPValue::LongString(text)) => std::str::from_utf8(text.as_bytes()).ok(),
            Some(AMQPValue::ShortString(text)) => Some(text.as_str()),
            Some(_) => None,
        };
        text.map(Some).ok_or_else(|| malformed(key, "a text"))
    }

    fn integer(&self, key: &str) -> Result<Option<i64>, TaskError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        integer(value).map(Some).ok_or_else(|| malformed(key, "a whole number"))
    }

    fn time(&self, key: &str) -> Result<Option<Timestamp>, TaskError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        parse_time(text).map(Some).ok_or_else(|| malformed(key, "a time in ISO 8601"))
    }

    /// The hard limit and the soft one.
    fn limits(&self) -> Result<(Option<Duration>, Option<Duration>), TaskError> {
        let limits = match self.get("timelimit") {
            None => return Ok((None, None)),
            Some(AMQPValue::FieldArray(limits)) => limits.as_slice(),
            Some(_) => return Err(malformed("timelimit", "a list")),
        };
        let limit = |index| match limits.get(index) {
            None | Some(AMQPValue::Void) => Ok(None),
            Some(value) => {
                duration(value).map(Some).ok_or_else(|| malformed("timelimit", "a list of seconds"))
            }
        };
        Ok((limit(0)?, limit(1)?))
    }
}

fn integer(value: &AMQPValue) -> Option<i64> {
    Some(match value {
        AMQPValue::ShortShortInt(n) => i64::from(*n),
        AMQPValue::ShortShortUInt(n) => i64::from(*n),
        AMQPValue::ShortInt(n) => i64::from(*n),
        AMQPValue::ShortUInt(n) => i64::from(*n),
        AMQPValue::LongInt(n) => i64::from(*n),
        AMQPValue::LongUInt(n) => i64::from(*n),
        AMQPValue::LongLongInt(n) => *n,
        _ => return None,
    })
}

/// A time limit in seconds, whole or not.
fn duration(value: &AMQPValue) -> Option<Duration> {
    match value {
        AMQPValue::Float(n) => Duration::try_from_secs_f32(*n).ok(),
        AMQPValue::Double(n) => Duration::try_from_secs_f64(*n).ok(),
        value => integer(value).and_then(|n| u64::try_from(n).ok()).map(Duration::from_secs),
    }
}

/// A time in ISO 8601; without a zone it is UTC. A time beyond the last timestamp, for example
/// Python's `datetime.max`, is the last one.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let plain = || {
        let time = DateTime::from_str(text).ok()?;
        let last = if time.year() > 0 { Timestamp::MAX } else { Timestamp::MIN };
        Some(time.to_zoned(TimeZone::UTC).map_or(last, |time| time.timestamp()))
    };
    Timestamp::from_str(text).ok().or_else(plain)
}

fn malformed(key: &str, expected: &str) -> TaskError {
    refusal("InvalidTaskError", format!("the header {key:?} is not {expected}"))
}

fn refusal(kind: &str, text: impl Into<String>) -> TaskError {
    TaskError::new(kind, text)
}

#[cfg(test)]
mod tests;
