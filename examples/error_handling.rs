//! eventlet's "Error Handling in Pools": the waiter for a failed thread gets its error.

use std::time::Duration;

use spinney::eventlet::{GreenPool, block_on, sleep};

async fn risky_task(task_id: u32) -> Result<String, String> {
    // Yields to the others.
    sleep(Duration::ZERO).await;
    if task_id % 3 == 0 {
        return Err(format!("Task {task_id} failed!"));
    }
    Ok(format!("Success {task_id}"))
}

fn main() {
    block_on(async {
        let pool = GreenPool::new(5);
        let mut greenthreads = Vec::new();
        for i in 0..10 {
            greenthreads.push(pool.spawn(risky_task(i)).await);
        }

        let mut results = Vec::new();
        for thread in greenthreads {
            // The outer error would be a panic or a kill.
            match thread.wait().await.expect("no task panics") {
                Ok(result) => results.push(Some(result)),
                Err(error) => {
                    println!("Task failed: {error}");
                    results.push(None);
                }
            }
        }
        let failed = results.iter().filter(|result| result.is_none()).count();
        let successful: Vec<_> = results.into_iter().flatten().collect();
        println!("Successful results: {successful:?}");
        assert_eq!((failed, successful.len()), (4, 6));
        assert_eq!(successful[0], "Success 1");
    });
}
