//! Gates, logs, gauges and other small tools of tests.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use spinney::{Event, Failure, yield_now};
pub use spinney_test_support::{NoWake, OnDrop, blow_up, on_its_own_waker, panics_on_drop};

/// A closed gate: `set` opens it.
#[must_use]
pub fn gate() -> Arc<Event> {
    Arc::default()
}

/// Opens `started`, then waits for ever; `guard` is dropped with it.
pub async fn stuck<G>(started: Arc<Event>, guard: G) {
    let _guard = guard;
    started.set();
    pending::<()>().await;
}

/// Waits until `open`, then returns `value`.
pub async fn behind<T>(open: Arc<Event>, value: T) -> T {
    open.wait().await;
    value
}

/// Yields many times to the other tasks; for checks that something does *not* happen, which this
/// makes more likely to be caught.
pub async fn let_others_run() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Runs all `futures` concurrently. They are polled last first, so that this function does not
/// determine their order.
pub async fn all<F: Future>(futures: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Some).collect();
    let mut outputs: Vec<_> = futures.iter().map(|_| None).collect();
    poll_fn(move |cx| {
        for (future, output) in futures.iter_mut().zip(&mut outputs).rev() {
            let Some(running) = future else { continue };
            if let Poll::Ready(value) = running.as_mut().poll(cx) {
                *output = Some(value);
                *future = None;
            }
        }
        if outputs.iter().any(Option::is_none) {
            return Poll::Pending;
        }
        Poll::Ready(outputs.iter_mut().filter_map(Option::take).collect())
    })
    .await
}

/// The events, in order. Clones share the log.
#[derive(Debug)]
pub struct Log<T> {
    entries: Arc<Mutex<Vec<T>>>,
}

impl<T> Log<T> {
    /// Adds an event.
    pub fn add(&self, entry: T) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// Takes all events since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self { entries: Arc::clone(&self.entries) }
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { entries: Arc::default() }
    }
}

/// Counts up, and opens a gate at a number. Clones share the count.
#[derive(Clone, Debug)]
pub struct Count {
    so_far: Arc<AtomicUsize>,
    wanted: usize,
    reached: Arc<Event>,
}

impl Count {
    /// Starts at zero, and waits for `wanted`.
    #[must_use]
    pub fn to(wanted: usize) -> Self {
        Self { so_far: Arc::default(), wanted, reached: gate() }
    }

    /// Adds one.
    pub fn add(&self) {
        if self.so_far.fetch_add(1, SeqCst) + 1 == self.wanted {
            self.reached.set();
        }
    }

    /// Adds one, and waits until the wanted number is reached.
    pub async fn meet(&self) {
        self.add();
        self.reached().await;
    }

    /// Waits until the wanted number is reached.
    pub async fn reached(&self) {
        self.reached.wait().await;
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> usize {
        self.so_far.load(SeqCst)
    }
}

/// Measures the largest number of concurrent guards. Clones share the measure.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    inside: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
}

impl Gauge {
    /// Counts one more until the guard is dropped.
    #[must_use]
    pub fn enter(&self) -> impl Sized + Send + use<> {
        let inside = Arc::clone(&self.inside);
        self.peak.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
        OnDrop::new(move || {
            inside.fetch_sub(1, SeqCst);
        })
    }

    /// The largest number of concurrent guards.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak.load(SeqCst)
    }
}

/// Opens `polled` after the first poll of `future`.
pub async fn polled<F: Future>(polled: Arc<Event>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(move |cx| {
        let output = future.as_mut().poll(cx);
        polled.set();
        output
    })
    .await
}

/// The reason of a failure.
pub trait Why {
    /// The text of the failure without the greenlet at its beginning, which is checked.
    fn why(&self) -> String;
}

impl Why for Failure {
    #[track_caller]
    fn why(&self) -> String {
        let text = self.to_string();
        let Some(task) = self.task() else { return text };
        let subject = format!("{task} (spawned at {}) ", task.spawned_at());
        let why = text.strip_prefix(&subject).expect("a failure begins with its greenlet");
        why.strip_prefix("was ").unwrap_or(why).to_owned()
    }
}
