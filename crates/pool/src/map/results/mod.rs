//! [`Results`]: where workers leave results, the reader takes them, and both sides learn when to
//! go on.
//!
//! An item is *open* from when it is decided to take it from the input until its result has been
//! read. The number of open items is bounded, that is all that holds the workers back. Wakers and
//! results are other people's code: none is woken or dropped under the lock.

mod hand;
mod loan;
mod state;

use std::fmt;
use std::iter::once;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub(crate) use hand::Hand;
use hand::Reads;
pub(crate) use loan::Lender;
use loan::Loan;
use spinney_greenlet::{Failure, Handle};
use spinney_hub::contain;
use state::{Reader, State};

use crate::TaskSet;
use crate::report::Outcomes;
use crate::slot::Share;

/// In which order results are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Input,
    Completion,
}

/// Whether one more item may be taken from the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// So many may, and count as open.
    Opened(usize),
    /// Not before results have been read.
    Full,
    /// Never again.
    Over,
}

/// A result, and the index of its item.
pub(crate) type Indexed<T> = (usize, Result<T, Failure>);

/// How an item ended that failed.
fn end_of(failure: &Failure) -> spinney_greenlet::State {
    match failure {
        Failure::Killed(_) => spinney_greenlet::State::Killed,
        Failure::Panicked(_) => spinney_greenlet::State::Panicked,
        Failure::Aborted(_) => spinney_greenlet::State::Aborted,
    }
}

pub(crate) struct Results<T, X> {
    /// Whether the feeder itself stands in the queue for a slot.
    pub(crate) feeder_queued: AtomicBool,
    /// How often an item was tried again.
    pub(crate) retries: AtomicUsize,
    /// Whether all who touch these are on one thread; see `Spawn::is_local`.
    pub(crate) is_local: bool,
    /// What became of the items that started.
    outcomes: Arc<Outcomes>,
    /// The reader has left, and the map is over.
    abandoned: AtomicBool,
    reads: Reads,
    state: Mutex<State<T, X>>,
}

impl<T, X> Results<T, X> {
    pub(crate) fn new(order: Order, maxsize: usize, whole: bool, is_local: bool) -> Self {
        Self {
            outcomes: Arc::default(),
            feeder_queued: AtomicBool::new(false),
            retries: AtomicUsize::new(0),
            is_local,
            abandoned: AtomicBool::new(false),
            reads: Reads::new(is_local),
            state: Mutex::new(State::new(order, maxsize, whole)),
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
        self.reads.set_stalled(!state.has_room());
        // Again: who read in between did not see that it is stalled.
        state.open -= self.reads.take();
        let room = state.has_room();
        drop(state);
        drop(before);
        if room { Poll::Ready(true) } else { Poll::Pending }
    }

    /// Opens one more item, if there is room; it is then to be taken from the input.
    pub(crate) fn open(&self) -> Room {
        self.change(|state| state.open(1))
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
            self.deliver_refused((index, failure));
        }
    }

    /// The feeder has ended, and has no slot.
    pub(crate) fn end_feeding(&self) {
        self.change(|state| {
            state.exhausted = true;
            state.feeding = false;
        });
    }

    /// Leaves a result.
    pub(crate) fn deliver(&self, done: Indexed<T>) {
        self.deliver_and(once(done), |_| ());
    }

    /// Leaves the failure of an item that has not started, and is not counted.
    pub(crate) fn deliver_refused(&self, (index, failure): (usize, Failure)) {
        self.change(|state| {
            let is_read = matches!(state.reader, Reader::Present);
            if is_read {
                state.put((index, Err(failure.clone())));
            } else {
                state.open -= 1;
            }
        });
        drop(failure);
    }

    /// What became of the items, for the group to count.
    pub(crate) fn outcomes(&self) -> Arc<Outcomes> {
        Arc::clone(&self.outcomes)
    }

    /// Leaves results, and opens up to `most` items more, as many as there is room for.
    pub(crate) fn deliver_and_open(
        &self,
        done: impl ExactSizeIterator<Item = Indexed<T>>,
        most: usize,
    ) -> Room {
        self.deliver_and(done, |state| state.open(most))
    }

    /// Leaves results, and closes items that were opened and not taken from the input.
    pub(crate) fn deliver_and_close(
        &self,
        done: impl ExactSizeIterator<Item = Indexed<T>>,
        unused: usize,
    ) {
        self.deliver_and(done, |state| state.open -= unused);
    }

    fn deliver_and<R>(
        &self,
        done: impl ExactSizeIterator<Item = Indexed<T>>,
        then: impl FnOnce(&mut State<T, X>) -> R,
    ) -> R {
        let mut state = self.lock();
        let refused = if matches!(state.reader, Reader::Present) {
            let mut succeeded = done.len();
            for done in done {
                if let Err(failure) = &done.1 {
                    self.outcomes.count(end_of(failure));
                    succeeded -= 1;
                }
                state.put(done);
            }
            self.outcomes.count_successes(succeeded);
            None
        } else {
            state.open -= done.len();
            Some(done)
        };
        let then = then(&mut state);
        self.settle(state);
        if let Some(refused) = refused {
            for refused in refused {
                let alone = self.lock();
                match &refused.1 {
                    Ok(_) => self.outcomes.count_successes(1),
                    Err(failure) => self.outcomes.count(end_of(failure)),
                }
                drop(alone);
                contain(|| drop(refused));
            }
        }
        then
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

    /// The worker `key` has left its slot, which was its own or else shared with the reader.
    pub(crate) fn dismiss(&self, key: usize, seated: bool) {
        if !seated {
            self.end_loan();
        }
        let handle = self.change(|state| {
            if !seated {
                state.return_slot();
            }
            state.workers.remove(key)
        });
        drop(handle);
    }

    /// For the feeder: a share of the reader's slot, if the reader offers it. It is to be returned.
    pub(crate) fn borrow_slot(&self, waker: &Waker) -> Option<Arc<Share>> {
        self.lock().loan.borrow(waker)
    }

    /// The reader has its slot back.
    pub(crate) fn return_slot(&self) {
        self.end_loan();
        self.change(State::return_slot);
    }

    /// For the reader: the next result that it has taken.
    pub(crate) fn read(&self, hand: &mut Hand<T>) -> Option<Indexed<T>> {
        let next = hand.results.pop_front()?;
        if self.reads.add(1) {
            self.wake_others(self.lock());
        }
        Some(next)
    }

    /// For the reader, which has read what it has taken: takes all that can be read, unless a worker
    /// shares its slot. False when there will be no more, and no slot is held. A reader that
    /// `delays` comes back by itself before long.
    pub(crate) fn poll_take(
        &self,
        cx: &Context<'_>,
        hand: &mut Hand<T>,
        delays: bool,
    ) -> Poll<bool> {
        let mut state = self.lock();
        state.loan.withdraw();
        let lent = state.loan.lender().is_some();
        if !lent {
            state.take(&mut hand.results);
        }
        let over = state.is_over() && !lent;
        let taken = if hand.results.is_empty() && !over {
            Poll::Pending
        } else {
            Poll::Ready(!hand.results.is_empty())
        };
        let waiting = taken.is_pending().then(|| cx.waker().clone());
        let before = std::mem::replace(&mut state.waiting, waiting);
        state.delays = delays;
        let feeder = self.take_feeder(&mut state);
        drop(state);
        drop(before);
        if let Some(feeder) = feeder {
            contain(|| feeder.wake());
        }
        taken
    }

    /// For a reader that waits: the map may have its slot meanwhile; then it waits until that is
    /// back.
    pub(crate) fn offer_slot(&self, reader: Lender) {
        let unused = self.change(|state| {
            if state.waiting.is_none() || state.loan.lender().is_some() {
                return Loan::Offered(reader);
            }
            std::mem::replace(&mut state.loan, Loan::Offered(reader))
        });
        drop(unused);
    }

    /// The worker that shared the reader's slot has left it.
    fn end_loan(&self) {
        let lender = self.lock().loan.lender().cloned();
        lender.iter().for_each(Lender::end_loan);
    }

    /// The reader leaves with results unread, the map goes on, and keeps `tasks` alive until it is
    /// over.
    pub(crate) fn detach(&self, tasks: Option<TaskSet<X>>, unread: Hand<T>) {
        self.leave(Reader::Detached(tasks), unread, |_| ());
    }

    /// The reader leaves with results unread, and the map is over: kills the workers.
    pub(crate) fn abandon(&self, unread: Hand<T>) {
        self.abandoned.store(true, Relaxed);
        let workers = self.leave(Reader::Gone, unread, |state| {
            state.exhausted = true;
            let workers = state.workers.iter().filter_map(|(_, handle)| handle.clone());
            workers.collect::<Vec<_>>()
        });
        for worker in workers {
            contain(|| worker.kill_now());
        }
    }

    fn leave<R>(
        &self,
        reader: Reader<X>,
        unread: Hand<T>,
        then: impl FnOnce(&mut State<T, X>) -> R,
    ) -> R {
        self.reads.add(unread.results.len());
        let (left, before, done) = self.change(|state| {
            let before = (std::mem::replace(&mut state.reader, reader), state.waiting.take());
            // It waits no more, so its slot is its own.
            state.loan.withdraw();
            (then(state), before, state.forget_done())
        });
        drop(before);
        drop((done, unread));
        left
    }

    /// Whether the reader has left, and wants no further item to be run.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Relaxed)
    }

    pub(crate) fn is_feeder_queued(&self) -> bool {
        // A guess: it decides who runs an item, never whether one is run.
        self.feeder_queued.load(Relaxed)
    }

    /// Changes the state, then wakes whom that concerns.
    fn change<R>(&self, change: impl FnOnce(&mut State<T, X>) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        self.settle(state);
        changed
    }

    /// Lets the lock go, and wakes whom the change concerns: mostly nobody.
    fn settle(&self, state: MutexGuard<'_, State<T, X>>) {
        if state.may_concern_others() || self.reads.is_stalled() {
            self.wake_others(state);
        }
    }

    /// Apart from the above, which is short without it.
    #[inline(never)]
    fn wake_others(&self, mut state: MutexGuard<'_, State<T, X>>) {
        let reader = if state.is_reader_due() { state.waiting.take() } else { None };
        let feeder = self.take_feeder(&mut state);
        let tasks = if state.is_over() { state.take_tasks() } else { None };
        drop(state);
        for waker in reader.into_iter().chain(feeder) {
            contain(|| waker.wake());
        }
        drop(tasks);
    }

    /// The feeder, if it has a reason to wake up.
    fn take_feeder(&self, state: &mut State<T, X>) -> Option<Waker> {
        let wants_room = self.reads.is_stalled() || state.loan.is_offered();
        let roused = state.exhausted || (wants_room && state.has_room());
        if !roused {
            return None;
        }
        // It says so again if there is no room for it.
        self.reads.set_stalled(false);
        state.feeder.take()
    }

    fn lock(&self) -> MutexGuard<'_, State<T, X>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open -= self.reads.take();
        state
    }
}

impl<T, X> Results<T, X> {
    /// The text of the map called `name` that these are of.
    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let state = self.lock();
        f.debug_struct(name)
            .field("order", &state.order)
            .field("open", &state.open)
            .field("maxsize", &state.maxsize)
            .field("exhausted", &state.exhausted)
            .finish()
    }
}

impl<T, X> fmt::Debug for Results<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, "Results")
    }
}
