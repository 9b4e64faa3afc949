//! eventlet's "Basic Pool Usage": ten tasks, five at a time, and their results.

use std::time::Duration;

use spinney::eventlet::GreenPoolExt as _;
use spinney::eventlet::{GreenPool, block_on, sleep};

/// A fiftieth of the original's second.
const SECOND: Duration = Duration::from_millis(20);

async fn worker(task_id: u32, duration: Duration) -> String {
    println!("Task {task_id} starting");
    sleep(duration).await;
    println!("Task {task_id} completed");
    format!("Result {task_id}")
}

fn main() {
    block_on(async {
        let pool = GreenPool::new(5);
        let mut threads = Vec::new();
        for i in 0..10 {
            threads.push(pool.spawn(worker(i, SECOND)).await);
        }

        pool.waitall().await.expect("the caller is not a member");
        assert_eq!((pool.running(), pool.free()), (0, 5));

        let mut final_results = Vec::new();
        for thread in threads {
            final_results.push(thread.wait().await.expect("no worker panics"));
        }
        println!("All results: {final_results:?}");
        let expected: Vec<_> = (0..10).map(|i| format!("Result {i}")).collect();
        assert_eq!(final_results, expected);
    });
}
