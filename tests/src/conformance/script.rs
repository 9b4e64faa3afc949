//! Scripts: the programs of the tasks and actors of a scenario.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use spinney::task::{GreenletExit, inherit_locals};
use spinney::{Handle, Within, catch_exit, greenlet_local, sleep};

use super::world::{Outcome, TICK, World, err, ok, world};
use super::{eventlet, gevent};

/// The library whose verbs the ops are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Gevent,
    Eventlet,
}

/// A script's name, and the ops that it uses.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) name: Rc<str>,
    pub(super) api: Api,
}

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// Runs a task with the other arguments of its function.
pub(super) fn task(api: Api, spec: Value, extra: Option<Value>) -> Boxed<Outcome> {
    let who = Who { name: text(&spec, "name").into(), api };
    Box::pin(async move {
        let start = extra.clone().map_or(Value::Null, |extra| json!([extra]));
        let mut ending = Ending::begin(&who, start);
        let body = async {
            if spec["d"].is_u64() {
                sleep(ticks(&spec, "d")).await;
            }
            ops(&who, &spec["ops"]).await;
        };
        if let Err(exit) = catch_exit(body).await {
            ending.survive(exit, &who, &spec["on_kill"]).await;
        }
        ending.end(match (spec["raise"].as_str(), extra) {
            (Some(message), _) => Err(format!("Boom:{message}")),
            (None, Some(extra)) => Ok(json!([spec["ret"], extra])),
            (None, None) => Ok(spec["ret"].clone()),
        })
    })
}

/// Runs an actor.
pub(super) fn actor(api: Api, spec: Value) -> Boxed<Outcome> {
    Box::pin(async move {
        if spec["at"] != 0 {
            sleep(ticks(&spec, "at")).await;
        }
        task(api, spec, None).await
    })
}

/// A text field.
pub(super) fn text<'a>(spec: &'a Value, key: &str) -> &'a str {
    spec[key].as_str().unwrap_or_else(|| {
        world().fault(format!("no text `{key}` in {spec}"));
        ""
    })
}

/// A number field.
pub(super) fn number(spec: &Value, key: &str) -> usize {
    let number = spec[key].as_u64().and_then(|number| usize::try_from(number).ok());
    number.unwrap_or_else(|| {
        world().fault(format!("no number `{key}` in {spec}"));
        0
    })
}

/// A count.
pub(super) fn signed(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}

/// A time field.
pub(super) fn ticks(spec: &Value, key: &str) -> std::time::Duration {
    TICK * u32::try_from(number(spec, key)).unwrap_or(u32::MAX)
}

pub(super) fn ops<'a>(who: &'a Who, ops: &'a Value) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(async move {
        for op in ops.as_array().into_iter().flatten() {
            run(who, op).await;
        }
    })
}

async fn run(who: &Who, op: &Value) {
    match text(op, "op") {
        "sleep" => sleep(ticks(op, "d")).await,
        "drop" => drop(world().iterations.borrow_mut().remove(text(op, "it"))),
        "local_set" => {
            locals(|locals| locals.insert(text(op, "key").to_owned(), op["value"].clone()));
        }
        name => {
            let call = Call::begin(who, op);
            match value_of(who, name, op).await {
                Some(value) => call.end(name, value),
                None => world().fault(format!("no such op: {op}")),
            }
        }
    }
}

/// The outcome of an op; `None` if there is no such op.
async fn value_of(who: &Who, name: &str, op: &Value) -> Option<Value> {
    match name {
        "local_get" => {
            Some(ok(locals(|locals| locals.get(text(op, "key")).cloned()).unwrap_or_default()))
        }
        "register" => {
            world().register_current(&who.name);
            Some(ok(Value::Null))
        }
        "with_timeout" => Some(with_timeout(who, op).await),
        "state" => Some(ok(world().object(op)?.state())),
        "next" => {
            let iteration = world().iteration(text(op, "it"));
            let Some(iteration) = iteration else { return Some(err("NoHandle")) };
            Some(iteration.next().await)
        }
        _ => match who.api {
            Api::Gevent => gevent::run(who, name, op).await,
            Api::Eventlet => eventlet::run(who, name, op).await,
        },
    }
}

greenlet_local! {
    static LOCALS: Arc<Mutex<BTreeMap<String, Value>>> = Arc::default();
}

/// Makes `script`, which runs in place of the current one, share its locals, as in the original.
pub(super) fn sharing_locals(script: Boxed<Outcome>) -> Boxed<Outcome> {
    world().quirk.set(true);
    LOCALS.get();
    Box::pin(inherit_locals(script))
}

fn locals<R>(look: impl FnOnce(&mut BTreeMap<String, Value>) -> R) -> R {
    LOCALS.with(|locals| look(&mut locals.lock().unwrap_or_else(PoisonError::into_inner)))
}

async fn with_timeout(who: &Who, op: &Value) -> Value {
    let mut body = Box::pin(ops(who, &op["body"]).within(ticks(op, "d")));
    let fired = (&mut body).await.is_err();
    if fired {
        let error = op["exc"].as_str().map_or("Timeout".to_owned(), |exc| format!("Boom:{exc}"));
        // An interrupted op is recorded when it is dropped.
        let outer = world().firing.replace(Some(error));
        drop(body);
        world().firing.replace(outer);
    }
    ok(json!({ "fired": fired }))
}

/// Waits for `future`, at most as long as the op allows.
pub(super) async fn limited<F: Future>(op: &Value, future: F) -> Option<F::Output> {
    if op["timeout"].is_null() {
        return Some(future.await);
    }
    future.within(ticks(op, "timeout")).await.ok()
}

/// An op in progress.
struct Call<'a> {
    who: &'a Who,
    /// `None` once it has finished.
    number: Option<usize>,
}

impl<'a> Call<'a> {
    fn begin(who: &'a Who, op: &Value) -> Self {
        let world = world();
        Self { who, number: Some(world.moments.call(world.tick(), &who.name, op)) }
    }

    fn end(mut self, event: &str, value: Value) {
        let world = world();
        if let Some(number) = self.number.take() {
            world.moments.end(number);
        }
        world.log(&self.who.name, event, value);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            World::current(|world| world.moments.gone(world.tick(), &self.who.name, number));
        }
    }
}

/// Logs the end of a script, however it ends.
struct Ending {
    name: Rc<str>,
    /// The greenlet in which it runs.
    greenlet: Option<u64>,
    ended: bool,
}

impl Ending {
    fn begin(who: &Who, start: Value) -> Self {
        let world = world();
        world.log(&who.name, "start", start);
        world.running.borrow_mut().insert(who.name.to_string());
        let greenlet = Handle::current().map(|handle| handle.id());
        Self { name: Rc::clone(&who.name), greenlet, ended: false }
    }

    /// Performs the script's reaction to a kill; returns if the script lives on.
    async fn survive(&mut self, exit: GreenletExit, who: &Who, on_kill: &Value) {
        if on_kill.is_null() {
            return self.killed(exit).await;
        }
        world().log(&self.name, "caught", kill_name(&exit).into());
        if let Err(second) = catch_exit(ops(who, &on_kill["ops"])).await {
            return self.killed(second).await;
        }
        if on_kill["swallow"] != true {
            self.killed(exit).await;
        }
    }

    async fn killed(&mut self, exit: GreenletExit) {
        self.log(json!({ "killed": kill_name(&exit) }));
        exit.resume::<()>().await;
    }

    fn end(mut self, outcome: Outcome) -> Outcome {
        self.log(match &outcome {
            Ok(value) => ok(value.clone()),
            Err(error) => err(error.as_str()),
        });
        if let Some(greenlet) = self.greenlet {
            world().outcomes.borrow_mut().insert(greenlet, outcome.clone());
        }
        outcome
    }

    fn log(&mut self, end: Value) {
        self.ended = true;
        World::current(|world| {
            world.running.borrow_mut().remove(&*self.name);
            world.log(&self.name, "end", end);
        });
    }
}

/// Dropped before its end: the error of another script's time limit passes through.
impl Drop for Ending {
    fn drop(&mut self) {
        let mut firing = None;
        World::current(|world| firing.clone_from(&world.firing.borrow()));
        if let (false, Some(error)) = (self.ended, firing) {
            self.log(err(error));
        }
    }
}

fn kill_name(exit: &GreenletExit) -> String {
    exit.reason().map_or_else(|| "GreenletExit".to_owned(), ToString::to_string)
}

/// The error of the op's kill.
pub(super) fn exit_of(op: &Value) -> GreenletExit {
    match op["exc"].as_str() {
        Some(label) => GreenletExit::because(format!("Zap:{label}")),
        None => GreenletExit::new(),
    }
}
