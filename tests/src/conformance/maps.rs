//! gevent's maps, on groups and pools.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use futures_lite::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use spinney::map::from_stream;
use spinney::{Event, Imap, TaskSet, spawn_on};
use spinney_sim::SimHub;

use super::entry::Ended;
use super::gated::Gated;
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

/// gevent's map: a greenlet that starts all items, and then waits for one after the other. The items
/// behind one that failed run on.
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

/// A map whose items are members of a pool with a gate.
async fn map_by_spawns(api: Api, op: &Value, pool: &Gated) -> Result<Vec<Value>, String> {
    let mut items = Box::pin(iterable(op));
    let mut greenlets = Vec::new();
    while let Some((spec, extra)) = caught(items.next()).await? {
        greenlets.push(pool.spawn(task(api, spec, extra)).await);
    }
    let mut list = Vec::new();
    for greenlet in greenlets {
        list.push(Ended::from(greenlet.await).outcome()?);
    }
    Ok(list)
}

/// A map of ours, read once all its items have started.
async fn map_by_items(api: Api, op: &Value, tasks: &TaskSet<SimHub>) -> Result<Vec<Value>, String> {
    let feed = Rc::new(Feed::default());
    let func = {
        let feed = Rc::clone(&feed);
        move |(spec, extra)| {
            feed.start();
            task(api, spec, extra)
        }
    };
    let items = from_stream(Feed::watch(&feed, iterable(op)));
    let imap = tasks.mapper().unbounded().imap(func, items);
    let mut reader = Reader { imap: Some(imap), feed };
    reader.feed.end().await?;
    let mut list = Vec::new();
    while let Some(result) = reader.next().await {
        list.push(result?);
    }
    Ok(list)
}

/// What a map has read and started.
#[derive(Default)]
struct Feed {
    read: Cell<usize>,
    started: Cell<usize>,
    /// How the iterable ended.
    ended: RefCell<Option<Result<(), String>>>,
    /// Set when the iterable has ended and all items have started.
    done: Event,
}

impl Feed {
    /// The items, up to the end or the error, or until the reader is gone.
    fn watch<S: Stream + 'static>(
        feed: &Rc<Self>,
        items: S,
    ) -> impl Stream<Item = S::Item> + use<S> {
        let state = (Rc::clone(feed), Box::pin(items));
        stream::unfold(state, |(feed, mut items)| async move {
            let pulled = caught(items.next()).await;
            let is_over = feed.ended.borrow().is_some();
            match pulled {
                Ok(Some(item)) if !is_over => {
                    feed.read.set(feed.read.get() + 1);
                    return Some((item, (feed, items)));
                }
                Ok(_) => feed.finish(Ok(())),
                Err(error) => feed.finish(Err(error)),
            }
            None
        })
    }

    fn start(&self) {
        self.started.set(self.started.get() + 1);
        self.look();
    }

    fn finish(&self, end: Result<(), String>) {
        self.ended.borrow_mut().get_or_insert(end);
        self.look();
    }

    fn look(&self) {
        if self.ended.borrow().is_some() && self.started == self.read {
            self.done.set();
        }
    }

    /// Waits until all items have started. The error is that of the iterable.
    async fn end(&self) -> Result<(), String> {
        self.done.wait().await;
        self.ended.borrow().clone().unwrap_or(Ok(()))
    }
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
        self.imap.take().map(Imap::detach);
    }
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
