//! The promises of `spinney-hub`.

/// The clock: [`sleep`](spinney_hub::sleep()), [`Within`](spinney_hub::Within) and
/// [`interval`](spinney_hub::interval()).
mod clock {
    mod interval;
    mod limit;
    pub(crate) mod manual;
    mod sleep;
    mod system;
    mod within;
}

/// The budget of ready awaits, and the pollers that open it.
mod budget;

/// The current hub and clock of a thread.
mod current;

/// [`Hub`](spinney_hub::Hub).
mod hub {
    mod block_on;
    mod runs;
    mod shutdown;
    mod stops;
}

/// [`LocalHub`](spinney_hub::LocalHub).
mod local_hub {
    mod block_on;
    mod drops;
    mod order;
    mod wakes;
}

/// Hubs inside tokio's runtimes, and runtimes inside hubs.
#[cfg(feature = "tokio")]
mod on_tokio;

/// [`Spawn`](spinney_hub::Spawn).
mod spawn;
