//! The promises that take several crates and are about none of the topics beside this folder. The
//! large topics, most of whose tests run on every hub, are programs of their own, since one program
//! for all takes the compiler more memory than a small machine has.

/// The traits and the texts of the public types.
mod api {
    mod auto_traits;
    mod conversions;
    mod debug;
    mod display;
}

/// Destructors that panic.
mod bad_drops;

/// Waiters that are dropped after any number of polls.
mod cancel;

/// The scenarios of gevent and eventlet.
mod conformance;

/// The documentation names what exists, and the compiler explains mistakes.
mod docs {
    mod migrating;
    mod outside;
    mod tables;
}

/// `GreenPool` and `GreenPile`.
mod green_pool {
    mod both;
    mod model;
    mod pile;
    mod pool;
}

/// Futures that are not `Send`, on the hubs that stay on one thread.
mod local;

/// Random work inside random work.
mod random;

/// `ResourcePool`.
mod resource_pool {
    mod idle;
    mod lending;
}

/// What only a simulation finds.
mod simulation;

/// Thread pools under a hub.
mod thread_pool;

/// Sleeps and time limits.
mod timeout;
