//! gevent's maps, on groups and pools.

use std::rc::Rc;

use futures_lite::StreamExt;
use serde_json::{Value, json};
use spinney::TaskSet;
use spinney::gevent::GroupExt as _;
use spinney::map::Imap;
use spinney::map::from_stream;
use spinney::task::spawn_on;
use spinney_sim::SimHub;

use super::entry::Ended;
use super::gated::Gated;
use super::gevent::killed;
use super::inputs::{Feed, Input};
use super::results::Iteration;
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
    // Its waiter may go away; the map goes on.
    Ended::from(gathering.await).told(killed)
}

/// `map` and `map_async` with our own verbs.
async fn our_map(api: Api, op: &Value, tasks: &TaskSet<SimHub>) -> Value {
    let func = move |(spec, extra)| task(api, spec, extra);
    if op["op"] == "map_async" {
        let greenlet = tasks.map_async(func, from_stream(Input::of(op).stream()));
        let list = async move { greenlet.await.map_or_else(|f| Err(f.to_string()), list_of) };
        world().register(text(op, "name"), spawn_on(&world().hub, list));
        return ok(Value::Null);
    }
    match tasks.map(func, from_stream(Input::of(op).stream())).await {
        Ok(outcomes) => list_of(outcomes).map_or_else(err, ok),
        Err(error) => Ended::from(&*error).told(killed),
    }
}

/// The values, or the first error.
fn list_of(outcomes: Vec<Outcome>) -> Outcome {
    outcomes.into_iter().collect::<Result<Vec<_>, _>>().map(Value::from)
}

/// gevent's map: a greenlet that starts all items, and then waits for them in turn. Items after a
/// failed one run on.
async fn gather(api: Api, op: Value, on: Either) -> Outcome {
    let list = match &on {
        Either::Pool(pool) if pool.is_gated() => map_by_spawns(api, &op, pool).await?,
        _ => map_by_items(api, &op, on.tasks()).await?,
    };
    if let Some(label) = op["cb"].as_str() {
        world().log(label, "cb", json!({ "value": list }));
    }
    Ok(list.into())
}

/// A map whose items are spawned in a pool with a gate.
async fn map_by_spawns(api: Api, op: &Value, pool: &Gated) -> Result<Vec<Value>, String> {
    let feed = Rc::new(Feed::default());
    let mut items = Box::pin(Input::of(op).fed(&feed).stream());
    let mut greenlets = Vec::new();
    while let Some((spec, extra)) = items.next().await {
        greenlets.push(pool.spawn(task(api, spec, extra)).await);
    }
    feed.error()?;
    let mut list = Vec::new();
    for greenlet in greenlets {
        list.push(Ended::from(greenlet.await).outcome()?);
    }
    Ok(list)
}

/// A map of ours, read once all its items have started.
async fn map_by_items(api: Api, op: &Value, tasks: &TaskSet<SimHub>) -> Result<Vec<Value>, String> {
    let feed = Rc::new(Feed::default());
    let imap = Input::of(op).fed(&feed).imap(api, tasks.mapper().unbounded());
    let mut reader = Reader { imap: Some(imap), feed };
    reader.feed.wait().await;
    reader.feed.error()?;
    let mut list = Vec::new();
    while let Some(result) = reader.next().await {
        list.push(result?);
    }
    Ok(list)
}

/// Reads a map. When it is dropped, the map reads no further, and its items run on.
struct Reader {
    imap: Option<Imap<Outcome, SimHub>>,
    feed: Rc<Feed>,
}

impl Reader {
    async fn next(&mut self) -> Option<Outcome> {
        let ended = match self.imap.as_mut()?.next().await? {
            Ok(outcome) => Ended::from(Ok(outcome)),
            Err(error) => Ended::from(&*error),
        };
        Some(ended.outcome())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.feed.finish(Ok(()));
        if let Some(imap) = self.imap.take() {
            imap.detach();
        }
    }
}

pub(super) fn imap(who: &Who, op: &Value, tasks: &TaskSet<SimHub>) {
    let api = who.api;
    let bound = if op["maxsize"].is_null() { 0 } else { number(op, "maxsize") };
    let mapper = tasks.mapper();
    let mapper = if bound > 0 { mapper.maxsize(bound) } else { mapper.unbounded() };
    let imap = Input::of(op).imap(api, mapper);
    world().register_iteration(text(op, "name"), Iteration::new(imap, None, killed));
}
