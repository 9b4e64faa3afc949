//! Maps of a scenario: their inputs, and what comes of them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;

use futures_lite::{Stream, stream};
use serde_json::{Value, json};
use spinney::{Imap, Semaphore, sleep};
use spinney_sim::SimHub;

use super::entry::Ended;
use super::script::{text, ticks};
use super::world::{Outcome, err, ok, world};

/// An iterator of the original, which its script may forget without the map being the less for it.
pub(super) struct Iteration {
    imap: RefCell<Imap<Outcome, SimHub>>,
    ahead: Ahead,
    /// What a task gives that was killed.
    killed: fn() -> Value,
}

impl Iteration {
    pub(super) fn new(imap: Imap<Outcome, SimHub>, ahead: Ahead, killed: fn() -> Value) -> Self {
        Self { imap: RefCell::new(imap), ahead, killed }
    }

    /// What the op `next` gives.
    pub(super) async fn next(&self) -> Value {
        if let Some(ahead) = &self.ahead {
            ahead.release(1);
        }
        match poll_fn(|cx| Pin::new(&mut *self.imap.borrow_mut()).poll_next(cx)).await {
            None => json!({ "stop": true }),
            Some(Ok(Ok(value))) => ok(value),
            Some(Ok(Err(error))) => err(error),
            Some(Err(failure)) => Ended::from(&*failure).told(self.killed),
        }
    }
}

/// A permit for each item that eventlet's map may read: it reads one more when the reader asks for
/// a result. None if the map itself decides how far it reads.
pub(super) type Ahead = Option<Rc<Semaphore>>;

/// The iterable of an op: tasks, each with what else the function is called with.
pub(super) fn iterable(op: &Value) -> impl Stream<Item = (Value, Option<Value>)> + use<> {
    iterable_ahead(op, None)
}

/// As [`iterable`], read no further than `ahead` allows.
pub(super) fn iterable_ahead(
    op: &Value,
    ahead: Ahead,
) -> impl Stream<Item = (Value, Option<Value>)> + use<> {
    let op = op.clone();
    stream::unfold(0, move |index| {
        let (op, ahead) = (op.clone(), ahead.clone());
        async move {
            if let Some(ahead) = ahead {
                ahead.acquire().await.expect("it is never closed").forget();
            }
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
