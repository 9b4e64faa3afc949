//! The executor trait, the executors behind it, and the clock, for [spinney].
//!
//! All crates above this one run their tasks through [`Spawn`] and wait through [`sleep`] and
//! [`Within`]. They do not depend on a particular executor.
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
//! | [`Hub::global`] | one per core, or `SPINNEY_THREADS` | `Send` futures | none promised | the system's | no-op: it never stops |
//! | a [`Hub`] that was built | as many as it was built with | `Send` futures | none promised | the system's | drops its tasks and ends its threads |
//! | [`LocalHub`] | the thread that calls [`block_on`](LocalHub::block_on) | any future | first in, first out | the system's | drops its tasks |
//! | `SmolHub` (feature `smol`) | smol's | `Send` futures | none promised | the system's | no-op: smol never stops |
//! | `TokioHub` (feature `tokio`) | the runtime's | `Send` futures | the runtime's | the runtime's, or the system's | no-op: the runtime drops its tasks when it shuts down |
//! | `SimHub` (crate `spinney-sim`) | the thread that calls `block_on` | any future | first in, first out, or by seed | virtual | drops its tasks |
//! | a custom one | any | the futures it implements [`Spawn`] for | any | the system's, or a [`TimeSource`] | any, but it must not leak a task |
//!
//! # Budget of ready awaits
//!
//! The main future of a `block_on` has a [budget](spinney_sync::Budget) of ready awaits for each
//! poll, and so has each greenlet, and a scoped future (`TokioHub::scope`, `SmolHub::scope`), which
//! a foreign executor polls. Other tasks that a hub runs inside that poll have their own. So a loop
//! of ready awaits lets other tasks run and can be limited. [`sleep`] of zero and [`yield_now`]
//! always yield; timers and limits are never deferred.
//!
//! # Time limits
//!
//! [`Within::within`] limits a future by a duration. A [`Limit`] can be changed and lifted while it
//! runs, and recognises its own [`Timeout`].
//!
//! # The current hub
//!
//! A hub is *current* on a thread while it polls there: [`sleep`] uses its clock, and [`spawn`]
//! starts tasks on it. Of nested hubs the innermost is current. Outside any hub these are the
//! system's clock and [`Hub::global`].
//!
//! [spinney]: https://docs.rs/spinney

mod cancel;
mod clock;
mod contain;
mod current;
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

pub use cancel::{cancel, is_cancelling};
pub use clock::{Clock, TimeSource};
pub use contain::{contain, drop_contained};
pub use current::{Context, Entered, block_on, label_task, now, spawn};
pub use hub::{Hub, HubBuilder, HubStats, ShutdownReport, ThreadParks};
pub use interval::{Interval, interval};
pub use limit::Limit;
pub use local::LocalHub;
pub use one_thread::{ForbidThreads, require_threads};
#[cfg(any(feature = "smol", feature = "tokio"))]
pub use scope::Scoped;
pub use sleep::{Sleep, sleep, sleep_until, yield_now};
#[cfg(feature = "smol")]
pub use smol::SmolHub;
pub use spawn::{BoxTask, Erase, Executor, LocalBoxTask, Spawn};
#[cfg(feature = "tokio")]
pub use tokio::TokioHub;
pub use wake_delay::WakeDelay;
pub use within::{Timeout, Within, WithinFuture, timeout};
