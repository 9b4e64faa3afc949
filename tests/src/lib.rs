//! What the tests of promises share: [`on_every_hub`], which runs one test on every hub,
//! [`Dropped`], which counts what has been dropped, and the small tools of [`tools`].

use std::time::Duration;

pub mod conformance;
pub mod tools;

pub use smol::block_on as smol_block_on;
pub use spinney::{Hub, LocalHub, SmolHub, TokioHub};
use spinney::{Spawn, Within};
pub use spinney_sim::SimHub;
pub use spinney_test_support::{DropGuard, Dropped};

/// How many seeds of a simulated hub each test is run with.
pub const SEEDS: u64 = 50;

/// Makes a test of each function for each hub: a [`Hub`] of one thread and one of four, smol's,
/// tokio's of either flavour, a stranger's ([`Threads`]), a [`LocalHub`], a first-in-first-out
/// [`SimHub`], and [`SEEDS`] seeded ones.
///
/// The function gets a reference to the hub; its body runs as the main future there.
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

            #[test]
            fn hub_of_one_thread() {
                let hub = $crate::hub(1);
                hub.block_on($crate::in_time(async { let $hub = &hub; $body }));
            }

            #[test]
            fn hub_of_four_threads() {
                let hub = $crate::hub(4);
                hub.block_on($crate::in_time(async { let $hub = &hub; $body }));
            }

            #[test]
            fn smol_hub() {
                let hub = $crate::SmolHub;
                $crate::smol_block_on(hub.scope($crate::in_time(async { let $hub = &hub; $body })));
            }

            #[test]
            fn tokio_hub_of_one_thread() {
                let runtime = $crate::tokio_runtime(1);
                let hub = $crate::TokioHub::new(runtime.handle().clone());
                runtime.block_on(hub.scope($crate::in_time(async { let $hub = &hub; $body })));
            }

            #[test]
            fn tokio_hub_of_four_threads() {
                let runtime = $crate::tokio_runtime(4);
                let hub = $crate::TokioHub::new(runtime.handle().clone());
                runtime.block_on(hub.scope($crate::in_time(async { let $hub = &hub; $body })));
            }

            #[test]
            fn own_executor() {
                let hub = $crate::Threads;
                $crate::smol_block_on($crate::in_time(async { let $hub = &hub; $body }));
            }

            $crate::on_one_thread!(@tests $hub $body);
        }
    )+};
}

/// As [`on_every_hub`], for what is not `Send`: on the hubs that stay on one thread.
#[macro_export]
macro_rules! on_one_thread {
    ($($(#[$doc:meta])* async fn $name:ident($hub:ident) $body:block)+) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            $crate::on_one_thread!(@tests $hub $body);
        }
    )+};
    (@tests $hub:ident $body:block) => {
        #[test]
        fn local_hub() {
            let hub = $crate::LocalHub::new();
            hub.block_on($crate::in_time(async { let $hub = &hub; $body }));
        }

        #[test]
        fn sim_hub() {
            let hub = $crate::SimHub::new();
            hub.block_on(async { let $hub = &hub; $body });
        }

        #[test]
        fn seeded_sim_hub() {
            for seed in 0..$crate::SEEDS {
                let replay = $crate::Replay(seed);
                let hub = $crate::SimHub::seeded(seed);
                hub.block_on(async { let $hub = &hub; $body });
                replay.passed();
            }
        }
    };
}

/// A hub of `threads` threads.
///
/// # Panics
///
/// If it cannot be started.
#[must_use]
pub fn hub(threads: usize) -> Hub {
    Hub::builder().threads(threads).name("test").build().expect("a test needs its hub")
}

/// A tokio runtime: of the flavour with one thread, or of the other.
///
/// # Panics
///
/// If it cannot be started.
#[must_use]
pub fn tokio_runtime(threads: usize) -> tokio::runtime::Runtime {
    use tokio::runtime::Builder;

    let mut builder =
        if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(threads).enable_time().build().expect("a test needs its runtime")
}

/// A stranger's executor: it runs each task on a thread of its own, and knows nothing of hubs.
#[derive(Clone, Copy, Debug)]
pub struct Threads;

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Threads {
    fn spawn(&self, task: F) {
        std::thread::spawn(|| smol::block_on(task));
    }
}

/// How long a test may take where a deadlock would last for ever. Only one that hangs takes that
/// long; a [`SimHub`] tells at once.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs `test`, which fails if it hangs.
///
/// # Panics
///
/// If it hangs.
pub async fn in_time<F: Future>(test: F) -> F::Output {
    test.within(LIMIT).await.expect("the test hangs")
}

/// Names the seed that a test failed with.
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

/// The recipes for those who come from gevent or eventlet.
#[cfg(doctest)]
#[doc = include_str!("../../docs/migrating.md")]
mod migrating {}
