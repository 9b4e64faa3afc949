//! The promises that need several crates, most of them on every hub. A test that needs its own
//! process is a program beside this one.

/// The traits and the texts of the public types.
mod api {
    mod auto_traits;
    mod conversions;
    mod debug;
    mod display;
}

/// Destructors that panic.
mod bad_drops;

/// Waits that are dropped after any number of polls.
mod cancel;

/// The scenarios of gevent and eventlet.
mod conformance;

/// The documentation names what exists, and the compiler explains mistakes.
mod docs {
    mod migrating;
    mod outside;
    mod tables;
}

/// Pools and helpers that run where they are called.
mod following;

/// `GreenPool` and `GreenPile`.
mod green_pool {
    mod both;
    mod model;
    mod pile;
    mod pool;
}

/// Greenlets: results, links, kills, locals.
mod greenlet {
    mod abort;
    mod catch_exit;
    mod ends;
    mod green_thread;
    mod growth;
    mod hook;
    mod iwait;
    mod joinall;
    mod joined;
    mod kill;
    mod kill_storm;
    mod link;
    mod link_result;
    mod locals;
    mod outcome;
    mod shield;
    mod unstarted;
    mod wakers;
}

/// Limits that are changed.
mod limits;

/// Futures that are not `Send`, on the hubs that stay on one thread.
mod local;

/// Maps over a pool.
mod map {
    mod ahead;
    mod bounds;
    mod failures;
    mod input;
    mod item_error;
    mod items;
    mod on_item;
    mod one_poll;
    mod reentry;
    mod results;
    mod terms;
    mod try_imap;
    mod try_map;
}

/// Pools and groups.
mod pool {
    mod add;
    mod apply;
    mod close;
    mod group;
    mod in_place;
    mod killone;
    mod limits;
    mod model;
    mod outlive;
    mod reentry;
    mod scope;
    mod slots;
    mod spawn;
    mod start_limits;
    mod try_join;
}

/// Random nested work.
mod random;

/// Loops of ready awaits.
mod ready_awaits;

/// `ResourcePool`.
mod resource_pool {
    mod checks;
    mod closing;
    mod create;
    mod failure;
    mod idle;
    mod lending;
}

/// Promises that only a simulation can test.
mod simulation;

/// Locks, queues and semaphores between greenlets.
mod sync {
    mod fairness;
    mod locks;
    mod queue;
    mod queue_sim;
    mod turns;
}

/// Thread pools under a hub.
mod thread_pool;

/// Sleeps and time limits.
mod timeout;

/// Promises of every wait of pools, thread pools and piles.
mod waits {
    mod deadlock_lines;
    mod wakers;
}
