//! Maps: one function over many items, through the slots of a crew.
//!
//! An item must not cost a task. A [`Feeder`] waits for the crew's slots, in turn with everybody
//! else, and puts a [`Worker`] into each; a worker takes one item after the other from the shared
//! input, for as long as nobody else waits for its slot and the results are read.
//!
//! What the two share is a `Job`, whose results go to the [`Imap`] through `Results`.

mod feeder;
mod imap;
mod job;
mod mapper;
mod results;
mod worker;

use spinney_greenlet::Task;
use spinney_hub::Spawn;

pub use feeder::Feeder;
pub use imap::{Imap, Map};
pub use mapper::Mapper;
pub use worker::{Seat, Worker};

/// An executor that can run a map of `F` over `I`: it can spawn the two kinds of task that a map
/// consists of. No need to implement it: every hub that takes these futures is one.
pub trait Feed<I, F, Fut>:
    Spawn<Feeder<I, F, Fut, Self>>
    + Spawn<Task<Worker<I, F, Fut, Self>, Seat<Fut::Output, Self>>>
    + Sized
where
    I: Iterator,
    F: Fn(I::Item) -> Fut,
    Fut: Future,
{
}

impl<X, I, F, Fut> Feed<I, F, Fut> for X
where
    I: Iterator,
    F: Fn(I::Item) -> Fut,
    Fut: Future,
    X: Spawn<Feeder<I, F, Fut, Self>>
        + Spawn<Task<Worker<I, F, Fut, Self>, Seat<Fut::Output, Self>>>,
{
}
