//! Items that are not `Send`, in a map on a hub with threads.
//!
//! - error[E0277]: `Hub` cannot run this map
//! - work that is not `Send` runs on one thread, in a pool like `Pool::on(&LocalHub::new(), 5)`
//! - to see what in it is not `Send`, hand one of the futures to `spinney::spawn`

use spinney::{Pool, block_on};
use std::rc::Rc;

fn main() {
    let words = [Rc::new("wood")];
    let lengths = Pool::new(1).map(|word| async move { word.len() }, words);
    block_on(lengths).unwrap();
}
