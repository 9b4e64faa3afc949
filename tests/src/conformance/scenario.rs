//! [`Scenario`]: a program to run, and the original's trace of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value, json};
use spinney::task::spawn_on;
use spinney_sim::SimHub;

use super::moments::Moment;
use super::objects::Object;
use super::script::{Api, actor, text};
use super::threads;
use super::world::{Manner, World};

/// How long a scenario with threads may go on after the last tick of the original.
const SPARE_TICKS: u64 = 10;

/// One scenario of the corpus.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(super) spec: Value,
}

/// The observations: the trace, in canonical order, and the state at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Entries of tick, task, event and value.
    pub trace: Vec<Value>,
    /// The states of objects and tasks, and the blocked tasks.
    pub end: Value,
}

/// The observations of a run of ours.
pub(super) struct Run {
    pub(super) observed: Observed,
    pub(super) moments: Vec<Moment>,
    /// Whether the run used behaviour that only the original has.
    pub(super) quirk: bool,
}

impl Scenario {
    /// Reads a scenario from its line.
    ///
    /// # Errors
    ///
    /// If the line is not JSON, or not a scenario of either library.
    pub fn parse(line: &str) -> Result<Self, String> {
        let spec: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        match spec["api"].as_str() {
            Some("gevent" | "eventlet") => Ok(Self { spec }),
            api => Err(format!("no scenario of gevent or eventlet: its api is {api:?}")),
        }
    }

    /// Its name.
    pub fn id(&self) -> &str {
        self.spec["id"].as_str().unwrap_or("unnamed")
    }

    /// `gevent` or `eventlet`.
    pub fn api(&self) -> &str {
        self.spec["api"].as_str().unwrap_or_default()
    }

    /// Its tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.spec["tags"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether it has that tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags().any(|other| other == tag)
    }

    /// The observations of the original.
    pub fn expected(&self) -> Observed {
        let trace = self.spec["trace"].as_array().cloned().unwrap_or_default();
        Observed { trace, end: self.spec["final"].clone() }
    }

    /// Runs it on `hub`, which is new. The error is a fault of the scenario, or of ours if a task
    /// panics.
    pub(super) fn run(&self, hub: &SimHub, manner: Manner) -> Result<Run, String> {
        let run = catch_unwind(AssertUnwindSafe(|| self.run_or_panic(hub, manner)));
        run.unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            Err(format!("panicked: {}", text.unwrap_or("with no text")))
        })
    }

    fn run_or_panic(&self, hub: &SimHub, manner: Manner) -> Result<Run, String> {
        let api = if self.api() == "gevent" { Api::Gevent } else { Api::Eventlet };
        let mut objects = BTreeMap::new();
        let mut specs: Vec<_> = self.spec["objects"].as_object().into_iter().flatten().collect();
        // A pile may use a pool.
        specs.sort_by_key(|(_, spec)| spec["pool"].is_string());
        for (name, spec) in specs {
            let object = match api {
                Api::Gevent => Object::gevent(hub, manner, spec),
                Api::Eventlet => Object::eventlet(hub, manner, spec, &objects),
            };
            objects.insert(name.clone(), object.ok_or_else(|| format!("no such object: {spec}"))?);
        }
        let world = World::enter(api, manner, hub.clone(), objects);
        for spec in self.spec["actors"].as_array().into_iter().flatten() {
            world.register_actor(text(spec, "name"), spawn_on(hub, actor(api, spec.clone())));
        }
        if world.objects.values().any(|object| matches!(object, Object::Threads(_))) {
            let last = self.spec["last_tick"].as_u64().unwrap_or_default();
            spawn_on(hub, threads::drive(last + SPARE_TICKS)).detach();
        }
        hub.run_until_idle();
        let run = Run {
            observed: Observed { trace: world.moments.trace(), end: end(&world) },
            moments: world.moments.list(),
            quirk: world.quirk.get() || world.objects.values().any(Object::has_quirk),
        };
        let fault = world.first_fault();
        world.leave();
        fault.map_or(Ok(run), Err)
    }
}

fn end(world: &World) -> Value {
    let objects: Map<String, Value> =
        world.objects.iter().map(|(name, object)| (name.clone(), object.state())).collect();
    let tasks = world.tasks().into_iter().filter(|(_, entry)| !entry.is_actor);
    let tasks: Map<String, Value> = tasks
        .map(|(name, entry)| {
            let ended = entry.ended().map(|ended| ended.told(killed(world.api)));
            (name, ended.unwrap_or_else(|| "pending".into()))
        })
        .collect();
    let blocked: Vec<String> = world.running.borrow().iter().cloned().collect();
    json!({ "objects": objects, "tasks": tasks, "blocked": blocked })
}

fn killed(api: Api) -> fn() -> Value {
    match api {
        Api::Gevent => super::gevent::killed,
        Api::Eventlet => super::eventlet::killed,
    }
}
