//! Maps: one function over many items, through the slots of a crew.
//!
//! An item must not cost a task. A [`Feeder`] waits for the crew's slots, in turn with everybody
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
mod try_map;
mod worker;

use spinney_greenlet::Task;
use spinney_hub::Spawn;

pub use feeder::Feeder;
pub use imap::{Imap, Indexed, Map};
pub use item_error::{ItemError, TaskError};
pub use mapper::Mapper;
pub use retry::{Backoff, Retry};
pub use source::{FromStream, IntoSource, Source, from_stream};
pub use terms::{Again, Attempts, Once};
pub use try_map::{CollectAll, FirstSuccess, TryMap};
pub use worker::{Seat, Worker};

/// An executor that can run a map of `F` over `S`: it can spawn the two kinds of task that a map
/// consists of. No need to implement it: every hub that takes these futures is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run this map",
    label = "this map cannot run on `{Self}`",
    note = "the function must return a future, as `|item| async move {{ .. }}` does",
    note = "an executor with threads moves tasks between them: the items, the function, its futures and their results must be `Send`",
    note = "work that is not `Send` runs on one thread, in a pool such as `Pool::on(&LocalHub::new(), 5)`"
)]
pub trait Feed<S, F, Fut>:
    Spawn<Feeder<S, F, Fut, Self>>
    + Spawn<Task<Worker<S, F, Fut, Self>, Seat<Fut::Output, Self>>>
    + Sized
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
{
}

#[diagnostic::do_not_recommend]
impl<X, S, F, Fut> Feed<S, F, Fut> for X
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
    X: Spawn<Feeder<S, F, Fut, Self>>
        + Spawn<Task<Worker<S, F, Fut, Self>, Seat<Fut::Output, Self>>>,
{
}
