//! The guide: from the first pool to the shutdown of a service, a page for each subject.
//!
//! Each page has programs that run as they stand, in a package whose only dependency is `spinney`.
//! Those of [Testing](testing) also need `spinney-sim`, the one on tokio the crate `tokio`.
//!
//! | page | answers |
//! |---|---|
//! | [The first pool](first_pool) | how do I run many tasks, a few at once? |
//! | [Results](results) | how do I get the results: as a list, one by one, as they finish? |
//! | [Limits](limits) | which limits are there, and which task waits for how long? |
//! | [Connections](connections) | how do I reuse what is costly to create? |
//! | [Errors](errors) | what if a task returns an error, or panics? |
//! | [Killing](killing) | how do I stop a task, and how does it clean up? |
//! | [Timeouts](timeouts) | how do I limit how long a future takes? |
//! | [Threads](threads) | where does work run that computes or blocks? |
//! | [One thread](one_thread) | what if my tasks are not `Send`? |
//! | [Executors](executors) | how do I run on tokio, on smol, on an executor of my own? |
//! | [Testing](testing) | how do I test without sleeping? |
//! | [Shutdown](shutdown) | how does a service stop gracefully? |
//!
//! The repository has further pages in `docs`, for example `from-tokio.md`, twelve programs of
//! tokio, futures and rayon beside ours, `migrating.md`, every name of gevent and eventlet beside
//! ours, and `trace.md`, which task waits where. The modules [`gevent`](crate::gevent) and
//! [`eventlet`](crate::eventlet) have the shape of the Python packages, and the documentation of an
//! item gives the Python name that it answers to.

#[doc = include_str!("../guide/first_pool.md")]
pub mod first_pool {}

#[doc = include_str!("../guide/results.md")]
pub mod results {}

#[doc = include_str!("../guide/limits.md")]
pub mod limits {}

#[doc = include_str!("../guide/connections.md")]
pub mod connections {}

#[doc = include_str!("../guide/errors.md")]
pub mod errors {}

#[doc = include_str!("../guide/killing.md")]
pub mod killing {}

#[doc = include_str!("../guide/timeouts.md")]
pub mod timeouts {}

#[doc = include_str!("../guide/threads.md")]
pub mod threads {}

#[doc = include_str!("../guide/one_thread.md")]
pub mod one_thread {}

#[doc = include_str!("../guide/executors.md")]
pub mod executors {}

#[doc = include_str!("../guide/testing.md")]
pub mod testing {}

#[doc = include_str!("../guide/shutdown.md")]
pub mod shutdown {}
