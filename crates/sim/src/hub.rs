//! [`SimHub`]: a hub whose time is virtual and whose order can be replayed.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use fastrand::Rng;
use spinney_hub::{Clock, Context, Hub, Spawn, TimeSource};
use spinney_sync::Budget;

use crate::Deadlock;
use crate::clock::VirtualClock;
use crate::tasks::{Stuck, Tasks, Turn};

/// A hub for tests: one thread, tasks that need not be `Send`, and a clock that jumps to the next
/// timer when nobody is ready to run.
///
/// A cheap handle. Nothing runs but inside [`block_on`](Self::block_on). Dropping the last handle
/// drops the tasks that are left; a task that holds a handle of its own hub keeps it alive.
///
/// What another thread does takes real time, which this hub does not wait for.
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
    tasks: Rc<Tasks>,
    clock: Arc<VirtualClock>,
    running: Cell<bool>,
}

impl SimHub {
    /// A hub that runs its tasks first in, first out.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None)
    }

    /// A hub that picks the next of those that are ready at random: with the same seed in the same
    /// order.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::with(Some(Rng::with_seed(seed)))
    }

    fn with(rng: Option<Rng>) -> Self {
        let tasks = Rc::new(Tasks::new(rng));
        let clock = Arc::new(VirtualClock::new());
        Self { core: Rc::new(Core { tasks, clock, running: Cell::new(false) }) }
    }

    /// Runs `scenario` on a hub of each of `seeds`, to find the order in which it fails.
    ///
    /// # Panics
    ///
    /// With the first seed under which the scenario panics, what it said, and how to replay it.
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

    /// Runs the hub's tasks until none is ready and no timer is set; those that are left wait for
    /// ever, or for another thread.
    ///
    /// # Panics
    ///
    /// If this hub is running already, or if a task that is no greenlet panics.
    pub fn run_until_idle(&self) {
        // Nothing but the end of all else ends this main future.
        let _idle = self.try_block_on(std::future::pending::<()>());
    }

    /// Runs `main` to its end, and the hub's tasks beside it.
    ///
    /// # Panics
    ///
    /// If it would hang, with a [`Deadlock`] as the message; if this hub is running already; or if
    /// a task that is no greenlet panics.
    #[track_caller]
    pub fn block_on<F: Future>(&self, main: F) -> F::Output {
        match self.try_block_on(main) {
            Ok(output) => output,
            Err(deadlock) => panic!("{deadlock}"),
        }
    }

    /// Runs `main` to its end, and the hub's tasks beside it.
    ///
    /// # Errors
    ///
    /// [`Deadlock`] if it would hang; `main` is dropped then, and the tasks stay.
    ///
    /// # Panics
    ///
    /// If this hub is running already, or if a task that is no greenlet panics.
    pub fn try_block_on<F: Future>(&self, main: F) -> Result<F::Output, Deadlock> {
        let Core { tasks, clock, running } = &*self.core;
        let _running = Turning::begin(running);
        let context = Context::new(Clock::new(clock.clone()), Arc::new(tasks.handle()));
        let _entered = context.with_labels(tasks.labels()).enter();
        let mut main = pin!(main);
        let waker = tasks.queue_main();
        let mut waits = Stuck::default();
        loop {
            match tasks.run_next() {
                Some(Turn::Task) => {}
                Some(Turn::Main) => {
                    let _budget = Budget::open();
                    let (polled, stuck) = tasks.poll(main.as_mut(), &waker);
                    if let Poll::Ready(output) = polled {
                        return Ok(output);
                    }
                    waits = stuck;
                }
                None if clock.jump() => {}
                None => return Err(Deadlock::new(waits, tasks.stuck())),
            }
        }
    }

    /// Lets `duration` pass at once, and wakes those whose time has come; they run at the next
    /// [`block_on`](Self::block_on), or when the caller gives way.
    ///
    /// # Panics
    ///
    /// If the time is then beyond what an [`Instant`] can hold.
    pub fn advance(&self, duration: Duration) {
        self.core.clock.advance(duration);
    }

    /// What time it is here.
    pub fn now(&self) -> Instant {
        self.core.clock.now()
    }

    /// How much virtual time has passed.
    pub fn elapsed(&self) -> Duration {
        self.core.clock.elapsed()
    }

    /// How many tasks have not ended.
    pub fn pending(&self) -> usize {
        self.core.tasks.len()
    }
}

impl Default for SimHub {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for SimHub {
    fn spawn(&self, future: F) {
        self.core.tasks.spawn(future);
    }

    fn is_current(&self) -> bool {
        self.core.running.get()
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// A weak handle to a hub that stays on its thread: it may be sent to others, and spawns what is
/// `Send`.
impl From<&SimHub> for Hub {
    fn from(hub: &SimHub) -> Self {
        Self::custom(Clock::new(hub.core.clock.clone()), Arc::new(hub.core.tasks.handle()))
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

/// What a panic said.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}
