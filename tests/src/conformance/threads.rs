//! gevent's ops on thread pools: our pool, whose threads are real, on the clock of the simulation.
//!
//! A task blocks its thread until the simulation opens its gate: the thread reports that the task
//! starts, and the simulation drops the task's gate when its clock has advanced by the duration of
//! the task. The clock stands still while a thread runs, so the speed of threads decides nothing.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use futures_lite::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use spinney::task::spawn_on;
use spinney::{Greenlet, ItemError, Queue, Semaphore, ThreadPool, sleep, yield_now};

use super::entry::Ended;
use super::gevent::killed;
use super::inputs::{Feed, Input, Item, item_at};
use super::objects::Object;
use super::results::Iteration;
use super::script::{number, text, ticks};
use super::world::{Manner, Outcome, TICK, World, err, ok, world};

/// How many turns the other tasks get before the clock advances.
const TURNS: u32 = 64;

/// A thread pool, and the state that its threads share with the simulation.
pub(super) struct Threads {
    pool: ThreadPool,
    /// Whether maps are spawns of their items, like gevent's.
    feeds: bool,
    calls: Sender<Started>,
    started: Receiver<Started>,
    /// How many tasks wait at their gates.
    held: Cell<usize>,
}

/// A task that a thread runs. Dropping it lets the thread go on.
struct Started {
    task: Item,
    _gate: Sender<()>,
}

impl Threads {
    /// In gevent's manner its queue admits one task more than run.
    pub(super) fn new(manner: Manner, size: usize) -> Rc<Self> {
        let feeds = manner == Manner::Theirs;
        let pool = ThreadPool::builder().capacity(size).queue(usize::from(feeds)).build();
        let (calls, started) = channel();
        Rc::new(Self { pool, feeds, calls, started, held: Cell::new(0) })
    }

    pub(super) fn state(&self) -> Value {
        json!({ "len": self.pool.len(), "maxsize": self.pool.capacity() })
    }

    /// Whether the run used behaviour that only gevent has.
    pub(super) fn has_quirk(&self) -> bool {
        self.feeds
    }

    /// The closure that a thread runs for a task.
    fn closure(&self) -> impl Fn(Item) -> Outcome + Send + Sync + use<> {
        let calls = self.calls.clone();
        move |task| {
            let outcome = outcome_of(&task);
            let (gate, opened) = channel::<()>();
            if calls.send(Started { task, _gate: gate }).is_ok() {
                // An error means that the gate was dropped.
                opened.recv().unwrap_or_default();
            }
            outcome
        }
    }

    async fn spawn(&self, task: Item) -> Greenlet<Outcome> {
        let closure = self.closure();
        let result = self.pool.spawn(move || closure(task)).await;
        let outcome = async { result.await.unwrap_or_else(|failure| Err(failure.to_string())) };
        spawn_on(&world().hub, outcome)
    }

    /// Starts the tasks that threads have taken. Returns whether there were any.
    fn begin(self: &Rc<Self>) -> bool {
        let begun = self.started.try_iter().inspect(|_| self.held.set(self.held.get() + 1));
        begun.map(|task| spawn_on(&world().hub, hold(Rc::clone(self), task)).detach()).count() > 0
    }

    /// Whether no thread runs.
    fn is_calm(&self) -> bool {
        let (pool, held) = (&self.pool, self.held.get());
        let none_starts = pool.len() == held || held >= pool.capacity();
        none_starts && pool.idle() + held == pool.threads()
    }
}

fn outcome_of((spec, extra): &Item) -> Outcome {
    match (spec["raise"].as_str(), extra) {
        (Some(message), _) => Err(format!("Boom:{message}")),
        (None, Some(extra)) => Ok(json!([spec["ret"], extra])),
        (None, None) => Ok(spec["ret"].clone()),
    }
}

/// Runs a task on the clock of the simulation.
async fn hold(threads: Rc<Threads>, started: Started) {
    let (spec, extra) = &started.task;
    let task = text(spec, "name");
    world().log(task, "start", extra.clone().map_or(Value::Null, |extra| json!([extra])));
    world().running.borrow_mut().insert(task.to_owned());
    if spec["d"].is_u64() {
        sleep(ticks(spec, "d")).await;
    }
    World::current(|world| {
        world.running.borrow_mut().remove(task);
        world.log(task, "end", outcome_of(&started.task).map_or_else(err, ok));
    });
    threads.held.set(threads.held.get() - 1);
}

/// Advances the clock tick by tick, up to `last`, each time when no thread runs.
pub(super) async fn drive(last: u64) {
    for _ in 0..last {
        settle().await;
        sleep(TICK).await;
    }
    settle().await;
}

async fn settle() {
    let world = world();
    let pools = world.objects.values().filter_map(|object| match object {
        Object::Threads(threads) => Some(threads),
        _ => None,
    });
    let pools: Vec<_> = pools.collect();
    let mut turns = 0;
    while turns < TURNS {
        let begun = pools.iter().filter(|threads| threads.begin()).count();
        let is_calm = begun == 0 && pools.iter().all(|threads| threads.is_calm());
        turns = if is_calm { turns + 1 } else { 0 };
        thread::yield_now();
        yield_now().await;
    }
}

/// The outcome of an op; `None` if there is no such op.
pub(super) async fn run(name: &str, op: &Value, threads: &Rc<Threads>) -> Option<Value> {
    let (pool, task, own) = (&threads.pool, (op["task"].clone(), None), Rc::clone(threads));
    match name {
        "tp_spawn" => {
            let greenlet = threads.spawn(task).await;
            world().register(text(&op["task"], "name"), greenlet);
        }
        "tp_apply" => return Some(Ended::from(threads.spawn(task).await.await).told(killed)),
        "tp_apply_async" => {
            in_background(op, async move { Ended::from(own.spawn(task).await.await).outcome() });
        }
        "tp_map" => {
            // It goes on when its caller stops waiting.
            let gathering = spawn_on(&world().hub, gather(op.clone(), own));
            return Some(Ended::from(gathering.await).told(killed));
        }
        "tp_map_async" => in_background(op, gather(op.clone(), own)),
        "tp_imap" | "tp_imap_unordered" => imap(op, own),
        "tp_join" => drop(pool.join().await),
        // gevent's ends the threads then, and starts others when they are needed.
        "tp_kill" if pool.threads() > 0 => drop(pool.join().await),
        "tp_kill" => {}
        "tp_resize" => pool.resize(number(op, "size")),
        _ => return None,
    }
    Some(ok(Value::Null))
}

/// Registers the handle of the op, and calls its callback with the value of `outcome`.
fn in_background(op: &Value, outcome: impl Future<Output = Outcome> + 'static) {
    let label = op["cb"].as_str().map(str::to_owned);
    let called = async move {
        let value = outcome.await?;
        if let Some(label) = label {
            world().log(&label, "cb", json!({ "value": value }));
        }
        Ok(value)
    };
    world().register(text(op, "name"), spawn_on(&world().hub, called));
}

/// The list of a map. Items after a failed one run on.
async fn gather(op: Value, threads: Rc<Threads>) -> Outcome {
    let mut list = Vec::new();
    if !threads.feeds && !Input::of(&op).waits() {
        let mut results = threads.pool.mapper().unbounded().imap(threads.closure(), items(&op));
        while let Some(result) = results.next().await {
            match result.unwrap_or_else(|error| Ended::from(&*error).outcome()) {
                Ok(value) => list.push(value),
                Err(error) => {
                    results.detach();
                    return Err(error);
                }
            }
        }
        return Ok(list.into());
    }
    let feed = Rc::new(Feed::default());
    let mut items = Box::pin(Input::of(&op).fed(&feed).stream());
    let mut greenlets = Vec::new();
    while let Some(task) = items.next().await {
        greenlets.push(threads.spawn(task).await);
    }
    feed.error()?;
    for greenlet in greenlets {
        list.push(Ended::from(greenlet.await).outcome()?);
    }
    Ok(list.into())
}

/// The items of an iterable that never waits.
fn items(op: &Value) -> impl Iterator<Item = Item> + Send + use<> {
    let op = op.clone();
    (0..).map_while(move |index| item_at(&op, index))
}

fn imap(op: &Value, threads: Rc<Threads>) {
    let unordered = op["op"] == "tp_imap_unordered";
    let bound = if op["maxsize"].is_null() { 0 } else { number(op, "maxsize") };
    let iteration = if threads.feeds || Input::of(op).waits() {
        let fed = feed(op.clone(), threads, unordered, bound);
        Iteration::new(fed, None, killed)
    } else {
        let (mapper, func) = (threads.pool.mapper(), threads.closure());
        let mapper = if bound > 0 { mapper.maxsize(bound) } else { mapper.unbounded() };
        let imap = if unordered {
            mapper.imap_unordered(func, items(op))
        } else {
            mapper.imap(func, items(op))
        };
        Iteration::new(imap, None, killed)
    };
    world().register_iteration(text(op, "name"), iteration);
}

/// gevent's imap: a greenlet that spawns the items, at most `bound` of which may be unread.
fn feed(
    op: Value,
    threads: Rc<Threads>,
    unordered: bool,
    bound: usize,
) -> impl Stream<Item = Result<Outcome, ItemError>> {
    let results = Rc::new(Queue::<Option<Greenlet<Outcome>>>::unbounded());
    let room = (bound > 0).then(|| Rc::new(Semaphore::new(bound)));
    let (put, taken) = (Rc::clone(&results), room.clone());
    let feeding = async move {
        let feed = Rc::new(Feed::default());
        let mut items = Box::pin(Input::of(&op).fed(&feed).stream());
        let mut watchers = Vec::new();
        while let Some(task) = items.next().await {
            if let Some(room) = &taken {
                room.acquire().await.expect("the semaphore is never closed").forget();
            }
            let greenlet = threads.spawn(task).await;
            if unordered {
                let (ended, put) = (greenlet.handle().join(), Rc::clone(&put));
                watchers.push(spawn_on(&world().hub, async move {
                    ended.await;
                    put.put(Some(greenlet)).await.is_ok()
                }));
            } else {
                put.put(Some(greenlet)).await.expect("the queue is never shut down");
            }
        }
        if let Err(error) = feed.error() {
            let failed = spawn_on(&world().hub, async { Err(error) });
            put.put(Some(failed)).await.expect("the queue is never shut down");
        }
        for watcher in watchers {
            watcher.await.expect("the watcher does not fail");
        }
        put.put(None).await.expect("the queue is never shut down");
    };
    spawn_on(&world().hub, feeding).detach();
    stream::unfold((results, room), |(results, room)| async move {
        // A waiting reader makes room for one more.
        if let Some(room) = &room {
            room.release(1);
        }
        let greenlet = results.get().await.expect("the queue is never shut down")?;
        let outcome = Ended::from(greenlet.await).outcome();
        Some((Ok(outcome), (results, room)))
    })
}
