//! eventlet's "Dynamic Pool Resizing". The third spawn waits for a slot, in eventlet as here; so
//! the pool is only found full if the second task has yet to end by then.

use std::time::Duration;

use spinney::eventlet::{GreenPool, block_on, sleep};

/// A fiftieth of the second that the original waits.
const SECOND: Duration = Duration::from_millis(20);

async fn monitoring_task() -> &'static str {
    sleep(SECOND).await;
    "Monitor check complete"
}

fn main() {
    block_on(async {
        let pool = GreenPool::new(2);
        let mut threads = Vec::new();
        for _ in 0..3 {
            threads.push(pool.spawn(monitoring_task()).await);
        }
        println!("Pool stats - Running: {}, Free: {}", pool.running(), pool.free());

        if pool.free() == 0 {
            println!("Pool full, increasing size");
        }
        pool.resize(5);
        println!("After resize - Running: {}, Free: {}", pool.running(), pool.free());
        assert_eq!(pool.capacity(), 5);
        assert!((3..=5).contains(&pool.free()), "two of five run at the most");

        for _ in 3..7 {
            threads.push(pool.spawn(monitoring_task()).await);
        }

        pool.waitall().await.expect("this is no task of the pool");
        println!("All monitoring tasks completed");
        assert_eq!((pool.running(), pool.free(), threads.len()), (0, 5, 7));
        for thread in threads {
            assert_eq!(thread.wait().await.expect("none panics"), "Monitor check complete");
        }
    });
}
