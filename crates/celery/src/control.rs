//! [`Control`]: remote control by `celery inspect`, `celery control` and Flower.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_lite::StreamExt;
use lapin::ExchangeKind;
use lapin::types::AMQPValue;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spinney_hub::Clock;
use spinney_jobs::{JobInfo, Stage, WorkerHandle};

use crate::message::{Message, RawMessage, json_properties};
use crate::session::{Link, header};
use crate::source::{Amqp, Limits};

const EXCHANGE: &str = "celery.pidbox";
const REPLIES: &str = "reply.celery.pidbox";

/// Answers the commands that monitors send to a worker.
pub(crate) struct Control {
    pub(crate) hostname: String,
    pub(crate) worker: WorkerHandle<Amqp>,
    pub(crate) grace: Duration,
    pub(crate) queues: Vec<Arc<str>>,
}

/// A command, as it is sent to all workers.
#[derive(Deserialize)]
struct Command {
    method: String,
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
    #[serde(default)]
    destination: Option<Vec<String>>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    matcher: Option<String>,
    #[serde(default)]
    ticket: Option<String>,
    #[serde(default)]
    reply_to: Option<ReplyTo>,
}

#[derive(Deserialize)]
struct ReplyTo {
    exchange: String,
    routing_key: String,
}

impl Control {
    /// Answers commands on a connection until it fails.
    pub(crate) async fn serve(&self, link: &Link) -> Result<(), lapin::Error> {
        link.exchange(EXCHANGE, ExchangeKind::Fanout, false).await?;
        link.exchange(REPLIES, ExchangeKind::Direct, false).await?;
        let queue = format!("{}.{EXCHANGE}", self.hostname);
        let mut commands = link.consume_own(&queue, Some(EXCHANGE)).await?;
        while let Some(delivery) = commands.next().await {
            let body = delivery?.data;
            let Ok(command) = serde_json::from_slice::<Command>(&body) else {
                tracing::warn!("a malformed command is passed over");
                continue;
            };
            if self.is_meant(&command) {
                self.answer(link, command).await?;
            }
        }
        Ok(())
    }

    fn is_meant(&self, command: &Command) -> bool {
        if let Some(names) = command.destination.as_ref().filter(|names| !names.is_empty()) {
            return names.contains(&self.hostname);
        }
        match (&command.pattern, command.matcher.as_deref()) {
            (None, _) => true,
            (Some(pattern), None | Some("glob")) => matches_glob(pattern, &self.hostname),
            // Regular expressions of Python are not understood.
            (Some(_), Some(_)) => false,
        }
    }

    async fn answer(&self, link: &Link, command: Command) -> Result<(), lapin::Error> {
        let arguments = command.arguments.unwrap_or_default();
        tracing::debug!(command = command.method, "remote control");
        let answer = self.run(&command.method, &arguments);
        let (Some(answer), Some(reply_to)) = (answer, command.reply_to) else { return Ok(()) };
        // A message to an exchange that is not there would cost the channel.
        if ![REPLIES, ""].contains(&&*reply_to.exchange)
            && let Err(error) = link.exchange(&reply_to.exchange, ExchangeKind::Direct, false).await
        {
            tracing::warn!(%error, exchange = reply_to.exchange, "an answer cannot be sent");
            return Ok(());
        }
        let mut headers = header("ticket", command.ticket.as_deref().unwrap_or_default());
        let clock = self.worker.source().events.tick();
        headers.insert("clock".into(), AMQPValue::LongLongInt(clock));
        let mut body = Map::new();
        body.insert(self.hostname.clone(), answer);
        let raw = RawMessage {
            exchange: reply_to.exchange,
            routing_key: reply_to.routing_key,
            properties: json_properties().with_delivery_mode(1).with_headers(headers),
            body: Value::Object(body).to_string().into_bytes(),
        };
        link.publish_unconfirmed(raw).await
    }

    /// Carries a command out. `None` is no answer.
    fn run(&self, method: &str, arguments: &Map<String, Value>) -> Option<Value> {
        let source = self.worker.source();
        Some(match method {
            "ping" => json!({ "ok": "pong" }),
            "active" => self.tasks(|job| matches!(job.stage, Stage::Active | Stage::Settling)),
            "reserved" => self.tasks(|job| job.stage == Stage::Reserved),
            "scheduled" => self.scheduled(),
            "query_task" => self.query(arguments),
            "registered" | "tasks" => {
                let mut names: Vec<&str> = source.tasks.keys().map(|name| &**name).collect();
                names.sort_unstable();
                json!(names)
            }
            "active_queues" => self.active_queues(),
            "stats" => self.stats(),
            "conf" => json!({ "result_serializer": "json", "task_acks_late": true }),
            "report" => json!({ "ok": format!("spinney-celery {}", env!("CARGO_PKG_VERSION")) }),
            "clock" => json!({ "clock": source.events.tick() }),
            "revoked" => self.worker.revoked().iter().map(|id| json!(&**id)).collect(),
            "hello" => {
                // With the time of each, which Python wants to be no whole number.
                let now = seconds_of(Clock::current().now());
                let revoked = self.worker.revoked();
                let revoked: Map<String, Value> =
                    revoked.iter().map(|id| (id.to_string(), json!(now))).collect();
                json!({ "revoked": revoked, "clock": source.events.tick() })
            }
            "revoke" => self.revoke(arguments, is_true(arguments.get("terminate"))),
            "terminate" => self.revoke(arguments, true),
            "rate_limit" => self.rate_limit(arguments),
            "time_limit" => self.time_limit(arguments),
            "pool_grow" => self.resize(arguments, 1),
            "pool_shrink" => self.resize(arguments, -1),
            "enable_events" => {
                source.events.enable(true);
                json!({ "ok": "task events enabled" })
            }
            "disable_events" => {
                source.events.enable(false);
                json!({ "ok": "task events disabled" })
            }
            "heartbeat" => return None,
            "shutdown" => {
                self.worker.stop(self.grace);
                return None;
            }
            _ => json!({ "error": format!("unknown command: {method}") }),
        })
    }

    fn tasks(&self, which: impl Fn(&JobInfo<Message>) -> bool) -> Value {
        let jobs = self.worker.jobs();
        jobs.iter().filter(|job| which(job)).map(|job| self.info(job)).collect()
    }

    fn scheduled(&self) -> Value {
        let jobs = self.worker.jobs();
        let held = jobs.iter().filter(|job| job.stage == Stage::Scheduled);
        held.map(|job| {
            let eta = job.job.eta.map(|eta| eta.to_string());
            json!({ "eta": eta, "priority": 6, "request": self.info(job) })
        })
        .collect()
    }

    fn query(&self, arguments: &Map<String, Value>) -> Value {
        let ids = texts(arguments.get("ids"));
        let mut found = Map::new();
        for job in self.worker.jobs().iter().filter(|job| ids.contains(&job.id.to_string())) {
            let state = if job.stage == Stage::Active { "active" } else { "reserved" };
            found.insert(job.id.to_string(), json!([state, self.info(job)]));
        }
        Value::Object(found)
    }

    fn info(&self, job: &JobInfo<Message>) -> Value {
        let message = &job.job;
        let started = (job.stage == Stage::Active).then(|| seconds_of(job.since));
        json!({
            "id": &*message.id,
            "name": &*message.name,
            "type": &*message.name,
            "args": message.body.0,
            "kwargs": message.body.1,
            "hostname": self.hostname,
            "time_start": started,
            "acknowledged": job.terms.ack_early && job.stage == Stage::Active,
            "delivery_info": {
                "exchange": message.raw.exchange,
                "routing_key": message.raw.routing_key,
                "priority": message.priority(),
                "redelivered": null,
            },
            "worker_pid": std::process::id(),
        })
    }

    fn active_queues(&self) -> Value {
        let queue =
            |name: &Arc<str>| json!({ "name": &**name, "routing_key": &**name, "durable": true });
        self.queues.iter().map(queue).collect()
    }

    fn stats(&self) -> Value {
        let report = self.worker.report();
        let source = self.worker.source();
        json!({
            "total": { "tasks": report.received },
            "pid": std::process::id(),
            "clock": source.events.tick().to_string(),
            "prefetch_count": source.prefetch(),
            "pool": {
                "implementation": "spinney",
                "max-concurrency": self.worker.capacity(),
                "running-threads": report.active,
            },
            "broker": { "transport": "amqp", "hostname": source.session.broker() },
            "rusage": {},
            "spinney": {
                "succeeded": report.succeeded,
                "failed": report.failed,
                "retried": report.retried,
                "revoked": report.revoked,
                "taken_over": report.taken_over,
                "put_back": report.put_back,
                "scheduled": report.scheduled,
                "reserved": report.reserved,
                "settling": report.settling,
            },
        })
    }

    fn revoke(&self, arguments: &Map<String, Value>, terminate: bool) -> Value {
        let ids = texts(arguments.get("task_id"));
        for id in &ids {
            tracing::info!(task_id = id, terminate, "revoked");
            self.worker.revoke(id, terminate);
        }
        json!({ "ok": format!("tasks {} flagged as revoked", ids.join(", ")) })
    }

    fn rate_limit(&self, arguments: &Map<String, Value>) -> Value {
        let name = text(arguments.get("task_name"));
        if !self.worker.source().tasks.contains_key(name.as_str()) {
            return json!({ "error": format!("unknown task: {name}") });
        }
        let limit = arguments.get("rate_limit").unwrap_or(&Value::Null);
        let is_text = limit.is_string() || limit.is_number() || limit.is_null();
        match parse_rate(&text(Some(limit))).filter(|_| is_text) {
            Some(every) => {
                self.worker.pace(&name, every);
                json!({ "ok": "new rate limit set successfully" })
            }
            None => json!({ "error": format!("Invalid rate limit string: {limit}") }),
        }
    }

    fn time_limit(&self, arguments: &Map<String, Value>) -> Value {
        let name = text(arguments.get("task_name"));
        let source = self.worker.source();
        if !source.tasks.contains_key(name.as_str()) {
            return json!({ "error": format!("unknown task: {name}") });
        }
        let seconds = |key: &str| {
            let seconds = arguments.get(key).and_then(Value::as_f64)?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        let limits = Limits { soft: seconds("soft"), hard: seconds("hard") };
        source.limits.lock().unwrap_or_else(PoisonError::into_inner).insert(name, limits);
        json!({ "ok": "time limits set successfully" })
    }

    fn resize(&self, arguments: &Map<String, Value>, sign: isize) -> Value {
        let Some(capacity) = self.worker.capacity() else {
            return json!({ "error": "the pool has no limit" });
        };
        let by = arguments.get("n").and_then(Value::as_u64).unwrap_or(1);
        let by = isize::try_from(by).unwrap_or(isize::MAX).saturating_mul(sign);
        // One slot is left, as Celery leaves one process.
        self.worker.resize(capacity.saturating_add_signed(by).max(1));
        json!({ "ok": if sign > 0 { "pool will grow" } else { "pool will shrink" } })
    }
}

/// Whether a value is true; Flower sends the number 1.
fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => *value,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        _ => false,
    }
}

/// One text, or a list of them.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(list)) => {
            list.iter().filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect()
        }
        Some(Value::String(text)) => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// A text, or a number as one.
fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The time between two starts by a rate like `"10/m"`; `Some(None)` is no limit.
#[expect(clippy::option_option, reason = "wrong, no limit, and a limit")]
pub(crate) fn parse_rate(text: &str) -> Option<Option<Duration>> {
    let (count, period) = match text.split_once('/') {
        Some((count, "s")) => (count, 1.0),
        Some((count, "m")) => (count, 60.0),
        Some((count, "h")) => (count, 3600.0),
        Some(_) => return None,
        None if text.is_empty() => return Some(None),
        None => (text, 1.0),
    };
    let count: f64 = count.trim().parse().ok()?;
    if count == 0.0 {
        return Some(None);
    }
    Duration::try_from_secs_f64(period / count).ok().map(Some)
}

/// Whether a pattern of `*`, `?` and letters matches `text`.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when a letter does not match: behind the last star, with one more letter in it.
    let mut star = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[seen] => {
                (at, seen) = (at + 1, seen + 1);
            }
            _ => {
                let Some((behind, from)) = star else { return false };
                star = Some((behind, from + 1));
                (at, seen) = (behind, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

/// The seconds since 1970 of a time on the worker's clock.
fn seconds_of(instant: Instant) -> f64 {
    let ago = Clock::current().now().saturating_duration_since(instant);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(ago).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{matches_glob, parse_rate};

    #[test]
    fn rates_are_read_as_celery_writes_them() {
        let seconds = |text: &str| parse_rate(text).unwrap().map(|every| every.as_secs_f64());
        assert_eq!(seconds("10/m"), Some(6.0));
        assert_eq!(
            (seconds("2"), seconds("100/h"), seconds("0"), seconds("")),
            (Some(0.5), Some(36.0), None, None)
        );
        assert_eq!(parse_rate("4/s").unwrap(), Some(Duration::from_millis(250)));
        assert!(["many", "1/d", "-1/s", "1/"].iter().all(|text| parse_rate(text).is_none()));
    }

    #[test]
    fn patterns_match_names_of_workers() {
        for pattern in ["*", "w1@host", "w?@host", "*@host", "w1@*", "*1*st", "**"] {
            assert!(matches_glob(pattern, "w1@host"), "{pattern}");
        }
        for pattern in ["", "w2@host", "*@hos", "w1@host?", "@*"] {
            assert!(!matches_glob(pattern, "w1@host"), "{pattern}");
        }
        assert!(!matches_glob(&"*a".repeat(100), &"a".repeat(99)), "and ends");
    }
}
