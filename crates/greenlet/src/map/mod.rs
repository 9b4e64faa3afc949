//! The common parts of all maps: errors of items, retries, the callback of an item, and the readers
//! of results.
//!
//! A container's own stream of results implements [`ItemStream`]. The readers are built on it:
//! [`Map`] and [`Indexed`], and for tasks that return a `Result` [`TryImap`] and [`TryMap`].

mod item_error;
mod on_item;
mod readers;
mod retry;
mod try_imap;
mod try_map;

pub use item_error::{ItemError, TaskError};
pub use on_item::{ItemCallback, ItemEvent, OnItem};
pub use readers::{Indexed, ItemStream, Map, NextItem, Read, item_result};
pub use retry::{Again, Attempts, Decision, Once, Retry, Schedule};
pub use try_imap::TryImap;
pub use try_map::{CollectAll, FirstSuccess, TryMap};
