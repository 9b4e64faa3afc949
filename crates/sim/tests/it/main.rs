//! The promises of `spinney-sim`.

/// The virtual clock.
mod clock;

/// [`Explore`](spinney_sim::Explore).
mod explore {
    mod correct;
    mod limits;
    mod orders;
    mod planted;
}

/// [`SimHub`](spinney_sim::SimHub).
mod sim_hub {
    mod check;
    mod deadlock;
    mod life;
    mod order;
    mod wakes;
}
