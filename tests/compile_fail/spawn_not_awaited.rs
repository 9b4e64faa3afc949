//! A `spawn` that is never awaited, so that nothing starts.
//!
//! - unused implementer of `Future` that must be used
//! - pool.spawn(async { 42 });

#![deny(unused_must_use)]

use spinney::{Pool, block_on};

fn main() {
    block_on(async {
        let pool = Pool::new(1);
        pool.spawn(async { 42 });
    });
}
