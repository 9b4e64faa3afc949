//! Executors under one trait, and the clock, for [spinney].
//!
//! Everything above this crate runs its tasks through [`Spawn`], and tells the time through
//! [`sleep`] and [`Within`]. It never learns which executor it runs on.
//!
//! ```
//! use std::time::Duration;
//! use spinney_hub::{LocalHub, Within, sleep};
//!
//! let hub = LocalHub::new();
//! let late = hub.block_on(sleep(Duration::from_secs(60)).within(Duration::from_millis(1)));
//! assert!(late.is_err());
//! ```
//!
//! | hub | threads | runs | order | clock | dropping the last handle |
//! |---|---|---|---|---|---|
//! | [`Hub::global`] | one per core, or `SPINNEY_THREADS` | `Send` futures | none promised | the system's | nothing: it never stops |
//! | [`Hub`] of one's own | as many as it was built with | `Send` futures | none promised | the system's | drops its tasks and ends its threads |
//! | [`LocalHub`] | the one that calls [`block_on`](LocalHub::block_on) | any future | first in, first out | the system's | drops its tasks |
//! | `SmolHub` (feature `smol`) | smol's | `Send` futures | none promised | the system's | nothing: smol never stops |
//! | `TokioHub` (feature `tokio`) | the runtime's | `Send` futures | the runtime's | the runtime's, or the system's | nothing: the runtime drops its tasks when it shuts down |
//! | `SimHub` (crate `spinney-sim`) | the one that calls `block_on` | any future | first in, first out, or by seed | virtual | drops its tasks |
//! | your own | as you like | whatever it implements [`Spawn`] for | as you like | the system's, or a [`TimeSource`] | as you like, but no task may be forgotten |
//!
//! # Ready awaits give way
//!
//! The main future of a `block_on`, and a scoped one (`TokioHub::scope`, `SmolHub::scope`), which a
//! foreign executor polls, have a [budget](spinney_sync::Budget) of ready awaits for each poll, as
//! each greenlet has. Other tasks that a hub runs inside of that poll do not see it. So a loop of ready
//! awaits lets other tasks run and can be limited. [`sleep`] of zero and [`yield_now`] always give
//! way, timers and limits are never put off.
//!
//! # Time limits
//!
//! [`Within::within`] limits a future by a duration. A [`Limit`] can be moved and lifted while it
//! runs, and tells its [`Timeout`] from others.
//!
//! # The current hub
//!
//! A hub is *current* on a thread while it polls there: its clock is the one that [`sleep`] uses
//! and [`spawn`] starts its tasks on it. Of several, one inside of the other, that is the innermost.
//! Outside of any hub it is the real clock and [`Hub::global`].
//!
//! [spinney]: https://docs.rs/spinney

mod cancel;
mod clock;
mod contain;
mod current;
mod guarded;
mod hub;
mod inbox;
mod interval;
mod limit;
mod local;
mod one_thread;
#[cfg(any(feature = "smol", feature = "tokio"))]
mod scope;
mod sleep;
#[cfg(feature = "smol")]
mod smol;
mod spawn;
mod timers;
#[cfg(feature = "tokio")]
mod tokio;
mod wake_delay;
mod within;
mod yield_now;

pub use cancel::{cancel, is_cancelling};
pub use clock::{Clock, TimeSource};
pub use contain::{contain, drop_contained};
pub use current::{Context, Entered, block_on, label_task, spawn};
pub use hub::{Hub, HubBuilder, ShutdownReport};
pub use interval::{Interval, interval};
pub use limit::Limit;
pub use local::LocalHub;
pub use one_thread::{ForbidThreads, require_threads};
#[cfg(any(feature = "smol", feature = "tokio"))]
pub use scope::Scoped;
pub use sleep::{Sleep, sleep, sleep_until};
#[cfg(feature = "smol")]
pub use smol::SmolHub;
pub use spawn::{BoxTask, Erase, Executor, LocalBoxTask, Spawn};
#[cfg(feature = "tokio")]
pub use tokio::TokioHub;
pub use wake_delay::WakeDelay;
pub use within::{Timeout, Within, WithinFuture, timeout};
pub use yield_now::yield_now;
