//! [`Workload`]: the same work, done by several rivals.

use std::fmt;

use crate::load::Load;
use crate::stopwatch::{Answer, Outcome, Stopwatch};
use crate::target::Target;

/// The same work, done by several rivals. The first of them is the one that ratios refer to.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// In a full run.
    pub(crate) load: Load,
    /// What each rival is expected to answer, by the number of items.
    pub(crate) answer: fn(u32) -> u64,
    pub(crate) rivals: Vec<Rival>,
    pub(crate) targets: Vec<Target>,
}

/// One way to do the work.
pub(crate) struct Rival {
    pub(crate) name: String,
    /// Whether it is spinney's.
    pub(crate) ours: bool,
    /// How many threads the global hub has, if that matters.
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

    /// Adds somebody else's way.
    pub(crate) fn rival<A: Answer>(self, name: &str, run: impl Fn(Load) -> A + 'static) -> Self {
        self.with(name.into(), false, None, run)
    }

    /// Adds spinney's way.
    pub(crate) fn ours<A: Answer>(self, name: &str, run: impl Fn(Load) -> A + 'static) -> Self {
        self.with(name.into(), true, None, run)
    }

    /// Adds spinney's way on the global hub: once with one thread, once with two.
    pub(crate) fn on_hub<A: Answer>(
        self,
        name: &str,
        run: impl Fn(Load) -> A + Clone + 'static,
    ) -> Self {
        let one = self.with(format!("{name}, 1 thread"), true, Some(1), run.clone());
        one.with(format!("{name}, 2 threads"), true, Some(2), run)
    }

    /// Adds what is to be reached.
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
