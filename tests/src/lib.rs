//! Shared parts of the tests: [`on_every_hub`], which runs one test on every hub, [`Dropped`],
//! which counts drops, and the small tools of [`tools`].

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

pub mod conformance;
pub mod tools;

pub use smol::block_on as smol_block_on;
use spinney::hub::{BoxTask, Executor, LocalBoxTask};
pub use spinney::hub::{SmolHub, TokioHub};
pub use spinney::{Hub, LocalHub};
use spinney::{Spawn, Within};
pub use spinney_sim::SimHub;
pub use spinney_test_support::{DropGuard, Dropped};

/// The number of seeds of a simulated hub with which each test is run.
pub const SEEDS: u64 = 50;

/// Makes a test of each function for each hub: a [`Hub`] of one thread and one of four, smol's,
/// tokio's of either flavour, a custom executor ([`Threads`]), the [following](Hub::following) one
/// inside three of them, a [`LocalHub`], a FIFO [`SimHub`], and [`SEEDS`] seeded ones.
///
/// The function gets a reference to the hub; its body runs as the main future there. It is compiled
/// once, for [`AnyHub`], rather than once for each hub: the program of these tests takes longer to
/// build than all others together.
///
/// ```
/// spinney_tests::on_every_hub! {
///     async fn a_pool_starts_empty(hub) {
///         assert_eq!(spinney::Pool::on(hub, 5).len(), 0);
///     }
/// }
/// ```
#[macro_export]
macro_rules! on_every_hub {
    ($($(#[$doc:meta])* async fn $name:ident($hub:ident) $body:block)+) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            fn test($hub: &$crate::AnyHub) -> $crate::Test<'_> {
                Box::pin(async move $body)
            }

            #[test]
            fn hub_of_one_thread() {
                $crate::on_hub(1, test);
            }

            #[test]
            fn hub_of_four_threads() {
                $crate::on_hub(4, test);
            }

            #[test]
            fn smol_hub() {
                $crate::on_smol(test);
            }

            #[test]
            fn tokio_hub_of_one_thread() {
                $crate::on_tokio(1, test);
            }

            #[test]
            fn tokio_hub_of_four_threads() {
                $crate::on_tokio(4, test);
            }

            #[test]
            fn own_executor() {
                $crate::on_own_executor(test);
            }

            #[test]
            fn following_a_hub() {
                $crate::following_a_hub(test);
            }

            #[test]
            fn following_tokio() {
                $crate::following_tokio(test);
            }

            #[test]
            fn following_a_local_hub() {
                $crate::following_a_local_hub(test);
            }

            $crate::on_one_thread!(@tests test);
        }
    )+};
}

/// Like [`on_every_hub`], for futures that are not `Send`: on the hubs that stay on one thread.
#[macro_export]
macro_rules! on_one_thread {
    ($($(#[$doc:meta])* async fn $name:ident($hub:ident) $body:block)+) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            fn test($hub: &$crate::OneThread) -> $crate::Test<'_> {
                Box::pin(async move $body)
            }

            $crate::on_one_thread!(@tests test);
        }
    )+};
    (@tests $test:ident) => {
        #[test]
        fn local_hub() {
            $crate::on_local($test);
        }

        #[test]
        fn sim_hub() {
            $crate::on_sim($test);
        }

        #[test]
        fn seeded_sim_hub() {
            $crate::on_seeds($test);
        }
    };
}

/// The main future of a test.
pub type Test<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Any hub, for tasks that are `Send`. A hub that stays on the thread of this test panics when it
/// is used on another.
#[derive(Clone)]
pub struct AnyHub(Arc<dyn AnyExecutor<BoxTask> + Send + Sync>);

/// An executor that is known only by its tasks.
trait AnyExecutor<T>: Spawn<T> + Executor<AnyTask = T> {}

impl<T, X: Spawn<T> + Executor<AnyTask = T>> AnyExecutor<T> for X {}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for AnyHub {
    fn spawn(&self, future: F) {
        self.0.spawn(Box::pin(future));
    }
}

impl Executor for AnyHub {
    type AnyTask = BoxTask;

    fn is_current(&self) -> bool {
        self.0.is_current()
    }

    fn is_local(&self) -> bool {
        self.0.is_local()
    }
}

impl AnyHub {
    fn following() -> Self {
        Self(Arc::new(Hub::following()))
    }

    /// Like [`OneThread::let_time_pass`]; a no-op where the time is real.
    pub fn let_time_pass(&self, time: Duration) {
        if let Some(hub) = OneThread::of_the_test() {
            hub.let_time_pass(time);
        }
    }
}

impl From<&OneThread> for AnyHub {
    fn from(_: &OneThread) -> Self {
        Self(Arc::new(OfTheTest(thread::current().id())))
    }
}

impl fmt::Debug for AnyHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyHub").finish_non_exhaustive()
    }
}

/// Any hub whose tasks stay on one thread.
#[derive(Clone)]
pub struct OneThread {
    hub: Rc<dyn AnyExecutor<LocalBoxTask>>,
    sim: Option<SimHub>,
}

thread_local! {
    /// The hub of the test that runs on this thread, if it stays there.
    static OF_THE_TEST: RefCell<Option<OneThread>> = const { RefCell::new(None) };
}

impl OneThread {
    fn of_the_test() -> Option<Self> {
        OF_THE_TEST.with_borrow(Clone::clone)
    }

    /// Runs `test` with `block_on`, while this is the hub of the test.
    fn run<H: for<'a> From<&'a Self>>(
        self,
        test: fn(&H) -> Test<'_>,
        block_on: impl FnOnce(Test<'_>),
    ) {
        let hub = H::from(&self);
        OF_THE_TEST.set(Some(self));
        let _forget = Forget;
        block_on(test(&hub));
    }

    /// Advances a simulation's time beside loops that keep it from passing by itself.
    pub fn let_time_pass(&self, time: Duration) {
        let Some(sim) = self.sim.clone() else { return };
        self.spawn(async move {
            // Repeatedly, because a limit may start later than this task.
            for _ in 0..100 {
                sim.advance(time);
                spinney::yield_now().await;
            }
        });
    }
}

/// Unregisters the hub of the test, also when the test panics.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        OF_THE_TEST.take();
    }
}

impl From<&Self> for OneThread {
    fn from(hub: &Self) -> Self {
        hub.clone()
    }
}

impl From<LocalHub> for OneThread {
    fn from(hub: LocalHub) -> Self {
        Self { hub: Rc::new(hub), sim: None }
    }
}

impl From<SimHub> for OneThread {
    fn from(hub: SimHub) -> Self {
        Self { hub: Rc::new(hub.clone()), sim: Some(hub) }
    }
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for OneThread {
    fn spawn(&self, future: F) {
        self.hub.spawn(Box::pin(future));
    }
}

impl Executor for OneThread {
    type AnyTask = LocalBoxTask;

    fn is_current(&self) -> bool {
        self.hub.is_current()
    }

    fn is_local(&self) -> bool {
        self.hub.is_local()
    }
}

impl fmt::Debug for OneThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneThread").finish_non_exhaustive()
    }
}

/// The hub of the test, for types that require `Send`: each use looks it up, and panics on another
/// thread. After the end of the test, tasks are dropped.
struct OfTheTest(ThreadId);

impl OfTheTest {
    fn hub(&self) -> Option<OneThread> {
        assert_eq!(self.0, thread::current().id(), "the hub of this test stays on its thread");
        OneThread::of_the_test()
    }
}

impl Spawn<BoxTask> for OfTheTest {
    fn spawn(&self, task: BoxTask) {
        if let Some(hub) = self.hub() {
            hub.hub.spawn(task);
        }
    }
}

impl Executor for OfTheTest {
    type AnyTask = BoxTask;

    fn is_current(&self) -> bool {
        self.hub().is_some_and(|hub| hub.hub.is_current())
    }

    fn is_local(&self) -> bool {
        self.hub();
        true
    }
}

/// Runs `test` on a [`Hub`] with this number of threads.
pub fn on_hub(threads: usize, test: fn(&AnyHub) -> Test<'_>) {
    let hub = hub(threads);
    hub.block_on(in_time(test(&AnyHub(Arc::new(hub.clone())))));
}

/// Runs `test` on smol's hub.
pub fn on_smol(test: fn(&AnyHub) -> Test<'_>) {
    smol::block_on(SmolHub.scope(in_time(test(&AnyHub(Arc::new(SmolHub))))));
}

/// Runs `test` on tokio, in the flavour with one thread or the other.
pub fn on_tokio(threads: usize, test: fn(&AnyHub) -> Test<'_>) {
    let runtime = tokio_runtime(threads);
    let hub = TokioHub::new(runtime.handle().clone());
    runtime.block_on(hub.scope(in_time(test(&AnyHub(Arc::new(hub.clone()))))));
}

/// Runs `test` on [`Threads`].
pub fn on_own_executor(test: fn(&AnyHub) -> Test<'_>) {
    smol::block_on(in_time(test(&AnyHub(Arc::new(Threads)))));
}

/// Runs `test` inside a [`Hub`] of one thread, on [`Hub::following`], the default of `Pool::new`.
pub fn following_a_hub(test: fn(&AnyHub) -> Test<'_>) {
    hub(1).block_on(in_time(test(&AnyHub::following())));
}

/// Runs `test` inside a tokio runtime of four threads, on [`Hub::following`].
pub fn following_tokio(test: fn(&AnyHub) -> Test<'_>) {
    tokio_runtime(4).block_on(in_time(test(&AnyHub::following())));
}

/// Runs `test` inside a [`LocalHub`], on [`Hub::following`].
pub fn following_a_local_hub(test: fn(&AnyHub) -> Test<'_>) {
    LocalHub::new().block_on(in_time(test(&AnyHub::following())));
}

/// Runs `test` on a [`LocalHub`].
pub fn on_local<H: for<'a> From<&'a OneThread>>(test: fn(&H) -> Test<'_>) {
    let hub = LocalHub::new();
    OneThread::from(hub.clone()).run(test, |test| hub.block_on(in_time(test)));
}

/// Runs `test` on a FIFO [`SimHub`].
pub fn on_sim<H: for<'a> From<&'a OneThread>>(test: fn(&H) -> Test<'_>) {
    let hub = SimHub::new();
    OneThread::from(hub.clone()).run(test, |test| hub.block_on(test));
}

/// Runs `test` on a [`SimHub`] of each of [`SEEDS`] seeds.
pub fn on_seeds<H: for<'a> From<&'a OneThread>>(test: fn(&H) -> Test<'_>) {
    for seed in 0..SEEDS {
        let replay = Replay(seed);
        let hub = SimHub::seeded(seed);
        OneThread::from(hub.clone()).run(test, |test| hub.block_on(test));
        replay.passed();
    }
}

/// A hub of `threads` threads.
///
/// # Panics
///
/// Panics if it cannot be started.
#[must_use]
pub fn hub(threads: usize) -> Hub {
    Hub::builder().threads(threads).name("test").build().expect("a test needs its hub")
}

/// A tokio runtime, in the flavour with one thread or the other.
///
/// # Panics
///
/// Panics if it cannot be started.
#[must_use]
pub fn tokio_runtime(threads: usize) -> tokio::runtime::Runtime {
    use tokio::runtime::Builder;

    let mut builder =
        if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(threads).enable_time().build().expect("a test needs its runtime")
}

/// A custom executor: it runs each task on a thread of its own, without a hub.
#[derive(Clone, Copy, Debug)]
pub struct Threads;

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Threads {
    fn spawn(&self, task: F) {
        std::thread::spawn(|| smol::block_on(task));
    }
}

impl Executor for Threads {
    type AnyTask = BoxTask;
}

/// How long a test may take where a deadlock would last for ever. Only a hanging test takes that
/// long; a [`SimHub`] reports a deadlock immediately.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs `test`, which fails if it hangs.
///
/// # Panics
///
/// Panics if it hangs.
pub async fn in_time<F: Future>(test: F) -> F::Output {
    test.within(LIMIT).await.expect("the test hangs")
}

/// Prints the seed with which a test failed.
#[derive(Debug)]
pub struct Replay(pub u64);

impl Replay {
    /// The test passed.
    pub fn passed(self) {
        std::mem::forget(self);
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        eprintln!("failed with SimHub::seeded({})", self.0);
    }
}

/// The programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

/// The recipes of `docs/from-tokio.md`, both sides.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-tokio.md")]
mod from_tokio {}

/// The recipes of `docs/migrating.md`.
#[cfg(doctest)]
#[doc = include_str!("../../docs/migrating.md")]
mod migrating {}

#[cfg(test)]
mod tests {
    use std::thread;

    use spinney::hub::Executor;

    use super::{AnyHub, Test, on_local};

    #[test]
    fn any_hub_panics_on_another_thread() {
        fn test(hub: &AnyHub) -> Test<'_> {
            let hub = hub.clone();
            Box::pin(async {
                assert!(hub.is_local());
                let asked = thread::spawn(move || hub.is_local());
                assert!(asked.join().is_err());
            })
        }
        on_local(test);
    }
}
