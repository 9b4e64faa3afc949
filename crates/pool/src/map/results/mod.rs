//! [`Results`]: workers put results, the reader takes them, and each side wakes the other.
//!
//! An item is *open* from the decision to take it from the input until its result has been read.
//! Only the bound on open items holds the workers back. Wakers and results are foreign code: none
//! is woken or dropped under the lock.

mod in_place;
mod read_buffer;
mod state;

use std::fmt;
use std::iter::once;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub(crate) use in_place::{Begun, InPlaceRequest};
pub(crate) use read_buffer::ReadBuffer;
use read_buffer::ReadCounter;
use std::time::Duration;

use spinney_greenlet::map::OnItem;
use spinney_greenlet::results::Outcomes;
pub(crate) use spinney_greenlet::results::{Capacity, Order};
use spinney_greenlet::{Failure, Handle};

use spinney_hub::{Executor, contain, drop_contained};
use spinney_sync::wake_all;
use state::{Reader, State, WorkerEntry};

use crate::TaskSet;

/// The next action of the feeder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Acquire a slot: for the item ahead, or for one that has begun in place.
    Slot,
    /// Wait.
    Nothing,
    /// End.
    NoMore,
}

/// A result, and the index of its item.
pub(crate) type Indexed<T> = (usize, Result<T, Failure>);

pub(crate) struct Results<T, X: Executor> {
    /// Whether the feeder itself waits in the queue for a slot.
    pub(crate) feeder_queued: AtomicBool,
    /// The ticket of the feeder's request for an item in place; `u64::MAX` without one.
    queued_ticket: AtomicU64,
    /// How many times items were tried again.
    pub(crate) retries: AtomicUsize,
    /// Whether all users of the fields are on one thread; see `Executor::is_local`.
    pub(crate) is_local: bool,
    /// Called with each result before the reader can read it.
    on_item: Option<OnItem<T>>,
    /// The outcomes of the items that started.
    outcomes: Arc<Outcomes>,
    /// The reader has left, and the map has been stopped.
    abandoned: AtomicBool,
    reads: ReadCounter,
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
            queued_ticket: AtomicU64::new(u64::MAX),
            retries: AtomicUsize::new(0),
            is_local,
            abandoned: AtomicBool::new(false),
            reads: ReadCounter::new(is_local),
            state: Mutex::new(State::new(order, maxsize, whole)),
        }
    }

    /// For the feeder: its next action, given whether it has an item ahead. It is woken when the
    /// answer changes.
    pub(crate) fn poll_need(&self, cx: &Context<'_>, has_item: bool) -> Need {
        let mut state = self.lock();
        let before = state.feeder.replace(cx.waker().clone());
        self.reads.set_stalled(has_item && !state.has_room());
        // Repeated: a reader that read in between did not see that the feeder is stalled.
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

    /// Opens one more item, if there is room; the caller then takes it from the input.
    pub(crate) fn open(&self) -> Capacity {
        self.change(|state| state.open(1))
    }

    /// Closes the item that was opened last: the input had none.
    pub(crate) fn close_one(&self) {
        self.change(|state| state.buffer.close(1));
    }

    /// Wakes the feeder, to check the input again.
    pub(crate) fn wake_feeder(&self) {
        let feeder = self.lock().feeder.take();
        wake_all(feeder);
    }

    /// Ends the input: no further item will be opened.
    pub(crate) fn exhaust(&self) {
        self.change(|state| state.buffer.exhaust());
    }

    /// Whether no further item will be opened.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.lock().buffer.is_exhausted()
    }

    /// Ends the input with the failure of the item `index`, which is reported after the running
    /// items. A no-op if the input had ended before.
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

    /// Ends the input with the failure of the item `index`, which was opened and does not run.
    pub(crate) fn refuse_opened(&self, index: usize, failure: Failure) {
        self.exhaust();
        self.deliver_refused((index, failure));
    }

    /// Records that the feeder has finished, and has no slot. A parked item is dropped.
    pub(crate) fn end_feeding(&self) {
        let parked = self.change(|state| {
            state.buffer.exhaust();
            state.feeding = false;
            state.in_place.take_parked()
        });
        drop(parked);
    }

    /// The item `index` has failed with `result`, and is tried again after `delay`.
    pub(crate) fn note_retry(&self, index: usize, result: &Result<T, Failure>, delay: Duration) {
        self.retries.fetch_add(1, Relaxed);
        self.outcomes.count_retry();
        if let Some(on_item) = &self.on_item {
            on_item.waits_for_retry(index, result, delay);
        }
    }

    /// The next try of the item `index` starts.
    pub(crate) fn note_next_try(&self, index: usize) {
        self.on_item.iter().for_each(|on_item| on_item.tried_again(index));
    }

    /// The worker `key` has a slot of its own from now on, or has none.
    pub(crate) fn set_has_slot(&self, key: usize, has_slot: bool) {
        self.change(|state| {
            if let Some(worker) =
                state.workers.get_mut(key).filter(|worker| worker.has_slot != has_slot)
            {
                worker.has_slot = has_slot;
                state.holders = state.holders + usize::from(has_slot) - usize::from(!has_slot);
            }
        });
    }

    /// Puts a result.
    pub(crate) fn deliver(&self, done: Indexed<T>) {
        self.deliver_and(once(done), |_| ());
    }

    /// Puts the failure of an item that has not started, and is not counted.
    pub(crate) fn deliver_refused(&self, (index, failure): (usize, Failure)) {
        self.on_item.iter().for_each(|on_item| on_item.refused(index, failure.clone()));
        let refused = (index, Err(failure));
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

    /// The outcomes of the items, for the group to count.
    pub(crate) fn outcomes(&self) -> Arc<Outcomes> {
        Arc::clone(&self.outcomes)
    }

    /// Puts results, and opens as many more items as there is room for, at most `most`.
    pub(crate) fn deliver_and_open(
        &self,
        done: impl ExactSizeIterator<Item = Indexed<T>>,
        most: usize,
    ) -> Capacity {
        self.deliver_and(done, |state| state.open(most))
    }

    /// Puts results, and closes items that were opened and not taken from the input.
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
        let done: Vec<_> = done.inspect(|done| self.call_on_item(done)).collect();
        self.put_and(done.into_iter(), then)
    }

    /// Calls the callback with a result, if the map has one.
    fn call_on_item(&self, (index, result): &Indexed<T>) {
        if let Some(on_item) = &self.on_item {
            on_item.finished(*index, result);
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

    /// Adds a worker, which has its own slot if `has_slot`. Returns its key.
    pub(crate) fn enlist(&self, has_slot: bool) -> usize {
        let mut state = self.lock();
        state.holders += usize::from(has_slot);
        state.workers.insert(WorkerEntry { handle: None, has_slot, waits: None })
    }

    /// Sets the current item of the worker `key`. Returns whether its result is wanted.
    pub(crate) fn introduce(&self, key: usize, handle: Handle) -> bool {
        let mut state = self.lock();
        let before = state.workers[key].handle.replace(handle);
        let is_wanted = !matches!(state.reader, Reader::Gone);
        drop(state);
        drop(before);
        is_wanted
    }

    /// Removes the worker `key`, which has left its slot.
    pub(crate) fn dismiss(&self, key: usize) {
        let (worker, last, reader) = self.change(|state| {
            // The reader waits for the item rather than for results.
            let was_in_place = state.in_place.dismiss(key);
            let reader = if was_in_place { state.waiting.take() } else { None };
            let worker = state.workers.remove(key);
            state.holders -= usize::from(worker.has_slot);
            (worker, state.take_last(), reader)
        });
        drop(worker);
        wake_all(reader);
        if let Some(last) = last {
            self.deliver_refused(last);
        }
    }

    /// For the reader: the next result that it has taken.
    pub(crate) fn read(&self, read_buffer: &mut ReadBuffer<T>) -> Option<Indexed<T>> {
        let next = read_buffer.results.pop_front()?;
        if self.reads.add(1) {
            self.wake_others(self.lock());
        }
        Some(next)
    }

    /// For the reader, which has read all that it has taken: takes all readable results. `false` at
    /// the end of the map, when no slot is held. A reader that `delays` wakes itself shortly.
    pub(crate) fn poll_take(
        &self,
        cx: &Context<'_>,
        read_buffer: &mut ReadBuffer<T>,
        delays: bool,
    ) -> Poll<bool> {
        let mut state = self.lock();
        let request = state.in_place.withdraw();
        state.buffer.take(&mut read_buffer.results);
        let taken = if read_buffer.results.is_empty() && !state.is_over() {
            Poll::Pending
        } else {
            Poll::Ready(!read_buffer.results.is_empty())
        };
        let waiting = taken.is_pending().then(|| cx.waker().clone());
        let before = std::mem::replace(&mut state.waiting, waiting);
        state.delays = delays;
        let feeder = self.take_feeder(&mut state);
        drop(state);
        drop((before, request));
        wake_all(feeder);
        taken
    }

    /// Records that the reader leaves results unread and the map goes on; the map keeps `tasks`
    /// alive until its end.
    pub(crate) fn detach(&self, tasks: Option<TaskSet<X>>, unread: ReadBuffer<T>) {
        self.leave(Reader::Detached(tasks), unread, |_| ());
    }

    /// Records that the reader leaves results unread and the map is stopped: kills the workers.
    pub(crate) fn abandon(&self, unread: ReadBuffer<T>) {
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
        unread: ReadBuffer<T>,
        then: impl FnOnce(&mut State<T, X>) -> R,
    ) -> R {
        self.reads.add(unread.results.len());
        let (left, before, done) = self.change(|state| {
            let request = state.in_place.withdraw();
            let before =
                (std::mem::replace(&mut state.reader, reader), state.waiting.take(), request);
            (then(state), before, ReadBuffer { results: state.buffer.take_all() })
        });
        drop(before);
        drop((done, unread));
        left
    }

    /// Whether the reader has left, and wants no further item to run.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Relaxed)
    }

    /// The ticket of the feeder's request in the queue of the pool.
    pub(crate) fn queued_ticket(&self) -> Option<u64> {
        Some(self.queued_ticket.load(Relaxed)).filter(|ticket| *ticket < u64::MAX)
    }

    pub(crate) fn set_queued_ticket(&self, ticket: Option<u64>) {
        self.queued_ticket.store(ticket.unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn is_feeder_queued(&self) -> bool {
        // A stale value is fine: it decides which side runs an item, never whether one is run.
        self.feeder_queued.load(Relaxed)
    }

    /// Changes the state, then wakes the tasks that are affected.
    fn change<R>(&self, change: impl FnOnce(&mut State<T, X>) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        self.settle(state);
        changed
    }

    /// Releases the lock, and wakes the tasks that are affected: usually none.
    #[inline]
    fn settle(&self, state: MutexGuard<'_, State<T, X>>) {
        if state.may_concern_others() || self.reads.is_stalled() {
            self.wake_others(state);
        }
    }

    /// In a function of its own, which keeps the common path short.
    #[inline(never)]
    fn wake_others(&self, mut state: MutexGuard<'_, State<T, X>>) {
        let reader = if state.is_reader_due() { state.waiting.take() } else { None };
        let feeder = self.take_feeder(&mut state);
        let tasks = if state.is_over() { state.take_tasks() } else { None };
        drop(state);
        wake_all(reader.into_iter().chain(feeder));
        drop(tasks);
    }

    /// Takes the feeder's waker, if it has a reason to wake up.
    fn take_feeder(&self, state: &mut State<T, X>) -> Option<Waker> {
        // Without room, an item may be requested that was opened before and waits in the queue.
        let is_requested = state.in_place.is_requested() && state.holders == 0;
        let has_room = self.reads.is_stalled() && state.has_room();
        let must_wake = state.buffer.is_exhausted() || is_requested || has_room;
        if !must_wake {
            return None;
        }
        // The feeder sets the flag again if there is no room for it.
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
    /// Formats the map called `name` that these results belong to.
    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        self.lock().buffer.fmt_as(f, name)
    }
}

impl<T, X: Executor> fmt::Debug for Results<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, "Results")
    }
}
