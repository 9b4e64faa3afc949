//! W8b: one producer and eight consumers, with a bounded queue between them.

use std::sync::Arc;

use spinney::Spawn;

use crate::answers::sum_below;
use crate::load::Load;
use crate::on;
use crate::target::Target;
use crate::workload::Workload;

const CONSUMERS: usize = 8;

pub(super) fn workload() -> Workload {
    let load = Load { items: 5_000_000, slots: 100 };
    Workload::new("W8b", "one producer, eight consumers, a queue of 100", load, sum_below)
        .rival("async-channel", |load| {
            on::executor(async |executor| {
                all::<Channel>(load, |consumer| executor.spawn(consumer.run()).detach()).await
            })
        })
        .rival("async-channel on tokio", |load| {
            on::tokio(all::<Channel>(load, |consumer| drop(tokio::spawn(consumer.run()))))
        })
        .ours("spinney on async-executor", |load| {
            on::executor(async |executor| {
                all::<spinney::Queue<u64>>(load, |consumer| executor.spawn(consumer.run()).detach())
                    .await
            })
        })
        .ours("LocalHub", |load| {
            on::local_hub(|hub| spinney(load, move |consumer| hub.spawn(consumer.run())))
        })
        .on_hub("Hub", |load| {
            on::hub(|hub| spinney(load, move |consumer| hub.spawn(consumer.run())))
        })
        .target(Target::wall("LocalHub").of("async-channel").at_most(0.5))
        .target(Target::wall("Hub, 1 thread").of("async-channel").at_most(0.9))
}

async fn spinney(load: Load, spawn: impl Fn(Consumer<spinney::Queue<u64>>)) -> u64 {
    all(load, spawn).await
}

/// Puts all numbers into the queue, and sums the numbers that the consumers took.
async fn all<Q: Items>(load: Load, spawn: impl Fn(Consumer<Q>)) -> u64 {
    let queue = Arc::new(Q::new(load.slots));
    let (done, all_done) = async_channel::unbounded();
    for _ in 0..CONSUMERS {
        spawn(Consumer { queue: Arc::clone(&queue), done: done.clone() });
    }
    drop(done);
    for n in load.numbers() {
        queue.put(n).await;
    }
    queue.close();
    let mut total = 0;
    while let Ok(sum) = all_done.recv().await {
        total += sum;
    }
    total
}

struct Consumer<Q> {
    queue: Arc<Q>,
    done: async_channel::Sender<u64>,
}

impl<Q: Items> Consumer<Q> {
    async fn run(self) {
        let mut sum = 0;
        while let Some(n) = self.queue.get().await {
            sum += n;
        }
        self.done.try_send(sum).expect("the main task waits for all");
    }
}

trait Items: Send + Sync + 'static {
    fn new(room: usize) -> Self;
    fn put(&self, n: u64) -> impl Future<Output = ()> + Send;
    /// `None` when it was closed and is empty.
    fn get(&self) -> impl Future<Output = Option<u64>> + Send;
    fn close(&self);
}

struct Channel {
    put: async_channel::Sender<u64>,
    get: async_channel::Receiver<u64>,
}

impl Items for Channel {
    fn new(room: usize) -> Self {
        let (put, get) = async_channel::bounded(room);
        Self { put, get }
    }

    async fn put(&self, n: u64) {
        self.put.send(n).await.expect("the queue is never closed");
    }

    async fn get(&self) -> Option<u64> {
        self.get.recv().await.ok()
    }

    fn close(&self) {
        self.put.close();
    }
}

impl Items for spinney::Queue<u64> {
    fn new(room: usize) -> Self {
        Self::bounded(room)
    }

    async fn put(&self, n: u64) {
        self.put(n).await.expect("the queue is never closed");
    }

    async fn get(&self) -> Option<u64> {
        self.get().await.ok()
    }

    fn close(&self) {
        self.shutdown();
    }
}
