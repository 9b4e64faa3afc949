//! [`Entry`]: a task with a handle.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde_json::Value;
use spinney::task::{GreenletExit, LinkId, State};
use spinney::{Failure, Greenlet, Handle};
use spinney_greenlet::Task;

use super::world::{Outcome, err, ok, world};

/// A task with a handle.
pub(super) struct Entry {
    pub(super) handle: Handle,
    /// `None` for an item of a map, whose result is the map's.
    greenlet: Option<RefCell<Greenlet<Outcome>>>,
    /// Starts the task; `Some` until it is started.
    starter: RefCell<Option<Starter>>,
    /// It will be started later.
    pub(super) is_scheduled: Cell<bool>,
    pub(super) is_actor: bool,
    /// Callbacks by label, to be removed.
    pub(super) links: RefCell<BTreeMap<String, LinkId>>,
}

/// Starts a task.
pub(super) type Starter = Box<dyn FnOnce()>;

/// A task that is spawned when its starter is called.
pub(super) fn starter<F: Future<Output = Outcome> + 'static>(task: Task<F>) -> Starter {
    Box::new(move || world().spawn(task))
}

/// The end of a task.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Value(Value),
    Error(String),
    /// Killed without an error.
    Killed,
}

impl Entry {
    pub(super) fn new(greenlet: Greenlet<Outcome>) -> Self {
        let of_item = Self::of_item(greenlet.handle().clone());
        Self { greenlet: Some(RefCell::new(greenlet)), ..of_item }
    }

    /// The entry of an item of a map, which registers itself.
    pub(super) fn of_item(handle: Handle) -> Self {
        Self {
            handle,
            greenlet: None,
            starter: RefCell::default(),
            is_scheduled: Cell::new(false),
            is_actor: false,
            links: RefCell::default(),
        }
    }

    pub(super) fn started_by(self, starter: Starter) -> Self {
        Self { starter: RefCell::new(Some(starter)), ..self }
    }

    pub(super) fn of_actor(self) -> Self {
        Self { is_actor: true, ..self }
    }

    /// How it finished; `None` while it has not.
    pub(super) fn ended(&self) -> Option<Ended> {
        if let Some(greenlet) = &self.greenlet {
            let outcome = greenlet.borrow_mut().outcome()?.cloned();
            return Some(outcome.into());
        }
        Ended::of_item(&self.handle)
    }

    /// Calls `callback` with how it finished, at the end or now, if `how` selects that end: `value`
    /// selects gevent's success, `exception` the opposite, any other value both.
    pub(super) fn link_result(&self, how: &str, callback: impl FnOnce(Ended) + Send + 'static) {
        let wanted: fn(&Ended) -> bool = match how {
            "value" => Ended::is_successful,
            "exception" => |ended| !ended.is_successful(),
            _ => |_| true,
        };
        let tell = move |ended| {
            if wanted(&ended) {
                callback(ended);
            }
        };
        match &self.greenlet {
            Some(greenlet) => {
                let mut greenlet = greenlet.borrow_mut();
                greenlet.link_result(move |outcome| tell(outcome.cloned().into()));
            }
            None => drop(self.handle.link(move |item| Ended::of_item(item).map_or((), tell))),
        }
    }

    /// gevent's `successful`: a kill is a success.
    pub(super) fn is_successful(&self) -> bool {
        self.ended().is_some_and(|ended| ended.is_successful())
    }

    /// gevent's `started`: it is scheduled or running.
    pub(super) fn is_started(&self) -> bool {
        !self.handle.is_ready() && !self.is_unstarted()
    }

    /// Whether it was neither started nor scheduled to be.
    pub(super) fn is_unstarted(&self) -> bool {
        self.starter.borrow().is_some() && !self.is_scheduled.get()
    }

    /// Whether it has run, or has finished.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.handle.state(), State::Unstarted | State::Scheduled)
    }

    pub(super) fn start(&self) {
        let starter = self.starter.take();
        if let Some(start) = starter.filter(|_| !self.handle.is_ready()) {
            start();
        }
    }

    /// Kills it. An unstarted task ends with that, in its turn.
    pub(super) fn kill(&self, exit: GreenletExit) {
        self.handle.kill_now_with(exit);
        let starter = if self.handle.is_ready() { self.starter.take() } else { None };
        if let Some(starter) = starter {
            world().spawn(async move { drop(starter) });
        }
    }
}

impl Ended {
    /// How an item of a map finished; `None` while it has not.
    fn of_item(item: &Handle) -> Option<Self> {
        match item.failure() {
            Some(failure) => Some(Self::from(&failure)),
            None if item.is_ready() => {
                world().outcomes.borrow().get(&item.id()).cloned().map(|outcome| Ok(outcome).into())
            }
            None => None,
        }
    }

    /// The outcome for a greenlet of gevent that waits for it: a kill is a value.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Value(value) => Ok(value),
            Self::Error(error) => Err(error),
            Self::Killed => Ok("!GreenletExit".into()),
        }
    }

    fn is_successful(&self) -> bool {
        matches!(self, Self::Value(_) | Self::Killed)
    }

    /// The outcome for an op that waits for it; `killed` is the outcome for a kill.
    pub(super) fn told(self, killed: fn() -> Value) -> Value {
        match self {
            Self::Value(value) => ok(value),
            Self::Error(error) => err(error),
            Self::Killed => killed(),
        }
    }
}

impl From<Result<Outcome, Failure>> for Ended {
    fn from(outcome: Result<Outcome, Failure>) -> Self {
        match outcome {
            Ok(Ok(value)) => Self::Value(value),
            Ok(Err(error)) => Self::Error(error),
            Err(failure) => Self::from(&failure),
        }
    }
}

impl From<&Failure> for Ended {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Killed(exit) => match exit.reason() {
                Some(reason) => Self::Error(reason.to_string()),
                None => Self::Killed,
            },
            Failure::Aborted(_) => Self::Error(failure.to_string()),
            Failure::Panicked(panic) => {
                Self::Error(panic.message().unwrap_or_else(|| "panic".to_owned()))
            }
        }
    }
}
