//! Groups of greenlets that are joined and killed together, and pools that limit how many of them
//! run at once.
//!
//! ```
//! use spinney_pool::Pool;
//!
//! spinney_hub::block_on(async {
//!     let pool = Pool::new(5);
//!     let squares = pool.map(|n| async move { n * n }, 1..=3).await.unwrap();
//!     assert_eq!(squares, [1, 4, 9]);
//! });
//! ```
//!
//! | to | use |
//! |---|---|
//! | spawn tasks without a limit, and join or kill them together | [`Group`] |
//! | limit how many tasks run at once, in FIFO order | [`Pool`] |
//! | acquire a slot before the task is known | [`Pool::slot`] |
//! | join and kill some tasks of a pool apart from the others | [`Pool::scope`] |
//! | give a request a weight, a priority or a key | [`SlotRequest`] |
//! | limit starts per second or tasks per host, or pause | [`PoolBuilder`], [`Pool::set_rates`], [`Pool::set_per_key`], [`Pool::pause`] |
//! | get the results of many tasks as a list | [`map`](TaskSet::map) |
//! | get the results as a stream, in order of input or of completion | [`imap`](TaskSet::imap), [`imap_unordered`](TaskSet::imap_unordered) |
//! | map with tasks that return a `Result` | [`try_map`](TaskSet::try_map), [`try_imap`](TaskSet::try_imap), [`try_imap_unordered`](TaskSet::try_imap_unordered) |
//! | retry failed items, or show progress | [`Mapper::retry`], [`Mapper::on_item`] |
//! | bound how far a map runs ahead of its reader | [`mapper`](TaskSet::mapper) |
//! | stop | [`close`](TaskSet::close), [`kill`](TaskSet::kill), [`abort`](TaskSet::abort), [`drain`](TaskSet::drain) |
//! | limit a section of code rather than a whole task | `spinney_sync::Semaphore` |
//!
//! One rule holds after every operation, even if a task panics, is killed or is dropped: *running +
//! free = capacity*. A slot that is freed goes to the first waiter.

// First, so that the pages of these types begin with what is in these files.
mod group;
mod pool;
mod slot;
mod task_set;

mod arena;
mod builder;
mod errors;
mod failures;
pub mod gevent;
mod hook;
mod in_place;
pub mod limits;
pub mod map;
mod members;
mod runs;
mod scope;
mod slot_request;
mod stop;

pub use builder::{PoolBuilder, Reentry};
pub use errors::{InsideGroup, PoolFull};
pub use failures::{Failures, JoinError};
pub use group::Group;
pub use hook::{Hooked, SpawnHook};
pub use limits::{Rate, RateLimiter, SlotError};
pub use map::{Imap, ItemError, ItemEvent, Map, Mapper, TaskError, TryImap, TryMap};
pub use members::Membership;
pub use pool::Pool;
pub use runs::{Runs, RunsMap};
pub use slot::Slot;
pub use slot_request::SlotRequest;
pub use spinney_greenlet::Report;
pub use task_set::TaskSet;
