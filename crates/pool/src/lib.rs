//! Groups of greenlets that are waited for and killed together, and pools that run at most so
//! many at a time.
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
//! | to | take |
//! |---|---|
//! | start tasks without a limit, and wait for or kill them together | [`Group`] |
//! | run at most so many at a time, in the order they came | [`Pool`] |
//! | have the results of many, in a list | [`map`](Crew::map) |
//! | have them as a stream, in order or as they come | [`imap`](Crew::imap), [`imap_unordered`](Crew::imap_unordered) |
//! | bound how far a map runs ahead of who reads it | [`mapper`](Crew::mapper) |
//! | limit a section of code rather than whole tasks | `spinney_sync::Semaphore` |
//!
//! One rule holds after every operation, whatever panics, is killed or is dropped: *running + free
//! = capacity*. Slots are handed from who leaves to who has waited longest.

mod builder;
mod crew;
mod errors;
mod failures;
mod group;
mod hook;
pub mod map;
mod pool;
mod report;
mod roster;
mod runs;

pub use builder::{CrewBuilder, Reentry};
pub use crew::{Crew, Late, MapAsync, Then};
pub use errors::{InsideGroup, PoolFull};
pub use failures::{Failures, JoinError};
pub use group::Group;
pub use hook::{Hooked, SpawnHook};
pub use map::{Imap, ItemError, Map, Mapper, TaskError, TryMap};
pub use pool::Pool;
pub use report::Report;
pub use roster::Membership;
pub use runs::{Runs, RunsMap};
