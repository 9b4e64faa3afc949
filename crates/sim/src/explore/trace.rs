//! [`Trace`]: the steps of one run, as text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::tasks::{Place, Step, Stuck};

/// How many steps a trace shows; of a longer run it shows the last ones.
const MOST: usize = 300;

#[derive(Default)]
pub(crate) struct Trace {
    lines: Vec<String>,
    /// What each task that has run waits for, by its id.
    waits: BTreeMap<u64, Stuck>,
    /// The places that were skipped before the next step.
    skipped: String,
    /// The current step.
    open: Option<String>,
}

impl Trace {
    pub(crate) fn skipped<'a>(&mut self, places: impl Iterator<Item = &'a Arc<Place>>) {
        self.skipped = names(places);
    }

    /// Records a choice of the program.
    pub(crate) fn chosen(&mut self, what: &str, picked: usize, options: usize) {
        let text = format!(" chooses {picked} of {options}, {what:?};");
        match &mut self.open {
            Some(open) => *open += &text,
            None => self.lines.push(format!("      the program{text}")),
        }
    }

    pub(crate) fn begin_step(&mut self, step: usize, place: &Place) {
        self.close();
        let mut line = format!("{step:>4}. {place}");
        let skipped = std::mem::take(&mut self.skipped);
        if !skipped.is_empty() {
            line += &(String::from(", before ") + &skipped);
        }
        line += ":";
        if let Some(stuck) = self.waits.get(&place.id) {
            line += &label(stuck);
            let wait = stuck.wait.map(|wait| format!(" from {wait}")).unwrap_or_default();
            line += &(String::from(" goes on") + &wait + ";");
        }
        self.open = Some(line);
    }

    /// Records that the step has queued `queued`.
    pub(crate) fn end_step(&mut self, place: &Place, step: &Step, queued: &[&Arc<Place>]) {
        let Some(mut line) = self.open.take() else { return };
        let is_known = |other: &Place| other.is_main() || self.waits.contains_key(&other.id);
        let others = || queued.iter().copied().filter(|other| other.id != place.id);
        let woken = names(others().filter(|other| is_known(other)));
        let spawned = names(others().filter(|other| !is_known(other)));
        let starts = (step.stuck.as_ref()).filter(|_| !self.waits.contains_key(&place.id));
        if let Some(stuck) = starts {
            line += &(label(stuck) + " starts, spawned at " + &place.at.to_string() + ";");
        }
        for (did, what) in [(" spawns ", spawned), (" wakes ", woken)] {
            if !what.is_empty() {
                line += &(String::from(did) + &what + ";");
            }
        }
        line += " ";
        line += &match &step.stuck {
            None => String::from("fires"),
            Some(_) if step.finished => String::from("finishes"),
            Some(_) if queued.iter().any(|other| other.id == place.id) => String::from("yields"),
            Some(stuck) => stuck.waits(),
        };
        self.lines.push(line);
        if let Some(stuck) = &step.stuck {
            self.waits.insert(place.id, stuck.clone());
        }
    }

    pub(crate) fn time_passed(&mut self, elapsed: Duration) {
        self.close();
        self.lines.push(format!("      the time is {elapsed:?}"));
    }

    /// The lines, including the last step, even if it panicked.
    pub(crate) fn into_lines(mut self) -> Vec<String> {
        self.close();
        let more = self.lines.len().saturating_sub(MOST);
        if more > 0 {
            self.lines.splice(..more, [format!("      {more} lines before these")]);
        }
        self.lines
    }

    /// Records a step that did not return.
    fn close(&mut self) {
        self.lines.extend(self.open.take().map(|line| line + " does not return"));
    }
}

fn label(stuck: &Stuck) -> String {
    stuck.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default()
}

fn names<'a>(places: impl Iterator<Item = &'a Arc<Place>>) -> String {
    places.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
