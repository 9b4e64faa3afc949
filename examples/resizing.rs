//! eventlet's "Dynamic Pool Resizing". The third spawn waits for a slot, in eventlet as here; the
//! pool is full then because the second task goes on until the resize. In the original this depends
//! on timing: its tasks all sleep for a second.

use std::sync::Arc;

use spinney::Event;
use spinney::eventlet::GreenPoolExt as _;
use spinney::eventlet::{GreenPool, block_on};

async fn monitoring_task(until: Arc<Event>) -> &'static str {
    until.wait().await;
    "Monitor check complete"
}

fn main() {
    block_on(async {
        let pool = GreenPool::new(2);
        let mut threads = Vec::new();
        let (first, others) = (Arc::new(Event::new()), Arc::new(Event::new()));
        first.set();
        for until in [&first, &others, &others] {
            threads.push(pool.spawn(monitoring_task(Arc::clone(until))).await);
        }
        println!("Pool stats - Running: {}, Free: {}", pool.running(), pool.free());

        if pool.free() == 0 {
            println!("Pool full, increasing size");
        }
        pool.resize(5);
        println!("After resize - Running: {}, Free: {}", pool.running(), pool.free());
        others.set();

        for _ in 3..7 {
            threads.push(pool.spawn(monitoring_task(Arc::clone(&others))).await);
        }

        pool.waitall().await.expect("the caller is not a member");
        println!("All monitoring tasks completed");
        assert_eq!((pool.running(), pool.free(), threads.len()), (0, 5, 7));
        for thread in threads {
            assert_eq!(thread.wait().await.expect("none panics"), "Monitor check complete");
        }
    });
}
