//! [`Search`]: runs one order after another, and finds the smallest that fails.
//!
//! Only the choices of the last run are stored: the next order in depth-first order is the same up
//! to a choice, and takes the next option there. So memory does not depend on the number of orders.

use std::any::Any;
use std::io::{IsTerminal, Write, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use spinney_hub::ForbidThreads;

use super::pct::Pct;
use super::quiet::{Watch, message};
use super::run::{End, Ended, Picks, Run};
use super::schedule::{Choice, Schedule, cost};
use super::{Counterexample, Explore, ExploreError, Report, Strategy};
use crate::SimHub;

/// The largest number of runs for shrinking.
const SHRINKING: u64 = 20_000;

/// The time between two lines of progress.
const TICK: Duration = Duration::from_millis(500);

pub(super) struct Search<'a> {
    explore: Explore,
    scenario: &'a dyn Fn(&SimHub),
    report: Report,
    began: Instant,
    next_tick: Option<Instant>,
    /// How many runs may still be made while shrinking.
    runs_left: u64,
    /// Go on beyond the bound, or the seeds, until the time has passed.
    beyond: bool,
}

/// A finished run: its choices, and its failure.
struct Done {
    path: Vec<Choice>,
    failure: Option<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(explore: Explore, scenario: &'a dyn Fn(&SimHub)) -> Self {
        let began = Instant::now();
        let next_tick = (explore.progress && stderr().is_terminal()).then(|| began + TICK);
        let report = Report::default();
        Self { explore, scenario, report, began, next_tick, runs_left: u64::MAX, beyond: false }
    }

    pub(super) fn beyond(self) -> Self {
        Self { beyond: true, ..self }
    }

    pub(super) fn run(mut self) -> Result<Report, ExploreError> {
        let found = self.search()?;
        self.report.elapsed = self.began.elapsed();
        match found {
            None => Ok(self.report),
            Some(path) => Err(self.shrink(path)?),
        }
    }

    /// Runs one order, and propagates a panic. Returns another failure.
    pub(super) fn replay(&self, schedule: Schedule) -> Option<String> {
        let picks = Picks::Follow { schedule, strict: true };
        let run = Rc::new(Run::new(Vec::new(), picks, self.explore.steps));
        let watch = Watch::begin(true);
        let ended = self.perform(&run);
        let noted = watch.end();
        match (run.end(), ended) {
            (_, Err(payload)) if !payload.is::<Ended>() => resume_unwind(payload),
            (Some(End::NotDeterministic { step, why }), _) => {
                Some(format!("the token belongs to another program: at step {step} {why}"))
            }
            (end, ended) => self.failure(end.as_ref(), ended, &noted),
        }
    }

    /// The choices of the first failing run.
    fn search(&mut self) -> Result<Option<Vec<Choice>>, ExploreError> {
        let first = self.attempt(Vec::new(), Picks::First)?;
        if first.failure.is_some() {
            self.report.orders = 1;
            return Ok(Some(first.path));
        }
        // Programs that differ from run to run are mostly found here.
        let first = self.attempt(first.path, Picks::First)?;
        match self.explore.strategy.clone() {
            Strategy::Fifo => {
                (self.report.orders, self.report.complete) = (1, true);
                Ok(None)
            }
            Strategy::Delays(delays) => {
                let bound = if self.beyond { usize::MAX } else { delays };
                let found = self.search_delays(bound)?;
                let covered = self.report.delays.is_some_and(|covered| covered >= delays);
                self.report.complete = covered || self.report.exhausted;
                Ok(found)
            }
            Strategy::Random(seeds) => {
                self.search_seeds(seeds, |seed, _| Picks::Random(Rng::with_seed(seed)))
            }
            Strategy::Pct { depth, seeds } => {
                drop(first);
                self.search_seeds(seeds, |seed, steps| Picks::Pct(Pct::new(depth, seed, steps)))
            }
        }
    }

    fn search_seeds(
        &mut self,
        seeds: std::ops::Range<u64>,
        picks: impl Fn(u64, usize) -> Picks,
    ) -> Result<Option<Vec<Choice>>, ExploreError> {
        self.report.orders = 1;
        let end = if self.beyond { u64::MAX } else { seeds.end };
        for seed in seeds.start..end {
            if self.is_over() {
                self.report.complete = seed >= seeds.end;
                return Ok(None);
            }
            let done = self.attempt(Vec::new(), picks(seed, self.report.deepest))?;
            self.report.orders += 1;
            if done.failure.is_some() {
                return Ok(Some(done.path));
            }
        }
        self.report.complete = true;
        Ok(None)
    }

    /// Tries every order with no delay, then with one, and so on up to `bound`.
    fn search_delays(&mut self, bound: usize) -> Result<Option<Vec<Choice>>, ExploreError> {
        for delays in 0..=bound {
            let (mut path, mut bounded) = (Vec::new(), false);
            loop {
                if self.is_over() {
                    return Ok(None);
                }
                let done = self.attempt(path, Picks::First)?;
                path = done.path;
                // Orders with fewer delays were counted before.
                self.report.orders += u64::from(cost(&path) == delays);
                if done.failure.is_some() {
                    return Ok(Some(path));
                }
                if !advance(&mut path, delays, &mut bounded) {
                    break;
                }
            }
            self.report.delays = Some(delays);
            if !bounded {
                self.report.exhausted = true;
                break;
            }
        }
        Ok(None)
    }

    /// Finds the smallest failing order, starting from `found`.
    fn shrink(mut self, found: Vec<Choice>) -> Result<ExploreError, ExploreError> {
        let report = self.report.clone();
        self.runs_left = SHRINKING;
        self.explore.time_limit = None;
        let mut best = self.attempt(found, Picks::First)?;
        if !matches!(self.explore.strategy, Strategy::Delays(_)) {
            best = self.leave_out(best)?;
            let fewer = cost(&best.path).checked_sub(1);
            if let Some(path) = fewer.map(|fewer| self.search_delays(fewer)).transpose()?.flatten()
            {
                best = self.attempt(path, Picks::First)?;
            }
        }
        let run = Rc::new(Run::new(best.path.clone(), Picks::First, self.explore.steps).traced());
        let Some(message) = self.conclude(&run)? else {
            let why = String::from("it failed, but not when the order was repeated");
            return Err(ExploreError::NotDeterministic { step: run.steps(), why });
        };
        let (path, steps) = (run.take_path(), run.take_trace().into_lines());
        let token = Schedule::of(&path).to_string();
        let found = Counterexample::new(&message, token, cost(&path), &steps, report);
        Ok(ExploreError::Failed(Box::new(found)))
    }

    /// Removes deviations, many at a time at first, as long as the program still fails.
    fn leave_out(&mut self, mut best: Done) -> Result<Done, ExploreError> {
        let mut schedule = Schedule::of(&best.path);
        let mut part = schedule.len();
        while part > 0 {
            let mut start = 0;
            while start < schedule.len() && self.runs_left > 0 {
                let end = schedule.len().min(start + part);
                let fewer = Picks::Follow { schedule: schedule.without(start..end), strict: false };
                let done = self.attempt(Vec::new(), fewer)?;
                if done.failure.is_some() && cost(&done.path) < cost(&best.path) {
                    schedule = Schedule::of(&done.path);
                    best = done;
                } else {
                    start = end;
                }
            }
            part /= 2;
        }
        Ok(best)
    }

    /// Makes one run: the choices of `path`, then those of `picks`.
    fn attempt(&mut self, path: Vec<Choice>, picks: Picks) -> Result<Done, ExploreError> {
        let run = Rc::new(Run::new(path, picks, self.explore.steps));
        let failure = self.conclude(&run)?;
        self.runs_left = self.runs_left.saturating_sub(1);
        self.report.steps += run.steps() as u64;
        self.report.deepest = self.report.deepest.max(run.steps());
        Ok(Done { path: run.take_path(), failure })
    }

    /// The failure of `run`, if any.
    fn conclude(&self, run: &Rc<Run>) -> Result<Option<String>, ExploreError> {
        let watch = Watch::begin(false);
        let ended = self.perform(run);
        let noted = watch.end();
        match run.end() {
            Some(End::NotDeterministic { step, why }) => {
                Err(ExploreError::NotDeterministic { step, why })
            }
            Some(End::Forbidden { step, what }) => {
                Err(ExploreError::OtherThread { step, task: what })
            }
            end => Ok(self.failure(end.as_ref(), ended, &noted)),
        }
    }

    /// Runs the scenario, and returns the tasks that have not finished.
    fn perform(&self, run: &Rc<Run>) -> Result<Option<String>, Box<dyn Any + Send>> {
        let _forbidden = ForbidThreads::begin();
        let sim = SimHub::explored(Rc::clone(run));
        let ran = catch_unwind(AssertUnwindSafe(|| {
            (self.scenario)(&sim);
            if self.explore.unfinished { None } else { sim.unfinished() }
        }));
        // Tasks that hold their hub would keep it, and themselves, alive.
        let dropped = catch_unwind(AssertUnwindSafe(|| sim.drop_tasks()));
        ran.and_then(|unfinished| dropped.map(|()| unfinished))
    }

    fn failure(
        &self,
        end: Option<&End>,
        ended: Result<Option<String>, Box<dyn Any + Send>>,
        noted: &[String],
    ) -> Option<String> {
        match (end, ended) {
            (Some(End::TooManySteps), _) => {
                Some(format!("the run did not end within {} steps", self.explore.steps))
            }
            (Some(End::Forbidden { what, .. }), _) => {
                Some(format!("another thread woke or spawned {what}"))
            }
            (_, Err(payload)) => {
                let last = noted.last().map_or_else(|| message(&*payload), String::as_str);
                Some(last.to_owned())
            }
            _ if !self.explore.panics && !noted.is_empty() => Some(noted[0].clone()),
            (_, Ok(unfinished)) => unfinished,
        }
    }

    /// Whether the time, or the number of runs, is used up.
    fn is_over(&mut self) -> bool {
        if self.explore.time_limit.is_none() && self.next_tick.is_none() {
            return self.runs_left == 0;
        }
        let now = Instant::now();
        if self.next_tick.is_some_and(|tick| tick <= now) {
            self.next_tick = Some(now + TICK);
            let Report { orders, steps, .. } = self.report;
            let seconds = (now - self.began).as_secs();
            // Progress that cannot be written is no reason to stop.
            let _written = write!(stderr(), "\r{orders} orders, {steps} steps, {seconds} s ");
        }
        self.runs_left == 0
            || self.explore.time_limit.is_some_and(|limit| now - self.began >= limit)
    }
}

/// Turns `path` into the start of the next order with at most `delays` delays; `false` if there is
/// none. Records whether that bound excluded any.
fn advance(path: &mut Vec<Choice>, delays: usize, bounded: &mut bool) -> bool {
    let mut before = cost(path);
    while let Some(last) = path.pop() {
        before -= last.cost();
        let next = Choice { picked: last.picked + 1, ..last };
        if next.picked < next.options {
            if before + next.cost() <= delays {
                path.push(next);
                return true;
            }
            *bounded = true;
        }
    }
    false
}
