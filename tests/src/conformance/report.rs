//! [`Report`]: how many scenarios of each tag pass, and what the others do.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Scenario, Verdict};

/// How long a scenario may take in real time: one that takes that long hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// The verdicts on some scenarios.
#[derive(Debug, Default)]
pub struct Report {
    verdicts: Vec<(Scenario, Verdict)>,
}

impl Report {
    /// Runs `scenarios`, one after the other; one that hangs fails alone.
    pub fn of(scenarios: Vec<Scenario>) -> Self {
        Self::judged_by(scenarios, Scenario::judge)
    }

    /// As [`of`](Self::of), with another judge.
    pub fn judged_by(scenarios: Vec<Scenario>, judge: fn(&Scenario) -> Verdict) -> Self {
        let mut rest = scenarios;
        let mut report = Self::default();
        while !rest.is_empty() {
            let (verdicts, judged) = mpsc::channel();
            let batch = rest.clone();
            // It cannot be stopped: if it hangs, another takes over behind that scenario.
            thread::spawn(move || {
                batch.iter().map(judge).all(|verdict| verdicts.send(verdict).is_ok())
            });
            let mut judged = std::iter::from_fn(|| judged.recv_timeout(LIMIT).ok());
            while let Some(scenario) = rest.first().cloned() {
                let verdict = judged.next();
                let hangs = verdict.is_none();
                rest.remove(0);
                report.verdicts.push((scenario, verdict.unwrap_or(Verdict::Hangs)));
                if hangs {
                    break;
                }
            }
        }
        report
    }

    /// How many pass.
    pub fn passed(&self) -> usize {
        self.verdicts.iter().filter(|(_, verdict)| verdict.is_pass()).count()
    }

    /// How many do not.
    pub fn failed(&self) -> usize {
        self.verdicts.len() - self.passed()
    }

    /// Each scenario with its verdict.
    pub fn verdicts(&self) -> impl Iterator<Item = (&Scenario, &Verdict)> {
        self.verdicts.iter().map(|(scenario, verdict)| (scenario, verdict))
    }

    /// Each scenario in a line of its own.
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

impl fmt::Display for Report {
    /// The table by tag, how each scenario fails that does, and the sums.
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

/// Whether a verdict is one of its kind.
type Kind = fn(&Verdict) -> bool;

/// What passing scenarios do, in words.
const KINDS: &[(&str, Kind)] = &[
    ("the same, to the tick", |verdict| *verdict == Verdict::Same),
    ("the same in another order of turns", |verdict| *verdict == Verdict::SameInAnotherOrder),
    ("the same by recipe", |verdict| *verdict == Verdict::SameByRecipe),
    ("as documented", |verdict| matches!(verdict, Verdict::AsDocumented(_))),
];
