//! A hub for tests: one thread, a virtual clock, and a reproducible order.
//!
//! Sleeping takes no real time: when no task is ready the clock jumps to the next timer. A
//! [seed](SimHub::seeded) picks the next task at random, but reproducibly, so that a race that was
//! found once is found again. [`Explore`] tries all orders of a small program up to a bound, and
//! shrinks a failing one. A test that would hang fails instead: see [`Deadlock`].
//!
//! ```
//! use std::time::Duration;
//! use spinney_hub::{Spawn, sleep};
//! use spinney_sim::SimHub;
//!
//! let sim = SimHub::new();
//! sim.block_on(sleep(Duration::from_secs(3600)));
//! assert_eq!(sim.elapsed(), Duration::from_secs(3600));
//! ```

mod clock;
mod deadlock;
mod explore;
mod hub;
mod tasks;

pub use deadlock::Deadlock;
pub use explore::{Counterexample, Explore, ExploreError, Report};
pub use hub::{Independent, SimHub};
