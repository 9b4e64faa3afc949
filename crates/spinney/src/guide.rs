//! The guide: from the first pool to the end of a service, a page for each idea.
//!
//! Each page has programs that run as they stand. Add what they use with
//! `cargo add spinney futures-lite`, and for tests with `cargo add --dev spinney-sim`.
//!
//! | page | answers |
//! |---|---|
//! | [The first pool](first_pool) | how do I run many things, a few at a time? |
//! | [Results](results) | how do I have what they return: in order, one by one, as they come? |
//! | [Limits](limits) | who waits, for how long, and what else can be limited? |
//! | [Connections](connections) | how do I use again what is costly to create? |
//! | [Errors](errors) | what if a task returns an error, or panics? |
//! | [Killing](killing) | how do I stop a task, and how does it clean up? |
//! | [Timeouts](timeouts) | how do I limit how long anything takes? |
//! | [Threads](threads) | where does work go that computes or blocks? |
//! | [One thread](one_thread) | what if my tasks are not `Send`? |
//! | [Executors](executors) | how do I run it on tokio, on smol, on something of my own? |
//! | [Testing](testing) | how do I test it without sleeping? |
//! | [Shutdown](shutdown) | how does a service end well? |
//!
//! Who comes from Python finds the names of gevent and eventlet in [`gevent`](crate::gevent) and
//! [`eventlet`](crate::eventlet), in backticks at the end of each item's summary, and all together
//! in `docs/migrating.md` of the repository.

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
