//! See [spinney]'s greenlets run: where each task waits, what blocks a thread, and when.
//!
//! [`start`] observes every greenlet that is created from then on: call it first in `main`. A
//! program that does not call it pays nothing but a load for each event.
//!
//! ```
//! # mod spinney {
//! #     pub use spinney_greenlet::spawn; pub use spinney_hub::{block_on, yield_now};
//! #     pub use spinney_sync::Event; pub mod trace { pub use spinney_trace::{dump, start}; }
//! # }
//! use spinney::{Event, block_on, spawn, trace, yield_now};
//!
//! trace::start()?;
//! block_on(async {
//!     let stuck = spawn(async { Event::new().wait().await }).named("stuck");
//!     while trace::dump().greenlets[0].wait.is_none() {
//!         yield_now().await;
//!     }
//!     assert!(trace::dump().to_string().contains("1 greenlet waits for Event::wait at "));
//!     stuck.kill().await;
//! });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to | use |
//! |---|---|
//! | see every living greenlet, now | [`dump`] |
//! | see them when the process gets a signal | [`dump_on_signal`] |
//! | see afterwards what ran when, in a viewer of traces or a browser | [`Timeline`] |
//! | read the numbers of each hub | [`hubs`] |
//! | get a report of tasks that block a thread, and of hubs that stand still | [`Watchdog`] |
//!
//! With the feature `tracing`, [`start`] opens a span of the crate tracing for each greenlet, which
//! is entered at each poll: its name, id, parent, pool and item. Kills, panics and the alarms of a
//! watchdog are events. With the feature `metrics`, `publish_metrics` publishes the numbers of hubs
//! and pools through the crate metrics.
//!
//! Only greenlets are seen: not the main future of a `block_on`, and not tasks that were spawned on
//! the executor directly. A wait has a line if it is one of spinney's; a greenlet that waits for
//! anything else, for example a socket, is found by the line that spawned it.
//!
//! [spinney]: https://docs.rs/spinney

mod dump;
mod hubs;
#[cfg(feature = "metrics")]
mod metrics;
mod pools;
mod record;
#[cfg(unix)]
mod signals;
mod spans;
mod threads;
mod timeline;
mod watchdog;

pub use dump::{Activity, Dump, GreenletInfo, HubInfo, PoolInfo, ThreadInfo, dump};
pub use hubs::{Delays, HubReport, hubs};
#[cfg(feature = "metrics")]
pub use metrics::publish_metrics;
pub use record::start;
#[cfg(unix)]
pub use signals::{dump_on_signal, dump_on_signal_to};
pub use timeline::Timeline;
pub use watchdog::{Alarm, Watchdog, WatchdogBuilder};
