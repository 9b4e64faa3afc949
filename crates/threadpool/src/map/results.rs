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
use spinney_hub::contain;

use crate::ThreadPool;

/// In which order results are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Input,
    Completion,
}

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

/// Results in the order in which they are read; None for what is still running.
pub(crate) type Done<T> = VecDeque<Option<Result<T, Failure>>>;

struct State<T> {
    order: Order,
    limits: Limits,
    /// What can be read. In the order of the input, with places for what is still running.
    done: Done<T>,
    /// The index of the first place of `done`, in the order of the input.
    first: usize,
    open: usize,
    /// How many of these are done.
    unread: usize,
    /// No further item will be opened.
    exhausted: bool,
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
            order,
            limits,
            done: VecDeque::new(),
            first: 0,
            open: 0,
            unread: 0,
            exhausted: false,
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
            state.open -= 1;
            state.exhausted = true;
        });
    }

    /// No further item will be opened.
    pub(crate) fn exhaust(&self) {
        self.change(|state| state.exhausted = true);
    }

    /// A thread has left, for `failure`, which is read last unless the map was at its end.
    pub(crate) fn break_off(&self, failure: Failure) {
        let refused = self.change(|state| {
            state.threads -= 1;
            let read = !state.exhausted && matches!(state.reader, Reader::Present);
            state.exhausted = true;
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
                state.open -= 1;
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
        if let Some(result) = rest.pop_front().flatten() {
            return (Poll::Ready(Some(result)), 0);
        }
        let mut state = self.lock();
        let (taken, before) = match state.take() {
            Some(result) => (Poll::Ready(Some(result)), state.waiting.take()),
            None if state.is_over() => (Poll::Ready(None), state.waiting.take()),
            None => (Poll::Pending, state.waiting.replace(cx.waker().clone())),
        };
        if state.is_done() {
            *rest = state.take_rest();
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
            state.exhausted = true;
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
    /// How many more items may be opened.
    fn room(&self) -> usize {
        // Where nobody reads, nothing is kept.
        let waits = self.waiting.is_some() || !matches!(self.reader, Reader::Present);
        let limit = self.limits.maxsize.saturating_add(usize::from(waits));
        if self.exhausted { 0 } else { limit.saturating_sub(self.open) }
    }

    fn open(&mut self) -> bool {
        let may = self.room() > 0;
        self.open += usize::from(may);
        may
    }

    fn open_or_leave(&mut self) -> bool {
        let opened = self.open();
        self.threads -= usize::from(!opened);
        opened
    }

    fn take_on(&mut self) -> usize {
        let threads = self.room().min(self.limits.threads - self.threads);
        self.threads += threads;
        threads
    }

    fn put(&mut self, index: usize, result: Result<T, Failure>) {
        self.failed |= result.is_err();
        self.unread += 1;
        match self.order {
            Order::Completion => self.done.push_back(Some(result)),
            Order::Input => {
                let place = index - self.first;
                if self.done.len() <= place {
                    self.done.resize_with(place + 1, || None);
                }
                self.done[place] = Some(result);
            }
        }
    }

    fn take(&mut self) -> Option<Result<T, Failure>> {
        if let Some(result) = self.done.front_mut().and_then(Option::take) {
            self.done.pop_front();
            self.first += 1;
            self.open -= 1;
            self.unread -= 1;
            return Some(result);
        }
        if self.open == 0 { self.broken.take().map(Err) } else { None }
    }

    /// Takes all that is done, where nothing else is open.
    fn take_rest(&mut self) -> Done<T> {
        self.first += self.done.len();
        self.open = 0;
        self.unread = 0;
        mem::take(&mut self.done)
    }

    /// Whether nothing runs any more, and nothing will.
    fn is_done(&self) -> bool {
        self.exhausted && self.open == self.unread
    }

    /// Whether the reader should be woken.
    fn is_worth_a_look(&self) -> bool {
        let readable = matches!(self.done.front(), Some(Some(_)));
        self.is_done() || (readable && (self.failed || !self.limits.whole))
    }

    fn is_over(&self) -> bool {
        self.exhausted && self.open == 0 && self.broken.is_none()
    }

    /// Closes what was done and will not be read.
    fn forget_done(&mut self) -> (Done<T>, Option<Failure>) {
        self.open -= mem::take(&mut self.unread);
        (mem::take(&mut self.done), self.broken.take())
    }
}

impl<T> Results<T> {
    /// The text of the map called `name` that these are of.
    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let state = self.lock();
        f.debug_struct(name)
            .field("order", &state.order)
            .field("open", &state.open)
            .field("maxsize", &state.limits.maxsize)
            .field("exhausted", &state.exhausted)
            .finish()
    }
}
