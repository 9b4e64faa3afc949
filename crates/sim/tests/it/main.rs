//! The promises of `spinney-sim`.

/// The virtual clock.
mod clock;

/// [`SimHub`](spinney_sim::SimHub).
mod sim_hub {
    mod check;
    mod deadlock;
    mod life;
    mod order;
    mod wakes;
}
