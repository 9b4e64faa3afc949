//! [`Report`]: what became of everything that was started in a pool; [`Outcomes`], which counts it.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::{Failure, State};

/// What became of everything that was started in a group or a pool, from its beginning: tasks, and
/// items of maps.
///
/// A member that was discarded is not counted any more.
///
/// ```
/// use spinney_greenlet::results::Outcomes;
/// use spinney_greenlet::{Report, State};
///
/// let outcomes = Outcomes::default();
/// outcomes.count(State::Successful);
/// let mut report = Report::default();
/// outcomes.add_to(&mut report);
/// assert_eq!((report.started, report.succeeded, report.running), (1, 1, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many started: those that are running and those that have finished.
    pub started: usize,
    /// How many finished with a result.
    pub succeeded: usize,
    /// How many panicked.
    pub failed: usize,
    /// How many were killed.
    pub killed: usize,
    /// How many were aborted.
    pub aborted: usize,
    /// How many are running, or wait for something.
    pub running: usize,
    /// How many calls wait for a slot. A map that has items to run is one.
    pub waiting: usize,
    /// How many calls waited for a slot when the group was closed, or had one in hand, and were
    /// refused. Of a pool, those of its scopes that waited are among them.
    pub refused: usize,
    /// How many requests were refused because too many waited.
    pub shed: usize,
    /// How often something was tried again.
    pub retried: usize,
    /// For how long the pool was paused.
    pub paused: Duration,
}

/// How many finished in which way, for containers. Writers exclude each other by a lock of the container;
/// readers need none.
#[derive(Debug, Default)]
pub struct Outcomes {
    succeeded: AtomicUsize,
    failed: AtomicUsize,
    killed: AtomicUsize,
    aborted: AtomicUsize,
    retried: AtomicUsize,
}

impl Outcomes {
    /// Counts an end in this state, under the container's lock.
    pub fn count(&self, state: State) {
        let count = match state {
            State::Panicked => &self.failed,
            State::Killed => &self.killed,
            State::Aborted => &self.aborted,
            _ => &self.succeeded,
        };
        add(count, 1);
    }

    /// Counts an end without a result, under the same lock.
    pub fn count_failure(&self, failure: &Failure) {
        self.count(match failure {
            Failure::Panicked(_) => State::Panicked,
            Failure::Killed(_) => State::Killed,
            Failure::Aborted(_) => State::Aborted,
        });
    }

    /// Counts a further try of something. It needs no lock.
    pub fn count_retry(&self) {
        self.retried.fetch_add(1, Relaxed);
    }

    /// Counts ends with a result, under the same lock.
    pub fn count_successes(&self, count: usize) {
        add(&self.succeeded, count);
    }

    /// Adds the counts of `others`, under the lock of this one.
    pub fn add(&self, others: &Self) {
        add(&self.succeeded, others.succeeded.load(Relaxed));
        add(&self.failed, others.failed.load(Relaxed));
        add(&self.killed, others.killed.load(Relaxed));
        add(&self.aborted, others.aborted.load(Relaxed));
        self.retried.fetch_add(others.retried.load(Relaxed), Relaxed);
    }

    /// Adds the counts to those of `report`.
    pub fn add_to(&self, report: &mut Report) {
        let read = |count: &AtomicUsize| count.load(Relaxed);
        let [succeeded, failed] = [&self.succeeded, &self.failed].map(read);
        let [killed, aborted] = [&self.killed, &self.aborted].map(read);
        report.started += succeeded + failed + killed + aborted;
        report.succeeded += succeeded;
        report.failed += failed;
        report.killed += killed;
        report.aborted += aborted;
        report.retried += read(&self.retried);
    }
}

/// Without a read-modify-write operation: a lock keeps other writers away.
fn add(count: &AtomicUsize, more: usize) {
    count.store(count.load(Relaxed) + more, Relaxed);
}
