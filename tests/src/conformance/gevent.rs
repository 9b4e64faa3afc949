//! gevent's ops, on greenlets.

use std::rc::Rc;

use serde_json::{Value, json};
use spinney::task::{GreenletExit, Iwait, spawn_on};
use spinney::{Handle, sleep};
use spinney_greenlet::pair;

use super::entry::{Ended, Entry, starter};
use super::objects::Object;
use super::script::{Who, exit_of, limited, number, task, text, ticks};
use super::task_sets;
use super::threads;
use super::world::{World, err, ok, world};

/// A killed greenlet is successful, and this is its value.
pub(super) fn killed() -> Value {
    ok("!GreenletExit")
}

/// The outcome of an op; `None` if there is no such op.
pub(super) async fn run(who: &Who, name: &str, op: &Value) -> Option<Value> {
    if !op["on"].is_null() {
        return on_object(who, name, op).await;
    }
    let spec = &op["task"];
    match name {
        "go" => {
            let world = world();
            let greenlet = spawn_on(&world.hub, task(who.api, spec.clone(), None));
            world.register(text(spec, "name"), greenlet);
        }
        "new" => drop(new(who, spec)),
        "go_later" => start_later(&new(who, spec), op),
        "joinall" | "iwait" | "killall" => return Some(on_several(who, name, op).await),
        "start" | "start_later" | "gkill" | "gjoin" | "gget" | "gstate" | "link" | "unlink"
        | "tp_get" | "tp_ready" => {
            let Some(entry) = world().task(text(op, "task")) else { return Some(err("NoHandle")) };
            return on_greenlet(name, op, &entry).await;
        }
        _ => return None,
    }
    Some(ok(Value::Null))
}

fn new(who: &Who, spec: &Value) -> Rc<Entry> {
    let (task, greenlet) = pair(task(who.api, spec.clone(), None), ());
    world().register_unstarted(text(spec, "name"), greenlet, starter(task))
}

/// Starts it after the op's delay, unless it is dead then.
fn start_later(entry: &Rc<Entry>, op: &Value) {
    let (delay, later) = (ticks(op, "d"), Rc::clone(entry));
    entry.is_scheduled.set(true);
    world().spawn(async move {
        sleep(delay).await;
        later.start();
    });
}

async fn on_greenlet(name: &str, op: &Value, entry: &Rc<Entry>) -> Option<Value> {
    let handle = &entry.handle;
    match name {
        "start" if entry.is_unstarted() => entry.start(),
        "start_later" if entry.is_unstarted() => start_later(entry, op),
        "start" | "start_later" => {}
        "gkill" => {
            kill(entry, exit_of(op));
            // A greenlet that had not run is dead after the call.
            if op["block"] != false && !handle.is_ready() {
                limited(op, handle.join()).await;
            }
        }
        "gjoin" => drop(limited(op, handle.join()).await),
        "tp_ready" => {
            let (ready, successful) = (entry.ended().is_some(), entry.is_successful());
            return Some(ok(json!({ "ready": ready, "successful": successful })));
        }
        "gget" | "tp_get" => {
            if op["block"] != false && limited(op, handle.join()).await.is_none() {
                return Some(err("Timeout"));
            }
            return Some(entry.ended().map_or_else(|| err("Timeout"), |ended| ended.told(killed)));
        }
        "gstate" => return Some(ok(state(entry))),
        "link" => link(op, entry),
        "unlink" => {
            let link = entry.links.borrow_mut().remove(text(op, "label"));
            link.map(|link| handle.unlink(link));
        }
        _ => return None,
    }
    Some(ok(Value::Null))
}

/// gevent's kill comes in its turn: a ready task runs before, up to its next wait. So a task that
/// was just served returns from that op first.
fn kill(entry: &Rc<Entry>, exit: GreenletExit) {
    let is_self = Handle::current().is_some_and(|current| current == entry.handle);
    if is_self || !entry.has_begun() {
        return entry.kill(exit);
    }
    let entry = Rc::clone(entry);
    world().spawn(async move { entry.kill(exit) });
}

fn link(op: &Value, entry: &Rc<Entry>) {
    let (task, label) = (text(op, "task").to_owned(), text(op, "label").to_owned());
    let (how, callback) = (text(op, "how").to_owned(), label.clone());
    let tell = move |world: &World| {
        let Some(entry) = world.task(&task) else { return };
        let successful = entry.is_successful();
        let wanted = match how.as_str() {
            "value" => successful,
            "exception" => !successful,
            _ => true,
        };
        if wanted {
            world.log(&callback, "cb", json!({ "task": task, "successful": successful }));
        }
    };
    let link = entry.handle.link(move |_| World::current(tell));
    entry.links.borrow_mut().insert(label, link);
}

fn state(entry: &Entry) -> Value {
    let ended = entry.ended();
    let (value, exception) = match &ended {
        Some(Ended::Value(value)) => (value.clone(), Value::Null),
        Some(Ended::Killed) => ("!GreenletExit".into(), Value::Null),
        Some(Ended::Error(error)) => (Value::Null, format!("!{error}").into()),
        None => (Value::Null, Value::Null),
    };
    json!({
        "ready": ended.is_some(),
        "successful": entry.is_successful(),
        "value": value,
        "exception": exception,
        "started": entry.is_started(),
        "dead": ended.is_some(),
    })
}

/// The op's tasks; `None` if one has no handle.
fn several(op: &Value) -> Option<Vec<(String, Rc<Entry>)>> {
    let names = op["tasks"].as_array()?.iter().map(|name| name.as_str().unwrap_or_default());
    names.map(|name| Some((name.to_owned(), world().task(name)?))).collect()
}

async fn on_several(who: &Who, name: &str, op: &Value) -> Value {
    let Some(tasks) = several(op) else { return err("NoHandle") };
    if name == "killall" {
        return killall(op, &tasks).await;
    }
    let count = if op["count"].is_null() { usize::MAX } else { number(op, "count") };
    let mut ended = Vec::new();
    let mut failed = None;
    let waited = async {
        let mut set: Iwait<Handle> = tasks.iter().map(|(_, entry)| entry.handle.clone()).collect();
        while ended.len() < count {
            let Some(handle) = set.next().await else { break };
            let of_it = |(_, entry): &&(String, Rc<Entry>)| entry.handle == handle;
            let (task, entry) = tasks.iter().find(of_it).expect("the task was put in");
            if name == "iwait" {
                world().log(&who.name, "iwait_item", task.as_str().into());
            }
            if let (true, Some(Ended::Error(error))) = (op["raise_error"] == true, entry.ended()) {
                failed = Some(error);
                break;
            }
            ended.push(task.as_str());
        }
    };
    limited(op, waited).await;
    match failed {
        Some(error) => err(error),
        None if name == "iwait" => ok(ended.len()),
        None => ok(ended),
    }
}

async fn killall(op: &Value, tasks: &[(String, Rc<Entry>)]) -> Value {
    for (_, entry) in tasks {
        entry.kill(exit_of(op));
    }
    if op["block"] == false {
        return ok(Value::Null);
    }
    let joined = async {
        for (_, entry) in tasks {
            entry.handle.join().await;
        }
    };
    limited(op, joined).await.map_or_else(|| err("Timeout"), |()| ok(Value::Null))
}

async fn on_object(who: &Who, name: &str, op: &Value) -> Option<Value> {
    let world = world();
    match world.object(op)? {
        Object::TaskSet(tasks) => task_sets::run(who, name, op, tasks).await,
        Object::Result(result) => result.run(name, op).await,
        Object::Semaphore(semaphore) => semaphore.run(name, op).await,
        Object::RLock(lock) => lock.run(name, op).await,
        Object::Queue(queue) => queue.run(name, op).await,
        Object::Threads(threads) => threads::run(name, op, threads).await,
        Object::Event(event) => match name {
            "set" => {
                event.set();
                Some(ok(Value::Null))
            }
            "clear" => {
                event.clear();
                Some(ok(Value::Null))
            }
            "wait" => Some(ok(limited(op, event.wait()).await.is_some())),
            _ => None,
        },
        _ => None,
    }
}
