//! Synchronisation for tasks: fair, cancel safe, and without any notion of a task, a hub or a
//! clock. [spinney]'s lowest layer beside `spinney-hub`; outside of the standard library it uses
//! event-listener alone, and any executor can run what waits here.
//!
//! | to | take |
//! |---|---|
//! | let tasks wait until something has happened, again and again | [`Event`] |
//! | hand one value or error to all who wait for it | [`AsyncResult`] |
//! | let at most so many tasks past a point, in the order they came | [`Semaphore`] |
//!
//! A time limit is put on any of them from outside: `event.wait().within(limit)`.
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
mod errors;
mod event;
mod semaphore;
mod wait;
mod waiters;

pub use async_result::AsyncResult;
pub use errors::{Closed, TryAcquireError};
pub use event::Event;
pub use semaphore::{Acquire, HandOut, Permit, Semaphore};
pub use wait::Wait;
