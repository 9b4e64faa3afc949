//! eventlet's "Producer-Consumer with Pools": green threads in a queue, so that items are produced
//! five at a time and consumed in order.

use std::sync::Arc;
use std::time::Duration;

use spinney::eventlet::greenthread::GreenThread;
use spinney::eventlet::{GreenPool, Queue, block_on, sleep, spawn};

/// A fiftieth of the original's second.
const SECOND: Duration = Duration::from_millis(20);

type Items = Arc<Queue<GreenThread<String>>>;

async fn create_item(item_id: u32) -> String {
    sleep(SECOND / 10).await;
    format!("item_{item_id}")
}

async fn producer(pool: GreenPool, queue: Items, num_items: u32) {
    for i in 0..num_items {
        let thread = pool.spawn(create_item(i)).await;
        // The consumer waits for the result.
        queue.put(thread).await.expect("the queue is not shut down");
    }
}

async fn consumer(queue: Items, num_items: u32) -> Vec<String> {
    let mut consumed = Vec::new();
    for _ in 0..num_items {
        let thread = queue.get().await.expect("the queue is not shut down");
        let item = thread.wait().await.expect("no item panics");
        println!("Consumed: {item}");
        consumed.push(item);
    }
    consumed
}

fn main() {
    block_on(async {
        let production_pool = GreenPool::new(5);
        let item_queue = Items::new(Queue::unbounded());

        // The pool is kept here, because its tasks are killed with its last handle.
        let producing = spawn(producer(production_pool.clone(), Arc::clone(&item_queue), 10));
        let consuming = spawn(consumer(item_queue, 10));

        producing.wait().await.expect("the producer ends");
        let consumed = consuming.wait().await.expect("the consumer ends");
        let expected: Vec<_> = (0..10).map(|i| format!("item_{i}")).collect();
        assert_eq!(consumed, expected);
    });
}
