//! The promises of pools and groups.

mod add;
mod apply;
mod close;
mod group;
mod in_place;
mod killone;
mod limits;
mod model;
mod outlive;
mod reentry;
mod slots;
mod spawn;
mod try_join;
