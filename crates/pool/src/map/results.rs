//! [`Results`]: where workers leave results, the reader takes them, and both sides learn when to
//! go on.
//!
//! An item is *open* from when it is decided to take it from the input until its result has been
//! read. The number of open items is bounded, that is all that holds the workers back. Wakers and
//! results are other people's code: none is woken or dropped under the lock.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;
use spinney_greenlet::{Failure, Handle};
use spinney_hub::contain;

use super::loan::Loan;
use crate::Crew;
use crate::roster::{Place, Wait};

/// In which order results are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Input,
    Completion,
}

/// Whether one more item may be taken from the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It may, and counts as open.
    Opened,
    /// Not before results have been read.
    Full,
    /// Never again.
    Over,
}

/// A result, and the index of its item.
type Indexed<T> = (usize, Result<T, Failure>);

pub(crate) struct Results<T, X> {
    /// Whether the feeder itself stands in the queue for a slot.
    pub(crate) feeder_queued: AtomicBool,
    /// How often an item was tried again.
    pub(crate) retries: AtomicUsize,
    state: Mutex<State<T, X>>,
}

struct State<T, X> {
    order: Order,
    /// What can be read. In the order of the input, with places for what is still running.
    done: VecDeque<Option<Indexed<T>>>,
    /// The index of the first place of `done`, in the order of the input.
    first: usize,
    open: usize,
    maxsize: usize,
    /// No further item will be opened.
    exhausted: bool,
    /// The feeder has not ended; it may have a slot.
    feeding: bool,
    reader: Reader<X>,
    /// Wakes the reader; there while it waits.
    waiting: Option<Waker>,
    /// Wakes the feeder, which may be in the queue for a slot.
    feeder: Option<Waker>,
    /// The feeder waits for room, not for a slot.
    feeder_stalled: bool,
    loan: Loan,
    /// The workers that hold a slot; each is there by name from its first poll on.
    workers: Slab<Option<Handle>>,
}

/// Who reads the results.
enum Reader<X> {
    Present,
    /// Nobody, but the map goes on. It may keep its crew alive for that.
    Detached(Option<Crew<X>>),
    /// Nobody, and the map is over.
    Gone,
}

impl<T, X> Results<T, X> {
    pub(crate) fn new(order: Order, maxsize: usize) -> Self {
        let state = State {
            order,
            done: VecDeque::new(),
            first: 0,
            open: 0,
            maxsize,
            exhausted: false,
            feeding: true,
            reader: Reader::Present,
            waiting: None,
            feeder: None,
            feeder_stalled: false,
            loan: Loan::None,
            workers: Slab::new(),
        };
        Self {
            feeder_queued: AtomicBool::new(false),
            retries: AtomicUsize::new(0),
            state: Mutex::new(state),
        }
    }

    /// For the feeder: whether it should seek a slot for one more item, or else can end. It waits
    /// while too many are open, and is woken when the map is over.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        if state.exhausted {
            return Poll::Ready(false);
        }
        let before = state.feeder.replace(cx.waker().clone());
        let room = state.has_room();
        state.feeder_stalled = !room;
        drop(state);
        drop(before);
        if room { Poll::Ready(true) } else { Poll::Pending }
    }

    /// Opens one more item, if there is room; it is then to be taken from the input.
    pub(crate) fn open(&self) -> Room {
        self.lock().open()
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

    /// No further item will be opened, but for the item `index`, which has failed. Of no effect if
    /// that was so before.
    pub(crate) fn refuse(&self, index: usize, failure: Failure) {
        let refused = self.change(|state| {
            let first = !std::mem::replace(&mut state.exhausted, true);
            state.open += usize::from(first);
            first
        });
        if refused {
            self.deliver(index, Err(failure));
        }
    }

    /// The feeder has ended, and has no slot.
    pub(crate) fn end_feeding(&self) {
        self.change(|state| {
            state.exhausted = true;
            state.feeding = false;
        });
    }

    /// Leaves the result of the item `index`.
    pub(crate) fn deliver(&self, index: usize, result: Result<T, Failure>) {
        self.deliver_and(index, result, |_| ());
    }

    /// Leaves the result of the item `index`, and opens one more item, if there is room.
    pub(crate) fn deliver_and_open(&self, index: usize, result: Result<T, Failure>) -> Room {
        self.deliver_and(index, result, State::open)
    }

    fn deliver_and<R>(
        &self,
        index: usize,
        result: Result<T, Failure>,
        then: impl FnOnce(&mut State<T, X>) -> R,
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

    /// Makes room for a worker among those that are killed when the reader goes.
    pub(crate) fn enlist(&self) -> usize {
        self.lock().workers.insert(None)
    }

    /// The worker `key` starts; false if it should not.
    pub(crate) fn start(&self, key: usize, handle: Option<Handle>) -> bool {
        let mut state = self.lock();
        state.workers[key] = handle;
        !matches!(state.reader, Reader::Gone)
    }

    /// The worker `key` has left its slot, which was one of the crew's or else the reader's.
    pub(crate) fn dismiss(&self, key: usize, seated: bool) {
        let handle = self.change(|state| {
            if !seated {
                state.return_slot();
            }
            state.workers.remove(key)
        });
        drop(handle);
    }

    /// For the feeder: who lends it a slot, if the reader offers that, and its crew can `lend` it.
    /// It is to be returned.
    pub(crate) fn borrow_slot(&self, lend: impl FnOnce(Wait) -> bool) -> Option<Place> {
        let mut state = self.lock();
        state.loan.borrow(lend)
    }

    /// The reader has its slot back.
    pub(crate) fn return_slot(&self) {
        self.change(State::return_slot);
    }

    /// For the reader: the next result, or None when there will be no more and no slot is held. One
    /// that `lends` its slot lets the map have it while it waits, and waits until it is back.
    pub(crate) fn poll_next(
        &self,
        cx: &Context<'_>,
        lends: Option<Wait>,
    ) -> Poll<Option<Indexed<T>>> {
        let mut state = self.lock();
        let lent = state.loan.is_out();
        let (taken, before) = match if lent { None } else { state.take() } {
            Some(result) => (Poll::Ready(Some(result)), state.waiting.take()),
            None if state.is_over() => (Poll::Ready(None), state.waiting.take()),
            None => (Poll::Pending, state.waiting.replace(cx.waker().clone())),
        };
        if !lent {
            let offers = lends.filter(|_| taken.is_pending());
            state.loan = offers.map_or(Loan::None, Loan::Offered);
        }
        let feeder = state.take_feeder();
        drop(state);
        drop(before);
        feeder.into_iter().for_each(Waker::wake);
        taken
    }

    /// The reader leaves, the map goes on, and keeps `crew` alive until it is over.
    pub(crate) fn detach(&self, crew: Option<Crew<X>>) {
        let done = self.change(|state| {
            state.reader = Reader::Detached(crew);
            state.forget_done()
        });
        forget(done);
    }

    /// The reader leaves, and the map is over: kills the workers.
    pub(crate) fn abandon(&self) {
        let (before, done, workers) = self.change(|state| {
            state.exhausted = true;
            let workers: Vec<Handle> =
                state.workers.iter().filter_map(|(_, handle)| handle.clone()).collect();
            (std::mem::replace(&mut state.reader, Reader::Gone), state.forget_done(), workers)
        });
        workers.iter().for_each(Handle::kill_now);
        drop(before);
        forget(done);
    }

    pub(crate) fn is_feeder_queued(&self) -> bool {
        // A guess: it decides who runs an item, never whether one is run.
        self.feeder_queued.load(Relaxed)
    }

    /// Changes the state, then wakes whom that concerns.
    fn change<R>(&self, change: impl FnOnce(&mut State<T, X>) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        let over = state.is_over();
        let roused = over || (state.is_readable() && !state.loan.is_out());
        let reader = if roused { state.waiting.take() } else { None };
        let feeder = state.take_feeder();
        let crew = match &mut state.reader {
            Reader::Detached(crew) if over => crew.take(),
            _ => None,
        };
        drop(state);
        reader.into_iter().chain(feeder).for_each(Waker::wake);
        drop(crew);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State<T, X>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, X> State<T, X> {
    fn has_room(&self) -> bool {
        let limit = self.maxsize.saturating_add(usize::from(self.waiting.is_some()));
        !self.exhausted && self.open < limit
    }

    fn open(&mut self) -> Room {
        if self.exhausted {
            return Room::Over;
        }
        if !self.has_room() {
            return Room::Full;
        }
        self.open += 1;
        Room::Opened
    }

    /// The feeder, if it has a reason to wake up.
    fn take_feeder(&mut self) -> Option<Waker> {
        let roused = self.exhausted
            || (self.feeder_stalled && self.has_room())
            || (matches!(self.loan, Loan::Offered(_)) && self.has_room());
        if roused { self.feeder.take() } else { None }
    }

    fn put(&mut self, index: usize, result: Result<T, Failure>) {
        match self.order {
            Order::Completion => self.done.push_back(Some((index, result))),
            Order::Input => {
                let place = index - self.first;
                if self.done.len() <= place {
                    self.done.resize_with(place + 1, || None);
                }
                self.done[place] = Some((index, result));
            }
        }
    }

    fn take(&mut self) -> Option<Indexed<T>> {
        let result = self.done.front_mut()?.take()?;
        self.done.pop_front();
        self.first += 1;
        self.open -= 1;
        Some(result)
    }

    fn is_readable(&self) -> bool {
        matches!(self.done.front(), Some(Some(_)))
    }

    /// The reader has its slot back: to read, or else to lend it again.
    fn return_slot(&mut self) {
        let waits = self.waiting.is_some() && !self.is_readable();
        self.loan = self.loan.returned(waits);
    }

    fn is_over(&self) -> bool {
        self.exhausted && self.open == 0 && self.workers.is_empty() && !self.feeding
    }

    /// Closes what was done and will not be read.
    fn forget_done(&mut self) -> VecDeque<Option<Indexed<T>>> {
        self.open -= self.done.iter().flatten().count();
        std::mem::take(&mut self.done)
    }
}

/// Drops results that nobody reads: each of them may panic.
fn forget<T>(done: VecDeque<Option<Indexed<T>>>) {
    for result in done {
        contain(|| drop(result));
    }
}

impl<T, X> fmt::Debug for Results<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Results")
            .field("order", &state.order)
            .field("open", &state.open)
            .field("maxsize", &state.maxsize)
            .field("exhausted", &state.exhausted)
            .finish_non_exhaustive()
    }
}
