//! The names that most programs use: `use spinney::prelude::*`.

pub use crate::{Greenlet, Group, Hub, Pool, ThreadPool, Within, block_on, sleep, spawn};
