//! [`Batch`]: one poll of a worker, as the others see it.
//!
//! After each item a worker leaves the result, opens another item and takes that from the input,
//! under the lock of the results and under that of the input. Where everything is on one thread
//! nobody comes in between two items of one poll. There a worker whose second item did not wait
//! either opens as many as it has time for, and has the input to itself; it keeps the results until
//! the poll ends, however it does, and then hands all over. The first result is left at once: it
//! is the one that a reader may wait for.

use std::iter::once;
use std::task::Context;

use spinney_hub::Executor;

use super::input::Input;
use super::results::{Indexed, Room};
use super::shared::MapShared;
use super::source::Source;

/// How many items that never wait are run before others get a turn.
const MOST: usize = 32;

/// Dropping it ends it.
pub(super) struct Batch<'a, S: Source, F, T, X: Executor> {
    shared: &'a MapShared<S, F, T, X>,
    /// For how many more items there is time.
    left: usize,
    exclusive: Option<Box<Exclusive<S, T>>>,
}

/// What a worker has to itself.
struct Exclusive<S: Source, T> {
    input: Input<S>,
    /// Items that are open, and have yet to be taken from the input.
    opened: usize,
    done: Vec<Indexed<T>>,
}

impl<'a, S: Source, F, T, X: Executor> Batch<'a, S, F, T, X> {
    pub(super) fn new(shared: &'a MapShared<S, F, T, X>) -> Self {
        Self { shared, left: MOST, exclusive: None }
    }

    /// Leaves a result. Then opens one more item if the worker `may_stay` and there is room, and
    /// time.
    pub(super) fn put(&mut self, done: Indexed<T>, may_stay: bool) -> Room {
        self.left -= 1;
        match &mut self.exclusive {
            _ if !may_stay || self.left == 0 => {
                self.put_last(done);
                if may_stay { Room::Full } else { Room::Over }
            }
            Some(exclusive) if exclusive.opened > 0 && !self.shared.results.is_abandoned() => {
                exclusive.opened -= 1;
                exclusive.done.push(done);
                Room::Opened(1)
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

    fn put_and_open(&mut self, done: Indexed<T>) -> Room {
        let results = &self.shared.results;
        let first = self.left == MOST - 1;
        let most = if results.is_local && !first { self.left } else { 1 };
        let Some(exclusive) = &mut self.exclusive else {
            let room = results.deliver_and_open(once(done), most);
            if let Room::Opened(opened @ 2..) = room {
                let input = self.shared.take_input();
                let done = Vec::with_capacity(opened);
                self.exclusive = Some(Box::new(Exclusive { input, opened: opened - 1, done }));
            }
            return room;
        };
        exclusive.done.push(done);
        let room = results.deliver_and_open(exclusive.done.drain(..), most);
        if let Room::Opened(opened) = room {
            exclusive.opened += opened - 1;
        }
        room
    }

    /// The next item, for one that was opened; None if there is none that need not be waited for.
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

    /// Hands over what it has to itself, as the input is over or has to be waited for.
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

    /// Apart from the above, which mostly finds nothing.
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
