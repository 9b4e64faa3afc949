//! [`World`]: what the scripts of one scenario share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use spinney::{Failure, Greenlet, Handle, Spawn, State, Task};
use spinney_sim::SimHub;

use super::objects::Object;
use super::results::Iteration;
use super::script::Api;

/// How long a tick is; any length would do.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// What a script comes to: its value, or the name of its error.
pub(super) type Outcome = Result<Value, String>;

/// What the scripts of one scenario share. There is one for each thread, and scenarios run one
/// after the other on a thread: so callbacks, which have to be `Send`, find it too.
pub(super) struct World {
    pub(super) hub: SimHub,
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) trace: RefCell<Vec<(u64, String, String, Value)>>,
    /// The handles that there are, by the names of their tasks.
    tasks: RefCell<BTreeMap<String, Rc<Entry>>>,
    pub(super) iterations: RefCell<BTreeMap<String, Rc<Iteration>>>,
    pub(super) forgotten: RefCell<Vec<Rc<Iteration>>>,
    /// What a script came to that ran in the greenlet of this id.
    pub(super) outcomes: RefCell<BTreeMap<u64, Outcome>>,
    /// Scripts that have started and not ended.
    pub(super) running: RefCell<std::collections::BTreeSet<String>>,
    /// The error of the time limit that is just being enforced.
    pub(super) firing: RefCell<Option<String>>,
    /// Resources that scripts hold, by script and variable.
    pub(super) held: RefCell<BTreeMap<(String, String), Value>>,
    pub(super) over: Cell<bool>,
    pub(super) api: Api,
}

/// A task with a handle.
pub(super) struct Entry {
    pub(super) handle: Handle,
    pub(super) greenlet: RefCell<Kept>,
    /// What to spawn, while it has not been started.
    pub(super) unstarted: RefCell<Option<Starter>>,
    pub(super) is_actor: bool,
    /// It is to be started later.
    pub(super) is_scheduled: Cell<bool>,
    /// Callbacks by label, to be taken back.
    pub(super) links: RefCell<BTreeMap<String, spinney::LinkId>>,
}

/// Starts a task.
pub(super) type Starter = Box<dyn FnOnce()>;

/// The owner of a task's result.
pub(super) type Kept = Greenlet<Outcome>;

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// The world of the scenario that runs on this thread.
pub(super) fn world() -> Rc<World> {
    WORLD.with_borrow(|world| world.clone().expect("a scenario is running"))
}

impl World {
    pub(super) fn enter(api: Api, hub: SimHub, objects: BTreeMap<String, Object>) -> Rc<Self> {
        let world = Rc::new(Self {
            hub,
            objects,
            trace: RefCell::default(),
            tasks: RefCell::default(),
            iterations: RefCell::default(),
            forgotten: RefCell::default(),
            outcomes: RefCell::default(),
            running: RefCell::default(),
            firing: RefCell::default(),
            held: RefCell::default(),
            over: Cell::new(false),
            api,
        });
        WORLD.set(Some(Rc::clone(&world)));
        world
    }

    pub(super) fn leave() {
        WORLD.set(None);
    }

    pub(super) fn tick(&self) -> u64 {
        self.hub.elapsed().as_secs() / TICK.as_secs()
    }

    pub(super) fn log(&self, who: &str, event: &str, value: Value) {
        if !self.over.get() {
            self.trace.borrow_mut().push((self.tick(), who.to_owned(), event.to_owned(), value));
        }
    }

    pub(super) fn object(&self, op: &Value) -> &Object {
        let name = op["on"].as_str().expect("an object's name");
        self.objects.get(name).unwrap_or_else(|| panic!("no object {name}"))
    }

    /// Registers a task that runs.
    pub(super) fn register(&self, name: &str, greenlet: Greenlet<Outcome>) {
        self.insert(name, greenlet.handle().clone(), greenlet, None, false);
    }

    pub(super) fn insert(
        &self,
        name: &str,
        handle: Handle,
        kept: Kept,
        unstarted: Option<Starter>,
        is_actor: bool,
    ) {
        let entry = Entry {
            handle,
            greenlet: RefCell::new(kept),
            unstarted: RefCell::new(unstarted),
            is_actor,
            is_scheduled: Cell::new(false),
            links: RefCell::default(),
        };
        self.tasks.borrow_mut().insert(name.to_owned(), Rc::new(entry));
    }

    pub(super) fn task(&self, name: &str) -> Option<Rc<Entry>> {
        self.tasks.borrow().get(name).cloned()
    }

    pub(super) fn tasks(&self) -> Vec<(String, Rc<Entry>)> {
        self.tasks.borrow().iter().map(|(name, entry)| (name.clone(), Rc::clone(entry))).collect()
    }

    /// Starts a script outside of any pool.
    pub(super) fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + 'static,
    {
        self.hub.spawn(task);
    }
}

/// How a task ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Value(Value),
    Error(String),
    /// Killed without an error of its own.
    Killed,
}

impl Entry {
    /// How it ended; None while it has not.
    pub(super) fn ended(&self) -> Option<Ended> {
        let outcome = self.greenlet.borrow_mut().outcome()?.cloned();
        Some(match outcome {
            Ok(Ok(value)) => Ended::Value(value),
            Ok(Err(error)) => Ended::Error(error),
            Err(failure) => failure_of(&failure),
        })
    }

    pub(super) fn is_successful(&self) -> bool {
        matches!(self.ended(), Some(Ended::Value(_) | Ended::Killed))
    }

    /// gevent's `started`: it is to run, or does.
    pub(super) fn is_started(&self) -> bool {
        let waits = self.unstarted.borrow().is_some() && !self.is_scheduled.get();
        !self.handle.is_ready() && !waits
    }

    /// Whether it has run, or is over.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.handle.state(), State::Unstarted | State::Scheduled)
    }

    pub(super) fn start(&self) {
        let starter = self.unstarted.borrow_mut().take();
        if let Some(start) = starter.filter(|_| !self.handle.is_ready()) {
            start();
        }
    }

    /// Kills it. What has not been started is gone with that, in its turn.
    pub(super) fn kill(&self, exit: spinney::GreenletExit) {
        self.handle.kill_now_with(exit);
        let starter = if self.handle.is_ready() { self.unstarted.take() } else { None };
        if let Some(starter) = starter {
            world().spawn(async move { drop(starter) });
        }
    }
}

pub(super) fn failure_of(failure: &Failure) -> Ended {
    match failure {
        Failure::Killed(exit) => match exit.reason() {
            Some(reason) => Ended::Error(reason.to_string()),
            None => Ended::Killed,
        },
        Failure::Panicked(panic) => {
            Ended::Error(panic.message().unwrap_or_else(|| "panic".to_owned()))
        }
    }
}

/// A task that is spawned when its starter is called.
pub(super) fn starter<F: Future<Output = Outcome> + 'static>(task: Task<F>) -> Starter {
    Box::new(move || world().spawn(task))
}

pub(super) fn ok(value: impl Into<Value>) -> Value {
    json!({ "ok": value.into() })
}

pub(super) fn err(name: impl Into<String>) -> Value {
    json!({ "err": name.into() })
}
