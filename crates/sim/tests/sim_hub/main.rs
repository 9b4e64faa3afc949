//! The promises of [`SimHub`](spinney_sim::SimHub).

#[path = "../dropped/mod.rs"]
mod dropped;

/// Who runs when, and that it can be replayed.
mod order;

/// What would hang, fails.
mod deadlock;

/// Starting, ending and dropping.
mod life;

/// Many seeds.
mod check;
