//! The tests of the worker, in virtual time.

mod broker;
mod chaos;
mod memory;
mod stops;
mod text;
mod worker;
