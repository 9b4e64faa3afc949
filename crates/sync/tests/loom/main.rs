//! Models: loom runs each under every interleaving of its threads, and with every value that a
//! weakly ordered load may return. `cargo xtask loom`.
#![cfg(spinney_loom)]

/// Permits: never too many, never lost.
mod semaphore;

/// A set: never missed.
mod event;

/// The first result: the same for all.
mod async_result;

/// A notification: never lost.
mod condition;

/// Items: got once, or returned to their putter.
mod queue;

/// Flags: a turn is queued once, and sees earlier writes.
mod wake_flag;

/// Locks and barriers: one owner, one leader.
mod others;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use loom::thread::{self, JoinHandle};

/// The number of preemptions in a run, unless `LOOM_MAX_PREEMPTIONS` is set. With 3 all models
/// together take seconds, with 4 minutes.
const PREEMPTIONS: usize = 3;

/// Runs `model` in every interleaving.
fn model(model: impl Fn() + Sync + Send + 'static) {
    model_within(PREEMPTIONS, model);
}

/// Like [`model`], with at most `preemptions` preemptions in a run.
fn model_within(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(model);
}

/// Runs `body` to its end on a thread of the model.
fn spawn<T: 'static>(body: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    thread::spawn(|| loom::future::block_on(body))
}

/// The results of two threads.
fn join<T>(threads: [JoinHandle<T>; 2]) -> [T; 2] {
    threads.map(|thread| thread.join().unwrap())
}

/// The output of `future` after one poll.
async fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
