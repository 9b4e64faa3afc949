//! The promises of maps over a pool.

mod bounds;
mod failures;
mod input;
mod one_poll;
mod reentry;
mod results;
mod terms;
mod try_map;
