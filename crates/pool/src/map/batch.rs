//! [`Batch`]: one poll of a worker.
//!
//! After each item a worker puts the result, opens another item and takes it from the input, under
//! the lock of the results and that of the input. If all tasks are on one thread, no other task
//! runs between two items of one poll. There, a worker whose second item did not wait either opens
//! as many items as it has time for, and takes the whole input; it keeps the results until the end
//! of the poll, and then puts all of them. The first result is put immediately, because a reader
//! may wait for it.

use std::iter::once;
use std::task::Context;

use spinney_hub::Executor;

use super::input::Input;
use super::results::{Capacity, Indexed};
use super::shared::MapShared;
use super::source::Source;

/// How many items that never wait run before other tasks get a turn.
const MOST: usize = 32;

/// One poll of a worker. Dropping it puts the kept results, and the input back.
pub(super) struct Batch<'a, S: Source, F, T, X: Executor> {
    shared: &'a MapShared<S, F, T, X>,
    /// How many more items the poll has time for.
    left: usize,
    exclusive: Option<Box<Exclusive<S, T>>>,
}

/// The input and the results that a worker keeps during a poll.
struct Exclusive<S: Source, T> {
    input: Input<S>,
    /// How many items are open, and not taken from the input yet.
    opened: usize,
    done: Vec<Indexed<T>>,
}

impl<'a, S: Source, F, T, X: Executor> Batch<'a, S, F, T, X> {
    pub(super) fn new(shared: &'a MapShared<S, F, T, X>) -> Self {
        Self { shared, left: MOST, exclusive: None }
    }

    /// Puts a result. Then opens one more item if the worker `may_stay` and there is room and time.
    pub(super) fn put(&mut self, done: Indexed<T>, may_stay: bool) -> Capacity {
        self.left -= 1;
        match &mut self.exclusive {
            _ if !may_stay || self.left == 0 => {
                self.put_last(done);
                if may_stay { Capacity::Full } else { Capacity::Over }
            }
            Some(exclusive) if exclusive.opened > 0 && !self.shared.results.is_abandoned() => {
                exclusive.opened -= 1;
                exclusive.done.push(done);
                Capacity::Opened(1)
            }
            _ => self.put_and_open(done),
        }
    }

    fn put_last(&mut self, done: Indexed<T>) {
        match &mut self.exclusive {
            Some(exclusive) => exclusive.done.push(done),
            None => self.shared.results.deliver(done),
        }
    }

    fn put_and_open(&mut self, done: Indexed<T>) -> Capacity {
        let results = &self.shared.results;
        let first = self.left == MOST - 1;
        let most = if results.is_local && !first { self.left } else { 1 };
        let Some(exclusive) = &mut self.exclusive else {
            let room = results.deliver_and_open(once(done), most);
            if let Capacity::Opened(opened @ 2..) = room {
                let input = self.shared.take_input();
                let done = Vec::with_capacity(opened);
                self.exclusive = Some(Box::new(Exclusive { input, opened: opened - 1, done }));
            }
            return room;
        };
        exclusive.done.push(done);
        let room = results.deliver_and_open(exclusive.done.drain(..), most);
        if let Capacity::Opened(opened) = room {
            exclusive.opened += opened - 1;
        }
        room
    }

    /// The next item, for an open one; `None` if the input is exhausted or pending.
    pub(super) fn next(&mut self, cx: &mut Context<'_>) -> Option<(usize, S::Item)> {
        let item = match &mut self.exclusive {
            Some(exclusive) => {
                let item = exclusive.input.next(cx);
                if !exclusive.input.has_ahead() {
                    self.hand_over();
                }
                item
            }
            None => self.shared.next(cx),
        };
        if item.is_none() {
            self.shared.results.close_one();
        }
        item
    }

    /// Puts back the input, which is exhausted or pending, for the feeder to wait for.
    #[cold]
    fn hand_over(&mut self) {
        let missing = self.exclusive.as_mut().map(|exclusive| exclusive.input.missing());
        self.end();
        if let Some(missing) = missing {
            self.shared.hand_over(missing);
        }
    }

    fn end(&mut self) {
        if let Some(exclusive) = self.exclusive.take() {
            self.put_back(*exclusive);
        }
    }

    /// Out of line, because there usually is nothing to put back.
    #[inline(never)]
    fn put_back(&self, Exclusive { input, opened, mut done }: Exclusive<S, T>) {
        self.shared.put_back(input);
        self.shared.results.deliver_and_close(done.drain(..), opened);
    }
}

impl<S: Source, F, T, X: Executor> Drop for Batch<'_, S, F, T, X> {
    fn drop(&mut self) {
        self.end();
    }
}
