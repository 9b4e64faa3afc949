//! The promises of [`LocalHub`](spinney_hub::LocalHub).

#[path = "../dropped/mod.rs"]
mod dropped;

/// First come, first served.
mod order;

/// Starting and ending, panics, and what is left.
mod block_on;

/// Wakes, from here and from other threads; timers.
mod wakes;

/// What becomes of the tasks of a hub that is dropped.
mod drops;
