//! eventlet's ops, on green threads.

use std::convert::Infallible;
use std::rc::Rc;

use serde_json::{Value, json};
use spinney::task::{GreenletExit, spawn_on};
use spinney::{Handle, ResourcePool, sleep, yield_now};
use spinney_greenlet::pair;

use super::entry::{Entry, starter};
use super::locks::AnySemaphore;
use super::objects::Object;
use super::script::{Who, exit_of, number, task, text, ticks};
use super::world::{Manner, err, ok, world};
use super::{green_pools, sent};

/// A killed task raises an error in its waiters.
pub(super) fn killed() -> Value {
    err("GreenletExit")
}

/// The outcome of an op; `None` if there is no such op.
pub(super) async fn run(who: &Who, name: &str, op: &Value) -> Option<Value> {
    if !op["on"].is_null() {
        return on_object(who, name, op).await;
    }
    let world = world();
    let spec = &op["task"];
    match name {
        "go" => {
            let greenlet = spawn_on(&world.hub, task(who.api, spec.clone(), None));
            world.register(text(spec, "name"), greenlet);
        }
        "go_n" => spawn_on(&world.hub, task(who.api, spec.clone(), None)).detach(),
        "go_later" => later(who, op, None),
        "go_later_local" => later(who, op, Handle::current()),
        "gkill" | "gcancel" | "gwait" | "gstate" | "link" | "unlink" => {
            let Some(entry) = world.task(text(op, "task")) else { return Some(err("NoHandle")) };
            return on_thread(name, op, &entry).await;
        }
        _ => return None,
    }
    Some(ok(Value::Null))
}

/// `spawn_after`, and `spawn_after_local` with the greenlet that must live then.
fn later(who: &Who, op: &Value, spawner: Option<Handle>) {
    let world = world();
    let (task, greenlet) = pair(task(who.api, op["task"].clone(), None), ());
    let name = text(&op["task"], "name");
    let entry = world.register_unstarted(name, greenlet, starter(task));
    let delay = ticks(op, "d");
    world.spawn(async move {
        sleep(delay).await;
        if spawner.is_none_or(|spawner| !spawner.is_ready()) {
            entry.start();
        }
    });
}

async fn on_thread(name: &str, op: &Value, entry: &Rc<Entry>) -> Option<Value> {
    let handle = &entry.handle;
    match name {
        "gkill" => kill(entry, op).await,
        "gcancel" if !entry.has_begun() => kill(entry, op).await,
        "gcancel" => {}
        "gwait" => {
            handle.join().await;
            return Some(entry.ended()?.told(killed));
        }
        "gstate" => {
            let dead = handle.is_ready();
            return Some(ok(json!({ "dead": dead, "active": !dead && entry.has_begun() })));
        }
        "link" => link(op, entry),
        "unlink" => {
            let link = entry.links.borrow_mut().remove(text(op, "label"));
            return Some(ok(link.is_some_and(|link| handle.unlink(link))));
        }
        _ => return None,
    }
    Some(ok(Value::Null))
}

fn link(op: &Value, entry: &Rc<Entry>) {
    let (task, label) = (text(op, "task").to_owned(), text(op, "label").to_owned());
    let callback = label.clone();
    let tell = move || {
        let world = world();
        if let Some(ended) = world.task(&task).and_then(|entry| entry.ended()) {
            world.log(&callback, "cb", json!({ "task": task, "outcome": ended.told(killed) }));
        }
    };
    // After the end eventlet calls immediately, ours in a task.
    if entry.handle.is_ready() {
        tell();
    } else {
        let link = entry.handle.link(move |_| tell());
        entry.links.borrow_mut().insert(label, link);
    }
}

/// eventlet's kill: the target dies, or starts to clean up, before the killer goes on.
async fn kill(entry: &Entry, op: &Value) {
    let world = world();
    let is_self = Handle::current().is_some_and(|current| current == entry.handle);
    let mut exit = exit_of(op);
    if world.manner == Manner::Theirs && !entry.has_begun() && exit.reason().is_some() {
        // The effect of a bug in eventlet.
        exit = GreenletExit::because("IndexError");
        world.quirk.set(true);
    }
    // An earlier kill of this instant has arrived.
    while !entry.handle.is_ready() && entry.handle.exit().is_some() {
        yield_now().await;
    }
    entry.kill(exit);
    if is_self {
        std::future::pending::<()>().await;
    }
    // Its turn comes in this instant.
    for _ in 0..3 {
        yield_now().await;
    }
}

async fn on_object(who: &Who, name: &str, op: &Value) -> Option<Value> {
    let world = world();
    match world.object(op)? {
        Object::GreenPool(pool) => green_pools::on_pool(who, name, op, pool).await,
        Object::GreenPile(pile) => green_pools::on_pile(who, name, op, pile).await,
        Object::Sent(sent) => sent::run(sent, name, op).await,
        Object::Balanced(semaphore) => match name {
            "acquire" => Some(semaphore.op_acquire(op).await),
            "release" if semaphore.release() => Some(ok(true)),
            "release" => Some(err("ValueError")),
            _ => None,
        },
        Object::Capped(permits, room) => on_capped(permits, room, name, op).await,
        Object::TwoSided(queue) => match name {
            "q_resize" => {
                queue.resize(if op["size"].is_null() { None } else { Some(number(op, "size")) });
                Some(ok(Value::Null))
            }
            "q_join" => queue.run(name, op).await.map(|_| ok(Value::Null)),
            "peek" | "shutdown" => None,
            _ => queue.run(name, op).await,
        },
        Object::Resources(pool) => on_resources(who, name, op, pool).await,
        _ => None,
    }
}

async fn on_capped(
    permits: &AnySemaphore,
    room: &AnySemaphore,
    name: &str,
    op: &Value,
) -> Option<Value> {
    match name {
        "acquire" if op["blocking"] == false && permits.counter() == 0 => return Some(ok(false)),
        "acquire" => exchange(room, permits).await,
        "release" => exchange(permits, room).await,
        _ => return None,
    }
    Some(ok(true))
}

/// Moves a permit from one semaphore to the other; undone if it is interrupted.
async fn exchange(give: &AnySemaphore, take: &AnySemaphore) {
    struct Given<'a>(Option<&'a AnySemaphore>);

    impl Drop for Given<'_> {
        fn drop(&mut self) {
            self.0.map(AnySemaphore::try_acquire);
        }
    }

    give.release();
    let mut given = Given(Some(give));
    take.acquire().await;
    given.0 = None;
}

async fn on_resources(
    who: &Who,
    name: &str,
    op: &Value,
    pool: &ResourcePool<u64, Infallible>,
) -> Option<Value> {
    let held = &world().held;
    let key = || (who.name.to_string(), text(op, "var").to_owned());
    match name {
        "rp_get" => {
            let item = pool.get().await.expect("nothing closes it, and no create fails");
            held.borrow_mut().insert(key(), item);
            return Some(ok(item));
        }
        "rp_put" => {
            let item = held.borrow_mut().remove(&key());
            let Some(item) = item else { return Some(err("NoHandle")) };
            pool.put(item);
        }
        "rp_resize" => pool.resize(number(op, "size")),
        _ => return None,
    }
    Some(ok(Value::Null))
}
