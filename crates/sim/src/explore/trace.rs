//! [`Trace`]: the steps of one run, in words.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::tasks::{Place, Step, Stuck};

/// How many steps a trace tells; of a longer run it tells the last.
const MOST: usize = 300;

#[derive(Default)]
pub(crate) struct Trace {
    lines: Vec<String>,
    /// What each task waits for, by its id; a task that is not here has not run.
    waits: Vec<(u64, Stuck)>,
    /// What was skipped before the step that comes.
    skipped: String,
    /// The step that is being done, and what the program chose in it.
    open: Option<String>,
    chosen: String,
}

impl Trace {
    pub(crate) fn skipped<'a>(&mut self, places: impl Iterator<Item = &'a Arc<Place>>) {
        self.skipped = join(places.map(ToString::to_string));
    }

    pub(crate) fn chosen(&mut self, what: &str, picked: usize, options: usize) {
        let _written = write!(self.chosen, "; chooses {picked} of 0..{options}: {what}");
    }

    pub(crate) fn begin_step(&mut self, step: usize, place: &Place) {
        self.close();
        let skipped = std::mem::take(&mut self.skipped);
        let skipped = if skipped.is_empty() { skipped } else { format!(", before {skipped}") };
        let begins = match self.waits.iter().find(|(id, _)| *id == place.id) {
            None => String::new(),
            Some((_, stuck)) => {
                let label = stuck.label.as_ref().map(|label| format!(" ({label})"));
                let wait = stuck.wait.map(|wait| format!(" goes on from {wait}"));
                label.unwrap_or_default() + wait.as_deref().unwrap_or(" goes on")
            }
        };
        self.open = Some(format!("{step:>4}. {place}{skipped}:{begins}"));
    }

    pub(crate) fn end_step(&mut self, place: &Place, step: &Step, queued: &[&Arc<Place>]) {
        let Some(mut line) = self.open.take() else { return };
        let Some(stuck) = &step.stuck else {
            let woken = join(queued.iter().map(ToString::to_string));
            let fires = if woken.is_empty() { woken } else { format!(", wakes {woken}") };
            return self.lines.push(line + " fires" + &fires);
        };
        let known = self.waits.iter_mut().find(|(id, _)| *id == place.id);
        if known.is_none() {
            line += &stuck.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
            line += &format!(" starts, from {}", place.at);
        }
        line += &std::mem::take(&mut self.chosen);
        let is_known = |id: u64| id == 0 || self.waits.iter().any(|(known, _)| *known == id);
        let others = || queued.iter().filter(|other| other.id != place.id);
        let woken = join(others().filter(|other| is_known(other.id)).map(ToString::to_string));
        let spawned = join(others().filter(|other| !is_known(other.id)).map(ToString::to_string));
        for (did, what) in [("spawns", spawned), ("wakes", woken)] {
            if !what.is_empty() {
                line += &format!("; {did} {what}");
            }
        }
        line += &if step.finished {
            String::from("; finishes")
        } else if queued.iter().any(|other| other.id == place.id) {
            String::from("; gives way")
        } else {
            format!("; {}", stuck.waits())
        };
        self.lines.push(line);
        match self.waits.iter_mut().find(|(id, _)| *id == place.id) {
            Some((_, waits)) => *waits = stuck.clone(),
            None => self.waits.push((place.id, stuck.clone())),
        }
    }

    pub(crate) fn time_passed(&mut self, elapsed: Duration) {
        self.close();
        self.lines.push(format!("      the time is {elapsed:?}"));
    }

    /// The lines, the last step among them, though it panicked.
    pub(crate) fn into_lines(mut self) -> Vec<String> {
        self.close();
        let more = self.lines.len().saturating_sub(MOST);
        if more > 0 {
            self.lines.splice(..more, [format!("      {more} lines before these")]);
        }
        self.lines
    }

    /// Tells a step that did not come to its end.
    fn close(&mut self) {
        let chosen = std::mem::take(&mut self.chosen);
        self.lines.extend(self.open.take().map(|line| line + &chosen + " does not return"));
    }
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
