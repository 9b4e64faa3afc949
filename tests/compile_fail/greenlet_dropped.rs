//! A greenlet that is dropped implicitly.
//!
//! - dropping a greenlet detaches its task: call `detach()` to do so explicitly

#![deny(unused_must_use)]

use spinney::{Pool, block_on};

fn main() {
    block_on(async {
        Pool::new(1).spawn(async { 42 }).await;
    });
}
