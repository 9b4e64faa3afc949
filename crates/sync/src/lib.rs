//! Synchronisation for tasks: fair, cancel safe, and without any notion of a task, a hub or a
//! clock. [spinney]'s lowest layer; outside of the standard library it uses
//! event-listener alone, and any executor can run what waits here.
//!
//! | to | take |
//! |---|---|
//! | let tasks wait until something has happened, again and again | [`Event`] |
//! | hand one value or error to all who wait for it | [`AsyncResult`] |
//! | let at most so many tasks past a point, in the order they came | [`Semaphore`] |
//! | the same, with a number that never grows | [`BoundedSemaphore`] |
//! | let one owner past a point, as often as they like | [`RLock`] |
//! | lay a permit down until others have changed something | [`Condition`] |
//! | let tasks go on together when all have come | [`Barrier`] |
//! | let tasks go on when so many things have happened | [`Latch`] |
//! | hand items over, first come, first served | [`Queue`], [`LifoQueue`], [`PriorityQueue`] |
//! | the same, from hand to hand | [`Channel`] |
//!
//! A time limit is put on any of them from outside: `event.wait().within(limit)`.
//!
//! With the feature `stream` (and futures-core) the items of a queue are a `Stream`.
//!
//! ```
//! use spinney_sync::Semaphore;
//!
//! let seats = Semaphore::new(2);
//! let (one, two) = (seats.try_acquire()?, seats.try_acquire()?);
//! assert!(seats.try_acquire().is_err());
//! drop(one);
//! assert_eq!(seats.available(), 1);
//! # drop(two);
//! # Ok::<(), spinney_sync::TryAcquireError>(())
//! ```
//!
//! [spinney]: https://docs.rs/spinney

mod async_result;
mod barrier;
mod bounded_semaphore;
mod budget;
mod condition;
mod errors;
mod event;
mod latch;
mod place;
mod primitive;
mod queue;
mod rlock;
mod semaphore;
mod wait;
mod waiters;
mod wake_flag;

pub use async_result::AsyncResult;
pub use barrier::Barrier;
pub use bounded_semaphore::BoundedSemaphore;
pub use budget::{Budget, GiveWay};
pub use condition::Condition;
pub use errors::{Closed, NotOwner, OverRelease, TryAcquireError};
pub use event::Event;
pub use latch::Latch;
#[cfg(feature = "stream")]
pub use queue::Items;
pub use queue::{
    Channel, Fifo, Get, GetError, JoinableQueue, Lifo, LifoQueue, Order, OrderedQueue, Peek,
    Priority, PriorityQueue, Put, PutError, Queue, ShutDown, TaskDoneError,
};
pub use rlock::{RLock, RLockGuard};
pub use semaphore::{Acquire, HandOut, Permit, Semaphore};
pub use wait::Wait;
pub use wake_flag::WakeFlag;
