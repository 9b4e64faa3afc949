//! Maps of a scenario: their inputs, and what comes of them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::Pin;

use futures_lite::{Stream, stream};
use serde_json::{Value, json};
use spinney::{Imap, sleep};
use spinney_sim::SimHub;

use super::entry::Ended;
use super::script::{text, ticks};
use super::world::{Outcome, err, ok, world};

/// An iterator of the original, which its script may forget without the map being the less for it.
pub(super) struct Iteration {
    imap: RefCell<Imap<Outcome, SimHub>>,
    /// What a task gives that was killed.
    killed: fn() -> Value,
}

impl Iteration {
    pub(super) fn new(imap: Imap<Outcome, SimHub>, killed: fn() -> Value) -> Self {
        Self { imap: RefCell::new(imap), killed }
    }

    /// What the op `next` gives.
    pub(super) async fn next(&self) -> Value {
        match poll_fn(|cx| Pin::new(&mut *self.imap.borrow_mut()).poll_next(cx)).await {
            None => json!({ "stop": true }),
            Some(Ok(Ok(value))) => ok(value),
            Some(Ok(Err(error))) => err(error),
            Some(Err(failure)) => Ended::from(&*failure).told(self.killed),
        }
    }
}

/// The iterable of an op: tasks, each with what else the function is called with.
pub(super) fn iterable(op: &Value) -> impl Stream<Item = (Value, Option<Value>)> + use<> {
    let op = op.clone();
    stream::unfold(0, move |index| {
        let op = op.clone();
        async move {
            let item = pull(&op, index).await?;
            let extra = match op["second"].as_array() {
                Some(second) => Some(second.get(index)?.clone()),
                None => None,
            };
            Some(((item, extra), index + 1))
        }
    })
}

async fn pull(op: &Value, index: usize) -> Option<Value> {
    let item = match op["items"].as_array() {
        Some(items) => items.get(index).cloned(),
        None => generate(&op["gen"], index),
    };
    let Some(item) = item else {
        if op["end_gap"].is_u64() {
            sleep(ticks(op, "end_gap")).await;
        }
        if let Some(message) = op["iter_raise"].as_str() {
            resume_unwind(Box::new(format!("Boom:{message}")));
        }
        return None;
    };
    if index > 0 && op["gap"].is_u64() {
        sleep(ticks(op, "gap")).await;
    }
    if op["log_pulls"] == true {
        let label = if op["name"].is_string() { "name" } else { "op" };
        world().log(text(op, label), "pull", item["name"].clone());
    }
    Some(item)
}

fn generate(r#gen: &Value, index: usize) -> Option<Value> {
    let count = r#gen["count"].as_u64()?;
    let durations = r#gen["d"].as_array().filter(|durations| !durations.is_empty())?;
    let prefix = r#gen["prefix"].as_str()?;
    let d = &durations[index % durations.len()];
    let item = json!({ "name": format!("{prefix}{index}"), "d": d, "ret": index });
    ((index as u64) < count).then_some(item)
}
