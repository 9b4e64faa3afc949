//! [`Report`]: how many scenarios of each tag pass, and how the others fail.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{Scenario, Verdict};

/// How long a scenario may take in real time: a longer one counts as hanging.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Decides whether a scenario passes.
pub type Judge = fn(&Scenario) -> Verdict;

/// The verdicts on some scenarios.
#[derive(Debug, Default)]
pub struct Report {
    verdicts: Vec<(Scenario, Verdict)>,
}

impl Report {
    /// Runs `scenarios` one after the other; a hanging or panicking one fails alone.
    pub fn of(scenarios: Vec<Scenario>) -> Self {
        Self::judged_by(Scenario::judge, scenarios, LIMIT)
    }

    /// Like [`of`](Self::of), with another judge, which has that much time for each.
    pub fn judged_by(judge: Judge, scenarios: Vec<Scenario>, limit: Duration) -> Self {
        let mut verdicts = Vec::new();
        let mut judged = judge_all(judge, scenarios.clone());
        for index in 0..scenarios.len() {
            verdicts.push(judged.recv_timeout(limit).unwrap_or_else(|error| {
                // A hanging scenario cannot be stopped: another thread takes over.
                judged = judge_all(judge, scenarios[index + 1..].to_vec());
                match error {
                    RecvTimeoutError::Timeout => Verdict::Hangs,
                    RecvTimeoutError::Disconnected => Verdict::Broken("panicked".to_owned()),
                }
            }));
        }
        Self { verdicts: scenarios.into_iter().zip(verdicts).collect() }
    }

    /// How many pass.
    pub fn passed(&self) -> usize {
        self.verdicts.iter().filter(|(_, verdict)| verdict.is_pass()).count()
    }

    /// How many fail.
    pub fn failed(&self) -> usize {
        self.verdicts.len() - self.passed()
    }

    /// Each scenario with its verdict.
    pub fn verdicts(&self) -> impl Iterator<Item = (&Scenario, &Verdict)> {
        self.verdicts.iter().map(|(scenario, verdict)| (scenario, verdict))
    }

    /// Each scenario, one per line.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.verdicts().map(|(scenario, verdict)| {
            let verdict = match verdict {
                Verdict::Same => "same".to_owned(),
                Verdict::SameInAnotherOrder => "same in another order of turns".to_owned(),
                Verdict::SameByRecipe => "same by recipe".to_owned(),
                Verdict::AsDocumented(laws) => format!("as documented: {}", laws.join(", ")),
                _ => "FAILED".to_owned(),
            };
            format!("{} {verdict}", scenario.id())
        })
    }

    fn by_tag(&self) -> BTreeMap<String, (usize, usize)> {
        let mut tags = BTreeMap::<_, (usize, usize)>::new();
        for (scenario, verdict) in &self.verdicts {
            for tag in scenario.tags() {
                let (passed, failed) = tags.entry(format!("{} {tag}", scenario.api())).or_default();
                if verdict.is_pass() { *passed += 1 } else { *failed += 1 }
            }
        }
        tags
    }
}

fn judge_all(judge: Judge, scenarios: Vec<Scenario>) -> Receiver<Verdict> {
    let (verdicts, judged) = mpsc::channel();
    thread::spawn(move || {
        scenarios.iter().map(judge).all(|verdict| verdicts.send(verdict).is_ok())
    });
    judged
}

impl fmt::Display for Report {
    /// The table by tag, how each failing scenario fails, and the sums.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<40} {:>6} {:>6} {:>6}", "tag", "passed", "failed", "total")?;
        for (tag, (passed, failed)) in self.by_tag() {
            writeln!(f, "{tag:<40} {passed:>6} {failed:>6} {:>6}", passed + failed)?;
        }
        writeln!(f)?;
        for (scenario, verdict) in &self.verdicts {
            let tags: Vec<_> =
                scenario.tags().filter(|tag| !tag.contains(':') || tag.starts_with("x:")).collect();
            let head = format!("FAILED {} ({})", scenario.id(), tags.join(", "));
            match verdict {
                Verdict::Different(difference, broken) => {
                    writeln!(f, "{head}\n{difference}")?;
                    broken.iter().try_for_each(|law| writeln!(f, "    does not hold: {law}"))?;
                }
                Verdict::Broken(what) => writeln!(f, "{head}\n    {what}")?,
                Verdict::Hangs => writeln!(f, "{head}\n    hangs")?,
                _ => {}
            }
        }
        for (what, is_so) in KINDS {
            let count = self.verdicts().filter(|(_, verdict)| is_so(verdict)).count();
            writeln!(f, "{count:>6} {what}")?;
        }
        writeln!(f, "{} passed, {} failed", self.passed(), self.failed())
    }
}

/// Whether a verdict is of this kind.
type Kind = fn(&Verdict) -> bool;

/// The kinds of passing verdicts, as text.
const KINDS: &[(&str, Kind)] = &[
    ("the same, to the tick", |verdict| *verdict == Verdict::Same),
    ("the same in another order of turns", |verdict| *verdict == Verdict::SameInAnotherOrder),
    ("the same by recipe", |verdict| *verdict == Verdict::SameByRecipe),
    ("as documented", |verdict| matches!(verdict, Verdict::AsDocumented(_))),
];
