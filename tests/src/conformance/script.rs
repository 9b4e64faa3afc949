//! Scripts: what the tasks and actors of a scenario do.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use serde_json::{Value, json};
use spinney::{GreenletExit, Within, catch_exit, sleep};

use super::world::{Outcome, TICK, err, ok, world};
use super::{eventlet, gevent};

/// Which library's verbs the ops are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Gevent,
    Eventlet,
}

/// A script's name, and which ops it speaks.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) name: Rc<str>,
    pub(super) api: Api,
}

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// Runs a task with what else its function was called with.
pub(super) fn task(api: Api, spec: Value, extra: Option<Value>) -> Boxed<Outcome> {
    let name = spec["name"].as_str().expect("a task has a name");
    let who = Who { name: name.into(), api };
    Box::pin(async move {
        let start = extra.clone().map_or(Value::Null, |extra| json!([extra]));
        let mut ending = Ending::begin(&who, start);
        let body = async {
            if let Some(d) = spec["d"].as_u64() {
                sleep(ticks(d)).await;
            }
            ops(&who, &spec["ops"]).await;
        };
        match catch_exit(body).await {
            Ok(()) => {}
            Err(exit) => ending.survive(exit, &who, &spec["on_kill"]).await,
        }
        let outcome = match spec["raise"].as_str() {
            Some(message) => Err(format!("Boom:{message}")),
            None => Ok(match extra {
                Some(extra) => json!([spec["ret"], extra]),
                None => spec["ret"].clone(),
            }),
        };
        ending.end(outcome)
    })
}

/// Runs an actor.
pub(super) fn actor(api: Api, spec: Value) -> Boxed<Outcome> {
    Box::pin(async move {
        let at = spec["at"].as_u64().expect("an actor has a time");
        if at > 0 {
            sleep(ticks(at)).await;
        }
        let mut spec = spec;
        spec["ret"] = Value::Null;
        task(api, spec, None).await
    })
}

pub(super) fn ticks(count: u64) -> std::time::Duration {
    TICK * u32::try_from(count).expect("a scenario is short")
}

pub(super) fn ops<'a>(who: &'a Who, ops: &'a Value) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(async move {
        for op in ops.as_array().into_iter().flatten() {
            run(who, op).await;
        }
    })
}

async fn run(who: &Who, op: &Value) {
    let name = op["op"].as_str().expect("an op has a name");
    let result = match name {
        "sleep" => {
            sleep(ticks(op["d"].as_u64().expect("a time"))).await;
            return;
        }
        "drop" => {
            let it = op["it"].as_str().expect("an iterator");
            let dropped = world().iterations.borrow_mut().remove(it);
            drop(dropped);
            return;
        }
        "local_set" => {
            LOCALS.with(|locals| {
                let mut locals = locals.lock().expect("nobody panics with it");
                locals.insert(op["key"].to_string(), op["value"].clone());
            });
            return;
        }
        "local_get" => LOCALS.with(|locals| {
            let locals = locals.lock().expect("nobody panics with it");
            ok(locals.get(&op["key"].to_string()).cloned().unwrap_or(Value::Null))
        }),
        "with_timeout" => with_timeout(who, op).await,
        "state" => ok(world().object(op).state()),
        _ => match who.api {
            Api::Gevent => gevent::run(who, name, op).await,
            Api::Eventlet => eventlet::run(who, name, op).await,
        },
    };
    world().log(&who.name, name, result);
}

spinney::greenlet_local! {
    static LOCALS: std::sync::Mutex<std::collections::BTreeMap<String, Value>> = Default::default();
}

async fn with_timeout(who: &Who, op: &Value) -> Value {
    let limit = ticks(op["d"].as_u64().expect("a time"));
    let mut body = Box::pin(ops(who, &op["body"]).within(limit));
    let fired = (&mut body).await.is_err();
    if fired {
        let error = op["exc"].as_str().map_or("Timeout".to_owned(), |exc| format!("Boom:{exc}"));
        // What is interrupted learns of it when it is dropped.
        let outer = world().firing.replace(Some(error));
        drop(body);
        world().firing.replace(outer);
    }
    ok(json!({ "fired": fired }))
}

/// Waits for `future`, for at most as long as the op says.
pub(super) async fn limited<F: Future>(op: &Value, future: F) -> Option<F::Output> {
    match op["timeout"].as_u64() {
        Some(limit) => future.within(ticks(limit)).await.ok(),
        None => Some(future.await),
    }
}

/// Sees to it that the end of a script is logged, whatever it is.
struct Ending {
    name: Rc<str>,
    /// The greenlet it runs in.
    greenlet: Option<u64>,
    ended: bool,
}

impl Ending {
    fn begin(who: &Who, start: Value) -> Self {
        let world = world();
        world.log(&who.name, "start", start);
        world.running.borrow_mut().insert(who.name.to_string());
        let greenlet = spinney::Handle::current().map(|handle| handle.id());
        Self { name: Rc::clone(&who.name), greenlet, ended: false }
    }

    /// Does what the script does when it is killed; returns if it lives on.
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
        let world = world();
        world.running.borrow_mut().remove(&*self.name);
        world.log(&self.name, "end", end);
    }
}

/// Dropped before its end: the error of a time limit of another script passes through.
impl Drop for Ending {
    fn drop(&mut self) {
        let error = if self.ended { None } else { world().firing.borrow().clone() };
        if let Some(error) = error {
            self.log(err(error));
        }
    }
}

pub(super) fn kill_name(exit: &GreenletExit) -> String {
    exit.reason().map_or_else(|| "GreenletExit".to_owned(), ToString::to_string)
}

pub(super) fn exit_of(op: &Value) -> GreenletExit {
    match op["exc"].as_str() {
        Some(label) => GreenletExit::because(format!("Zap:{label}")),
        None => GreenletExit::new(),
    }
}
