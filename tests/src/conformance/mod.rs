//! Runs scenarios that gevent and eventlet ran, and compares what happens.

mod barging;
mod crews;
mod eventlet;
mod gevent;
mod locks;
mod objects;
mod queues;
mod results;
mod script;
mod settable;
mod world;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use spinney::{Greenlet, spawn_on};
use spinney_sim::SimHub;

use objects::Object;
use script::{Api, actor};
use world::{Ended, World};

/// One scenario of the corpus.
#[derive(Clone, Debug)]
pub struct Scenario {
    spec: Value,
}

/// What happened: the trace, in canonical order, and the state at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Entries of tick, who, event and value.
    pub trace: Vec<Value>,
    /// The state of objects and tasks, and who is blocked.
    pub end: Value,
}

impl Scenario {
    /// Reads one from its line.
    ///
    /// # Errors
    ///
    /// If that is no JSON.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { spec: serde_json::from_str(line)? })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        self.spec["id"].as_str().unwrap_or("unnamed")
    }

    /// Its tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.spec["tags"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// What the original did.
    pub fn expected(&self) -> Observed {
        let trace = self.spec["trace"].as_array().cloned().unwrap_or_default();
        Observed { trace, end: self.spec["final"].clone() }
    }

    /// Runs it on our own.
    ///
    /// # Panics
    ///
    /// If it asks for what it says it does not.
    pub fn run(&self) -> Observed {
        let hub = SimHub::new();
        let api = if self.spec["api"] == "gevent" { Api::Gevent } else { Api::Eventlet };
        let mut objects = BTreeMap::new();
        for (name, spec) in self.spec["objects"].as_object().into_iter().flatten() {
            let object = match api {
                Api::Gevent => Object::new(&hub, spec),
                Api::Eventlet => eventlet::Object::new(&hub, spec, &objects).map(Object::Eventlet),
            };
            objects.insert(name.clone(), object.unwrap_or_else(|| panic!("no object as {spec}")));
        }
        let world = World::enter(api, hub.clone(), objects);
        for spec in self.spec["actors"].as_array().into_iter().flatten() {
            let name = spec["name"].as_str().expect("an actor has a name");
            let greenlet: Greenlet<_> = spawn_on(&hub, actor(api, spec.clone()));
            world.insert(name, greenlet.handle().clone(), greenlet, None, true);
        }
        hub.run_until_idle();
        let observed = Observed { trace: canonical(&world), end: end(&world) };
        world.over.set(true);
        World::leave();
        observed
    }
}

fn canonical(world: &World) -> Vec<Value> {
    let mut trace = world.trace.borrow().clone();
    trace.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    trace.into_iter().map(|(tick, who, event, value)| json!([tick, who, event, value])).collect()
}

fn end(world: &World) -> Value {
    let objects: Map<String, Value> =
        world.objects.iter().map(|(name, object)| (name.clone(), object.state())).collect();
    let mut tasks = Map::new();
    for (name, entry) in world.tasks() {
        if entry.is_actor {
            continue;
        }
        let outcome = match entry.ended() {
            None => "pending".into(),
            Some(Ended::Value(value)) => json!({ "ok": value }),
            Some(Ended::Error(error)) => json!({ "err": error }),
            Some(Ended::Killed) if world.api == Api::Gevent => json!({ "ok": "!GreenletExit" }),
            Some(Ended::Killed) => json!({ "err": "GreenletExit" }),
        };
        tasks.insert(name, outcome);
    }
    let blocked: Vec<String> = world.running.borrow().iter().cloned().collect();
    json!({ "objects": objects, "tasks": tasks, "blocked": blocked })
}
