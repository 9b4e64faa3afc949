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

/// Runs a program in many orders, to find one in which it fails.
///
/// A program on a [`SimHub`] switches tasks only at awaits, so the order of its steps is a list of
/// choices: which ready task runs next, which of the timers that are due at one instant fires before
/// which task and which other timer, and what [`SimHub::choose`] returns. The first option of each
/// is first in, first out; an order is what it does otherwise.
///
/// | strategy | tries | to |
/// |---|---|---|
/// | [`delays`](Self::delays) | every order with at most `n` delays | prove a small program up to the bound |
/// | [`pct`](Self::pct) | a random order for each seed, few changes of priority | find deep races in large programs |
/// | [`random`](Self::random) | a random order for each seed | find shallow races in large programs |
/// | [`fifo`](Self::fifo) | one order | see what the program does |
///
/// # Delays
///
/// The distance from first in, first out is counted in *delays* (delay bounding: Emmi, Qadeer and
/// Rakamarić, 2011). A choice that skips `k` ready tasks costs `k`. A task that was skipped waits
/// until no other is ready, for 64 steps at most, as a thread does that the system has suspended: so
/// one delay is enough to hold a task at an await while the others do all that they can, and one more
/// to have it go on in the midst of that. A choice of the program other than its first option costs
/// one. Orders are tried with no delay first, then with one, and so on, so the first failure that is
/// found has the fewest.
///
/// # What is a failure
///
/// A panic, also one that a greenlet contains; a [`Deadlock`](crate::Deadlock); a task that has not
/// finished when no task is ready any more and no timer is set; more [steps](Self::steps) than
/// allowed. The program is run once more to write down its steps. Failing runs print nothing: the
/// panic hook of the process is wrapped, and is quiet on a thread that explores.
///
/// # What the program may do
///
/// It has to do the same in each run as long as the choices are the same. Every replay compares the
/// ready tasks at each choice, in number and in the place where they were spawned; a difference is
/// reported as [`ExploreError::NotDeterministic`]. Clocks of the system, the order of a `HashMap`,
/// and statics that outlive a run make such differences, or hide them. A wake-up or a spawn from
/// another thread ends the run with [`ExploreError::OtherThread`]; thread pools, the global hub and
/// hubs with threads panic.
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
    /// Tries first in, first out, and nothing else.
    pub fn fifo() -> Self {
        Self::by(Strategy::Fifo)
    }

    /// Tries first in, first out, then for each of `seeds` an order in which each choice is random.
    pub fn random(seeds: Range<u64>) -> Self {
        Self::by(Strategy::Random(seeds))
    }

    /// Tries first in, first out, then for each of `seeds` an order by random priorities that change
    /// at `depth - 1` random steps (PCT: Burckhardt and others, 2010). A bug that needs `depth`
    /// ordered events is found with a probability that is known, and does not depend on luck at
    /// every step.
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

    /// Sets how many steps a run may have; 10,000 by default. A longer run fails.
    pub fn steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// Starts no further run once `limit` has passed. The [`Report`] says what was covered.
    pub fn time_limit(self, limit: Duration) -> Self {
        Self { time_limit: Some(limit), ..self }
    }

    /// Writes a line of progress to the standard error, if that is a terminal. Off by default.
    pub fn progress(self, wanted: bool) -> Self {
        Self { progress: wanted, ..self }
    }

    /// Lets a run end with tasks that have not finished. They are dropped.
    pub fn allow_unfinished(self) -> Self {
        Self { unfinished: true, ..self }
    }

    /// Lets the program contain panics: only one that comes out of it fails the run.
    pub fn allow_panics(self) -> Self {
        Self { panics: true, ..self }
    }

    /// Runs `scenario` in one order after another, each time on a new hub, with nothing else on this
    /// thread. What `scenario` leaves running runs to its end.
    ///
    /// With the environment variable `SPINNEY_REPLAY`, runs only the order of that token, as
    /// [`replay`](Self::replay) does. With `SPINNEY_EXPLORE_SECONDS` each exploration goes on beyond
    /// its bound or its seeds until the time is over.
    ///
    /// # Panics
    ///
    /// With the [`ExploreError`] as the message, if there is one.
    #[track_caller]
    pub fn run(self, scenario: impl Fn(&SimHub)) -> Report {
        match self.try_run(scenario) {
            Ok(report) => report,
            Err(error) => panic!("{error}"),
        }
    }

    /// Does as [`run`](Self::run), and returns what was found.
    ///
    /// # Errors
    ///
    /// [`ExploreError::Failed`] with the smallest order that was found in which `scenario` fails;
    /// the other ones if `scenario` cannot be explored.
    ///
    /// # Panics
    ///
    /// If one of the environment variables is set to anything but a token or a number.
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

    /// Runs `scenario` in the order of `token`, and lets its panic through, for a debugger or for
    /// more output. `scenario` must be the one that the token was made for.
    ///
    /// # Panics
    ///
    /// If `scenario` fails; if `token` is none; if it was made for another program.
    #[track_caller]
    pub fn replay(self, token: &str, scenario: impl Fn(&SimHub)) {
        let schedule = token.parse().unwrap_or_else(|error| panic!("{error}"));
        if let Some(failure) = Search::new(self, &scenario).replay(schedule) {
            panic!("{failure}");
        }
    }
}

/// How long each exploration is to go on, if the environment says so.
fn seconds() -> Option<Duration> {
    let text = std::env::var(SECONDS).ok()?;
    let limit = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Some(limit.unwrap_or_else(|| panic!("{SECONDS} must be a number of seconds, but is {text:?}")))
}

/// Every order with at most three delays.
impl Default for Explore {
    fn default() -> Self {
        Self::delays(3)
    }
}

/// What an exploration that found no failure has covered.
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
    /// The number of different orders; of random ones, the number of runs.
    pub orders: u64,
    /// The number of steps of all runs.
    pub steps: u64,
    /// The number of steps of the longest run.
    pub deepest: usize,
    /// Every order with at most this number of delays was tried; `None` for random orders.
    pub delays: Option<usize>,
    /// All that was asked for was tried: every order up to the bound, or every seed.
    pub complete: bool,
    /// There is no other order.
    pub exhausted: bool,
    /// How much real time it took.
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
