//! [`Results`]: the threads of a map put results, the reader takes them, and each side wakes the
//! other.
//!
//! An item is *open* from the decision to take it from the input until its result has been read.
//! Only the bound on open items holds the threads back. A map without room releases its threads;
//! the read that makes room requests threads again. Both are decided under one lock, so there is
//! never room without a thread to use it.
//!
//! Wakers, callbacks and results are foreign code: none is run or dropped under the lock.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use spinney_greenlet::map::{NextItem, OnItem};
pub(crate) use spinney_greenlet::results::Order;
use spinney_greenlet::results::{Capacity, Outcomes, ResultBuffer};
use spinney_greenlet::{Failure, GreenletExit};
use spinney_hub::{Clock, Timeout, drop_contained};
use spinney_sync::wake_all;

use crate::ThreadPool;
use crate::queue::Work;
use crate::workers::Workers;

/// The limits of a map.
pub(crate) struct Limits {
    pub(crate) order: Order,
    /// How many items may be open.
    pub(crate) maxsize: usize,
    /// How many threads have something to do.
    pub(crate) threads: usize,
    /// Whether the reader wants a list: after a failure no further item starts.
    pub(crate) is_list: bool,
    /// How long an item may take.
    pub(crate) item: Option<Duration>,
}

pub(crate) struct Results<T> {
    /// How many times items were tried again.
    pub(crate) retries: AtomicUsize,
    limits: Limits,
    on_item: Option<OnItem<T>>,
    workers: Arc<Workers>,
    /// The outcomes of the items that started; written under the lock of the state.
    outcomes: Arc<Outcomes>,
    /// In a cache line of its own, against contention between threads that read the rest and
    /// threads that write this.
    state: CachePadded<Mutex<State<T>>>,
}

/// How many successes may wait to be counted. The reader sees all that it has read.
const UNCOUNTED: usize = 64;

/// A result, and the index of its item.
pub(crate) type IndexedResult<T> = (usize, Result<T, Failure>);

/// The remains of a map whose reader leaves: unread results, and the failure of the map.
type Unread<T> = (VecDeque<Result<T, Failure>>, Option<(usize, Failure)>);

/// Results that the reader has taken together, and the index of the next.
pub(crate) struct Taken<T> {
    results: VecDeque<Result<T, Failure>>,
    places: Places,
}

impl<T> Taken<T> {
    pub(crate) fn new() -> Self {
        Self { results: VecDeque::new(), places: Places::default() }
    }

    fn pop(&mut self) -> Option<IndexedResult<T>> {
        let result = self.results.pop_front()?;
        Some((self.places.pop(), result))
    }
}

/// The indices of results in reading order: input order, or a list.
#[derive(Default)]
struct Places {
    next: usize,
    /// Empty in input order.
    list: VecDeque<usize>,
}

impl Places {
    fn pop(&mut self) -> usize {
        self.next += 1;
        self.list.pop_front().unwrap_or(self.next - 1)
    }
}

struct State<T> {
    buffer: ResultBuffer<Result<T, Failure>>,
    /// In completion order: the items of the readable results.
    places: VecDeque<usize>,
    /// The failure that ended the map before its input, and the index of the item: read last.
    broken: Option<(usize, Failure)>,
    /// A failure is among the results: the reader of a list need not wait for all of them.
    failed: bool,
    /// How many threads work for the map or will: running turns, and turns in the pool's queue.
    threads: usize,
    /// How many threads may work for the map: as many as the pool may have, and one if that is
    /// paused.
    most_threads: usize,
    /// The keys of the turns in the pool's queue.
    queued: Vec<u64>,
    /// Running items and their deadlines, if they have any, in the order in which they began.
    running: VecDeque<(usize, Option<Instant>)>,
    reader: Reader,
    /// Wakes the reader; `Some` while it waits.
    waiting: Option<Waker>,
    /// The key of the map in its pool, while that counts it as unfinished.
    counted: Option<usize>,
    /// Items that succeeded and have not been counted yet.
    successes: usize,
}

/// The state of the reader.
enum Reader {
    Present,
    /// The reader has left, and the map goes on. It may keep its pool alive.
    Detached(Option<ThreadPool>),
    /// The reader has left, and the map ends.
    Gone,
}

impl<T> Results<T> {
    pub(crate) fn new(limits: Limits, on_item: Option<OnItem<T>>, workers: Arc<Workers>) -> Self {
        let state = State {
            buffer: ResultBuffer::new(limits.order, limits.maxsize),
            places: VecDeque::new(),
            broken: None,
            failed: false,
            threads: 0,
            most_threads: 0,
            queued: Vec::new(),
            running: VecDeque::new(),
            reader: Reader::Present,
            waiting: None,
            counted: None,
            successes: 0,
        };
        let (retries, outcomes) = (AtomicUsize::new(0), Arc::default());
        Self {
            retries,
            limits,
            on_item,
            workers,
            outcomes,
            state: CachePadded::new(Mutex::new(state)),
        }
    }

    /// The item `index` has failed with `result`, and is tried again after `delay`.
    pub(crate) fn note_retry(&self, index: usize, result: &Result<T, Failure>, delay: Duration) {
        if let Some(on_item) = &self.on_item {
            on_item.waits_for_retry(index, result, delay);
        }
    }

    /// The next try of the item `index` starts.
    pub(crate) fn note_next_try(&self, index: usize) {
        self.retries.fetch_add(1, Relaxed);
        self.outcomes.count_retry();
        self.on_item.iter().for_each(|on_item| on_item.tried_again(index));
    }

    /// Starts `map`, which has an item to run. Returns `false` if the pool was closed.
    pub(crate) fn begin(&self, map: Weak<dyn Work>) -> bool {
        let begun = self.workers.begin_map(map, &self.outcomes);
        let Some((key, capacity)) = begun else { return false };
        self.change(|state| {
            state.counted = Some(key);
            // A resize since then has set it, and its threads may even have finished the map.
            if state.most_threads == 0 {
                state.set_most_threads(&self.limits, capacity);
            }
        });
        true
    }

    /// Changes how many threads the map may use, and returns how many more it requests.
    pub(crate) fn resize(&self, capacity: usize) -> usize {
        let mut state = self.lock();
        state.set_most_threads(&self.limits, capacity);
        state.take_on()
    }

    /// Requests as many threads as there is room for, and returns their number.
    pub(crate) fn take_on(&self) -> usize {
        self.lock().take_on()
    }

    /// Records that a turn was put into the pool's queue as the entry `key`.
    pub(crate) fn enter_turn(&self, key: u64) {
        self.lock().queued.push(key);
    }

    /// How many turns are in the pool's queue.
    pub(crate) fn queued_turns(&self) -> usize {
        self.lock().queued.len()
    }

    /// Records that a thread has the turn `key`. Returns `false` if the map was abandoned before.
    pub(crate) fn begin_turn(&self, key: u64) -> bool {
        let mut state = self.lock();
        let at = state.queued.iter().position(|queued| *queued == key);
        at.is_some_and(|at| {
            state.queued.swap_remove(at);
            true
        })
    }

    /// For a thread: opens one more item, which the caller then takes from the input. If there is
    /// none to open, the thread has left.
    pub(crate) fn open(&self) -> bool {
        self.lock().open_or_leave()
    }

    /// For a reader that runs items itself: opens one more item.
    pub(crate) fn open_in_place(&self) -> bool {
        self.lock().open()
    }

    /// Closes the item that was opened last, because the input is exhausted. `threads` threads have
    /// left.
    pub(crate) fn leave(&self, threads: usize) {
        self.change(|state| {
            state.threads -= threads;
            state.buffer.close(1);
        });
    }

    /// Ends the input: no further item will be opened.
    pub(crate) fn exhaust(&self) {
        self.change(|state| state.buffer.exhaust());
    }

    /// Ends the input with the failure of the next item, `index`, which is read last. A no-op if
    /// the input was exhausted. `threads` threads have left.
    pub(crate) fn break_off(&self, index: usize, failure: Failure, threads: usize) {
        let was_over = self.lock().buffer.is_exhausted();
        if !was_over {
            self.on_item.iter().for_each(|on_item| on_item.refused(index, failure.clone()));
        }
        let mut broken = Some((index, failure));
        self.change(|state| {
            state.threads -= threads;
            if threads > 0 {
                // The pool ends all waiting turns of the map.
                state.queued.clear();
            }
            let is_read = !state.buffer.is_exhausted() && matches!(state.reader, Reader::Present);
            state.buffer.exhaust();
            if is_read {
                state.broken = broken.take();
            }
        });
    }

    /// Starts the time of the item `index`, which was opened.
    #[inline]
    pub(crate) fn start_clock(&self, index: usize) {
        if let Some(limit) = self.limits.item {
            self.set_deadline(index, limit);
        }
    }

    #[cold]
    fn set_deadline(&self, index: usize, limit: Duration) {
        let deadline = Clock::current().now().checked_add(limit);
        let mut state = self.lock();
        state.running.retain(|(running, _)| *running != index);
        // The reader has set its alarm to the first deadline.
        let reader = if state.running.is_empty() { state.waiting.clone() } else { None };
        state.running.push_back((index, deadline));
        drop(state);
        wake_all(reader);
    }

    /// Whether the item `index` still counts as running, rather than as timed out.
    pub(crate) fn is_in_time(&self, index: usize) -> bool {
        let is_limited = self.limits.item.is_some();
        !is_limited || self.lock().running.iter().any(|(running, _)| *running == index)
    }

    /// Fails the items that have timed out. Returns the first deadline of the others.
    pub(crate) fn time_out(&self) -> Option<Instant> {
        let limit = self.limits.item?;
        let now = Clock::current().now();
        loop {
            let mut state = self.lock();
            let (index, deadline) = *state.running.front()?;
            if deadline.is_none_or(|deadline| deadline > now) {
                return deadline;
            }
            state.running.pop_front();
            drop(state);
            let exit = GreenletExit::because(Timeout::after(limit));
            self.put(index, Err(Failure::Killed(exit)), false);
        }
    }

    /// Puts a result, unless its item has timed out. If the thread `goes_on`, also
    /// [opens](Self::open) another item.
    pub(crate) fn deliver(&self, index: usize, result: Result<T, Failure>, goes_on: bool) -> bool {
        if self.limits.item.is_some() && !self.stop_clock(index) {
            drop_contained(result);
            return goes_on && self.open();
        }
        self.put(index, result, goes_on)
    }

    /// Records that the item `index` has finished; returns whether it is in time.
    #[cold]
    fn stop_clock(&self, index: usize) -> bool {
        let mut state = self.lock();
        let at = state.running.iter().position(|(running, _)| *running == index);
        at.is_some_and(|at| state.running.remove(at).is_some())
    }

    #[inline]
    fn put(&self, index: usize, result: Result<T, Failure>, goes_on: bool) -> bool {
        self.call_on_item(index, &result);
        let mut state = self.lock();
        match &result {
            Ok(_) => state.successes += 1,
            Err(failure) => self.note_failure(&mut state, failure),
        }
        if !matches!(state.reader, Reader::Present) {
            return self.discard(state, result, goes_on);
        }
        if self.limits.order == Order::Completion {
            state.places.push_back(index);
        }
        state.buffer.put(index, result);
        let opened = goes_on && state.open_or_leave();
        self.release(state);
        opened
    }

    #[cold]
    fn note_failure(&self, state: &mut State<T>, failure: &Failure) {
        self.outcomes.count_failure(failure);
        state.failed = true;
        if self.limits.is_list {
            state.buffer.exhaust();
        }
    }

    /// Drops a result without a reader.
    #[cold]
    fn discard(
        &self,
        mut state: MutexGuard<'_, State<T>>,
        result: Result<T, Failure>,
        goes_on: bool,
    ) -> bool {
        state.buffer.close(1);
        let opened = goes_on && state.open_or_leave();
        self.release(state);
        drop_contained(result);
        opened
    }

    /// Calls the callback with the outcome of an item.
    #[inline]
    fn call_on_item(&self, index: usize, result: &Result<T, Failure>) {
        if let Some(on_item) = &self.on_item {
            on_item.finished(index, result);
        }
    }

    /// For the reader: the next result, or `None` at the end; and how many threads the map requests
    /// for the new room. `taken` belongs to the reader: once all items have finished it gets all
    /// results together.
    pub(crate) fn poll_next(
        &self,
        cx: &Context<'_>,
        taken: &mut Taken<T>,
    ) -> (Poll<NextItem<T>>, usize) {
        if let Some(result) = taken.pop() {
            return (Poll::Ready(Some(result)), 0);
        }
        let mut state = self.lock();
        self.outcomes.count_successes(mem::take(&mut state.successes));
        taken.places.list.append(&mut state.places);
        let (polled, before) = if let Some(result) = state.buffer.pop() {
            (Poll::Ready(Some((taken.places.pop(), result))), state.waiting.take())
        } else if let Some((index, failure)) = state.take_broken() {
            (Poll::Ready(Some((index, Err(failure)))), state.waiting.take())
        } else if state.is_over() {
            (Poll::Ready(None), state.waiting.take())
        } else {
            (Poll::Pending, state.waiting.replace(cx.waker().clone()))
        };
        if state.is_done() {
            // No other item is open, so no room is needed for unread results.
            state.buffer.take(&mut taken.results);
            state.buffer.close(taken.results.len());
        }
        let threads = state.take_on();
        drop(state);
        drop(before);
        (polled, threads)
    }

    /// Records that the reader leaves and the map goes on, which keeps `pool` alive until its end.
    /// Returns how many threads it requests.
    pub(crate) fn detach(&self, pool: Option<ThreadPool>) -> usize {
        let (done, threads) = self.change(|state| {
            state.reader = Reader::Detached(pool);
            (state.forget_done(), state.take_on())
        });
        drop(done);
        threads
    }

    /// Records that the reader leaves and the map ends. Its turns leave the pool's queue.
    pub(crate) fn abandon(&self) {
        let (before, done, queued) = self.change(|state| {
            state.buffer.exhaust();
            let queued = mem::take(&mut state.queued);
            state.threads -= queued.len();
            (mem::replace(&mut state.reader, Reader::Gone), state.forget_done(), queued)
        });
        self.workers.remove(queued);
        drop((before, done));
    }

    /// Changes the state, then wakes the reader and informs the pool if the change affects them.
    #[inline]
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        self.release(state);
        changed
    }

    /// Releases the lock, then wakes the reader and informs the pool if the state affects them.
    #[inline]
    fn release(&self, state: MutexGuard<'_, State<T>>) {
        if state.is_done() || state.should_wake_reader(&self.limits) || state.successes >= UNCOUNTED
        {
            self.announce(state);
        }
    }

    fn announce(&self, mut state: MutexGuard<'_, State<T>>) {
        self.outcomes.count_successes(mem::take(&mut state.successes));
        let is_done = state.is_done();
        let looks = is_done || state.should_wake_reader(&self.limits);
        let reader = if looks { state.waiting.take() } else { None };
        let pool = match &mut state.reader {
            Reader::Detached(pool) if is_done => pool.take(),
            _ => None,
        };
        let counted = if is_done { state.counted.take() } else { None };
        drop(state);
        wake_all(reader);
        if let Some(key) = counted {
            self.workers.end_map(key);
        }
        drop(pool);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Formats the map called `name` that these results belong to.
    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        self.lock().buffer.fmt_as(f, name)
    }
}

impl<T> State<T> {
    /// Whether the reader waits. Without a reader results are dropped, so it counts as waiting.
    fn lets_one_more(&self) -> bool {
        self.waiting.is_some() || !matches!(self.reader, Reader::Present)
    }

    /// Opens one more item, if there is room.
    fn open(&mut self) -> bool {
        matches!(self.buffer.open(1, self.lets_one_more()), Capacity::Opened(_))
    }

    fn open_or_leave(&mut self) -> bool {
        let opened = self.open();
        self.threads -= usize::from(!opened);
        opened
    }

    fn set_most_threads(&mut self, limits: &Limits, capacity: usize) {
        self.most_threads = limits.threads.min(capacity.max(1));
    }

    fn take_on(&mut self) -> usize {
        let room = self.buffer.room(self.lets_one_more());
        let threads = room.min(self.most_threads.saturating_sub(self.threads));
        self.threads += threads;
        threads
    }

    /// Takes the failure that ended the map before its input, once all else has been read.
    fn take_broken(&mut self) -> Option<(usize, Failure)> {
        if self.buffer.open_items() == 0 { self.broken.take() } else { None }
    }

    /// Whether nothing runs any more, and nothing will.
    fn is_done(&self) -> bool {
        self.buffer.is_exhausted() && self.buffer.open_items() == self.buffer.stored()
    }

    /// Whether there is something to read for a reader that does not wait for all.
    fn should_wake_reader(&self, limits: &Limits) -> bool {
        // The reader of a list need not make room if there is always some.
        let waits_for_all = limits.is_list && limits.maxsize == usize::MAX && !self.failed;
        !waits_for_all && self.buffer.readable() > 0
    }

    /// Whether there will be no further result.
    fn is_over(&self) -> bool {
        self.buffer.is_finished() && self.broken.is_none()
    }

    /// Closes items that have finished and will not be read.
    fn forget_done(&mut self) -> Unread<T> {
        (self.buffer.take_all(), self.broken.take())
    }
}
