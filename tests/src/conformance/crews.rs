//! gevent's ops on groups and pools.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use futures_lite::StreamExt;
use serde_json::{Value, json};
use spinney::map::from_stream;
use spinney::{Crew, Failure, Group, Handle, Mapper, Pool};
use spinney_sim::SimHub;

use super::gevent::killed;
use super::objects::Object;
use super::results::{Iteration, iterable};
use super::script::{Api, Who, exit_of, limited, task};
use super::world::{Ended, Entry, Outcome, err, failure_of, ok, world};

/// A group or a pool.
#[derive(Clone)]
enum Either {
    Group(Group<SimHub>),
    Pool(Pool<SimHub>),
}

impl Either {
    fn crew(&self) -> &Crew<SimHub> {
        match self {
            Self::Group(group) => group,
            Self::Pool(pool) => pool,
        }
    }
}

pub(super) async fn run(who: &Who, name: &str, op: &Value) -> Value {
    let either = match world().object(op) {
        Object::Group(group) => Either::Group(group.clone()),
        Object::Pool(pool) => Either::Pool(pool.clone()),
        _ => panic!("neither group nor pool"),
    };
    let crew = either.crew();
    let spec = op["task"].clone();
    match name {
        "spawn" => {
            let script = task(who.api, spec.clone(), None);
            let greenlet = match &either {
                Either::Group(group) => group.spawn(script),
                Either::Pool(pool) => pool.spawn(script).await,
            };
            world().register(spec["name"].as_str().expect("a name"), greenlet);
            ok(Value::Null)
        }
        "pstart" | "add" => match world().task(spec.as_str().expect("a task's name")) {
            Some(entry) => add(name, op, &either, &entry).await,
            None => err("NoHandle"),
        },
        "discard" => match world().task(spec.as_str().expect("a task's name")) {
            Some(entry) => {
                crew.discard(&entry.handle);
                ok(Value::Null)
            }
            None => err("NoHandle"),
        },
        "contains" => match world().task(spec.as_str().expect("a task's name")) {
            Some(entry) => ok(crew.contains(&entry.handle)),
            None => err("NoHandle"),
        },
        "killone" => match world().task(spec.as_str().expect("a task's name")) {
            Some(entry) => {
                let ended = crew.killone_with(&entry.handle, exit_of(op));
                if op["block"] != false {
                    limited(op, ended).await;
                }
                ok(Value::Null)
            }
            None => err("NoHandle"),
        },
        "map" | "map_async" | "imap" => map(who, name, op, &either).await,
        "apply" | "apply_cb" | "apply_async" => apply(who, name, op, crew).await,
        "join" => join(op, crew).await,
        "kill" => {
            if op["block"] == false {
                crew.kill_now_with(exit_of(op));
            } else {
                limited(op, crew.kill_with(exit_of(op))).await;
            }
            ok(Value::Null)
        }
        "wait_available" => match &either {
            Either::Group(_) => ok(Value::Null),
            Either::Pool(pool) => {
                limited(op, pool.wait_available()).await;
                ok(pool.capacity().map_or(1, |_| pool.free_count()))
            }
        },
        _ => panic!("no op {name} of a pool"),
    }
}

async fn add(name: &str, op: &Value, either: &Either, entry: &Entry) -> Value {
    match either {
        Either::Group(group) => {
            group.add(&entry.handle);
        }
        Either::Pool(pool) if op["blocking"] == false => {
            if pool.try_add(&entry.handle).is_err() {
                return err("PoolFull");
            }
        }
        Either::Pool(pool) => {
            if limited(op, pool.add(&entry.handle)).await.is_none() {
                return err("PoolFull");
            }
        }
    }
    if name == "pstart" && !entry.is_scheduled.get() {
        entry.start();
    }
    ok(Value::Null)
}

async fn map(who: &Who, name: &str, op: &Value, either: &Either) -> Value {
    if name == "imap" {
        imap(who, op, either.crew());
        return ok(Value::Null);
    }
    let gathering = spinney::spawn_on(&world().hub, gather(who.api, op.clone(), either.clone()));
    if name == "map_async" {
        let name = op["name"].as_str().expect("a handle's name");
        world().register(name, gathering);
        return ok(Value::Null);
    }
    // Whoever waits for it may go away; it goes on.
    match gathering.await {
        Ok(Ok(list)) => ok(list),
        Ok(Err(error)) => err(error),
        Err(failure) => of_failure(&failure),
    }
}

/// gevent's map: a greenlet that spawns all, and then waits for one after the other.
async fn gather(api: Api, op: Value, either: Either) -> Outcome {
    let mut items = Box::pin(iterable(&op));
    let mut greenlets = Vec::new();
    loop {
        let next = AssertUnwindSafe(items.next());
        let (spec, extra) = match caught(next).await {
            Ok(Some(item)) => item,
            Ok(None) => break,
            Err(raised) => return Err(raised),
        };
        let script = task(api, spec, extra);
        greenlets.push(match &either {
            Either::Group(group) => group.spawn(script),
            Either::Pool(pool) => pool.spawn(script).await,
        });
    }
    let mut list = Vec::new();
    for greenlet in greenlets {
        list.push(match greenlet.await {
            Ok(outcome) => outcome?,
            Err(failure) => match failure_of(&failure) {
                Ended::Error(error) => return Err(error),
                _ => "!GreenletExit".into(),
            },
        });
    }
    if let Some(label) = op["cb"].as_str() {
        world().log(label, "cb", json!({ "value": list }));
    }
    Ok(Value::Array(list))
}

/// What `future` comes to, or what it raised.
async fn caught<F: Future + Unpin>(mut future: AssertUnwindSafe<F>) -> Result<F::Output, String> {
    poll_fn(move |cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut future.0).poll(cx)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(payload) => {
                let raised = payload.downcast::<String>().expect("an iterable raises a text");
                Poll::Ready(Err(*raised))
            }
        }
    })
    .await
}

fn imap(who: &Who, op: &Value, crew: &Crew<SimHub>) {
    let api = who.api;
    let mapper = crew.mapper();
    let bound = op["maxsize"].as_u64().filter(|bound| *bound > 0);
    let mapper: Mapper<SimHub> = match bound {
        Some(bound) => mapper.maxsize(usize::try_from(bound).expect("small")),
        None => mapper.unbounded(),
    };
    let items = from_stream(iterable(op));
    let func = move |(spec, extra)| task(api, spec, extra);
    let imap = if op["unordered"] == true {
        mapper.imap_unordered(func, items)
    } else {
        mapper.imap(func, items)
    };
    let iteration = Rc::new(Iteration::new(imap));
    // What is forgotten goes on, as far as it gets without a reader.
    world().forgotten.borrow_mut().push(Rc::clone(&iteration));
    let name = op["name"].as_str().expect("an iterator has a name").to_owned();
    world().iterations.borrow_mut().insert(name, iteration);
}

async fn apply(who: &Who, name: &str, op: &Value, crew: &Crew<SimHub>) -> Value {
    let script = task(who.api, op["task"].clone(), None);
    let label = op["cb"].as_str().map(str::to_owned);
    let callback = move |outcome: &Outcome| {
        if let (Some(label), Ok(value)) = (&label, outcome) {
            world().log(label, "cb", json!({ "value": value }));
        }
    };
    if name == "apply_async" {
        let greenlet = crew.apply_async_cb(script, callback);
        world().register(op["name"].as_str().expect("a handle's name"), greenlet);
        return ok(Value::Null);
    }
    match crew.apply_cb(script, callback).await {
        Ok(Ok(value)) => ok(value),
        Ok(Err(error)) => err(error),
        Err(failure) => of_failure(&failure),
    }
}

fn of_failure(failure: &Failure) -> Value {
    match failure_of(failure) {
        Ended::Value(value) => ok(value),
        Ended::Error(error) => err(error),
        Ended::Killed => killed(),
    }
}

async fn join(op: &Value, crew: &Crew<SimHub>) -> Value {
    let members = crew.members();
    // A member waits for itself, where ours is told so.
    let joined = limited(op, async {
        if crew.join().await.is_err() {
            pending::<()>().await;
        }
    });
    let joined = joined.await;
    if op["raise_error"] == true {
        for member in &members {
            if let Some(error) = error_of(member) {
                return err(error);
            }
        }
    }
    ok(joined.is_some())
}

/// What a member failed with that has ended.
fn error_of(member: &Handle) -> Option<String> {
    if let Some(failure) = member.failure() {
        return match failure_of(&failure) {
            Ended::Error(error) => Some(error),
            _ => None,
        };
    }
    world().outcomes.borrow().get(&member.id())?.clone().err()
}
