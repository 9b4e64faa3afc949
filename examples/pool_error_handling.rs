//! gevent's "Pool with Error Handling": some tasks fail, and the others are unaffected. The random
//! failures are fixed here: every third task fails.

use std::time::Duration;

use spinney::gevent::{block_on, pool, sleep};

/// A fiftieth of the original's second.
const SECOND: Duration = Duration::from_millis(20);

async fn unreliable_task(task_id: u32) -> Result<String, String> {
    sleep(SECOND * (task_id % 5 + 1) / 10).await;
    if task_id % 3 == 2 { Err(format!("Task {task_id} failed")) } else { Ok(success(task_id)) }
}

fn success(task_id: u32) -> String {
    format!("Success {task_id}")
}

fn main() {
    block_on(async {
        let work_pool = pool::Pool::new(3);
        let mut greenlets = Vec::new();
        for task_id in 0..10 {
            greenlets.push(work_pool.spawn(unreliable_task(task_id)).await);
        }

        let mut failed = Vec::new();
        for (i, greenlet) in (0..).zip(greenlets) {
            // The outer error would be a panic or a kill.
            match greenlet.await.expect("no task panics") {
                Ok(result) => {
                    println!("Task {i}: {result}");
                    assert_eq!(result, success(i));
                }
                Err(error) => {
                    println!("Task {i} failed: {error}");
                    failed.push(i);
                }
            }
        }
        assert_eq!(failed, [2, 5, 8]);
    });
}
