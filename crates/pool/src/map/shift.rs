//! [`Shift`]: one poll of a worker, as the others see it.
//!
//! After each item a worker leaves the result, opens another item and takes that from the input,
//! under the lock of the results and under that of the input. Where everything is on one thread
//! nobody comes in between two items of one poll. There a worker whose second item did not wait
//! either opens as many as it has time for, and has the input to itself; it keeps the results until
//! the poll ends, however it does, and then hands all over. The first result is left at once: it
//! is the one that a reader may wait for.

use std::iter::once;
use std::task::{Context, Poll};

use super::job::{Input, Job, Pulled};
use super::results::{Indexed, Room};
use super::source::Source;

/// How many items that never wait are run before others get a turn.
const BATCH: usize = 32;

/// Dropping it ends it.
pub(super) struct Shift<'a, S: Source, F, T, X> {
    job: &'a Job<S, F, T, X>,
    /// For how many more items there is time.
    left: usize,
    kept: Option<Kept<S, T>>,
}

/// What a worker has to itself.
struct Kept<S, T> {
    input: Input<S>,
    /// Items that are open, and have yet to be taken from the input.
    opened: usize,
    done: Vec<Indexed<T>>,
}

impl<'a, S: Source, F, T, X> Shift<'a, S, F, T, X> {
    pub(super) fn new(job: &'a Job<S, F, T, X>) -> Self {
        Self { job, left: BATCH, kept: None }
    }

    /// Leaves a result. Then opens one more item if the worker `may_stay` and there is room, and
    /// time.
    pub(super) fn leave(&mut self, done: Indexed<T>, may_stay: bool) -> Room {
        self.left -= 1;
        match &mut self.kept {
            _ if !may_stay || self.left == 0 => {
                self.leave_last(done);
                if may_stay { Room::Full } else { Room::Over }
            }
            Some(kept) if kept.opened > 0 && !self.job.results.is_abandoned() => {
                kept.opened -= 1;
                kept.done.push(done);
                Room::Opened(1)
            }
            _ => self.leave_and_open(done),
        }
    }

    fn leave_last(&mut self, done: Indexed<T>) {
        match &mut self.kept {
            Some(kept) => kept.done.push(done),
            None => self.job.results.deliver(done),
        }
    }

    fn leave_and_open(&mut self, done: Indexed<T>) -> Room {
        let results = &self.job.results;
        let first = self.left == BATCH - 1;
        let most = if results.is_local && !first { self.left } else { 1 };
        let Some(kept) = &mut self.kept else {
            let room = results.deliver_and_open(once(done), most);
            if let Room::Opened(opened @ 2..) = room {
                let input = self.job.take_input();
                let done = Vec::with_capacity(opened);
                self.kept = Some(Kept { input, opened: opened - 1, done });
            }
            return room;
        };
        kept.done.push(done);
        let room = results.deliver_and_open(kept.done.drain(..), most);
        if let Room::Opened(opened) = room {
            kept.opened += opened - 1;
        }
        room
    }

    /// Takes the next item from the input, for one that was opened. If there is none, the results
    /// are told.
    pub(super) fn pull(&mut self, cx: &mut Context<'_>) -> Option<(usize, S::Item)> {
        let pulled = match &mut self.kept {
            Some(kept) => kept.input.poll_pull(cx),
            None => self.job.poll_pull(cx),
        };
        if let Poll::Ready(Pulled::Item(index, item)) = pulled {
            return Some((index, item));
        }
        self.end_input(pulled);
        None
    }

    #[cold]
    fn end_input(&mut self, pulled: Poll<Pulled<S::Item>>) {
        self.end();
        self.job.end_input(pulled);
    }

    fn end(&mut self) {
        if let Some(kept) = self.kept.take() {
            self.hand_over(kept);
        }
    }

    /// Apart from the above, which mostly finds nothing.
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
