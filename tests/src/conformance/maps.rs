//! gevent's maps, on groups and pools.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use futures_lite::StreamExt;
use serde_json::{Value, json};
use spinney::map::from_stream;
use spinney::{TaskSet, spawn_on};
use spinney_sim::SimHub;

use super::entry::Ended;
use super::gevent::killed;
use super::results::{Iteration, iterable};
use super::script::{Api, Who, number, task, text};
use super::task_sets::Either;
use super::world::{Manner, Outcome, err, ok, world};

/// `map` and `map_async`.
pub(super) async fn map(who: &Who, op: &Value, on: &Either) -> Value {
    if world().manner == Manner::InPlace {
        return our_map(who.api, op, on.tasks()).await;
    }
    let gathering = spawn_on(&world().hub, gather(who.api, op.clone(), on.clone()));
    if op["op"] == "map_async" {
        world().register(text(op, "name"), gathering);
        return ok(Value::Null);
    }
    // Whoever waits for it may go away; it goes on.
    Ended::from(gathering.await).told(killed)
}

/// `map` and `map_async` by our own verbs.
async fn our_map(api: Api, op: &Value, tasks: &TaskSet<SimHub>) -> Value {
    let func = move |(spec, extra)| task(api, spec, extra);
    if op["op"] == "map_async" {
        let greenlet = tasks.map_async(func, from_stream(iterable(op)));
        let list = async move { greenlet.await.map_or_else(|f| Err(f.to_string()), list_of) };
        world().register(text(op, "name"), spawn_on(&world().hub, list));
        return ok(Value::Null);
    }
    match tasks.map(func, from_stream(iterable(op))).await {
        Ok(outcomes) => list_of(outcomes).map_or_else(err, ok),
        Err(error) => Ended::from(&*error).told(killed),
    }
}

/// The values, or the first error.
fn list_of(outcomes: Vec<Outcome>) -> Outcome {
    outcomes.into_iter().collect::<Result<Vec<_>, _>>().map(Value::from)
}

/// gevent's map: a greenlet that spawns all, and then waits for one after the other. It goes on
/// with those behind one that failed, where ours kills them.
async fn gather(api: Api, op: Value, on: Either) -> Outcome {
    let mut items = Box::pin(iterable(&op));
    let mut greenlets = Vec::new();
    while let Some((spec, extra)) = caught(items.next()).await? {
        greenlets.push(on.spawn(task(api, spec, extra)).await);
    }
    let mut list = Vec::new();
    for greenlet in greenlets {
        list.push(Ended::from(greenlet.await).outcome()?);
    }
    if let Some(label) = op["cb"].as_str() {
        world().log(label, "cb", json!({ "value": list }));
    }
    Ok(list.into())
}

/// What `future` comes to, or the text that it raised.
async fn caught<F: Future + Unpin>(mut future: F) -> Result<F::Output, String> {
    poll_fn(move |cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut future).poll(cx)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(payload) => {
                Poll::Ready(Err(payload.downcast().map_or("a panic".into(), |text| *text)))
            }
        }
    })
    .await
}

pub(super) fn imap(who: &Who, op: &Value, tasks: &TaskSet<SimHub>) {
    let api = who.api;
    let bound = if op["maxsize"].is_null() { 0 } else { number(op, "maxsize") };
    let mapper = tasks.mapper();
    let mapper = if bound > 0 { mapper.maxsize(bound) } else { mapper.unbounded() };
    let items = from_stream(iterable(op));
    let func = move |(spec, extra)| task(api, spec, extra);
    let imap = if op["unordered"] == true {
        mapper.imap_unordered(func, items)
    } else {
        mapper.imap(func, items)
    };
    world().register_iteration(text(op, "name"), Iteration::new(imap, None, killed));
}
