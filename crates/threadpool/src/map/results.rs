//! [`Results`]: where the threads of a map leave results, the reader takes them, and both sides
//! learn when to go on.
//!
//! An item is *open* from when it is decided to take it from the input until its result has been
//! read. The number of open items is bounded, that is all that holds the threads back. A map that
//! has no room lets go of its threads; who makes room takes threads on again. Both are decided
//! under one lock, so that there is never room without a thread to use it.
//!
//! Wakers and results are other people's code: none is woken or dropped under the lock.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use spinney_greenlet::Failure;
pub(crate) use spinney_greenlet::results::Order;
use spinney_greenlet::results::{ResultBuffer, Room};
use spinney_hub::contain;

use crate::ThreadPool;

pub(crate) struct Limits {
    /// How many items may be open.
    pub(crate) maxsize: usize,
    /// How many threads may work for the map.
    pub(crate) threads: usize,
    /// Whether the reader wants all results together, and is not to be woken for each.
    pub(crate) whole: bool,
}

pub(crate) struct Results<T> {
    state: Mutex<State<T>>,
}

/// Results in the order in which they are read.
pub(crate) type Done<T> = VecDeque<Result<T, Failure>>;

struct State<T> {
    buffer: ResultBuffer<Result<T, Failure>>,
    limits: Limits,
    /// Why the map ended before its input did: what is read last.
    broken: Option<Failure>,
    /// A failure is among the results: a reader of them all need not wait for all of them.
    failed: bool,
    /// The threads that work for the map, and the places in the pool's queue of those that will.
    threads: usize,
    reader: Reader,
    /// Wakes the reader; there while it waits.
    waiting: Option<Waker>,
}

/// Who reads the results.
enum Reader {
    Present,
    /// Nobody, but the map goes on. It may keep its pool alive for that.
    Detached(Option<ThreadPool>),
    /// Nobody, and the map is over.
    Gone,
}

impl<T> Results<T> {
    pub(crate) fn new(order: Order, limits: Limits) -> Self {
        let state = State {
            buffer: ResultBuffer::new(order, limits.maxsize),
            limits,
            broken: None,
            failed: false,
            threads: 0,
            reader: Reader::Present,
            waiting: None,
        };
        Self { state: Mutex::new(state) }
    }

    /// Takes on as many threads as there is room for, and says how many those are.
    pub(crate) fn take_on(&self) -> usize {
        self.lock().take_on()
    }

    /// For a thread: opens one more item, which is then to be taken from the input. If there is
    /// none to open, the thread has left.
    pub(crate) fn open(&self) -> bool {
        self.lock().open_or_leave()
    }

    /// For the reader: opens one more item.
    pub(crate) fn open_in_place(&self) -> bool {
        self.lock().open()
    }

    /// A thread has left.
    pub(crate) fn leave(&self) {
        self.lock().threads -= 1;
    }

    /// The input had no item for the one that was opened last: it is over.
    pub(crate) fn close_input(&self) {
        self.change(|state| {
            state.buffer.close(1);
            state.buffer.exhaust();
        });
    }

    /// No further item will be opened.
    pub(crate) fn exhaust(&self) {
        self.change(|state| state.buffer.exhaust());
    }

    /// A thread has left, for `failure`, which is read last unless the map was at its end.
    pub(crate) fn break_off(&self, failure: Failure) {
        let refused = self.change(|state| {
            state.threads -= 1;
            let read = !state.buffer.is_exhausted() && matches!(state.reader, Reader::Present);
            state.buffer.exhaust();
            if read { state.broken.replace(failure) } else { Some(failure) }
        });
        drop(refused);
    }

    /// Leaves the result of the item `index`.
    pub(crate) fn deliver(&self, index: usize, result: Result<T, Failure>) {
        self.deliver_and(index, result, |_| ());
    }

    /// Leaves the result of the item `index`, and does as [`open`](Self::open).
    pub(crate) fn deliver_and_open(&self, index: usize, result: Result<T, Failure>) -> bool {
        self.deliver_and(index, result, State::open_or_leave)
    }

    fn deliver_and<R>(
        &self,
        index: usize,
        result: Result<T, Failure>,
        then: impl FnOnce(&mut State<T>) -> R,
    ) -> R {
        let mut refused = None;
        let done = self.change(|state| {
            if matches!(state.reader, Reader::Present) {
                state.put(index, result);
            } else {
                refused = Some(result);
                state.buffer.close(1);
            }
            then(state)
        });
        contain(|| drop(refused));
        done
    }

    /// For the reader: the next result, or None when there will be no more; and how many threads
    /// the map takes on for the room that this makes. `rest` is the reader's own, for what it reads
    /// next: once all items are done it gets all results together.
    pub(crate) fn poll_next(
        &self,
        cx: &Context<'_>,
        rest: &mut Done<T>,
    ) -> (Poll<Option<Result<T, Failure>>>, usize) {
        if let Some(result) = rest.pop_front() {
            return (Poll::Ready(Some(result)), 0);
        }
        let mut state = self.lock();
        let (taken, before) = match state.take() {
            Some(result) => (Poll::Ready(Some(result)), state.waiting.take()),
            None if state.is_over() => (Poll::Ready(None), state.waiting.take()),
            None => (Poll::Pending, state.waiting.replace(cx.waker().clone())),
        };
        if state.is_done() {
            // Nothing else is open, so no room is to be kept for what the reader has not read.
            state.buffer.take(rest);
            state.buffer.close(rest.len());
        }
        let threads = state.take_on();
        drop(state);
        drop(before);
        (taken, threads)
    }

    /// The reader leaves, the map goes on, and keeps `pool` alive until it is over. Returns how
    /// many threads it takes on.
    pub(crate) fn detach(&self, pool: Option<ThreadPool>) -> usize {
        let (done, threads) = self.change(|state| {
            state.reader = Reader::Detached(pool);
            (state.forget_done(), state.take_on())
        });
        drop(done);
        threads
    }

    /// The reader leaves, and the map is over.
    pub(crate) fn abandon(&self) {
        let (before, done) = self.change(|state| {
            state.buffer.exhaust();
            (mem::replace(&mut state.reader, Reader::Gone), state.forget_done())
        });
        drop((before, done));
    }

    /// Changes the state, then wakes the reader if that concerns it.
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        let over = state.is_over();
        let reader = if over || state.is_worth_a_look() { state.waiting.take() } else { None };
        let pool = match &mut state.reader {
            Reader::Detached(pool) if over => pool.take(),
            _ => None,
        };
        drop(state);
        if let Some(reader) = reader {
            contain(|| reader.wake());
        }
        drop(pool);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Whether the reader waits. Without a reader no result is kept, so it counts as waiting.
    fn lets_one_more(&self) -> bool {
        self.waiting.is_some() || !matches!(self.reader, Reader::Present)
    }

    /// Opens one more item, if there is room.
    fn open(&mut self) -> bool {
        matches!(self.buffer.open(1, self.lets_one_more()), Room::Opened(_))
    }

    fn open_or_leave(&mut self) -> bool {
        let opened = self.open();
        self.threads -= usize::from(!opened);
        opened
    }

    fn take_on(&mut self) -> usize {
        let threads =
            self.buffer.room(self.lets_one_more()).min(self.limits.threads - self.threads);
        self.threads += threads;
        threads
    }

    fn put(&mut self, index: usize, result: Result<T, Failure>) {
        self.failed |= result.is_err();
        self.buffer.put(index, result);
    }

    fn take(&mut self) -> Option<Result<T, Failure>> {
        if let Some(result) = self.buffer.pop() {
            return Some(result);
        }
        if self.buffer.open_items() == 0 { self.broken.take().map(Err) } else { None }
    }

    /// Whether nothing runs any more, and nothing will.
    fn is_done(&self) -> bool {
        self.buffer.is_exhausted() && self.buffer.open_items() == self.buffer.stored()
    }

    /// Whether the reader should be woken.
    fn is_worth_a_look(&self) -> bool {
        let readable = self.buffer.readable() > 0;
        self.is_done() || (readable && (self.failed || !self.limits.whole))
    }

    fn is_over(&self) -> bool {
        self.buffer.is_finished() && self.broken.is_none()
    }

    /// Closes what was done and will not be read.
    fn forget_done(&mut self) -> (Done<T>, Option<Failure>) {
        (self.buffer.take_all(), self.broken.take())
    }
}

impl<T> Results<T> {
    /// The text of the map called `name` that these are of.
    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        self.lock().buffer.fmt_as(f, name)
    }
}
