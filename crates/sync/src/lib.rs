//! Synchronisation for tasks: fair, cancel safe, and without any notion of a task, a hub or a
//! clock. [spinney]'s lowest layer; it uses the standard library alone, and any executor can run
//! what waits here.
//!
//! | to | take |
//! |---|---|
//! | let tasks wait until something has happened, again and again | [`Event`] |
//! | hand one value or error to all tasks that wait for it | [`AsyncResult`] |
//! | limit how many tasks run a part of the code, in FIFO order | [`Semaphore`] |
//! | the same, with a number that never grows | [`BoundedSemaphore`] |
//! | have a re-entrant lock | [`RLock`] |
//! | release a permit until another task signals a change | [`Condition`] |
//! | let tasks go on together when all have come | [`Barrier`] |
//! | let tasks go on when a number of things have happened | [`Latch`] |
//! | pass items from task to task | [`Queue`], [`LifoQueue`], [`PriorityQueue`] |
//! | the same, with a put that waits until its item was taken | [`Channel`] |
//!
//! An await that is ready gives way once its poller's [`Budget`] is used up. Wakers are woken and
//! dropped outside of all locks, and a panic of a waker is contained, so that it strands no other
//! waiter.
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
mod budget;
mod condition;
mod errors;
mod event;
mod locks;
mod primitive;
mod queue;
mod semaphore;
mod wait;
mod waiters;
mod wake_flag;

pub use async_result::{AsyncResult, Setter};
pub use barrier::{Barrier, Latch};
pub use budget::{Budget, GiveWay};
pub use condition::Condition;
pub use errors::{Closed, NotOwner, OverRelease, SetterDropped, TryAcquireError};
pub use event::Event;
pub use locks::{BoundedSemaphore, RLock, RLockGuard};
#[cfg(feature = "stream")]
pub use queue::Items;
pub use queue::{
    Channel, Fifo, Get, GetError, JoinableQueue, Lifo, LifoQueue, Order, OrderedQueue, Peek,
    Priority, PriorityQueue, Put, PutError, Queue, ShutDown, TaskDoneError,
};

pub use semaphore::{
    Acquire, Fate, HandOut, Line, Permit, Place, PriorityLine, Room, Semaphore, Want,
};
pub use wait::Wait;
pub use waiters::wake_all;
pub use wake_flag::WakeFlag;
