//! The promises of the clock: [`sleep`](spinney_hub::sleep), [`Within`](spinney_hub::Within) and
//! [`interval`](spinney_hub::interval).

#[path = "../by_hand/mod.rs"]
mod by_hand;

/// A clock that a test sets, and that counts its alarms.
mod manual;

/// Waiting for a while, or until then.
mod sleep;

/// The system's clock, under the hubs and without any.
mod system;

/// Time limits.
mod within;

/// Again and again.
mod interval;
