//! Maps: one function over many items, through the slots of a pool.
//!
//! An item is a greenlet of its own, but must not cost a task. A [`Feeder`] waits for the pool's
//! slots, in turn with all other waiters, and puts a [`Worker`] into each. A worker takes one item
//! after the other from the input, for as long as no other waiter wants its slot and the results are
//! read. The next item is taken from the input before there is a slot for it.
//!
//! What the two share is `MapShared`. The results go to the [`Imap`] through `Results`. A reader that
//! is a member of the pool runs items within its own reads while no slot comes.

mod batch;
mod feeder;
mod imap;
mod input;
mod item;
mod item_error;
mod mapper;
mod results;
mod retry;
mod shared;
mod source;
mod terms;
mod try_imap;
mod try_map;
mod worker;

use spinney_greenlet::{InPlace, Task};

pub use feeder::Feeder;
pub use imap::{Imap, Indexed, Map};
pub use item_error::{ItemError, TaskError};
pub use mapper::Mapper;
pub use retry::{Backoff, Retry};
pub use source::{FromStream, IntoSource, Source, from_stream};
pub use terms::{Again, Attempts, Once};
pub use try_imap::TryImap;
pub use try_map::{CollectAll, FirstSuccess, TryMap};
pub use worker::{Worker, WorkerGuard};

/// The task that puts a map's items to work in one slot.
pub type MapWorker<S, F, Fut, X> =
    Task<Worker<S, F, Fut, X>, WorkerGuard<<Fut as Future>::Output, X>>;

/// The task that runs one item of a map within the reads of a member.
pub type ItemInPlace<S, F, Fut, X> =
    InPlace<Worker<S, F, Fut, X>, WorkerGuard<<Fut as Future>::Output, X>>;
