//! [`Results`]: where the threads of a map leave results, the reader takes them, and both sides learn
//! when to go on.
//!
//! An item is *open* from the decision to take it from the input until its result has been read. The
//! number of open items is bounded; that is all that holds the threads back. A map without room releases its
//! threads; the read that makes room takes threads on again. Both are decided under one lock, so there
//! is never room without a thread to use it.
//!
//! Wakers, callbacks and results are other people's code: none runs and none is dropped under the lock.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use spinney_greenlet::map::{NextItem, OnItem};
pub(crate) use spinney_greenlet::results::Order;
use spinney_greenlet::results::{Outcomes, ResultBuffer, Room};
use spinney_greenlet::{Failure, GreenletExit};
use spinney_hub::{Clock, Timeout, drop_contained};
use spinney_sync::wake_all;

use crate::ThreadPool;
use crate::workers::Workers;

/// How a map runs.
pub(crate) struct Limits {
    pub(crate) order: Order,
    /// How many items may be open.
    pub(crate) maxsize: usize,
    /// How many threads may work for the map.
    pub(crate) threads: usize,
    /// Whether the reader wants a list: after a failure no further item starts.
    pub(crate) is_list: bool,
    /// How long an item may take.
    pub(crate) item: Option<Duration>,
}

pub(crate) struct Results<T> {
    /// How often an item was tried again.
    pub(crate) retries: AtomicUsize,
    limits: Limits,
    on_item: Option<OnItem<T>>,
    workers: Arc<Workers>,
    /// What became of the items that started; written under the lock of the state.
    outcomes: Arc<Outcomes>,
    /// In a line of the cache of its own: threads that read the rest do not meet those that write this.
    state: CachePadded<Mutex<State<T>>>,
}

/// How many successes may wait to be counted, for others to see. The reader sees all that it has read.
const UNCOUNTED: usize = 64;

/// A result, and the index of its item.
pub(crate) type IndexedResult<T> = (usize, Result<T, Failure>);

/// What the reader leaves unread: results, and why the map ended.
type Unread<T> = (VecDeque<Result<T, Failure>>, Option<(usize, Failure)>);

/// Results that the reader has taken all together, and which item it reads next.
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

/// The indices of results in the order in which they are read: those of the input, or a list.
#[derive(Default)]
struct Places {
    next: usize,
    /// Empty in the order of the input.
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
    /// In the order of completion, the items of the results that can be read.
    places: VecDeque<usize>,
    /// Why the map ended before its input did, and at which item: the last result to be read.
    broken: Option<(usize, Failure)>,
    /// A failure is among the results: a reader of a list need not wait for all of them.
    failed: bool,
    /// How many threads work for the map or will: turns that run, and those in the pool's queue.
    threads: usize,
    /// The turns in the pool's queue.
    queued: Vec<u64>,
    /// Items that run and their deadlines, if they have any, in the order in which they began.
    running: VecDeque<(usize, Option<Instant>)>,
    reader: Reader,
    /// Wakes the reader; there while it waits.
    waiting: Option<Waker>,
    /// Whether the pool counts the map as one that has not finished.
    counted: bool,
    /// Items that succeeded and have yet to be counted.
    successes: usize,
}

/// Whether the results have a reader.
enum Reader {
    Present,
    /// The map goes on without a reader. It may keep its pool alive for that.
    Detached(Option<ThreadPool>),
    /// The map ends without a reader.
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
            queued: Vec::new(),
            running: VecDeque::new(),
            reader: Reader::Present,
            waiting: None,
            counted: false,
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

    /// An item is tried again.
    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
        self.outcomes.count_retry();
    }

    /// The map begins, with an item to run. Returns false if the pool was closed.
    pub(crate) fn begin(&self) -> bool {
        let counted = self.workers.begin_map(&self.outcomes);
        self.lock().counted = counted;
        counted
    }

    /// Takes on as many threads as there is room for, and returns how many those are.
    pub(crate) fn take_on(&self) -> usize {
        self.lock().take_on(&self.limits)
    }

    /// A turn was put into the pool's queue as the entry `key`.
    pub(crate) fn enter_turn(&self, key: u64) {
        self.lock().queued.push(key);
    }

    /// How many turns are in the pool's queue.
    pub(crate) fn queued_turns(&self) -> usize {
        self.lock().queued.len()
    }

    /// A thread has the turn `key`. Returns false if the map was abandoned before.
    pub(crate) fn begin_turn(&self, key: u64) -> bool {
        let mut state = self.lock();
        let at = state.queued.iter().position(|queued| *queued == key);
        at.is_some_and(|at| {
            state.queued.swap_remove(at);
            true
        })
    }

    /// For a thread: opens one more item, which is then to be taken from the input. If there is none to
    /// open, the thread has left.
    pub(crate) fn open(&self) -> bool {
        self.lock().open_or_leave()
    }

    /// For a reader that runs items itself: opens one more item.
    pub(crate) fn open_in_place(&self) -> bool {
        self.lock().open()
    }

    /// There was no item for the one that was opened last: the input is over. `threads` threads have left.
    pub(crate) fn leave(&self, threads: usize) {
        self.change(|state| {
            state.threads -= threads;
            state.buffer.close(1);
        });
    }

    /// No further item will be opened.
    pub(crate) fn exhaust(&self) {
        self.change(|state| state.buffer.exhaust());
    }

    /// No further item will be opened: the next one, `index`, has failed. That is read last. A no-op if
    /// the input was over. `threads` threads have left.
    pub(crate) fn break_off(&self, index: usize, failure: Failure, threads: usize) {
        let was_over = self.lock().buffer.is_exhausted();
        if !was_over {
            self.tell(index, &Err(failure.clone()));
        }
        let mut broken = Some((index, failure));
        self.change(|state| {
            state.threads -= threads;
            if threads > 0 {
                // The pool ends all turns that wait, not just this one.
                state.queued.clear();
            }
            let is_read = !state.buffer.is_exhausted() && matches!(state.reader, Reader::Present);
            state.buffer.exhaust();
            if is_read {
                state.broken = broken.take();
            }
        });
    }

    /// The item `index`, which was opened, begins: its time runs.
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

    /// Fails the items whose time has run out. Returns the first deadline of the others.
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

    /// Leaves a result, unless its item has timed out. If the thread `goes_on`, it does as
    /// [`open`](Self::open).
    pub(crate) fn deliver(&self, index: usize, result: Result<T, Failure>, goes_on: bool) -> bool {
        if self.limits.item.is_some() && !self.stop_clock(index) {
            drop_contained(result);
            return goes_on && self.open();
        }
        self.put(index, result, goes_on)
    }

    /// The item `index` has finished; returns whether it is in time.
    #[cold]
    fn stop_clock(&self, index: usize) -> bool {
        let mut state = self.lock();
        let at = state.running.iter().position(|(running, _)| *running == index);
        at.is_some_and(|at| state.running.remove(at).is_some())
    }

    #[inline]
    fn put(&self, index: usize, result: Result<T, Failure>, goes_on: bool) -> bool {
        self.tell(index, &result);
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

    /// Drops a result that has no reader.
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
    fn tell(&self, index: usize, result: &Result<T, Failure>) {
        if let Some(on_item) = &self.on_item {
            on_item.call(index, result);
        }
    }

    /// For the reader: the next result, or None when there will be no more; and how many threads the map
    /// takes on for the room that this makes. `taken` is the reader's own: once all items are done it gets all
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
            // Nothing else is open, so no room is to be kept for what the reader has not read.
            state.buffer.take(&mut taken.results);
            state.buffer.close(taken.results.len());
        }
        let threads = state.take_on(&self.limits);
        drop(state);
        drop(before);
        (polled, threads)
    }

    /// The reader leaves, the map goes on, and keeps `pool` alive until it is over. Returns how many
    /// threads it takes on.
    pub(crate) fn detach(&self, pool: Option<ThreadPool>) -> usize {
        let (done, threads) = self.change(|state| {
            state.reader = Reader::Detached(pool);
            (state.forget_done(), state.take_on(&self.limits))
        });
        drop(done);
        threads
    }

    /// The reader leaves, and the map ends. Its turns leave the pool's queue.
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

    /// Changes the state, then wakes the reader and informs the pool, where the change concerns them.
    #[inline]
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        self.release(state);
        changed
    }

    /// Releases the lock, and then wakes the reader and informs the pool, where the state concerns them.
    #[inline]
    fn release(&self, state: MutexGuard<'_, State<T>>) {
        if state.is_done() || state.is_worth_a_look(&self.limits) || state.successes >= UNCOUNTED {
            self.announce(state);
        }
    }

    fn announce(&self, mut state: MutexGuard<'_, State<T>>) {
        self.outcomes.count_successes(mem::take(&mut state.successes));
        let is_done = state.is_done();
        let looks = is_done || state.is_worth_a_look(&self.limits);
        let reader = if looks { state.waiting.take() } else { None };
        let pool = match &mut state.reader {
            Reader::Detached(pool) if is_done => pool.take(),
            _ => None,
        };
        let was_counted = is_done && mem::take(&mut state.counted);
        drop(state);
        wake_all(reader);
        if was_counted {
            self.workers.end_map();
        }
        drop(pool);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text of the map called `name` that these are of.
    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        self.lock().buffer.fmt_as(f, name)
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

    fn take_on(&mut self, limits: &Limits) -> usize {
        let room = self.buffer.room(self.lets_one_more());
        let threads = room.min(limits.threads - self.threads);
        self.threads += threads;
        threads
    }

    /// Why the map ended before its input did, once all else has been read.
    fn take_broken(&mut self) -> Option<(usize, Failure)> {
        if self.buffer.open_items() == 0 { self.broken.take() } else { None }
    }

    /// Whether nothing runs any more, and nothing will.
    fn is_done(&self) -> bool {
        self.buffer.is_exhausted() && self.buffer.open_items() == self.buffer.stored()
    }

    /// Whether there is something to read for a reader that does not wait for all.
    fn is_worth_a_look(&self, limits: &Limits) -> bool {
        // The reader of a list need not make room where there is always some.
        let waits_for_all = limits.is_list && limits.maxsize == usize::MAX && !self.failed;
        !waits_for_all && self.buffer.readable() > 0
    }

    /// Whether there will be no further result.
    fn is_over(&self) -> bool {
        self.buffer.is_finished() && self.broken.is_none()
    }

    /// Closes what was done and will not be read.
    fn forget_done(&mut self) -> Unread<T> {
        (self.buffer.take_all(), self.broken.take())
    }
}
