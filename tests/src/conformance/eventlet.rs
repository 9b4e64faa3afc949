//! eventlet's ops, on the pools of `spinney-pile`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};
use spinney::map::from_stream;
use spinney::{
    Event, GreenPile, GreenPool, GreenletExit, Handle, ResourcePool, pair, sleep, yield_now,
};
use spinney_sim::SimHub;

use super::barging::Barging;
use super::locks::{Locks, acquire};
use super::queues::AnyQueue;
use super::results::{Iteration, iterable};
use super::script::{Who, exit_of, limited, task, ticks};
use super::world::{Ended, Entry, Outcome, err, failure_of, ok, starter, world};

pub(super) enum Object {
    Pool(GreenPool<SimHub>),
    Pile(GreenPile<Outcome, SimHub>),
    Event(RefCell<Sent>),
    Semaphore(Locks),
    /// A semaphore that blocks who releases it above its limit: the second one counts how much
    /// room there is.
    Capped(Barging, Barging),
    Queue(AnyQueue),
    Resources(ResourcePool<u64, Create>),
}

/// Makes the resources 1, 2, 3, and so on.
pub(super) type Create = Box<dyn Fn() -> std::future::Ready<Result<u64, std::convert::Infallible>>>;

/// An event that is sent a value once, until it is reset.
#[derive(Default)]
pub(super) struct Sent {
    result: Option<Result<Value, String>>,
    happened: Rc<Event>,
}

impl Object {
    pub(super) fn new(
        hub: &SimHub,
        spec: &Value,
        before: &BTreeMap<String, super::objects::Object>,
    ) -> Option<Self> {
        let number = |key: &str| spec[key].as_u64().map(|n| usize::try_from(n).expect("small"));
        Some(match spec["type"].as_str()? {
            "green_pool" => Self::Pool(GreenPool::on(hub, number("size")?)),
            "green_pile" => {
                let pool = match spec["pool"].as_str().and_then(|name| before.get(name)) {
                    Some(super::objects::Object::Eventlet(Self::Pool(pool))) => pool.clone(),
                    _ => GreenPool::on(hub, number("size")?),
                };
                // What eventlet's code does.
                Self::Pile(GreenPile::on(&pool).in_spawn_order())
            }
            "event" => Self::Event(RefCell::default()),
            "semaphore" => Self::Semaphore(Locks::new(number("value")?, None)),
            "bounded_semaphore" => {
                let value = number("value")?;
                Self::Semaphore(Locks::new(value, Some(value)))
            }
            "capped_semaphore" => {
                let (value, limit) = (number("value")?, number("limit")?);
                Self::Capped(Barging::new(value), Barging::new(limit - value))
            }
            "queue" => Self::Queue(AnyQueue::new(spec["kind"].as_str()?, number("maxsize"))),
            "res_pool" => {
                let made = std::cell::Cell::new(0);
                let create: Create = Box::new(move || {
                    made.set(made.get() + 1);
                    std::future::ready(Ok(made.get()))
                });
                let mut pool = ResourcePool::builder(create)
                    .min_size(number("min").unwrap_or(0))
                    .max_size(number("max")?);
                if spec["stack"] == true {
                    pool = pool.order_as_stack();
                }
                let pool = pool.build();
                hub.block_on(pool.fill()).unwrap_or_else(|never| match never {});
                Self::Resources(pool)
            }
            _ => return None,
        })
    }

    pub(super) fn state(&self) -> Value {
        match self {
            Self::Pool(pool) => json!({
                "running": pool.running(),
                "free": pool.free(),
                "waiting": pool.waiting(),
                "size": pool.capacity(),
            }),
            Self::Pile(pile) => json!({
                "counter": pile.len(),
                "running": pile.pool().running(),
                "free": pile.pool().free(),
                "waiting": pile.pool().waiting(),
            }),
            Self::Event(sent) => {
                let sent = sent.borrow();
                json!({
                    "ready": sent.result.is_some(),
                    "has_result": matches!(sent.result, Some(Ok(_))),
                    "has_exception": matches!(sent.result, Some(Err(_))),
                })
            }
            Self::Semaphore(semaphore) => json!({
                "counter": semaphore.counter(),
                "balance": semaphore.balance(),
                "locked": semaphore.counter() == 0,
            }),
            Self::Capped(permits, room) => json!({
                "balance": permits.balance() - room.balance(),
                "locked": permits.counter() == 0,
                "bounded": room.counter() == 0,
            }),
            Self::Queue(queue) => queue.eventlet_state(),
            Self::Resources(pool) => json!({
                "free": pool.free(),
                "waiting": pool.waiting(),
                "size": pool.size(),
            }),
        }
    }
}

/// A task that was killed is an error to who waits for it.
fn killed() -> Value {
    err("GreenletExit")
}

pub(super) async fn run(who: &Who, name: &str, op: &Value) -> Value {
    if op["on"].is_string() {
        return on_object(who, name, op).await;
    }
    match name {
        "go" | "go_n" => {
            let world = world();
            let greenlet = spinney::spawn_on(&world.hub, task(who.api, op["task"].clone(), None));
            if name == "go" {
                world.register(op["task"]["name"].as_str().expect("a name"), greenlet);
            } else {
                greenlet.detach();
            }
            ok(Value::Null)
        }
        "go_later" | "go_later_local" => {
            later(who, op, if name == "go_later" { None } else { Handle::current() });
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
        _ => match world().task(op["task"].as_str().expect("a task's name")) {
            Some(entry) => on_thread(name, op, &entry).await,
            None => err("NoHandle"),
        },
    }
}

/// `spawn_after`, and `spawn_after_local` for who has to live then.
fn later(who: &Who, op: &Value, spawner: Option<Handle>) {
    let world = world();
    let spec = &op["task"];
    let (task, greenlet) = pair(task(who.api, spec.clone(), None), ());
    let (name, handle) = (spec["name"].as_str().expect("a name"), greenlet.handle().clone());
    world.insert(name, handle, greenlet, Some(starter(task)), false);
    let entry = world.task(name).expect("it was made just now");
    let delay = ticks(op["d"].as_u64().expect("a time"));
    world.spawn(async move {
        sleep(delay).await;
        if spawner.is_none_or(|spawner| !spawner.is_ready()) {
            entry.start();
        }
    });
}

async fn on_thread(name: &str, op: &Value, entry: &Rc<Entry>) -> Value {
    let handle = &entry.handle;
    match name {
        "gkill" => {
            kill(entry, exit_of(op)).await;
            ok(Value::Null)
        }
        "gcancel" => {
            if !entry.has_begun() {
                kill(entry, exit_of(op)).await;
            }
            ok(Value::Null)
        }
        "gwait" => {
            handle.join().await;
            match entry.ended().expect("it has ended") {
                Ended::Value(value) => ok(value),
                Ended::Error(error) => err(error),
                Ended::Killed => killed(),
            }
        }
        "gstate" => {
            let dead = handle.is_ready();
            ok(json!({ "dead": dead, "active": !dead && entry.has_begun() }))
        }
        "link" => {
            let task = op["task"].as_str().expect("a task").to_owned();
            let label = op["label"].as_str().expect("a label").to_owned();
            let of_callback = label.clone();
            let told = move || {
                let entry = world().task(&task).expect("a task with a link");
                let outcome = match entry.ended().expect("it has ended") {
                    Ended::Value(value) => ok(value),
                    Ended::Error(error) => err(error),
                    Ended::Killed => killed(),
                };
                let told = json!({ "task": task, "outcome": outcome });
                world().log(&of_callback, "cb", told);
            };
            if handle.is_ready() {
                told();
            } else {
                let link = handle.link(move |_| told());
                entry.links.borrow_mut().insert(label, link);
            }
            ok(Value::Null)
        }
        "unlink" => {
            let label = op["label"].as_str().expect("a label");
            let link = entry.links.borrow_mut().remove(label);
            ok(link.is_some_and(|link| handle.unlink(link)))
        }
        _ => panic!("no op {name}"),
    }
}

/// eventlet's kill: the target dies, or starts to clean up, before the killer goes on.
async fn kill(entry: &Entry, exit: GreenletExit) {
    let is_self = Handle::current().is_some_and(|current| current == entry.handle);
    entry.kill(exit);
    if is_self {
        std::future::pending::<()>().await;
    }
    // Its turn comes in this instant.
    for _ in 0..3 {
        yield_now().await;
    }
}

async fn on_object(who: &Who, name: &str, op: &Value) -> Value {
    let world = world();
    let super::objects::Object::Eventlet(object) = world.object(op) else {
        panic!("an object of the other api")
    };
    match object {
        Object::Pool(pool) => on_pool(who, name, op, pool).await,
        Object::Pile(pile) => match name {
            "pile_spawn" => {
                pile.spawn(task(who.api, op["task"].clone(), None)).await;
                ok(Value::Null)
            }
            _ => match pile.next().await {
                None => json!({ "stop": true }),
                Some(Ok(Ok(value))) => ok(value),
                Some(Ok(Err(error))) => err(error),
                Some(Err(failure)) => of_failure(&failure),
            },
        },
        Object::Event(sent) => on_event(name, op, sent).await,
        Object::Semaphore(semaphore) => match name {
            "acquire" => ok(acquire(semaphore, op).await),
            _ if semaphore.give_back() => ok(true),
            _ => err("ValueError"),
        },
        Object::Capped(permits, room) => match name {
            "acquire" => {
                if op["blocking"] == false && permits.counter() == 0 {
                    return ok(false);
                }
                room.release();
                permits.acquire().await;
                ok(true)
            }
            _ => {
                permits.release();
                room.acquire().await;
                ok(true)
            }
        },
        Object::Queue(queue) => match name {
            "q_resize" => {
                let size = op["size"].as_u64();
                queue.resize(size.map(|size| usize::try_from(size).expect("small")));
                ok(Value::Null)
            }
            "q_join" => {
                queue.run(name, op).await;
                ok(Value::Null)
            }
            _ => queue.run(name, op).await,
        },
        Object::Resources(pool) => {
            let key = || {
                let var = op["var"].as_str().expect("a variable").to_owned();
                (who.name.to_string(), var)
            };
            match name {
                "rp_get" => {
                    let Ok(item) = pool.get().await;
                    world.held.borrow_mut().insert(key(), item.into());
                    ok(item)
                }
                "rp_put" => match world.held.borrow_mut().remove(&key()) {
                    Some(item) => {
                        pool.put(item.as_u64().expect("a number"));
                        ok(Value::Null)
                    }
                    None => err("NoHandle"),
                },
                _ => {
                    let size = op["size"].as_u64().expect("a size");
                    pool.resize(usize::try_from(size).expect("small"));
                    ok(Value::Null)
                }
            }
        }
    }
}

fn of_failure(failure: &spinney::Failure) -> Value {
    match failure_of(failure) {
        Ended::Value(value) => ok(value),
        Ended::Error(error) => err(error),
        Ended::Killed => killed(),
    }
}

async fn on_pool(who: &Who, name: &str, op: &Value, pool: &GreenPool<SimHub>) -> Value {
    let spec = op["task"].clone();
    match name {
        "spawn" | "spawn_n" => {
            let runs_inline = pool.free() <= 0 && pool.pool().is_inside();
            let mut greenlet = pool.spawn(task(who.api, spec.clone(), None)).await;
            if name == "spawn_n" {
                return ok(Value::Null);
            }
            // What ran in place raises its error here, and there is no handle.
            if runs_inline {
                match greenlet.outcome() {
                    Some(Ok(Err(error))) => return err(error.as_str()),
                    Some(Err(failure)) => return of_failure(&failure),
                    _ => {}
                }
            }
            world().register(spec["name"].as_str().expect("a name"), greenlet);
            ok(Value::Null)
        }
        // Where nobody ever gets in the original has nobody to wait for.
        "waitall" if pool.capacity() == 0 && pool.running() == 0 => ok(Value::Null),
        "waitall" => match pool.waitall().await {
            Ok(()) => ok(Value::Null),
            Err(_) => err("AssertionError"),
        },
        "resize" => {
            pool.resize(usize::try_from(op["size"].as_u64().expect("a size")).expect("small"));
            ok(Value::Null)
        }
        "imap" | "starmap" => {
            let api = who.api;
            let func = move |(spec, extra)| task(api, spec, extra);
            // eventlet's look-ahead: a queue of one more than the pool.
            let mapper = pool.pool().mapper().maxsize(pool.capacity() + 1);
            let imap = mapper.imap(func, from_stream(iterable(op)));
            let name = op["name"].as_str().expect("an iterator has a name").to_owned();
            let iteration = Rc::new(Iteration::new(imap));
            world().forgotten.borrow_mut().push(Rc::clone(&iteration));
            world().iterations.borrow_mut().insert(name, iteration);
            ok(Value::Null)
        }
        _ => panic!("no op {name} of a green pool"),
    }
}

async fn on_event(name: &str, op: &Value, sent: &RefCell<Sent>) -> Value {
    match name {
        "send" | "send_exc" => {
            let mut sent = sent.borrow_mut();
            if sent.result.is_some() {
                return err("AssertionError");
            }
            sent.result = Some(match op["msg"].as_str() {
                Some(message) => Err(format!("Boom:{message}")),
                None => Ok(op["value"].clone()),
            });
            sent.happened.set();
            ok(Value::Null)
        }
        "reset" => {
            let mut sent = sent.borrow_mut();
            if sent.result.is_none() {
                return err("AssertionError");
            }
            *sent = Sent::default();
            ok(Value::Null)
        }
        _ => {
            let happened = Rc::clone(&sent.borrow().happened);
            let waited = limited(op, happened.wait()).await;
            match (waited, &sent.borrow().result) {
                (Some(()), Some(Ok(value))) => ok(value.clone()),
                (Some(()), Some(Err(error))) => err(error.as_str()),
                _ => ok(Value::Null),
            }
        }
    }
}
