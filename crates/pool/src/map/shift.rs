//! [`Shift`]: one poll of a worker, as far as that concerns others.
//!
//! A worker leaves each result, opens the next item and takes it from the input under the locks of
//! the two. Where everything is on one thread nobody else comes in between two items of one poll.
//! So from the second item on a shift opens many, has the input for itself, and keeps the results,
//! until it ends: then it hands all of that over.

use std::iter::once;
use std::task::{Context, Poll};

use super::job::{Input, Job, Pulled};
use super::results::{Indexed, Room};
use super::source::Source;

/// Dropping it ends it, however the poll came to its end.
pub(super) struct Shift<'a, S: Source, F, T, X> {
    job: &'a Job<S, F, T, X>,
    /// A result has been left.
    begun: bool,
    /// What it keeps to itself.
    kept: Option<Kept<S, T>>,
}

struct Kept<S, T> {
    input: Input<S>,
    /// Items that are open, and were not taken from the input yet.
    opened: usize,
    done: Vec<Indexed<T>>,
}

impl<'a, S: Source, F, T, X> Shift<'a, S, F, T, X> {
    pub(super) fn new(job: &'a Job<S, F, T, X>) -> Self {
        Self { job, begun: false, kept: None }
    }

    /// Leaves a result, the last of this shift.
    pub(super) fn leave(&mut self, done: Indexed<T>) {
        match &mut self.kept {
            Some(kept) => kept.done.push(done),
            None => self.job.results.deliver(done),
        }
    }

    /// Leaves a result, and opens one more item, if there is room. The shift has time for `most`.
    pub(super) fn leave_and_open(&mut self, done: Indexed<T>, most: usize) -> Room {
        let results = &self.job.results;
        let Some(kept) = &mut self.kept else {
            let many = std::mem::replace(&mut self.begun, true) && results.is_local;
            let room = results.deliver_and_open(once(done), if many { most } else { 1 });
            if let Room::Opened(more @ 2..) = room {
                self.keep(more);
            }
            return room;
        };
        kept.done.push(done);
        if kept.opened == 0 || results.is_abandoned() {
            let room = results.deliver_and_open(kept.done.drain(..), most);
            if let Room::Opened(more) = room {
                kept.opened += more;
            } else {
                return room;
            }
        }
        kept.opened -= 1;
        Room::Opened(1)
    }

    /// Opens
    fn keep(&mut self, opened: usize) {
        let done = Vec::with_capacity(opened);
        self.kept = Some(Kept { input: self.job.take_input(), opened: opened - 1, done });
    }

    /// Takes the next item from the input, for one that was opened. If there is none, the results
    /// are told.
    #[inline]
    pub(super) fn pull(&mut self, cx: &mut Context<'_>) -> Option<(usize, S::Item)> {
        let pulled = match &mut self.kept {
            Some(kept) => kept.input.poll_pull(cx),
            None => self.job.poll_pull(cx),
        };
        if let Poll::Ready(Pulled::Item(index, item)) = pulled {
            return Some((index, item));
        }
        self.end();
        self.job.end_input(pulled);
        None
    }

    fn end(&mut self) {
        if let Some(kept) = self.kept.take() {
            self.hand_over(kept);
        }
    }

    #[inline(never)]
    fn hand_over(&self, Kept { input, opened, mut done }: Kept<S, T>) {
        self.job.put_back(input);
        self.job.results.deliver_and_close(done.drain(..), opened);
    }
}

impl<S: Source, F, T, X> Drop for Shift<'_, S, F, T, X> {
    fn drop(&mut self) {
        self.end();
    }
}
