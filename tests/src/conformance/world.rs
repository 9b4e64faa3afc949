//! [`World`]: the shared state of the scripts of one scenario.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use spinney::{Greenlet, Handle, Spawn};
use spinney_sim::SimHub;

use super::entry::{Entry, Starter};
use super::moments::Moments;
use super::objects::Object;
use super::results::Iteration;
use super::script::Api;

/// The length of a tick; any length works.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// The outcome of a script: its value, or the name of its error.
pub(super) type Outcome = Result<Value, String>;

/// The manner in which a scenario is run, where ours differs from the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Ours,
    /// With the recipes of `docs/migrating.md`: locks, queues and pools in which newcomers barge
    /// in, locals that a task in place shares, maps in slots of their own. And with behaviour that
    /// has no reason to be built.
    Theirs,
    /// With pools whose members run their work in place, our default.
    InPlace,
    /// Broken: a gate in front of each pool admits the last waiter first.
    Broken,
}

/// The shared state of the scripts of one scenario. There is one for each thread, and scenarios run
/// one after the other on a thread: so callbacks, which must be `Send`, find it as well.
pub(super) struct World {
    pub(super) api: Api,
    pub(super) manner: Manner,
    pub(super) hub: SimHub,
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) moments: Moments,
    /// The handles, by the names of their tasks.
    tasks: RefCell<BTreeMap<String, Rc<Entry>>>,
    pub(super) iterations: RefCell<BTreeMap<String, Rc<Iteration>>>,
    /// Iterations whose iterator was dropped: they go on.
    forgotten: RefCell<Vec<Rc<Iteration>>>,
    /// The outcome of the script that ran in the greenlet with this id.
    pub(super) outcomes: RefCell<BTreeMap<u64, Outcome>>,
    /// Scripts that have started and not finished.
    pub(super) running: RefCell<BTreeSet<String>>,
    /// The error of the time limit that is being enforced.
    pub(super) firing: RefCell<Option<String>>,
    /// Resources that scripts hold, by script and variable.
    pub(super) held: RefCell<BTreeMap<(String, String), u64>>,
    /// The greenlets that a group or a pool has sent a kill, by its name and their ids.
    pub(super) dying: RefCell<BTreeSet<(String, u64)>>,
    /// Whether the run used behaviour that only the original has.
    pub(super) quirk: Cell<bool>,
    /// A fault of the scenario.
    faults: RefCell<Vec<String>>,
    over: Cell<bool>,
}

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// The world of the scenario that runs on this thread.
///
/// # Panics
///
/// Panics if no scenario runs.
pub(super) fn world() -> Rc<World> {
    WORLD.with_borrow(|world| world.clone().expect("a scenario is running"))
}

impl World {
    /// Calls `with` with the world of this thread, unless the scenario has finished.
    pub(super) fn current(with: impl FnOnce(&Self)) {
        let world = WORLD.with_borrow(Clone::clone);
        if let Some(world) = world.filter(|world| !world.over.get()) {
            with(&world);
        }
    }

    /// Creates the world of a scenario, which is this thread's until [`leave`](Self::leave).
    pub(super) fn enter(
        api: Api,
        manner: Manner,
        hub: SimHub,
        objects: BTreeMap<String, Object>,
    ) -> Rc<Self> {
        let world = Rc::new(Self {
            api,
            manner,
            hub,
            objects,
            moments: Moments::default(),
            tasks: RefCell::default(),
            iterations: RefCell::default(),
            forgotten: RefCell::default(),
            outcomes: RefCell::default(),
            running: RefCell::default(),
            firing: RefCell::default(),
            held: RefCell::default(),
            dying: RefCell::default(),
            quirk: Cell::new(false),
            faults: RefCell::default(),
            over: Cell::new(false),
        });
        WORLD.set(Some(Rc::clone(&world)));
        world
    }

    /// Ends it: the actions of its tasks while they are dropped are not part of the scenario.
    pub(super) fn leave(&self) {
        self.over.set(true);
        self.forgotten.take();
        self.iterations.take();
        self.tasks.take();
        WORLD.set(None);
    }

    pub(super) fn tick(&self) -> u64 {
        self.hub.elapsed().as_secs() / TICK.as_secs()
    }

    pub(super) fn log(&self, who: &str, event: &str, value: Value) {
        if !self.over.get() {
            self.moments.log(self.tick(), who, event, value);
        }
    }

    /// Records a fault, which makes the scenario fail.
    pub(super) fn fault(&self, what: impl Into<String>) {
        if !self.over.get() {
            self.faults.borrow_mut().push(what.into());
        }
    }

    /// The first fault, including the panic of a script.
    pub(super) fn first_fault(&self) -> Option<String> {
        let panicked = self.tasks().into_iter().find_map(|(name, entry)| {
            let failure = entry.handle.failure().filter(spinney::Failure::is_panic)?;
            Some(format!("{name} {failure}")).filter(|what| !what.contains("Boom:"))
        });
        self.faults.borrow().first().cloned().or(panicked)
    }

    /// The object of the op.
    pub(super) fn object(&self, op: &Value) -> Option<&Object> {
        self.objects.get(op["on"].as_str()?)
    }

    /// Registers a running task.
    pub(super) fn register(&self, name: &str, greenlet: Greenlet<Outcome>) {
        self.insert(name, Entry::new(greenlet));
    }

    /// Registers an unstarted task.
    pub(super) fn register_unstarted(
        &self,
        name: &str,
        greenlet: Greenlet<Outcome>,
        starter: Starter,
    ) -> Rc<Entry> {
        self.insert(name, Entry::new(greenlet).started_by(starter))
    }

    /// Registers an actor.
    pub(super) fn register_actor(&self, name: &str, greenlet: Greenlet<Outcome>) {
        self.insert(name, Entry::new(greenlet).of_actor());
    }

    /// Registers the running script, which may be an item of a map.
    pub(super) fn register_current(&self, name: &str) {
        let Some(current) = Handle::current() else {
            return self.fault(format!("{name} is no task"));
        };
        if self.task(name).is_none_or(|entry| entry.handle != current) {
            self.insert(name, Entry::of_item(current));
        }
    }

    fn insert(&self, name: &str, entry: Entry) -> Rc<Entry> {
        let entry = Rc::new(entry);
        let before = self.tasks.borrow_mut().insert(name.to_owned(), Rc::clone(&entry));
        if let Some(before) = before.filter(|before| before.handle == entry.handle) {
            entry.links.swap(&before.links);
        }
        entry
    }

    pub(super) fn task(&self, name: &str) -> Option<Rc<Entry>> {
        self.tasks.borrow().get(name).cloned()
    }

    pub(super) fn tasks(&self) -> Vec<(String, Rc<Entry>)> {
        self.tasks.borrow().iter().map(|(name, entry)| (name.clone(), Rc::clone(entry))).collect()
    }

    /// Registers an iterator. Its map goes on when it is dropped, as far as it can without a
    /// reader.
    pub(super) fn register_iteration(&self, name: &str, iteration: Iteration) {
        let iteration = Rc::new(iteration);
        self.forgotten.borrow_mut().push(Rc::clone(&iteration));
        self.iterations.borrow_mut().insert(name.to_owned(), iteration);
    }

    pub(super) fn iteration(&self, name: &str) -> Option<Rc<Iteration>> {
        self.iterations.borrow().get(name).cloned()
    }

    /// Starts a task outside any pool.
    pub(super) fn spawn<F: Future<Output = ()> + 'static>(&self, task: F) {
        self.hub.spawn(task);
    }
}

pub(super) fn ok(value: impl Into<Value>) -> Value {
    json!({ "ok": value.into() })
}

pub(super) fn err(name: impl Into<String>) -> Value {
    json!({ "err": name.into() })
}
