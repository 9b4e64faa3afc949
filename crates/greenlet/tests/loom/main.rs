//! Models: loom runs each under every interleaving of its threads, and with every value that a
//! weakly ordered load may return. `cargo xtask loom`.
#![cfg(spinney_loom)]

/// Kills: never lost, and never seen before the first poll that runs.
mod kill;

/// The end: reported once, after the guard is dropped.
mod end;

/// Aborts, and result links.
mod abort;

/// Control blocks that are recycled.
mod recycle;

/// Kills of a greenlet that runs another in place.
mod in_place;

/// Items of one task, each a greenlet.
mod items;

/// Scopes that catch or defer a kill.
mod scopes;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread::{self, JoinHandle};
use spinney_greenlet::{Failure, GreenletExit};

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
    thread::spawn(|| block_on(body))
}

/// Polls `body` once on a thread of the model. An executor's locks would multiply the
/// interleavings, and are not a part of the model.
fn poll_once<T: 'static>(body: impl Future<Output = T> + 'static) -> JoinHandle<Poll<T>> {
    thread::spawn(|| pin!(body).poll(&mut Context::from_waker(Waker::noop())))
}

/// The output of `future` after one poll.
async fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Waits once, without a delay.
async fn pause() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Counts events. Clones share the count.
#[derive(Clone)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// The count as seen by this thread: an event that happened before, without synchronisation,
    /// may be missing.
    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Returns a guard that adds one when it is dropped.
    fn guard(&self) -> Guard {
        Guard(self.clone())
    }
}

struct Guard(Count);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// A kill with `reason`.
fn because(reason: &'static str) -> GreenletExit {
    GreenletExit::because(reason)
}

/// The text of the kill.
fn reason(failure: Option<&Failure>) -> String {
    match failure {
        Some(Failure::Killed(exit)) => exit.to_string(),
        other => panic!("it was not killed: {other:?}"),
    }
}
