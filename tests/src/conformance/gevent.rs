//! gevent's ops, on greenlets.

use std::rc::Rc;

use futures_lite::StreamExt;
use serde_json::{Value, json};
use spinney::{Handle, Iwait, pair, sleep};

use super::crews;
use super::objects::Object;
use super::script::{Who, exit_of, limited, task, ticks};
use super::world::{Ended, Entry, err, ok, starter, world};

/// A greenlet that was killed is successful, and this is its value.
pub(super) fn killed() -> Value {
    ok("!GreenletExit")
}

pub(super) async fn run(who: &Who, name: &str, op: &Value) -> Value {
    if op["on"].is_string() {
        return on_object(who, name, op).await;
    }
    match name {
        "go" => {
            let world = world();
            let greenlet = spinney::spawn_on(&world.hub, task(who.api, op["task"].clone(), None));
            world.register(name_of(&op["task"]), greenlet);
            ok(Value::Null)
        }
        "new" => {
            new(who, &op["task"]);
            ok(Value::Null)
        }
        "go_later" => {
            let entry = new(who, &op["task"]);
            start_later(&entry, op);
            ok(Value::Null)
        }
        "next" => {
            let it = op["it"].as_str().expect("an iterator");
            let iteration = world().iterations.borrow().get(it).cloned();
            match iteration {
                Some(iteration) => iteration.next_value(killed).await,
                None => err("NoHandle"),
            }
        }
        "joinall" | "iwait" | "killall" => on_several(who, name, op).await,
        _ => match world().task(op["task"].as_str().expect("a task's name")) {
            Some(entry) => on_greenlet(name, op, &entry).await,
            None => err("NoHandle"),
        },
    }
}

fn name_of(task: &Value) -> &str {
    task["name"].as_str().expect("a task has a name")
}

fn new(who: &Who, spec: &Value) -> Rc<Entry> {
    let world = world();
    let (task, greenlet) = pair(task(who.api, spec.clone(), None), ());
    let (name, handle) = (name_of(spec), greenlet.handle().clone());
    world.insert(name, handle, greenlet, Some(starter(task)), false);
    world.task(name).expect("it was made just now")
}

/// Starts it after the time that the op says, if it lives and was not started then.
fn start_later(entry: &Rc<Entry>, op: &Value) {
    let delay = ticks(op["d"].as_u64().expect("a time"));
    let later = Rc::clone(entry);
    entry.is_scheduled.set(true);
    world().spawn(async move {
        sleep(delay).await;
        later.start();
    });
}

async fn on_greenlet(name: &str, op: &Value, entry: &Rc<Entry>) -> Value {
    let handle = &entry.handle;
    match name {
        "start" => {
            if !entry.is_scheduled.get() {
                entry.start();
            }
            ok(Value::Null)
        }
        "start_later" => {
            if entry.unstarted.borrow().is_some() && !entry.is_scheduled.get() {
                start_later(entry, op);
            }
            ok(Value::Null)
        }
        "gkill" => {
            entry.kill(exit_of(op));
            // One that had not run is dead with the call.
            if op["block"] != false && !handle.is_ready() {
                limited(op, handle.join()).await;
            }
            ok(Value::Null)
        }
        "gjoin" => {
            limited(op, handle.join()).await;
            ok(Value::Null)
        }
        "gget" => {
            if op["block"] != false && limited(op, handle.join()).await.is_none() {
                return err("Timeout");
            }
            match entry.ended() {
                None => err("Timeout"),
                Some(Ended::Value(value)) => ok(value),
                Some(Ended::Error(error)) => err(error),
                Some(Ended::Killed) => killed(),
            }
        }
        "gstate" => ok(state(entry)),
        "link" => {
            link(op, entry);
            ok(Value::Null)
        }
        "unlink" => {
            let label = op["label"].as_str().expect("a label");
            let link = entry.links.borrow_mut().remove(label);
            if let Some(link) = link {
                handle.unlink(link);
            }
            ok(Value::Null)
        }
        _ => panic!("no op {name}"),
    }
}

fn link(op: &Value, entry: &Rc<Entry>) {
    let task = op["task"].as_str().expect("a task").to_owned();
    let label = op["label"].as_str().expect("a label").to_owned();
    let how = op["how"].as_str().expect("which ends").to_owned();
    let of_callback = label.clone();
    let link = entry.handle.link(move |_| {
        let entry = world().task(&task).expect("a task with a link");
        let successful = entry.is_successful();
        let wanted = match how.as_str() {
            "value" => successful,
            "exception" => !successful,
            _ => true,
        };
        if wanted {
            let told = json!({ "task": task, "successful": successful });
            world().log(&of_callback, "cb", told);
        }
    });
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

/// Those of the op's tasks that have handles; None if one has not.
fn several(op: &Value) -> Option<Vec<(String, Rc<Entry>)>> {
    let names = op["tasks"].as_array().expect("tasks");
    let names = names.iter().map(|name| name.as_str().expect("a task's name"));
    names.map(|name| Some((name.to_owned(), world().task(name)?))).collect()
}

async fn on_several(who: &Who, name: &str, op: &Value) -> Value {
    let Some(tasks) = several(op) else { return err("NoHandle") };
    if name == "killall" {
        tasks.iter().for_each(|(_, entry)| entry.kill(exit_of(op)));
        let blocks = op["block"] != false;
        let joined = async {
            for (_, entry) in &tasks {
                entry.handle.join().await;
            }
        };
        return match blocks {
            true if limited(op, joined).await.is_none() => err("Timeout"),
            _ => ok(Value::Null),
        };
    }
    let count = op["count"].as_u64().map_or(usize::MAX, |n| usize::try_from(n).expect("small"));
    let mut ended = Vec::new();
    let mut failed = None;
    let waited = async {
        let mut set: Iwait<Handle> = tasks.iter().map(|(_, entry)| entry.handle.clone()).collect();
        while ended.len() < count {
            let Some(handle) = set.next().await else { break };
            let found = tasks.iter().find(|(_, entry)| entry.handle == handle);
            let (name_of, entry) = found.expect("one of those that were put in");
            if name == "iwait" {
                world().log(&who.name, "iwait_item", name_of.as_str().into());
            }
            if let (true, Some(Ended::Error(error))) = (op["raise_error"] == true, entry.ended()) {
                failed = Some(error);
                break;
            }
            ended.push(name_of.clone());
        }
    };
    limited(op, waited).await;
    match failed {
        Some(error) => err(error),
        None if name == "iwait" => ok(ended.len()),
        None => ok(ended),
    }
}

async fn on_object(who: &Who, name: &str, op: &Value) -> Value {
    let world = world();
    match world.object(op) {
        Object::Group(_) | Object::Pool(_) => crews::run(who, name, op).await,
        Object::Event(event) => match name {
            "set" => {
                event.set();
                ok(Value::Null)
            }
            "clear" => {
                event.clear();
                ok(Value::Null)
            }
            _ => ok(limited(op, event.wait()).await.is_some()),
        },
        Object::AsyncResult(_) => async_result(name, op).await,
        Object::Semaphore(semaphore) => semaphore.run(name, op).await,
        Object::RLock(lock) => lock.run(name, op).await,
        Object::Queue(queue) => queue.run(name, op).await,
        Object::Eventlet(_) => panic!("an object of the other api"),
    }
}

async fn async_result(name: &str, op: &Value) -> Value {
    let world = world();
    let Object::AsyncResult(result) = world.object(op) else { unreachable!("it was one") };
    match name {
        // The second is refused.
        "ar_set" => {
            result.set(op["value"].clone());
            ok(Value::Null)
        }
        "ar_fail" => {
            let message = op["msg"].as_str().expect("a message");
            result.set_error(format!("Boom:{message}"));
            ok(Value::Null)
        }
        "ar_get" => {
            if op["block"] == false && !result.is_ready() {
                return err("Timeout");
            }
            match limited(op, result.get()).await {
                Some(Ok(value)) => ok(value),
                Some(Err(error)) => err(error),
                None => err("Timeout"),
            }
        }
        "ar_wait" => match limited(op, result.get()).await {
            Some(Ok(value)) => ok(value),
            _ => ok(Value::Null),
        },
        _ => {
            let task = op["task"].as_str().expect("a task").to_owned();
            let Some(entry) = world.task(&task) else { return err("NoHandle") };
            let on = op.clone();
            entry.handle.link(move |_| {
                let world = super::world::world();
                let Object::AsyncResult(result) = world.object(&on) else { return };
                let entry = world.task(&task).expect("a task with a link");
                match entry.ended().expect("it has ended") {
                    Ended::Value(value) => result.set(value),
                    Ended::Killed => result.set("!GreenletExit".into()),
                    Ended::Error(error) => result.set_error(error),
                }
            });
            ok(Value::Null)
        }
    }
}
