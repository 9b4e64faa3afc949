//! [`Verdict`]: whether a scenario passes, and why.

use std::fmt;

use serde_json::Value;
use spinney_sim::SimHub;

use super::world::Manner;
use super::{Observed, Scenario, laws};

/// The number of orders of turns in which a scenario is run that depends on that order.
const ORDERS: u64 = 100;

/// Scenarios in which ours differs by design, in every order of turns. The reasons are in
/// `docs/conformance.md`.
const LISTED: &[&str] = &[
    "gevent-s1-0146",
    "gevent-s1-0199",
    "gevent-s1-0391",
    "gevent-s1-0693",
    "gevent-s1-0837",
    "g2-channel-s21-045",
    "g2-threads-s31-003",
];

/// Whether a scenario passes, and why.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The same as the original.
    Same,
    /// The same as the original in another order of turns within one instant.
    SameInAnotherOrder,
    /// The same as the original with the recipes of `docs/migrating.md`.
    SameByRecipe,
    /// Differs in the way that `docs/conformance.md` describes.
    AsDocumented(Vec<String>),
    /// Differs: the first difference, and the broken promises of our documentation.
    Different(Difference, Vec<String>),
    /// It could not be run: it asks for a missing feature, or a task panicked.
    Broken(String),
    /// It did not finish.
    Hangs,
}

/// The two sides of a scenario, and where they diverge.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    expected: Observed,
    observed: Observed,
}

impl Verdict {
    /// Whether the scenario passes.
    pub fn is_pass(&self) -> bool {
        matches!(
            self,
            Self::Same | Self::SameInAnotherOrder | Self::SameByRecipe | Self::AsDocumented(_)
        )
    }
}

impl Scenario {
    /// Runs it, and compares.
    pub fn judge(&self) -> Verdict {
        self.judge_in(Manner::Ours)
    }

    /// Like [`judge`](Self::judge), on a broken pool, which admits the last waiter first.
    pub fn judge_on_a_broken_pool(&self) -> Verdict {
        self.judge_in(Manner::Broken)
    }

    fn judge_in(&self, manner: Manner) -> Verdict {
        if manner == Manner::Ours && laws::has_work_in_place(self) {
            if let Some(failed) = self.fault_in_place() {
                return failed;
            }
        }
        let expected = self.expected();
        let ours = match self.run(&SimHub::new(), manner) {
            Ok(run) => run,
            Err(fault) => return Verdict::Broken(fault),
        };
        if ours.observed == expected {
            return Verdict::Same;
        }
        let (laws, broken) = laws::check(self, &ours);
        let has_recipe = laws::have_recipes(&laws);
        if has_recipe && !broken.is_empty() {
            let difference = Difference { expected, observed: ours.observed };
            return Verdict::Different(difference, broken);
        }
        // Being the same is best, even where the tags allow a difference.
        if manner == Manner::Ours && (laws.is_empty() || has_recipe || self.has_tag("fifo")) {
            let theirs = self.run(&SimHub::new(), Manner::Theirs);
            if theirs.is_ok_and(|run| run.quirk && run.observed == expected) {
                return Verdict::SameByRecipe;
            }
            if self.has_tag("fifo") && self.is_same_in_another_order(&expected) {
                return Verdict::SameInAnotherOrder;
            }
        }
        let is_allowed = !laws.is_empty() && broken.is_empty() && !has_recipe;
        if is_allowed || LISTED.contains(&self.id()) {
            return Verdict::AsDocumented(laws);
        }
        Verdict::Different(Difference { expected, observed: ours.observed }, broken)
    }

    /// Runs it with pools whose members run their work in place. The verdict if the laws of that do
    /// not hold.
    fn fault_in_place(&self) -> Option<Verdict> {
        let run = match self.run(&SimHub::new(), Manner::InPlace) {
            Ok(run) => run,
            Err(fault) => return Some(Verdict::Broken(fault)),
        };
        let broken = laws::check_in_place(self, &run);
        let difference = Difference { expected: self.expected(), observed: run.observed };
        (!broken.is_empty()).then_some(Verdict::Different(difference, broken))
    }

    /// Whether it is the same in some order of turns, with the recipes or without.
    fn is_same_in_another_order(&self, expected: &Observed) -> bool {
        let orders = (0..ORDERS).flat_map(|seed| [(seed, Manner::Ours), (seed, Manner::Theirs)]);
        orders.into_iter().any(|(seed, manner)| {
            let run = self.run(&SimHub::seeded(seed), manner);
            run.is_ok_and(|run| run.observed == *expected)
        })
    }
}

impl fmt::Display for Difference {
    /// The entries before the divergence, and those after it, side by side.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BEFORE: usize = 4;
        const AFTER: usize = 6;
        let (theirs, ours) = (&self.expected.trace, &self.observed.trace);
        let same = theirs.iter().zip(ours).take_while(|(a, b)| a == b).count();
        writeln!(f, "    {:<58} | ours", "the original")?;
        if same == theirs.len() && same == ours.len() {
            return self.fmt_end(f);
        }
        let from = same.saturating_sub(BEFORE);
        if from > 0 {
            writeln!(f, "    ... {from} the same")?;
        }
        for index in from..theirs.len().max(ours.len()).min(same + AFTER) {
            let mark = if index < same { ' ' } else { '>' };
            let (a, b) = (entry(theirs.get(index)), entry(ours.get(index)));
            writeln!(f, "  {mark} {a:<58} | {b}")?;
        }
        Ok(())
    }
}

impl Difference {
    fn fmt_end(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in ["objects", "tasks", "blocked"] {
            let (a, b) = (&self.expected.end[part], &self.observed.end[part]);
            if a != b {
                writeln!(f, "  > at the end, {part}: {a} | {b}")?;
            }
        }
        Ok(())
    }
}

fn entry(entry: Option<&Value>) -> String {
    let Some(entry) = entry else { return "(nothing)".to_owned() };
    let who = entry[1].as_str().unwrap_or_default();
    let event = entry[2].as_str().unwrap_or_default();
    format!("{:>3}  {who}  {event} {}", entry[0], entry[3])
}
