//! A map whose function returns a value rather than a future.
//!
//! - error[E0277]: `Hub` cannot run this map
//! - the function must return a future, as `|item| async move { .. }` does

use spinney::{Pool, block_on};

fn main() {
    block_on(Pool::new(1).map(|n| n + 1, [1, 2])).unwrap();
}
