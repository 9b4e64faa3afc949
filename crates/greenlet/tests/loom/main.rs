//! Models: loom runs each under every order in which its threads may take turns, and under every
//! value that a weakly ordered read may see. `cargo xtask loom`.
#![cfg(spinney_loom)]

/// Kills: never lost, and none before the first poll that runs.
mod kill;

/// The end: told once, and not before the guard is gone.
mod end;

/// Aborts, and links that get the result.
mod abort;

/// Control blocks that are used again.
mod fold;

/// Kills of a greenlet that runs another in place.
mod in_place;

/// Items of one task, each a greenlet.
mod items;

/// Parts of a greenlet that see a kill, or keep it off.
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
    thread::spawn(|| block_on(body))
}

/// Polls `body` once on a thread of the model. An executor's own locks would multiply the orders, and
/// are not what is modelled.
fn poll_once<T: 'static>(body: impl Future<Output = T> + 'static) -> JoinHandle<Poll<T>> {
    thread::spawn(|| pin!(body).poll(&mut Context::from_waker(Waker::noop())))
}

/// What `future` has after one poll.
async fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Waits once, for no time.
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

/// Counts how often something happened. A cheap handle.
#[derive(Clone)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// How many that is known of here: what happened before, and nobody made known, may be missed.
    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Counts one when it is dropped.
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

/// A kill of which `reason` can be told.
fn because(reason: &'static str) -> GreenletExit {
    GreenletExit::because(reason)
}

/// Why it was killed.
fn reason(failure: Option<&Failure>) -> String {
    match failure {
        Some(Failure::Killed(exit)) => exit.to_string(),
        other => panic!("it was not killed: {other:?}"),
    }
}
