//! [`Workload`]: the same work, done by several rivals.

use std::fmt;

use crate::load::Load;
use crate::stopwatch::{Answer, Outcome, Stopwatch};
use crate::target::Target;

/// The same work, done by several rivals. Ratios refer to the first of them.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// The load of a full run.
    pub(crate) load: Load,
    /// The expected answer, by the number of items.
    pub(crate) answer: fn(u32) -> u64,
    pub(crate) rivals: Vec<Rival>,
    pub(crate) targets: Vec<Target>,
}

/// One way to do the work.
pub(crate) struct Rival {
    pub(crate) name: String,
    /// Whether it is spinney's.
    pub(crate) ours: bool,
    /// The number of threads of the global hub, if that matters.
    pub(crate) hub_threads: Option<usize>,
    pub(crate) run: Box<dyn Fn(Load) -> Outcome>,
}

impl Workload {
    /// A workload without rivals.
    pub(crate) fn new(
        id: &'static str,
        title: &'static str,
        load: Load,
        answer: fn(u32) -> u64,
    ) -> Self {
        Self { id, title, load, answer, rivals: Vec::new(), targets: Vec::new() }
    }

    /// Adds a rival that is not spinney's.
    pub(crate) fn rival<A: Answer>(self, name: &str, run: impl Fn(Load) -> A + 'static) -> Self {
        self.with(name.into(), false, None, run)
    }

    /// Adds a rival of spinney's.
    pub(crate) fn ours<A: Answer>(self, name: &str, run: impl Fn(Load) -> A + 'static) -> Self {
        self.with(name.into(), true, None, run)
    }

    /// Adds a rival of spinney's on the global hub: once with one thread, once with two.
    pub(crate) fn on_hub<A: Answer>(
        self,
        name: &str,
        run: impl Fn(Load) -> A + Clone + 'static,
    ) -> Self {
        let one = self.with(format!("{name}, 1 thread"), true, Some(1), run.clone());
        one.with(format!("{name}, 2 threads"), true, Some(2), run)
    }

    /// Adds a target.
    pub(crate) fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    fn with<A: Answer>(
        mut self,
        name: String,
        ours: bool,
        hub_threads: Option<usize>,
        run: impl Fn(Load) -> A + 'static,
    ) -> Self {
        let run = Box::new(move |load| {
            let stopwatch = Stopwatch::start();
            run(load).outcome(stopwatch)
        });
        self.rivals.push(Rival { name, ours, hub_threads, run });
        self
    }
}

impl fmt::Debug for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rival").field("name", &self.name).finish_non_exhaustive()
    }
}
