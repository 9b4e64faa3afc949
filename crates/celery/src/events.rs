//! [`Events`]: the events that a worker sends to monitors, for example to Flower.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt;
use lapin::ExchangeKind;
use serde_json::{Map, Value, json};
use spinney_hub::sleep;
use spinney_jobs::{Outcome, Step};

use crate::message::{Message, RawMessage, json_properties};
use crate::session::{Link, header};
use crate::source::Amqp;

const EXCHANGE: &str = "celeryev";

/// The time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How many events may wait; further events are dropped, because events may be lost.
const WAITING: usize = 10_000;

/// The events of a worker. They may be lost: a monitor misses them, no task does.
pub(crate) struct Events {
    hostname: String,
    /// Whether events of tasks are sent.
    enabled: AtomicBool,
    queue: (Sender<Value>, Receiver<Value>),
    active: AtomicUsize,
    pub(crate) processed: AtomicUsize,
    /// The logical clock of the protocol.
    clock: AtomicI64,
}

impl Events {
    pub(crate) fn new(hostname: String, enabled: bool) -> Self {
        Self {
            hostname,
            enabled: AtomicBool::new(enabled),
            queue: async_channel::bounded(WAITING),
            active: AtomicUsize::new(0),
            processed: AtomicUsize::new(0),
            clock: AtomicI64::new(0),
        }
    }

    pub(crate) fn enable(&self, enabled: bool) {
        self.enabled.store(enabled, Relaxed);
    }

    pub(crate) fn tick(&self) -> i64 {
        self.clock.fetch_add(1, Relaxed) + 1
    }

    /// Notes a step of a task.
    pub(crate) fn task(&self, job: &Arc<Message>, step: &Step<'_, Amqp>) {
        match step {
            Step::Started => drop(self.active.fetch_add(1, Relaxed)),
            Step::Ended { ran: Some(_), .. } => {
                self.active.fetch_sub(1, Relaxed);
                self.processed.fetch_add(1, Relaxed);
            }
            _ => {}
        }
        if !self.enabled.load(Relaxed) {
            return;
        }
        let (kind, more) = match step {
            Step::Received => ("task-received", received(job)),
            Step::Started => ("task-started", json!({})),
            Step::TakenOver | Step::NotSettled(_) => return,
            Step::Ended { outcome, ran } => {
                let runtime = ran.map_or(0.0, |ran| ran.as_secs_f64());
                ended(job, outcome, runtime)
            }
        };
        let mut event = json!({ "uuid": &*job.id });
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        self.send(kind, event);
    }

    fn send(&self, kind: &str, mut event: Value) {
        if let Some(event) = event.as_object_mut() {
            self.sign(kind, event);
        }
        // An event is dropped when the queue is full.
        let _ = self.queue.0.try_send(event);
    }

    fn sign(&self, kind: &str, event: &mut Map<String, Value>) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        event.insert("type".into(), kind.into());
        event.insert("hostname".into(), self.hostname.as_str().into());
        event.insert("utcoffset".into(), 0.into());
        event.insert("pid".into(), std::process::id().into());
        event.insert("clock".into(), self.tick().into());
        event.insert("timestamp".into(), now.as_secs_f64().into());
    }

    fn worker(&self, kind: &str) {
        let event = json!({
            "freq": HEARTBEAT.as_secs_f64(),
            "sw_ident": "spinney-celery",
            "sw_ver": env!("CARGO_PKG_VERSION"),
            "sw_sys": std::env::consts::OS,
            "active": self.active.load(Relaxed),
            "processed": self.processed.load(Relaxed),
            "loadavg": [0.0, 0.0, 0.0],
        });
        self.send(kind, event);
    }

    /// Sends the last events of a worker, that it goes offline.
    pub(crate) async fn say_offline(&self, link: &Link) {
        self.worker("worker-offline");
        while let Ok(event) = self.queue.1.try_recv() {
            if publish(link, &event).await.is_err() {
                return;
            }
        }
    }

    /// Sends events on a connection until it fails.
    pub(crate) async fn serve(&self, link: &Link) -> Result<(), lapin::Error> {
        link.exchange(EXCHANGE, ExchangeKind::Topic, true).await?;
        self.worker("worker-online");
        let beats = async {
            loop {
                self.worker("worker-heartbeat");
                sleep(HEARTBEAT).await;
            }
        };
        let sends = async {
            while let Ok(event) = self.queue.1.recv().await {
                publish(link, &event).await?;
            }
            Ok(())
        };
        sends.or(beats).await
    }
}

async fn publish(link: &Link, event: &Value) -> Result<(), lapin::Error> {
    let hostname = event["hostname"].as_str().unwrap_or_default();
    let properties =
        json_properties().with_delivery_mode(1).with_headers(header("hostname", hostname));
    let routing_key = event["type"].as_str().unwrap_or_default().replace('-', ".");
    let body = event.to_string().into_bytes();
    let raw = RawMessage { exchange: EXCHANGE.into(), routing_key, properties, body };
    link.publish_unconfirmed(raw).await
}

fn received(job: &Message) -> Value {
    json!({
        "name": &*job.name,
        "args": job.header("argsrepr"),
        "kwargs": job.header("kwargsrepr"),
        "root_id": job.root(),
        "parent_id": job.parent_id,
        "retries": job.retries,
        "eta": job.eta.map(|eta| eta.to_string()),
        "expires": job.expires.map(|expires| expires.to_string()),
    })
}

fn ended(
    job: &Message,
    outcome: &Outcome<Box<serde_json::value::RawValue>, crate::TaskError>,
    runtime: f64,
) -> (&'static str, Value) {
    match outcome {
        Outcome::Done(value) => {
            ("task-succeeded", json!({ "result": value.get(), "runtime": runtime }))
        }
        Outcome::Retried { error, .. } => failed("task-retried", job, error),
        Outcome::Failed(error) => failed("task-failed", job, error),
        Outcome::Revoked => {
            ("task-revoked", json!({ "terminated": true, "signum": null, "expired": false }))
        }
        Outcome::Expired => {
            ("task-revoked", json!({ "terminated": false, "signum": null, "expired": true }))
        }
        Outcome::Panicked(text) => {
            failed("task-failed", job, &crate::TaskError::new("RuntimeError", text))
        }
        Outcome::SoftLimit(limit) | Outcome::HardLimit(limit) => {
            let error = crate::TaskError::new("TimeLimitExceeded", format!("{limit:?}"));
            failed("task-failed", job, &error)
        }
    }
}

fn failed(kind: &'static str, job: &Message, error: &crate::TaskError) -> (&'static str, Value) {
    let exception = format!("{}({:?})", error.exception(), error.text());
    (kind, json!({ "exception": exception, "traceback": error.traceback(&job.name) }))
}
