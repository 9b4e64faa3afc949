//! Models: loom runs each under every order in which its threads may take turns, and under every
//! value that a weakly ordered read may see. `cargo xtask loom`.
#![cfg(spinney_loom)]

/// Permits: never too many, never lost.
mod semaphore;

/// A set: never missed.
mod event;

/// The first result: the same for all.
mod async_result;

/// A notification: never lost.
mod condition;

/// Items: got once, or back with who put them.
mod queue;

/// Flags: a turn is queued once, and sees what was there.
mod wake_flag;

/// Locks and lines: one owner, one leader.
mod others;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use loom::thread::{self, JoinHandle};

/// Threads are stopped where they could go on this often in a run, unless `LOOM_MAX_PREEMPTIONS`
/// says how often. With 3 all models together take seconds, with 4 minutes.
const PREEMPTIONS: usize = 3;

/// Runs `model` in every order.
fn model(model: impl Fn() + Sync + Send + 'static) {
    model_within(PREEMPTIONS, model);
}

/// As [`model`], with as many stops in a run as `preemptions` rather.
fn model_within(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(model);
}

/// Runs `body` to its end on a thread of the model.
fn spawn<T: 'static>(body: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    thread::spawn(|| loom::future::block_on(body))
}

/// What two threads end with.
fn join<T>(threads: [JoinHandle<T>; 2]) -> [T; 2] {
    threads.map(|thread| thread.join().unwrap())
}

/// What `future` has after one poll.
async fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
