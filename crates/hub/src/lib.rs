//! Executors under one trait, and the clock: the lowest layer of [spinney].
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
//! | hub | threads | runs | order | clock |
//! |---|---|---|---|---|
//! | [`Hub`] | its own, one per core unless told otherwise | `Send` futures | none promised | real |
//! | [`LocalHub`] | the one that calls [`LocalHub::block_on`] | any future | first come, first served | real |
//! | `SmolHub` (feature `smol`) | smol's | `Send` futures | none promised | real |
//! | `TokioHub` (feature `tokio`) | the runtime's | `Send` futures | none promised | the runtime's, or real |
//! | your own | as you like | whatever it implements [`Spawn`] for | as you like | real, or a [`TimeSource`] |
//!
//! A hub is *current* on a thread while it polls there: its clock is the one that [`sleep`] uses
//! and [`spawn`] starts its tasks on it. Outside of any hub that is the real clock and
//! [`Hub::global`].
//!
//! [spinney]: https://docs.rs/spinney

mod clock;
mod current;
mod hub;
mod interval;
mod local;
#[cfg(any(feature = "smol", feature = "tokio"))]
mod scope;
#[cfg(feature = "smol")]
mod smol;
mod spawn;
#[cfg(feature = "tokio")]
mod tokio;
mod within;
mod yield_now;

pub use clock::{Clock, Sleep, TimeSource, sleep, sleep_until};
pub use current::{Context, Entered, block_on, label_task, spawn};
pub use hub::{Hub, HubBuilder, ShutdownReport};
pub use interval::{Interval, interval};
pub use local::LocalHub;
#[cfg(any(feature = "smol", feature = "tokio"))]
pub use scope::Scoped;
#[cfg(feature = "smol")]
pub use smol::SmolHub;
pub use spawn::{BoxFuture, Spawn};
#[cfg(feature = "tokio")]
pub use tokio::TokioHub;
pub use within::{Timeout, Within, WithinFuture, timeout};
pub use yield_now::yield_now;
