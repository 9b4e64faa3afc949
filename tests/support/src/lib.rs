//! Helpers that the tests of several crates share. A crate may use this package only in its tests,
//! and this package uses none of our crates (`cargo xtask layers` checks both).

mod by_hand;
mod dropped;
mod gate;
mod on_drop;
mod wake_storm;
mod wakers;

pub use by_hand::ByHand;
pub use dropped::{DropGuard, Dropped};
pub use gate::Gate;
pub use on_drop::{OnDrop, blow_up, panics_on_drop, stuck_and_panics_on_drop};
pub use wake_storm::WakeStorm;
pub use wakers::{NoWake, on_its_own_waker, send_waker};
