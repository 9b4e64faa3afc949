//! Maps: one function over many items, through the slots of a pool.
//!
//! An item must not cost a task. A [`Feeder`] waits for the pool's slots, in turn with everybody
//! else, and puts a [`Worker`] into each; a worker takes one item after the other from the shared
//! input, for as long as nobody else waits for its slot and the results are read. Where the input
//! is a stream, the feeder takes each item itself, so that nobody holds a slot while it waits for
//! one.
//!
//! What the two share is a `Job`, whose results go to the [`Imap`] through `Results`.

mod feeder;
mod imap;
mod item_error;
mod job;
mod mapper;
mod results;
mod retry;
mod run;
mod shift;
mod source;
mod terms;
mod try_imap;
mod try_map;
mod worker;

use spinney_greenlet::Task;

pub use feeder::Feeder;
pub use imap::{Imap, Indexed, Map};
pub use item_error::{ItemError, TaskError};
pub use mapper::Mapper;
pub use retry::{Backoff, Retry};
pub use source::{FromStream, IntoSource, Source, from_stream};
pub use terms::{Again, Attempts, Once};
pub use try_imap::TryImap;
pub use try_map::{CollectAll, FirstSuccess, TryMap};
pub use worker::{Seat, Worker};

/// The task that puts a map's items to work in one slot.
pub type MapWorker<S, F, Fut, X> = Task<Worker<S, F, Fut, X>, Seat<<Fut as Future>::Output, X>>;
