//! Maps: one function over many items, through the slots of a pool.
//!
//! An item is a greenlet of its own, but must not cost a task. A [`Feeder`] waits for the pool's
//! slots, in turn with all other waiters, and puts a [`Worker`] into each. A worker takes one item
//! after the other from the input, for as long as no other waiter wants its slot and the results are
//! read. The next item is taken from the input before there is a slot for it.
//!
//! Where items ask for something of their own, a weight, a priority or a key, each is taken from the
//! input as soon as there is room for its result, and stands in the pool's queue with a request of its
//! own. Its worker runs that item alone.
//!
//! What the two share is `MapShared`. The results go to the [`Imap`] through `Results`. A reader that
//! is a member of the pool runs items within its own reads while no slot comes.

mod asked;
mod batch;
mod feeder;
mod imap;
mod input;
mod item;
mod mapper;
mod results;
mod shared;
mod source;
mod terms;
mod worker;

use spinney_greenlet::{InPlace, Task, map};
use spinney_hub::Hub;

pub use asked::{Alike, Asks, PerItem};
pub use feeder::Feeder;
pub use imap::Imap;
pub use mapper::Mapper;
pub use source::{FromStream, IntoSource, Source, from_stream};
pub use spinney_greenlet::map::{
    Again, Attempts, Decision, ItemError, ItemStream, Once, Read, Retry, Schedule, TaskError,
};
pub use worker::{Worker, WorkerGuard};

/// The results of a running map, all together: a future of a list. Dropping it unfinished takes no
/// further items, and kills those that are running.
///
/// Of several failures it ends with the one of the first item in order, when all before that have
/// finished. The rest then runs on for as long as the pool lives.
pub type Map<T, X = Hub> = map::Map<T, Imap<T, X>>;

/// The results of a running map, each with the place of its item in the input; see
/// [`Imap::indexed`]. Dropping it is as dropping the [`Imap`].
pub type Indexed<T, X = Hub> = map::Indexed<Imap<T, X>>;

/// The results of a running map whose tasks return a `Result`, one by one: a stream, as an
/// [`Imap`], but with one `Result` for what the task returned and for what became of it.
///
/// An error is an item's like any other: the stream goes on. It keeps its pool alive. Dropping it
/// takes no further items, and kills those that are running;
/// [`detach`](spinney_greenlet::map::TryImap::detach) lets them run.
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
/// error that comes; then the other items are killed. [`collect_all`](spinney_greenlet::map::TryMap::collect_all)
/// and [`first_success`](spinney_greenlet::map::TryMap::first_success) are other policies.
///
/// When it returns, all that it started has finished. Dropping it unfinished kills the items that are
/// running, without waiting for them.
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

/// The future of [`TryMap`](spinney_greenlet::map::TryMap::collect_all)'s `collect_all`.
pub type CollectAll<T, E, X = Hub> = map::CollectAll<T, E, Imap<Result<T, E>, X>>;

/// The future of [`TryMap`](spinney_greenlet::map::TryMap::first_success)'s `first_success`.
pub type FirstSuccess<T, E, X = Hub> = map::FirstSuccess<T, E, Imap<Result<T, E>, X>>;

/// The task that puts a map's items to work in one slot.
pub type MapWorker<S, F, Fut, X> =
    Task<Worker<S, F, Fut, X>, WorkerGuard<<Fut as Future>::Output, X>>;

/// The task that runs one item of a map within the reads of a member.
pub type ItemInPlace<S, F, Fut, X> =
    InPlace<Worker<S, F, Fut, X>, WorkerGuard<<Fut as Future>::Output, X>>;
