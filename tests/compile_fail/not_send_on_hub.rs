//! A task that is not `Send`, in a pool whose hub has threads.
//!
//! - error[E0277]: `Hub` cannot run this future
//! - work that is not `Send` runs on one thread, in a pool like `Pool::on(&LocalHub::new(), 5)`
//! - to see what in it is not `Send`, hand the same future to `spinney::spawn`

use spinney::{Pool, block_on, yield_now};
use std::rc::Rc;

fn main() {
    block_on(async {
        let pool = Pool::new(1);
        let word = Rc::new("wood");
        let length = async move {
            yield_now().await;
            word.len()
        };
        pool.spawn(length).await.detach();
    });
}
