//! [`Report`]: the outcomes of everything that was started in a pool; [`Outcomes`], which counts
//! them.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::{Failure, State};

/// The outcomes of everything that was started in a group or a pool since it was created: tasks and
/// items of maps.
///
/// A discarded member is not counted.
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
    /// Tasks and items that have started: the running ones and the finished ones.
    pub started: usize,
    /// Finished with a result.
    pub succeeded: usize,
    /// Panicked.
    pub failed: usize,
    /// Killed.
    pub killed: usize,
    /// Aborted.
    pub aborted: usize,
    /// Running or waiting members.
    pub running: usize,
    /// Calls that wait for a slot. A map that has items to run counts as one.
    pub waiting: usize,
    /// Calls that were refused because the group was closed while they waited for a slot or held an
    /// unused one. A pool also counts the waiting calls of its scopes.
    pub refused: usize,
    /// How many requests were refused because too many waited.
    pub shed: usize,
    /// How often something was tried again.
    pub retried: usize,
    /// For how long the pool was paused.
    pub paused: Duration,
}

/// Counts of outcomes, for containers. A lock of the container serialises writers; readers need
/// none.
#[derive(Debug, Default)]
pub struct Outcomes {
    succeeded: AtomicUsize,
    failed: AtomicUsize,
    killed: AtomicUsize,
    aborted: AtomicUsize,
    retried: AtomicUsize,
}

impl Outcomes {
    /// Counts an outcome, under the container's lock.
    pub fn count(&self, state: State) {
        let count = match state {
            State::Panicked => &self.failed,
            State::Killed => &self.killed,
            State::Aborted => &self.aborted,
            _ => &self.succeeded,
        };
        add(count, 1);
    }

    /// Counts an outcome without a result, under the same lock.
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

    /// Counts outcomes with a result, under the same lock.
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

/// Adds without a read-modify-write operation: the lock excludes other writers.
fn add(count: &AtomicUsize, more: usize) {
    count.store(count.load(Relaxed) + more, Relaxed);
}
