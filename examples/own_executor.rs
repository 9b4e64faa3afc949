//! A pool on a custom executor: a few threads and a channel, in two `impl`s.

use std::thread;

use async_channel::Sender;
use async_task::Runnable;
use spinney::hub::{BoxTask, Executor};
use spinney::{Pool, Spawn, block_on, yield_now};

/// Threads that take ready tasks from a channel. They end with the last handle, once the tasks
/// have.
#[derive(Clone)]
struct Threads {
    ready: Sender<Runnable>,
}

impl Threads {
    fn new(threads: usize) -> Self {
        let (ready, tasks) = async_channel::unbounded::<Runnable>();
        for _ in 0..threads {
            let tasks = tasks.clone();
            thread::spawn(move || {
                while let Ok(task) = tasks.recv_blocking() {
                    task.run();
                }
            });
        }
        Self { ready }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Threads {
    fn spawn(&self, future: F) {
        let ready = self.ready.clone();
        // A task that cannot be sent is dropped, and its greenlet ends as killed.
        let schedule = move |task| drop(ready.try_send(task));
        let (task, handle) = async_task::spawn(future, schedule);
        handle.detach();
        task.schedule();
    }
}

impl Executor for Threads {
    type AnyTask = BoxTask;
}

fn main() {
    let pool = Pool::on(&Threads::new(2), 5);
    let length = |word: &'static str| async move {
        yield_now().await;
        word.len()
    };
    let lengths = block_on(pool.map(length, ["a", "small", "wood"])).expect("no word panics");
    println!("{lengths:?}");
    assert_eq!(lengths, [1, 5, 4]);
}
