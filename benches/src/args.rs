//! [`Args`]: the command line.

use std::path::PathBuf;

use lexopt::{Arg, ValueExt};

use crate::load::Load;

pub(crate) const HELP: &str = "\
cargo xtask bench [--quick] [--only W3,W4] [--rival NAME] [--rounds N] [--save FILE | --load FILE] [--plot]
cargo xtask bench --instructions [--update]
cargo xtask bench --growth

  --quick          few items and rounds: about a minute for everything
  --only W3,W9     only these workloads (W9 is W9a, W9b and so on); `scaling` is one of them
  --rival NAME     only the rivals with this in their name
  --rounds N       how often each rival is measured
  --save FILE      keeps the results as JSON
  --load FILE      measures nothing, and shows kept results
  --plot           draws charts into a folder named as FILE is, and renews FILE's page, FILE.md
  --check          each rival once with hardly any items, to see that its answer is right
  --instructions   counts instructions with callgrind, and compares them with those that are kept
  --update         keeps these counts instead
  --growth         counts those of operations that should not cost more among many, at 10,000 and at 40,000
  --solo W3/NAME   one rival in this process, for a profiler; with --items N, --slots N, and --once
                   for no warm-up and no repetition";

/// The command line of the benchmarks.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) task: Task,
    pub(crate) size: Size,
    pub(crate) only: Vec<String>,
    pub(crate) rival: String,
    pub(crate) rounds: Option<usize>,
    pub(crate) save: Option<PathBuf>,
    pub(crate) plot: bool,
    pub(crate) items: Option<u32>,
    pub(crate) slots: Option<usize>,
    pub(crate) once: bool,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(crate) enum Task {
    #[default]
    Measure,
    /// The contents of this file.
    Show(PathBuf),
    /// Check that every rival gives the right answer.
    Check,
    CountInstructions,
    KeepInstructions,
    CheckGrowth,
    /// Only the rival with this name.
    Solo(String),
    Help,
}

/// The time limit of the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Size {
    #[default]
    Full,
    Quick,
}

impl Size {
    /// The fraction of a full run's load.
    pub(crate) fn of(self, load: Load) -> Load {
        match self {
            Self::Full => load,
            Self::Quick => load.divided(50),
        }
    }

    fn rounds(self) -> usize {
        match self {
            Self::Full => 7,
            Self::Quick => 3,
        }
    }
}

impl Args {
    /// Reads the command line.
    ///
    /// # Errors
    ///
    /// A text about the invalid argument.
    pub(crate) fn read() -> Result<Self, lexopt::Error> {
        let mut args = Self::default();
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("quick") => args.size = Size::Quick,
                Arg::Long("check") => args.task = Task::Check,
                Arg::Long("only") => {
                    args.only.extend(parser.value()?.string()?.split(',').map(str::to_owned));
                }
                Arg::Long("rival") => args.rival = parser.value()?.string()?,
                Arg::Long("rounds") => args.rounds = Some(parser.value()?.parse()?),
                Arg::Long("save") => args.save = Some(parser.value()?.into()),
                Arg::Long("load") => args.task = Task::Show(parser.value()?.into()),
                Arg::Long("plot") => args.plot = true,
                Arg::Long("instructions") => args.task = Task::CountInstructions,
                Arg::Long("update") if matches!(args.task, Task::CountInstructions) => {
                    args.task = Task::KeepInstructions;
                }
                Arg::Long("growth") => args.task = Task::CheckGrowth,
                Arg::Long("solo") => args.task = Task::Solo(parser.value()?.string()?),
                Arg::Long("items") => args.items = Some(parser.value()?.parse()?),
                Arg::Long("slots") => args.slots = Some(parser.value()?.parse()?),
                Arg::Long("once") => args.once = true,
                Arg::Long("help") | Arg::Short('h') => args.task = Task::Help,
                other => return Err(other.unexpected()),
            }
        }
        Ok(args)
    }

    /// How many times each rival is measured.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(self.size.rounds())
    }

    /// Whether the workload with this name is selected.
    pub(crate) fn takes(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| names(only, id))
    }
}

/// `W9` is `W9` and `W9a`, but not `W90`.
fn names(only: &str, id: &str) -> bool {
    let (only, id) = (only.to_lowercase(), id.to_lowercase());
    let rest = id.strip_prefix(&only);
    rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn number_alone_selects_all_its_workloads() {
        assert!(names("W9", "W9") && names("w9", "W9a") && names("W9a", "W9a"));
        assert!(!names("W1", "W10") && !names("W9a", "W9") && !names("W9a", "W9b"));
    }
}
