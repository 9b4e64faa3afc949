//! The promises of the primitives and of kills, in every order of small programs up to a bound of
//! delays.
//!
//! `cargo xtask explore --minutes N` goes on beyond the bounds.

use std::rc::Rc;

use spinney::{Event, Spawn, yield_now};
use spinney_sim::{Explore, SimHub};

/// Makes a test of each scenario, a program on the hub `$sim`: every order with at most `$delays`
/// delays is tried.
macro_rules! explore {
    ($($(#[$doc:meta])* fn $name:ident($sim:ident, $delays:literal) $body:block)+) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            crate::explore_all($delays, |$sim: &spinney_sim::SimHub| $body);
        }
    )+};
}

mod event;
mod generated;
mod greenlet;
mod locks;
mod pool;
mod queue;
mod report;
mod semaphore;

fn explore_all(delays: usize, scenario: impl Fn(&SimHub)) {
    let report = Explore::delays(delays).run(scenario);
    println!("{report}");
    assert!(report.complete, "{report}");
}

/// How many turns long work takes. A random order hardly ever keeps another task from running for
/// so long; one delay does.
const LONG: usize = 16;

/// Yields this many times.
async fn work(turns: usize) {
    for _ in 0..turns {
        yield_now().await;
    }
}

/// A switch that cancels futures.
#[derive(Clone, Default)]
struct Cancel(Rc<Event>);

impl Cancel {
    /// Spawns a task that cancels at any time.
    fn at_any_time(sim: &SimHub) -> Self {
        let cancel = Self::default();
        let cancels = cancel.clone();
        sim.spawn(async move { cancels.0.set() });
        cancel
    }

    /// Runs `future` to its end, or drops it once it is cancelled.
    async fn or<F: Future>(&self, future: F) -> Option<F::Output> {
        let cancelled = async {
            self.0.wait().await;
            None
        };
        futures_lite::future::or(cancelled, async { Some(future.await) }).await
    }
}
