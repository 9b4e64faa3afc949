//! [`SimHub`]: a hub with virtual time and a reproducible order.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use fastrand::Rng;
use spinney_hub::{Clock, Context, Entered, Executor, Hub, LocalBoxTask, Spawn, TimeSource};
use spinney_sync::Budget;

use crate::Deadlock;
use crate::clock::VirtualClock;
use crate::explore::{Explore, Report, Run, message};
use crate::tasks::{Order, Stuck, Tasks, Turn};

/// A hub for tests: one thread, tasks that need not be `Send`, and a clock that jumps to the next
/// timer when no task is ready.
///
/// Cloning is cheap. Tasks run only inside [`block_on`](Self::block_on) and
/// [`run_until_idle`](Self::run_until_idle). Dropping the last handle drops the remaining tasks; a
/// task that holds a handle of its own hub keeps the hub alive.
///
/// Another thread's work takes real time, for which this hub does not wait.
///
/// ```
/// use std::time::Duration;
/// use spinney_hub::{Within, sleep};
/// use spinney_sim::SimHub;
///
/// let sim = SimHub::seeded(7);
/// let late = sim.block_on(sleep(Duration::from_secs(60)).within(Duration::from_secs(59)));
/// assert!(late.is_err());
/// assert_eq!(sim.elapsed(), Duration::from_secs(59));
/// ```
#[derive(Clone)]
pub struct SimHub {
    core: Rc<Core>,
}

struct Core {
    tasks: Tasks,
    clock: Arc<VirtualClock>,
    /// The weak handle for contexts.
    handle: Hub,
    running: Cell<bool>,
}

impl SimHub {
    /// Creates a hub that runs its tasks first in, first out.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Order::Fifo)
    }

    /// Creates a hub that picks the next ready task at random: the same seed gives the same order.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::with(Order::Random(RefCell::new(Rng::with_seed(seed))))
    }

    /// Creates a hub with the order of `run`.
    pub(crate) fn explored(run: Rc<Run>) -> Self {
        Self::with(Order::Explored(run))
    }

    fn with(order: Order) -> Self {
        let tasks = Tasks::new(order);
        let clock = Arc::new(VirtualClock::new());
        let handle = Hub::custom(Clock::new(clock.clone()), Arc::new(tasks.handle()));
        Self { core: Rc::new(Core { tasks, clock, handle, running: Cell::new(false) }) }
    }

    /// Runs `scenario` on a hub of each of `seeds`, to find an order in which it fails.
    ///
    /// # Panics
    ///
    /// Panics with the first seed under which the scenario panics, its message, and how to replay
    /// it.
    ///
    /// ```should_panic
    /// use std::{cell::Cell, rc::Rc};
    /// use spinney_hub::{Spawn, yield_now};
    /// use spinney_sim::SimHub;
    ///
    /// SimHub::check(0..100, |sim| {
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
    /// ```
    #[track_caller]
    pub fn check(seeds: impl IntoIterator<Item = u64>, scenario: impl Fn(&SimHub)) {
        for seed in seeds {
            let run = AssertUnwindSafe(|| scenario(&SimHub::seeded(seed)));
            if let Err(payload) = catch_unwind(run) {
                let said = message(&*payload);
                panic!("failed with seed {seed}, replay it with SimHub::seeded({seed}): {said}");
            }
        }
    }

    /// Runs `scenario` in every order with at most three delays, the default of [`Explore`], to
    /// find the smallest order in which it fails.
    ///
    /// # Panics
    ///
    /// Panics if `scenario` fails in some order, with the failure, the steps of the run, and a
    /// token for [`replay`](Self::replay); or if it cannot be explored.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use spinney_hub::Spawn;
    /// use spinney_sim::SimHub;
    /// use spinney_sync::Semaphore;
    ///
    /// let report = SimHub::explore(|sim| {
    ///     let seats = Rc::new(Semaphore::new(1));
    ///     for _ in 0..3 {
    ///         let seats = Rc::clone(&seats);
    ///         sim.spawn(async move { drop(seats.acquire().await) });
    ///     }
    ///     sim.run_until_idle();
    ///     assert_eq!(seats.available(), 1);
    /// });
    /// assert!(report.complete);
    /// ```
    #[track_caller]
    pub fn explore(scenario: impl Fn(&SimHub)) -> Report {
        Explore::default().run(scenario)
    }

    /// Runs `scenario` once in the order of a [token](crate::Counterexample::token), which an
    /// exploration has printed. Panics propagate, so a debugger stops there. To replay a test
    /// unchanged, set the environment variable `SPINNEY_REPLAY` to the token.
    ///
    /// # Panics
    ///
    /// Panics if `scenario` fails, which is expected; if `token` is invalid, or was created for
    /// another scenario.
    #[track_caller]
    pub fn replay(token: &str, scenario: impl Fn(&SimHub)) {
        Explore::default().replay(token, scenario);
    }

    /// Runs the hub's tasks until none is ready and no timer is set; the remaining ones wait for
    /// ever, or for another thread.
    ///
    /// # Panics
    ///
    /// Panics if this hub is running already, or if a task that is not a greenlet panics.
    pub fn run_until_idle(&self) {
        let _entered = self.enter();
        while self.turn().is_some() {}
    }

    /// Runs `main` to its end, together with the hub's tasks.
    ///
    /// # Panics
    ///
    /// Panics if it would hang, with a [`Deadlock`] as the message; if this hub is running already;
    /// or if a task that is not a greenlet panics.
    #[track_caller]
    pub fn block_on<F: Future>(&self, main: F) -> F::Output {
        match self.try_block_on(main) {
            Ok(output) => output,
            Err(deadlock) => panic!("{deadlock}"),
        }
    }

    /// Runs `main` to its end, together with the hub's tasks.
    ///
    /// # Errors
    ///
    /// [`Deadlock`] if it would hang; `main` is then dropped, and the tasks stay.
    ///
    /// # Panics
    ///
    /// Panics if this hub is running already, or if a task that is not a greenlet panics.
    #[track_caller]
    pub fn try_block_on<F: Future>(&self, main: F) -> Result<F::Output, Deadlock> {
        let _entered = self.enter();
        let tasks = &self.core.tasks;
        let mut main = pin!(main);
        let place = tasks.queue_main();
        let mut waits = Stuck::default();
        loop {
            match self.turn() {
                Some(Turn::Other) => {}
                Some(Turn::Main) => {
                    let _budget = Budget::open();
                    let (polled, stuck) = tasks.poll(&place, main.as_mut());
                    if let Poll::Ready(output) = polled {
                        return Ok(output);
                    }
                    waits = stuck;
                }
                None => return Err(Deadlock::new(waits, tasks.stuck())),
            }
        }
    }

    /// Makes a choice for the program: a number below `options`; `what` names the choice. A hub
    /// that [explores](Self::explore) tries each option; a [seeded](Self::seeded) one picks at
    /// random; otherwise it is 0.
    ///
    /// # Panics
    ///
    /// Panics if `options` is 0.
    ///
    /// ```
    /// use spinney_sim::{Explore, SimHub};
    ///
    /// let request = |sim: &SimHub| match sim.choose("the request fails", 2) {
    ///     0 => Ok(200),
    ///     _ => Err("refused"),
    /// };
    /// assert_eq!(request(&SimHub::new()), Ok(200));
    /// assert!(Explore::delays(1).try_run(|sim| assert!(request(sim).is_ok())).is_err());
    /// ```
    #[track_caller]
    pub fn choose(&self, what: &str, options: usize) -> usize {
        assert!(options > 0, "a choice needs at least one option");
        self.core.tasks.choose(what, options)
    }

    /// This hub, for tasks that share nothing with other tasks. While orders are
    /// [explored](Self::explore), a task that is spawned through it runs as soon as it is ready,
    /// and no other order of its steps is tried: its steps commute with those of all other tasks,
    /// so no order could differ.
    ///
    /// Using it is a contract that is not checked. The task may own its state, sleep, and wait for
    /// other independent tasks that share only with it. Other tasks may do no more than wait for
    /// its end.
    pub fn independent(&self) -> Independent<'_> {
        Independent { hub: self }
    }

    /// Advances the clock by `duration`, and wakes the tasks whose time has come; they run at the
    /// next [`block_on`](Self::block_on), or when the caller yields.
    ///
    /// # Panics
    ///
    /// Panics if the time is then beyond the range of [`Instant`].
    pub fn advance(&self, duration: Duration) {
        self.core.clock.advance(duration);
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.core.clock.now()
    }

    /// How much virtual time has passed.
    pub fn elapsed(&self) -> Duration {
        self.core.clock.elapsed()
    }

    /// How many tasks have not finished.
    pub fn pending(&self) -> usize {
        self.core.tasks.len()
    }

    /// Runs the remaining tasks, and returns those that cannot finish, as text.
    pub(crate) fn unfinished(&self) -> Option<String> {
        self.run_until_idle();
        let stuck = self.core.tasks.stuck();
        let first = format!("tasks that have not finished and cannot go on: {}", stuck.len());
        let lines = stuck.iter().map(|task| format!("\n  {}", task.line()));
        (!stuck.is_empty()).then(|| lines.fold(first, |text, line| text + &line))
    }

    /// Drops the tasks. Futures that are spawned later are dropped.
    pub(crate) fn drop_tasks(&self) {
        self.core.tasks.clear();
    }

    /// Makes this hub the current one, and the only one that runs on this thread.
    fn enter(&self) -> (Entered, Turning<'_>) {
        let Core { tasks, handle, running, .. } = &*self.core;
        let running = Turning::begin(running);
        let context = Context::of_hub(handle.clone()).with_labels(tasks.labels());
        (context.enter(), running)
    }

    /// Gives the next future a turn, and lets time pass first if none is ready; `None` if no task
    /// can go on.
    fn turn(&self) -> Option<Turn> {
        let Core { tasks, clock, .. } = &*self.core;
        loop {
            let turn = tasks.run_next(clock);
            if turn.is_some() || !tasks.pass_time(clock) {
                return turn;
            }
        }
    }
}

impl Default for SimHub {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for SimHub {
    #[track_caller]
    fn spawn(&self, future: F) {
        self.core.tasks.spawn(future, false);
    }
}

impl Executor for SimHub {
    type AnyTask = LocalBoxTask;

    fn is_current(&self) -> bool {
        self.core.handle.is_current()
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// A weak handle to a hub that stays on its thread. It may be sent to other threads, and spawns
/// `Send` futures.
impl From<&SimHub> for Hub {
    fn from(hub: &SimHub) -> Self {
        hub.core.handle.clone()
    }
}

impl fmt::Debug for SimHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimHub")
            .field("pending", &self.pending())
            .field("elapsed", &self.elapsed())
            .finish()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.tasks.clear();
    }
}

/// While it lives, the hub runs.
struct Turning<'a>(&'a Cell<bool>);

impl<'a> Turning<'a> {
    fn begin(running: &'a Cell<bool>) -> Self {
        assert!(
            !running.replace(true),
            "this SimHub is running already: await the future instead of `block_on`"
        );
        Self(running)
    }
}

impl Drop for Turning<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Spawns tasks that share nothing with others: see [`SimHub::independent`]. Dropping it is a
/// no-op.
///
/// ```
/// use spinney_hub::{Spawn, yield_now};
/// use spinney_sim::SimHub;
///
/// let report = SimHub::explore(|sim| {
///     sim.independent().spawn(yield_now());
///     sim.independent().spawn(yield_now());
///     sim.run_until_idle();
/// });
/// assert_eq!(report.orders, 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Independent<'a> {
    hub: &'a SimHub,
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for Independent<'_> {
    #[track_caller]
    fn spawn(&self, future: F) {
        self.hub.core.tasks.spawn(future, true);
    }
}

impl Executor for Independent<'_> {
    type AnyTask = LocalBoxTask;

    fn is_local(&self) -> bool {
        true
    }
}
