//! [`Explore`]: runs a program in many orders, and shrinks an order in which it fails.

mod counterexample;
mod pct;
mod quiet;
mod run;
mod schedule;
mod search;
mod trace;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::SimHub;

pub use counterexample::{Counterexample, ExploreError};
pub(crate) use quiet::message;
pub(crate) use run::Run;

use search::Search;

/// The environment variable with the token of the only order to run.
const REPLAY: &str = "SPINNEY_REPLAY";

/// The environment variable with the number of seconds for each exploration.
const SECONDS: &str = "SPINNEY_EXPLORE_SECONDS";

/// Runs a program in many orders, to find an order in which it fails.
///
/// A program on a [`SimHub`] switches tasks only at awaits, so the order of its steps is a list of
/// choices: which ready task runs next, which of the timers that are due at one instant fires
/// before which task and which other timer, and what [`SimHub::choose`] returns. The first option
/// of each choice is FIFO; an order is the list of its deviations.
///
/// | strategy | tries | to |
/// |---|---|---|
/// | [`delays`](Self::delays) | every order with at most `n` delays | prove a small program up to the bound |
/// | [`pct`](Self::pct) | a random order for each seed, few changes of priority | find deep races in large programs |
/// | [`random`](Self::random) | a random order for each seed | find shallow races in large programs |
/// | [`fifo`](Self::fifo) | one order | see the steps of the program |
///
/// # Delays
///
/// The distance from FIFO order is counted in *delays* (delay bounding: Emmi, Qadeer and Rakamarić,
/// 2011). A choice that skips `k` ready tasks costs `k`. A skipped task waits until no other is
/// ready, at most for 64 steps, like a thread that the system has suspended: so one delay holds a
/// task at an await while the others do all that they can, and one more makes it go on in the midst
/// of that. A choice of the program other than its first option costs one. Orders are tried with no
/// delay first, then with one, and so on, so the first failure that is found has the fewest.
///
/// # Failures
///
/// A run fails by a panic, also one that a greenlet contains; by a [`Deadlock`](crate::Deadlock);
/// by a task that has not finished when no task is ready and no timer is set; and by more
/// [steps](Self::steps) than allowed. The program then runs once more to record its steps. Failing
/// runs print nothing: the panic hook of the process is wrapped, and is quiet on a thread that
/// explores.
///
/// # Requirements on the program
///
/// The program must behave the same in each run if the choices are the same. Every replay compares
/// the ready tasks at each choice, by number and by the line that spawned them; a difference is
/// reported as [`ExploreError::NotDeterministic`]. The clocks of the system, the order of a
/// `HashMap`, and statics that outlive a run cause such differences, or hide them. A wake-up or a
/// spawn from another thread ends the run with [`ExploreError::OtherThread`]; thread pools, the
/// global hub and hubs with threads panic.
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use spinney_hub::{Spawn, yield_now};
/// use spinney_sim::Explore;
///
/// let found = Explore::delays(2).try_run(|sim| {
///     // Two tasks read a number, give way, and write it back with one added.
///     let number = Rc::new(Cell::new(0));
///     for _ in 0..2 {
///         let number = Rc::clone(&number);
///         sim.spawn(async move {
///             let read = number.get();
///             yield_now().await;
///             number.set(read + 1);
///         });
///     }
///     sim.run_until_idle();
///     assert_eq!(number.get(), 2, "an addition was lost");
/// });
/// assert!(found.unwrap_err().to_string().contains("an addition was lost"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is explored before `run`"]
pub struct Explore {
    strategy: Strategy,
    steps: usize,
    time_limit: Option<Duration>,
    progress: bool,
    unfinished: bool,
    panics: bool,
}

#[derive(Clone, Debug)]
enum Strategy {
    Fifo,
    Random(Range<u64>),
    Pct { depth: usize, seeds: Range<u64> },
    Delays(usize),
}

impl Explore {
    /// Tries FIFO order only.
    pub fn fifo() -> Self {
        Self::by(Strategy::Fifo)
    }

    /// Tries FIFO order, then for each of `seeds` an order in which each choice is random.
    pub fn random(seeds: Range<u64>) -> Self {
        Self::by(Strategy::Random(seeds))
    }

    /// Tries FIFO order, then for each of `seeds` an order by random priorities that change at
    /// `depth - 1` random steps (PCT: Burckhardt and others, 2010). A bug that needs `depth`
    /// ordered events is found with a known minimum probability per run.
    pub fn pct(depth: usize, seeds: Range<u64>) -> Self {
        Self::by(Strategy::Pct { depth, seeds })
    }

    /// Tries every order with at most `delays` delays.
    pub fn delays(delays: usize) -> Self {
        Self::by(Strategy::Delays(delays))
    }

    fn by(strategy: Strategy) -> Self {
        Self {
            strategy,
            steps: 10_000,
            time_limit: None,
            progress: false,
            unfinished: false,
            panics: false,
        }
    }

    /// Limits the steps of a run. Default: 10,000. A longer run fails.
    pub fn steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// Starts no further run after `limit`. The [`Report`] shows what was covered.
    pub fn time_limit(self, limit: Duration) -> Self {
        Self { time_limit: Some(limit), ..self }
    }

    /// Writes a line of progress to the standard error, if that is a terminal. Default: off.
    pub fn progress(self, wanted: bool) -> Self {
        Self { progress: wanted, ..self }
    }

    /// Allows a run to end with tasks that have not finished. They are dropped.
    pub fn allow_unfinished(self) -> Self {
        Self { unfinished: true, ..self }
    }

    /// Allows contained panics: only a panic that leaves the scenario fails the run.
    pub fn allow_panics(self) -> Self {
        Self { panics: true, ..self }
    }

    /// Runs `scenario` in one order after another, each time on a new hub, with nothing else on
    /// this thread. Tasks that `scenario` leaves running run to their end.
    ///
    /// With the environment variable `SPINNEY_REPLAY`, runs only the order of that token, like
    /// [`replay`](Self::replay). With `SPINNEY_EXPLORE_SECONDS` each exploration goes on beyond its
    /// bound or its seeds until the time has passed.
    ///
    /// # Panics
    ///
    /// Panics with the [`ExploreError`] as the message, if there is one.
    #[track_caller]
    pub fn run(self, scenario: impl Fn(&SimHub)) -> Report {
        match self.try_run(scenario) {
            Ok(report) => report,
            Err(error) => panic!("{error}"),
        }
    }

    /// Like [`run`](Self::run), but returns the error.
    ///
    /// # Errors
    ///
    /// [`ExploreError::Failed`] with the smallest failing order that was found; another error if
    /// `scenario` cannot be explored.
    ///
    /// # Panics
    ///
    /// Panics if one of the environment variables is not a token or a number.
    pub fn try_run(self, scenario: impl Fn(&SimHub)) -> Result<Report, ExploreError> {
        if let Ok(token) = std::env::var(REPLAY) {
            self.replay(&token, scenario);
            return Ok(Report { orders: 1, ..Report::default() });
        }
        match seconds() {
            None => Search::new(self, &scenario).run(),
            Some(limit) => {
                Search::new(self.time_limit(limit).progress(true), &scenario).beyond().run()
            }
        }
    }

    /// Runs `scenario` in the order of `token`, and propagates its panic, for a debugger or for
    /// more output. `scenario` must be the one that the token was created for.
    ///
    /// # Panics
    ///
    /// Panics if `scenario` fails, if `token` is invalid, or if it was created for another program.
    #[track_caller]
    pub fn replay(self, token: &str, scenario: impl Fn(&SimHub)) {
        let schedule = token.parse().unwrap_or_else(|error| panic!("{error}"));
        if let Some(failure) = Search::new(self, &scenario).replay(schedule) {
            panic!("{failure}");
        }
    }
}

/// The time for each exploration, if the environment sets it.
fn seconds() -> Option<Duration> {
    let text = std::env::var(SECONDS).ok()?;
    let limit = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Some(limit.unwrap_or_else(|| panic!("{SECONDS} must be a number of seconds, not {text:?}")))
}

/// Every order with at most three delays.
impl Default for Explore {
    fn default() -> Self {
        Self::delays(3)
    }
}

/// The coverage of an exploration that found no failure.
///
/// ```
/// use spinney_sim::SimHub;
///
/// let report = SimHub::explore(|sim| sim.block_on(async {}));
/// assert!(report.complete && report.exhausted);
/// assert_eq!(report.orders, 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The number of different orders; for random ones, the number of runs.
    pub orders: u64,
    /// The number of steps of all runs.
    pub steps: u64,
    /// The number of steps of the longest run.
    pub deepest: usize,
    /// Every order with at most this number of delays was tried; `None` for random orders.
    pub delays: Option<usize>,
    /// The whole request was covered: every order up to the bound, or every seed.
    pub complete: bool,
    /// There is no other order.
    pub exhausted: bool,
    /// The real time that it took.
    pub elapsed: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, steps, deepest, elapsed, .. } = self;
        write!(f, "{orders} orders, {steps} steps, at most {deepest} in one run, {elapsed:.1?}")?;
        match self.delays {
            _ if self.exhausted => f.write_str(": all orders"),
            Some(delays) => write!(f, ": all orders with at most {delays} delays"),
            None => Ok(()),
        }
    }
}
