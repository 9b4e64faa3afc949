//! [`Run`]: one run of an explored program: its picks, and its end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::pct::Pct;
use super::schedule::{Choice, Kind, Schedule};
use super::trace::Trace;
use crate::tasks::{Place, Step};

/// Why a run was ended before the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The ready tasks, or the choices, differ from those of the replayed run.
    NotDeterministic {
        step: usize,
        why: String,
    },
    /// The program uses a facility that a run cannot repeat.
    Forbidden {
        step: usize,
        what: String,
    },
    TooManySteps,
}

/// How many steps a skipped place waits at most, so that a task that yields until another has acted
/// does not wait for ever.
const LONGEST_DELAY: usize = 64;

/// The payload with which a run unwinds out of its hub's loop.
pub(crate) struct Ended;

/// How choices beyond the path are made.
pub(crate) enum Picks {
    First,
    Random(Rng),
    Pct(Pct),
    /// If `strict`, options that differ from those of the schedule end the run.
    Follow {
        schedule: Schedule,
        strict: bool,
    },
}

/// The state of one run.
pub(crate) struct Run {
    /// The choices so far, followed by the prescribed ones.
    path: RefCell<Vec<Choice>>,
    /// How many choices of the path are prescribed.
    given: usize,
    picks: RefCell<Picks>,
    /// How many choices were made.
    made: Cell<usize>,
    steps: Cell<usize>,
    limit: usize,
    /// The skipped places, with the step at which each was skipped.
    delayed: RefCell<VecDeque<(usize, Arc<Place>)>>,
    end: RefCell<Option<End>>,
    trace: Option<RefCell<Trace>>,
}

impl Run {
    /// Creates a run that repeats the choices of `path` and leaves later ones to `picks`.
    pub(crate) fn new(path: Vec<Choice>, picks: Picks, limit: usize) -> Self {
        Self {
            given: path.len(),
            path: RefCell::new(path),
            picks: RefCell::new(picks),
            made: Cell::new(0),
            steps: Cell::new(0),
            limit,
            delayed: RefCell::default(),
            end: RefCell::new(None),
            trace: None,
        }
    }

    /// The same, but records each step.
    pub(crate) fn traced(self) -> Self {
        Self { trace: Some(RefCell::default()), ..self }
    }

    pub(crate) fn steps(&self) -> usize {
        self.steps.get()
    }

    pub(crate) fn take_path(&self) -> Vec<Choice> {
        let mut path = self.path.take();
        path.truncate(self.made.get());
        path
    }

    pub(crate) fn take_trace(&self) -> Trace {
        self.trace.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Why the run was ended early, or is invalid.
    pub(crate) fn end(&self) -> Option<End> {
        let given = match &*self.picks.borrow() {
            Picks::Follow { schedule, strict: true } => schedule.choices(),
            _ => self.given,
        };
        let made = self.made.get();
        if self.end.borrow().is_none() && made < given {
            self.differ(&format!("the run ended after {made} choices, and has at least {given}"));
        }
        self.end.borrow().clone()
    }

    /// Ends the run at its next step: the program does `what`.
    pub(crate) fn forbid(&self, what: String) {
        self.finish(End::Forbidden { step: self.steps.get(), what });
    }

    /// Removes the places that `is_gone`, from `queue` and from the skipped ones.
    pub(crate) fn forget(
        &self,
        queue: &mut VecDeque<Arc<Place>>,
        is_gone: impl Fn(&Place) -> bool,
    ) {
        queue.retain(|place| !is_gone(place));
        self.delayed.borrow_mut().retain(|(_, place)| !is_gone(place));
    }

    /// Removes the place that has the next turn from `queue` or from the skipped ones. `None` if
    /// there is none.
    ///
    /// Unwinds if the run must end.
    pub(crate) fn pick(&self, queue: &mut VecDeque<Arc<Place>>) -> Option<Arc<Place>> {
        self.go_on();
        let mut delayed = self.delayed.borrow_mut();
        if queue.is_empty() && delayed.is_empty() {
            return None;
        }
        let step = self.steps.get() + 1;
        if step > self.limit {
            self.finish(End::TooManySteps);
            self.go_on();
        }
        self.steps.set(step);
        if delayed.front().is_some_and(|(since, _)| since + LONGEST_DELAY <= step) {
            let (_, place) = delayed.pop_front()?;
            queue.push_front(place);
        }
        // A step of a task that shares nothing commutes with all others.
        if let Some(place) = queue.iter().position(|place| place.independent) {
            return queue.remove(place);
        }
        let picked = self.pick_of(queue.iter().chain(delayed.iter().map(|(_, place)| place)));
        match picked.checked_sub(queue.len()) {
            None => {
                delayed.extend(queue.drain(..picked).map(|place| (step, place)));
                queue.pop_front()
            }
            Some(picked) => {
                let place = delayed.remove(picked);
                delayed.extend(queue.drain(..).map(|place| (step, place)));
                place.map(|(_, place)| place)
            }
        }
    }

    /// Picks one of `places`. Unwinds if they differ from the replayed run's.
    fn pick_of<'a>(&self, places: impl Iterator<Item = &'a Arc<Place>> + Clone) -> usize {
        let options = places.clone().count();
        if options == 1 {
            return 0;
        }
        let mark = places.clone().fold(self.mark(), |mark, place| {
            let line = (u64::from(place.at.line()) << 32) | u64::from(place.at.column());
            mix(mix(mark, place.id), line)
        });
        let picked = self.decide(Kind::Turn, options, mark, |picks, step| match picks {
            Picks::Pct(pct) => pct.pick(&places.clone().map(|place| place.id), step),
            picks => picks.any(options),
        });
        self.go_on();
        self.note(|trace| trace.skipped(places.take(picked)));
        picked
    }

    /// Unwinds if the run must end.
    fn go_on(&self) {
        if self.end.borrow().is_some() {
            resume_unwind(Box::new(Ended));
        }
    }

    /// Makes a choice of the program.
    pub(crate) fn choose(&self, what: &str, options: usize) -> usize {
        if options == 1 || self.end.borrow().is_some() {
            return 0;
        }
        let mark = what.bytes().fold(self.mark(), |mark, byte| mix(mark, byte.into()));
        let picked = self.decide(Kind::Named, options, mark, |picks, _| picks.any(options));
        self.note(|trace| trace.chosen(what, picked, options));
        picked
    }

    /// Whether the run records its steps.
    pub(crate) fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    pub(crate) fn begin_step(&self, place: &Place) {
        self.note(|trace| trace.begin_step(self.steps.get(), place));
    }

    /// Records that the step has queued `queued`.
    pub(crate) fn end_step<'a>(
        &self,
        place: &Place,
        step: &Step,
        queued: impl Iterator<Item = &'a Arc<Place>>,
    ) {
        self.note(|trace| trace.end_step(place, step, &queued.collect::<Vec<_>>()));
    }

    pub(crate) fn time_passed(&self, elapsed: Duration) {
        self.note(|trace| trace.time_passed(elapsed));
    }

    fn note(&self, note: impl FnOnce(&mut Trace)) {
        if let Some(trace) = &self.trace {
            note(&mut trace.borrow_mut());
        }
    }

    /// The initial value of the digest of a choice.
    fn mark(&self) -> u64 {
        mix(0xcbf2_9ce4_8422_2325, self.steps.get() as u64)
    }

    fn decide(
        &self,
        kind: Kind,
        options: usize,
        mark: u64,
        pick: impl FnOnce(&mut Picks, usize) -> usize,
    ) -> usize {
        let made = self.made.get();
        self.made.set(made + 1);
        let mut path = self.path.borrow_mut();
        if let Some(before) = path.get(made) {
            let before = *before;
            if (before.options, before.kind, before.mark) == (options, kind, mark) {
                return before.picked;
            }
            drop(path);
            self.differ(&match (kind, before.kind) {
                (Kind::Turn, Kind::Turn) if options != before.options => {
                    format!("{options} tasks are ready, and {} were before", before.options)
                }
                (Kind::Turn, Kind::Turn) => String::from("other tasks are ready than before"),
                _ => String::from("the program makes another choice than before"),
            });
            return 0;
        }
        let mut picks = self.picks.borrow_mut();
        let picked = match &mut *picks {
            Picks::First => 0,
            Picks::Follow { schedule, strict } => match schedule.at(made) {
                None => 0,
                Some(there) if there.options == options || !*strict => {
                    there.picked.min(options - 1)
                }
                Some(there) => {
                    self.differ(&format!(
                        "choice {made} has {options} options, and {} in the token",
                        there.options
                    ));
                    0
                }
            },
            picks => pick(picks, self.steps.get()),
        };
        path.push(Choice { options, picked, kind, mark });
        picked
    }

    fn differ(&self, why: &str) {
        self.finish(End::NotDeterministic { step: self.steps.get(), why: why.to_owned() });
    }

    /// Records why the run ends; the first reason counts.
    fn finish(&self, end: End) {
        self.end.borrow_mut().get_or_insert(end);
    }
}

impl Picks {
    fn any(&mut self, options: usize) -> usize {
        match self {
            Self::Random(rng) => rng.usize(..options),
            Self::Pct(pct) => pct.any(options),
            Self::First | Self::Follow { .. } => 0,
        }
    }
}

/// FNV-1a, one word at a time.
fn mix(mark: u64, word: u64) -> u64 {
    (mark ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
}
