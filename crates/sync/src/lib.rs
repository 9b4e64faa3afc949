//! Synchronisation for tasks: fair and cancel safe, on any executor. The lowest layer of [spinney]:
//! it has no notion of tasks, hubs or clocks, and uses the standard library alone.
//!
//! | to | use |
//! |---|---|
//! | let tasks wait for a flag that can be cleared | [`Event`] |
//! | publish one value or error to all waiters | [`AsyncResult`] |
//! | limit how many tasks run a part of the code, in FIFO order | [`Semaphore`] |
//! | the same, with a number of permits that never grows | [`BoundedSemaphore`] |
//! | lock re-entrantly | [`RLock`] |
//! | release a permit until another task signals a change | [`Condition`] |
//! | let a group of tasks go on together | [`Barrier`] |
//! | let tasks go on after a number of events | [`Latch`] |
//! | pass items between tasks | [`Queue`], [`LifoQueue`], [`PriorityQueue`] |
//! | the same, with a put that waits until a getter has taken its item | [`Channel`] |
//!
//! A ready await yields once the [`Budget`] of its poller is used up. Wakers are woken and dropped
//! outside all locks. A panic of a waker is contained, and the other waiters are woken.
//!
//! The caller sets time limits: `event.wait().within(limit)`.
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
pub use budget::{Budget, BudgetedAwait};
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
    Acquire, HandOut, Line, Permit, PermitCounts, Place, PriorityLine, Semaphore, WaiterState, Want,
};
pub use wait::Wait;
pub use waiters::wake_all;
pub use wake_flag::WakeFlag;
