//! [`Counterexample`]: an order in which a program fails; [`ExploreError`].

use std::error::Error;
use std::fmt;

use super::Report;

/// The smallest failing order that was found.
///
/// Its text has the failure, a replay token, and each step: the task that ran, the tasks that it
/// ran before, where it waited, and what it did. The ids of tasks, timers and greenlets count from
/// 1 in each run, so that the text is the same in every process.
///
/// ```
/// use spinney_sim::{Explore, ExploreError, SimHub};
///
/// let scenario = |sim: &SimHub| assert_eq!(sim.choose("the connection drops", 2), 0);
/// let Err(ExploreError::Failed(found)) = Explore::delays(1).try_run(scenario) else { panic!() };
/// assert_eq!((found.deviations(), found.token()), (1, "0:1/2"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    message: String,
    token: String,
    deviations: usize,
    steps: Vec<String>,
    report: Report,
}

impl Counterexample {
    pub(crate) fn new(
        message: &str,
        token: String,
        deviations: usize,
        steps: &[String],
        report: Report,
    ) -> Self {
        let mut greenlets = Vec::new();
        let message = relative(message, &mut greenlets);
        let steps = steps.iter().map(|step| relative(step, &mut greenlets)).collect();
        Self { message, token, deviations, steps, report }
    }

    /// The failure: the text of the panic with its line, or the tasks that have not finished.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The replay token: see [`SimHub::replay`](crate::SimHub::replay).
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The distance from FIFO order: a deviation for each ready task that was skipped, and for each
    /// choice of the program other than its first option.
    pub fn deviations(&self) -> usize {
        self.deviations
    }

    /// The steps of the run, one line each.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// The coverage before the failure was found.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, token, deviations, report, .. } = self;
        let orders = report.orders;
        writeln!(
            f,
            "found a failing order with {deviations} deviations, after {orders} orders: {message}"
        )?;
        writeln!(f, "replay it with SPINNEY_REPLAY={token} or SimHub::replay({token:?}, ..)")?;
        f.write_str("its steps:")?;
        self.steps.iter().try_for_each(|step| write!(f, "\n{step}"))
    }
}

impl Error for Counterexample {}

/// Why an exploration did not finish.
///
/// ```
/// use std::cell::Cell;
/// use spinney_sim::{Explore, ExploreError};
///
/// let runs = Cell::new(0);
/// let error = Explore::fifo().try_run(|sim| {
///     runs.set(runs.get() + 1);
///     sim.choose("what outlives a run", 1 + runs.get());
/// });
/// assert!(matches!(error, Err(ExploreError::NotDeterministic { step: 0, .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExploreError {
    /// The program fails in some order.
    Failed(Box<Counterexample>),
    /// The program behaved differently when an order was repeated. This is not a failure of the
    /// program, but the program cannot be explored.
    NotDeterministic {
        /// The step of the run at which the difference appeared.
        step: usize,
        /// The difference.
        why: String,
    },
    /// Another thread woke or spawned a task, in an order that cannot be repeated.
    OtherThread {
        /// The step of the run before which this happened.
        step: usize,
        /// The task.
        task: String,
    },
}

impl fmt::Display for ExploreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(found) => found.fmt(f),
            Self::NotDeterministic { step, why } => {
                write!(f, "the program is not deterministic at step {step}: {why}")
            }
            Self::OtherThread { step, task } => write!(
                f,
                "another thread woke or spawned {task} before step {step}, which cannot be explored"
            ),
        }
    }
}

impl Error for ExploreError {}

/// `text` with the ids of greenlets, which count up in the whole process, replaced by their indices
/// in `known`.
fn relative(text: &str, known: &mut Vec<u64>) -> String {
    const BEFORE: &str = "greenlet ";
    let mut parts = text.split(BEFORE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        let Ok(id) = part[..end].parse() else { return text + BEFORE + part };
        let place = known.iter().position(|other| *other == id).unwrap_or_else(|| {
            known.push(id);
            known.len() - 1
        });
        format!("{text}{BEFORE}{}{}", place + 1, &part[end..])
    })
}
