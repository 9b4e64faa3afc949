//! gevent's "Group for Related Tasks": five tasks that are started and joined together.

use std::time::Duration;

use spinney::gevent::{block_on, pool, sleep};

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
        let task_group = pool::Group::new();
        let mut tasks = Vec::new();
        for i in 0..5 {
            tasks.push(task_group.spawn(worker(i, i * SECOND / 2)));
        }

        println!("Waiting for all tasks to complete...");
        task_group.join().await.expect("the caller is not a member");
        println!("All tasks completed!");

        assert!(task_group.is_empty());
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.expect("no worker panics"), format!("Result {i}"));
        }
    });
}
