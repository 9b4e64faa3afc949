//! Maps: one function over many items, through the slots of a pool.
//!
//! An item is a greenlet of its own, but must not cost a task. A [`Feeder`] waits for the pool's
//! slots, in FIFO order with all other waiters, and puts a [`Worker`] into each. A worker takes one
//! item after the other from the input, as long as no other waiter wants its slot and the results
//! are read. The next item is taken from the input before there is a slot for it.
//!
//! If items have a weight, a priority or a key of their own, each item is taken from the input as
//! soon as there is room for its result, and waits in the pool's queue with its own request. Its
//! worker runs only that item.
//!
//! Feeder and workers share `MapShared`. The results go to the [`Imap`] through `Results`. A reader
//! that is a member of the pool runs items within its own reads while the map has no slot.

mod batch;
mod feeder;
mod imap;
mod input;
mod item;
mod item_policy;
mod mapper;
mod per_item;
mod results;
mod shared;
mod source;
mod worker;

use spinney_greenlet::{InPlace, Task, map};
use spinney_hub::Hub;

pub use feeder::Feeder;
pub use imap::Imap;
pub use mapper::Mapper;
pub use per_item::{Alike, Asks, PerItem};
pub use source::{FromStream, IntoSource, Source, from_stream};
pub use spinney_greenlet::map::{
    Again, Attempts, Decision, ItemError, ItemEvent, ItemStream, Once, Read, Retry, Schedule,
    TaskError,
};
pub use worker::{Worker, WorkerGuard};

/// The results of a running map as a list: a future. Dropping it takes no further items, and kills
/// the running ones.
///
/// If several items fail, it returns the failure of the first one in order, once all items before
/// it have finished. The other items then run on while the pool has other handles.
///
/// Python: `gevent.pool.Group.map`.
pub type Map<T, X = Hub> = map::Map<T, Imap<T, X>>;

/// The results of a running map, each with the index of its item in the input; see
/// [`Imap::indexed`]. Dropping it drops the [`Imap`].
pub type Indexed<T, X = Hub> = map::Indexed<Imap<T, X>>;

/// The results of a running map whose tasks return a `Result`, one by one: a stream like [`Imap`],
/// with a single `Result` for the task's own error and for its failure.
///
/// After an error the stream goes on. It keeps its pool alive. Dropping it takes no further items,
/// and kills the running ones; [`detach`](spinney_greenlet::map::TryImap::detach) lets them run.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pool::Pool; }
/// use spinney::{Pool, block_on};
///
/// async fn parse(text: &str) -> Result<u8, std::num::ParseIntError> {
///     assert!(!text.is_empty(), "nothing to parse");
///     text.parse()
/// }
///
/// block_on(async {
///     let pool = Pool::new(2);
///     let mut parsed = pool.try_imap(parse, ["7", "x", ""]);
///     assert_eq!(parsed.next().await.unwrap().unwrap(), 7);
///     assert!(parsed.next().await.unwrap().unwrap_err().returned().is_some());
///     assert!(parsed.next().await.unwrap().unwrap_err().panicked().is_some());
///     assert!(parsed.next().await.is_none());
/// });
/// ```
pub type TryImap<T, E, X = Hub> = map::TryImap<Imap<Result<T, E>, X>>;

/// A running map of tasks that return a `Result`: a future of all values in order, or of the first
/// error that occurs; after an error the other items are killed. Other policies are
/// [`collect_all`](spinney_greenlet::map::TryMap::collect_all) and
/// [`first_success`](spinney_greenlet::map::TryMap::first_success).
///
/// When it returns, everything that it started has finished. Dropping it before kills the running
/// items, without waiting for them.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pool::Pool; }
/// use spinney::{Pool, block_on};
///
/// block_on(async {
///     let pool = Pool::new(2);
///     let parsed = || pool.try_map(|text: &str| async { text.parse::<u8>() }, ["1", "x"]);
///     assert_eq!(parsed().await.unwrap_err().index(), 1);
///     let all = parsed().collect_all().await;
///     assert!(all[0].is_ok() && all[1].is_err());
///     assert_eq!(parsed().first_success().await.unwrap(), 1);
/// });
/// ```
pub type TryMap<T, E, X = Hub> = map::TryMap<T, E, Imap<Result<T, E>, X>>;

/// The future of [`TryMap::collect_all`](spinney_greenlet::map::TryMap::collect_all). Dropping it
/// takes no further items, and kills the running ones.
pub type CollectAll<T, E, X = Hub> = map::CollectAll<T, E, Imap<Result<T, E>, X>>;

/// The future of [`TryMap::first_success`](spinney_greenlet::map::TryMap::first_success). Dropping
/// it takes no further items, and kills the running ones.
pub type FirstSuccess<T, E, X = Hub> = map::FirstSuccess<T, E, Imap<Result<T, E>, X>>;

/// The task that runs a map's items in one slot.
pub type MapWorker<S, F, Fut, X> =
    Task<Worker<S, F, Fut, X>, WorkerGuard<<Fut as Future>::Output, X>>;

/// The task that runs one item of a map within the reads of a member.
pub type ItemInPlace<S, F, Fut, X> =
    InPlace<Worker<S, F, Fut, X>, WorkerGuard<<Fut as Future>::Output, X>>;
