//! Maps of a scenario: their inputs, and what comes of them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::Poll;

use futures_lite::{Stream, stream};
use serde_json::{Value, json};
use spinney::{Imap, ItemError, sleep};
use spinney_sim::SimHub;

use super::script::ticks;
use super::world::{Ended, Outcome, err, failure_of, ok, world};

/// An iterator of the original, which its script may forget without the map being the less for it.
pub(super) struct Iteration {
    imap: RefCell<Option<Imap<Outcome, SimHub>>>,
}

impl Iteration {
    pub(super) fn new(imap: Imap<Outcome, SimHub>) -> Self {
        Self { imap: RefCell::new(Some(imap)) }
    }

    pub(super) async fn next(&self) -> Option<Result<Outcome, ItemError>> {
        poll_fn(|cx| match &mut *self.imap.borrow_mut() {
            Some(imap) => Pin::new(imap).poll_next(cx),
            None => Poll::Ready(None),
        })
        .await
    }

    /// What the op `next` gives. A task that was killed is a value in gevent.
    pub(super) async fn next_value(&self, killed: fn() -> Value) -> Value {
        match self.next().await {
            None => json!({ "stop": true }),
            Some(result) => value_of(result, killed),
        }
    }
}

pub(super) fn value_of(result: Result<Outcome, ItemError>, killed: fn() -> Value) -> Value {
    match result {
        Ok(Ok(value)) => ok(value),
        Ok(Err(error)) => err(error),
        Err(error) => match failure_of(&error) {
            Ended::Value(value) => ok(value),
            Ended::Error(error) => err(error),
            Ended::Killed => killed(),
        },
    }
}

/// The iterable of an op: tasks, each with what else the function is called with.
pub(super) fn iterable(op: &Value) -> impl Stream<Item = (Value, Option<Value>)> + use<> {
    let op = op.clone();
    stream::unfold(0, move |index| {
        let op = op.clone();
        async move {
            let item = pull(&op, index).await?;
            let second = op["second"].as_array();
            let extra = match second {
                Some(second) => Some(second.get(index)?.clone()),
                None => None,
            };
            Some(((item, extra), index + 1))
        }
    })
}

async fn pull(op: &Value, index: usize) -> Option<Value> {
    let item = match (&op["items"], &op["gen"]) {
        (Value::Array(items), _) => items.get(index).cloned(),
        (_, r#gen) => generate(r#gen, index),
    };
    let Some(item) = item else {
        if let Some(message) = op["iter_raise"].as_str() {
            resume_unwind(Box::new(format!("Boom:{message}")));
        }
        return None;
    };
    if let Some(gap) = op["gap"].as_u64().filter(|_| index > 0) {
        sleep(ticks(gap)).await;
    }
    if op["log_pulls"] == true {
        let name = op["name"].as_str().expect("an iterator has a name");
        world().log(name, "pull", item["name"].clone());
    }
    Some(item)
}

fn generate(r#gen: &Value, index: usize) -> Option<Value> {
    let count = r#gen["count"].as_u64()?;
    let durations = r#gen["d"].as_array()?;
    let prefix = r#gen["prefix"].as_str()?;
    let d = &durations[index % durations.len()];
    let item = json!({ "name": format!("{prefix}{index}"), "d": d, "ret": index });
    ((index as u64) < count).then_some(item)
}
