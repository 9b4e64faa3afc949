//! [`Results`]: where workers leave results, the reader takes them, and both sides learn when to
//! go on.
//!
//! An item is *open* from when it is decided to take it from the input until its result has been
//! read. The number of open items is bounded, that is all that holds the workers back. Wakers and
//! results are other people's code: none is woken or dropped under the lock.

mod hand;
mod in_place;
mod state;

use std::fmt;
use std::iter::once;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub(crate) use hand::Hand;
use hand::Reads;
pub(crate) use in_place::{Begun, Wish};
use spinney_greenlet::map::OnItem;
use spinney_greenlet::results::Outcomes;
pub(crate) use spinney_greenlet::results::{Order, Room};
use spinney_greenlet::{Failure, Handle};

use spinney_hub::{Executor, contain, drop_contained};
use spinney_sync::wake_all;
use state::{Enlisted, Reader, State};

use crate::TaskSet;

/// What the feeder has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// To get a slot: for the item ahead, or for one that has begun in place.
    Slot,
    /// To wait.
    Nothing,
    /// To end.
    NoMore,
}

/// A result, and the index of its item.
pub(crate) type Indexed<T> = (usize, Result<T, Failure>);

pub(crate) struct Results<T, X: Executor> {
    /// Whether the feeder itself stands in the queue for a slot.
    pub(crate) feeder_queued: AtomicBool,
    /// How often an item was tried again.
    pub(crate) retries: AtomicUsize,
    /// Whether all who touch these are on one thread; see `Executor::is_local`.
    pub(crate) is_local: bool,
    /// The callback, called with each result before the reader can read it.
    on_item: Option<OnItem<T>>,
    /// What became of the items that started.
    outcomes: Arc<Outcomes>,
    /// The reader has left, and the map is over.
    abandoned: AtomicBool,
    reads: Reads,
    state: Mutex<State<T, X>>,
}

impl<T, X: Executor> Results<T, X> {
    pub(crate) fn new(
        order: Order,
        maxsize: usize,
        whole: bool,
        is_local: bool,
        on_item: Option<OnItem<T>>,
    ) -> Self {
        Self {
            on_item,
            outcomes: Arc::default(),
            feeder_queued: AtomicBool::new(false),
            retries: AtomicUsize::new(0),
            is_local,
            abandoned: AtomicBool::new(false),
            reads: Reads::new(is_local),
            state: Mutex::new(State::new(order, maxsize, whole)),
        }
    }

    /// For the feeder, which has an item ahead or not: what it has to do. It is woken when that
    /// changes.
    pub(crate) fn poll_need(&self, cx: &Context<'_>, has_item: bool) -> Need {
        let mut state = self.lock();
        let before = state.feeder.replace(cx.waker().clone());
        self.reads.set_stalled(has_item && !state.has_room());
        // Again: a reader that read in between did not see that the feeder is stalled.
        state.buffer.close(self.reads.take());
        let need = if state.in_place.wants_slot() || (has_item && state.has_room()) {
            Need::Slot
        } else if state.buffer.is_exhausted() {
            Need::NoMore
        } else {
            Need::Nothing
        };
        drop(state);
        drop(before);
        need
    }

    /// Opens one more item, if there is room; it is then to be taken from the input.
    pub(crate) fn open(&self) -> Room {
        self.change(|state| state.open(1))
    }

    /// There was no item for the one that was opened last.
    pub(crate) fn close_one(&self) {
        self.change(|state| state.buffer.close(1));
    }

    /// Wakes the feeder: it has to look at the input again.
    pub(crate) fn wake_feeder(&self) {
        let feeder = self.lock().feeder.take();
        wake_all(feeder);
    }

    /// No further item will be opened.
    pub(crate) fn exhaust(&self) {
        self.change(|state| state.buffer.exhaust());
    }

    /// Whether no further item will be opened.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.lock().buffer.is_exhausted()
    }

    /// No further item will be opened, except for the item `index`, which has failed. Its failure
    /// comes after the items that are running. A no-op if no item was to be opened before.
    pub(crate) fn refuse(&self, index: usize, failure: Failure) {
        let mut refused = Some((index, failure));
        let last = self.change(|state| {
            if state.buffer.open_last() {
                state.last = refused.take();
            }
            state.take_last()
        });
        if let Some(last) = last {
            self.deliver_refused(last);
        }
    }

    /// The item `index`, which was opened, does not run, and no further item will be opened.
    pub(crate) fn refuse_opened(&self, index: usize, failure: Failure) {
        self.exhaust();
        self.deliver_refused((index, failure));
    }

    /// The feeder has ended, and has no slot. An item that waits for one is dropped.
    pub(crate) fn end_feeding(&self) {
        let parked = self.change(|state| {
            state.buffer.exhaust();
            state.feeding = false;
            state.in_place.take_parked()
        });
        drop(parked);
    }

    /// An item is tried again.
    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
        self.outcomes.count_retry();
    }

    /// The worker `key` has a slot of its own from now on, or has none.
    pub(crate) fn set_seated(&self, key: usize, seated: bool) {
        self.change(|state| {
            if let Some(worker) =
                state.workers.get_mut(key).filter(|worker| worker.seated != seated)
            {
                worker.seated = seated;
                state.seated = state.seated + usize::from(seated) - usize::from(!seated);
            }
        });
    }

    /// Leaves a result.
    pub(crate) fn deliver(&self, done: Indexed<T>) {
        self.deliver_and(once(done), |_| ());
    }

    /// Leaves the failure of an item that has not started, and is not counted.
    pub(crate) fn deliver_refused(&self, (index, failure): (usize, Failure)) {
        let refused = (index, Err(failure));
        self.tell(&refused);
        let unread = self.change(|state| {
            if matches!(state.reader, Reader::Present) {
                state.put(refused);
                return None;
            }
            state.buffer.close(1);
            Some(refused)
        });
        drop(unread);
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
        self.deliver_and(done, |state| state.buffer.close(unused));
    }

    fn deliver_and<R>(
        &self,
        done: impl ExactSizeIterator<Item = Indexed<T>>,
        then: impl FnOnce(&mut State<T, X>) -> R,
    ) -> R {
        if self.on_item.is_none() {
            return self.put_and(done, then);
        }
        let done: Vec<_> = done.inspect(|done| self.tell(done)).collect();
        self.put_and(done.into_iter(), then)
    }

    /// Tells the callback of a result, if the map has one.
    fn tell(&self, (index, result): &Indexed<T>) {
        if let Some(on_item) = &self.on_item {
            on_item.call(*index, result);
        }
    }

    fn put_and<R>(
        &self,
        done: impl ExactSizeIterator<Item = Indexed<T>>,
        then: impl FnOnce(&mut State<T, X>) -> R,
    ) -> R {
        let mut state = self.lock();
        let refused = if matches!(state.reader, Reader::Present) {
            let mut succeeded = done.len();
            for done in done {
                if let Err(failure) = &done.1 {
                    self.outcomes.count_failure(failure);
                    succeeded -= 1;
                }
                state.put(done);
            }
            self.outcomes.count_successes(succeeded);
            None
        } else {
            state.buffer.close(done.len());
            Some(done)
        };
        let then = then(&mut state);
        self.settle(state);
        if let Some(refused) = refused {
            for refused in refused {
                let alone = self.lock();
                match &refused.1 {
                    Ok(_) => self.outcomes.count_successes(1),
                    Err(failure) => self.outcomes.count_failure(failure),
                }
                drop(alone);
                drop_contained(refused);
            }
        }
        then
    }

    /// Makes room for a worker, which has a slot of its own if it is `seated`. Returns its key.
    pub(crate) fn enlist(&self, seated: bool) -> usize {
        let mut state = self.lock();
        state.seated += usize::from(seated);
        state.workers.insert(Enlisted { handle: None, seated })
    }

    /// The worker `key` is at the item of this handle. Returns whether its results are wanted.
    pub(crate) fn introduce(&self, key: usize, handle: Handle) -> bool {
        let mut state = self.lock();
        let before = state.workers[key].handle.replace(handle);
        let is_wanted = !matches!(state.reader, Reader::Gone);
        drop(state);
        drop(before);
        is_wanted
    }

    /// The worker `key` has left its slot.
    pub(crate) fn dismiss(&self, key: usize) {
        let (worker, last, reader) = self.change(|state| {
            // It waits for the item rather than for results.
            let was_in_place = state.in_place.dismiss(key);
            let reader = if was_in_place { state.waiting.take() } else { None };
            let worker = state.workers.remove(key);
            state.seated -= usize::from(worker.seated);
            (worker, state.take_last(), reader)
        });
        drop(worker);
        wake_all(reader);
        if let Some(last) = last {
            self.deliver_refused(last);
        }
    }

    /// For the reader: the next result that it has taken.
    pub(crate) fn read(&self, hand: &mut Hand<T>) -> Option<Indexed<T>> {
        let next = hand.results.pop_front()?;
        if self.reads.add(1) {
            self.wake_others(self.lock());
        }
        Some(next)
    }

    /// For the reader, which has read what it has taken: takes all that can be read. False when there
    /// will be no more, and no slot is held. A reader that `delays` comes back by itself before long.
    pub(crate) fn poll_take(
        &self,
        cx: &Context<'_>,
        hand: &mut Hand<T>,
        delays: bool,
    ) -> Poll<bool> {
        let mut state = self.lock();
        let wish = state.in_place.withdraw();
        state.buffer.take(&mut hand.results);
        let taken = if hand.results.is_empty() && !state.is_over() {
            Poll::Pending
        } else {
            Poll::Ready(!hand.results.is_empty())
        };
        let waiting = taken.is_pending().then(|| cx.waker().clone());
        let before = std::mem::replace(&mut state.waiting, waiting);
        state.delays = delays;
        let feeder = self.take_feeder(&mut state);
        drop(state);
        drop((before, wish));
        wake_all(feeder);
        taken
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
            state.buffer.exhaust();
            let handles = state.workers.iter().filter_map(|(_, worker)| worker.handle.clone());
            handles.collect::<Vec<_>>()
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
            let wish = state.in_place.withdraw();
            let before = (std::mem::replace(&mut state.reader, reader), state.waiting.take(), wish);
            (then(state), before, Hand { results: state.buffer.take_all() })
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
    #[inline]
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
        wake_all(reader.into_iter().chain(feeder));
        drop(tasks);
    }

    /// The feeder, if it has a reason to wake up.
    fn take_feeder(&self, state: &mut State<T, X>) -> Option<Waker> {
        let is_wished = state.in_place.is_wished() && state.seated == 0;
        let wants_room = self.reads.is_stalled() || is_wished;
        let roused = state.buffer.is_exhausted() || (wants_room && state.has_room());
        if !roused {
            return None;
        }
        // It says so again if there is no room for it.
        self.reads.set_stalled(false);
        state.feeder.take()
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, State<T, X>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.buffer.close(self.reads.take());
        state
    }
}

impl<T, X: Executor> Results<T, X> {
    /// The text of the map called `name` that these are of.
    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        self.lock().buffer.fmt_as(f, name)
    }
}

impl<T, X: Executor> fmt::Debug for Results<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, "Results")
    }
}
