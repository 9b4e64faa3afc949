//! [`Workers`]: the queue of a pool, and the threads that run its entries.
//!
//! A free thread takes the first entry of the queue. If there is none, it backs off for a moment,
//! then sleeps. Each change of the queue or of the number of threads ends in `settle`: while there
//! are more entries than threads that are about to take one, a sleeping thread is woken, or another
//! is started. So no entry waits while a thread is free.
//!
//! While all threads are busy, closures are put into [`Incoming`], under a lock of its own. Each
//! access to the queue first moves them there, except by threads that find entries in it anyway.
//!
//! Each thread that exits joins the thread that exited before it. So a join of the last one joins
//! them all, and no list of finished threads grows.
//!
//! Closures, hooks, wakers and destructors are foreign code: none runs under the lock.

use std::cell::Cell;
use std::io;
use std::panic::Location;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_utils::CachePadded;
use slab::Slab;
use spinney_greenlet::results::Outcomes;
use spinney_greenlet::{Container, Failure, GreenletExit, Report};
use spinney_hub::{contain, drop_contained};
use spinney_sync::{Event, Semaphore};

use crate::backoff::{backoff, backoff_has_paid};
use crate::queue::{Incoming, Kind, Queue, Work};
use crate::threadpool::Settings;
use crate::{ThreadPoolClosed, ThreadRefused};

/// How many closures are put into the queue while a thread polls for them, if polling has paid: the
/// threads that kept it from its core had work for it.
const FLOW: usize = 64;

pub(crate) struct Workers {
    pub(crate) settings: Settings,
    /// The line that created the pool.
    at: &'static Location<'static>,
    /// How many closures may run or wait: each holds a permit, if the queue is bounded.
    pub(crate) places: CachePadded<Semaphore>,
    finished: CachePadded<Finished>,
    /// Open only while all threads are busy and the queue is not empty.
    incoming: CachePadded<Incoming>,
    state: Mutex<State>,
    work: Condvar,
    /// A hint, read without the lock, that a thread has something to do: a copy of the state.
    wanted: AtomicBool,
    /// Set when nothing starts any more.
    pub(crate) killed: Event,
    /// Set when nothing starts any more and the last thread is about to exit.
    gone: Event,
    /// Set when all threads have exited.
    joined: Event,
}

/// The number of finished closures, counted without a lock.
#[derive(Default)]
struct Finished {
    closures: AtomicUsize,
    /// The closures without a result, by reason; `refused` ones never started.
    failed: AtomicUsize,
    killed: AtomicUsize,
    aborted: AtomicUsize,
    refused: AtomicUsize,
    /// Whether a task waits until the pool is idle. A thread that finishes a closure counts it,
    /// then reads this flag; a task that is about to wait sets the flag, then reads the counts.
    /// With sequentially consistent operations one of them sees the other.
    watched: AtomicBool,
}

struct State {
    queue: Queue,
    capacity: usize,
    paused: bool,
    /// The threads that are alive, by number. `None` while a thread is being started.
    threads: Slab<Option<JoinHandle<()>>>,
    /// Threads that are about to check the queue.
    looking: usize,
    /// Sleeping threads.
    asleep: usize,
    /// Threads that were woken and have not noticed yet.
    woken: usize,
    /// Threads that are about to exit.
    leaving: usize,
    /// The thread that exited last, if it has not been joined.
    last: Option<JoinHandle<()>>,
    /// No new entry is accepted.
    closed: bool,
    /// No entry is started any more.
    killed: bool,
    /// Closures that were put into the queue.
    pushed: usize,
    /// Turns of maps, waiting or running.
    turns: usize,
    /// Maps that have not finished, read or not.
    maps: Slab<Weak<dyn Work>>,
    /// The outcomes of the items of maps: of each existing map, and of all finished ones.
    items: Vec<Arc<Outcomes>>,
    outcomes: Outcomes,
    /// Set when no closure and no turn is left; `Some` while a task waits for that.
    idle: Option<Arc<Event>>,
    /// Set when no map is left either.
    drained: Option<Arc<Event>>,
}

impl Workers {
    #[track_caller]
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            at: Location::caller(),
            places: CachePadded::new(Semaphore::new(settings.places(settings.capacity))),
            finished: CachePadded::default(),
            incoming: CachePadded::default(),
            state: Mutex::new(State::new(settings.capacity)),
            work: Condvar::new(),
            wanted: AtomicBool::new(false),
            killed: Event::new(),
            gone: Event::new(),
            joined: Event::new(),
            settings,
        }
    }

    /// Whether each closure needs a place in the queue.
    pub(crate) fn is_bounded(&self) -> bool {
        self.settings.queue != Some(usize::MAX)
    }

    /// Whether this is one of its threads.
    pub(crate) fn is_inside(&self) -> bool {
        POOL.get() == self.address()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.lock().capacity
    }

    pub(crate) fn threads(&self) -> usize {
        self.lock().threads.len()
    }

    /// How many threads have no work.
    pub(crate) fn idle(&self) -> usize {
        let state = self.lock();
        state.asleep + state.woken + state.looking
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.lock().paused
    }

    /// How many closures and turns wait or run.
    pub(crate) fn len(&self) -> usize {
        self.unfinished(&self.lock())
    }

    /// How many entries wait in the queue.
    pub(crate) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    fn unfinished(&self, state: &State) -> usize {
        self.closures(state) + state.turns
    }

    /// How many closures wait or run. A closure is pushed under the lock before it can finish, so
    /// this is never below zero.
    fn closures(&self, state: &State) -> usize {
        state.pushed.wrapping_sub(self.finished.closures.load(SeqCst))
    }

    pub(crate) fn report(&self) -> Report {
        let mut report = Report::default();
        let mut state = self.lock();
        state.merge_items();
        state.items.iter().map(|items| &**items).chain([&state.outcomes]).for_each(|outcomes| {
            outcomes.add_to(&mut report);
        });
        let closures = self.closures(&state);
        let running_turns = state.turns.saturating_sub(state.queue.turns);
        report.running = closures.saturating_sub(state.queue.closures()) + running_turns;
        report.waiting = state.queue.len() + self.places.waiting();
        let read = |count: &AtomicUsize| count.load(SeqCst);
        let Finished { failed, killed, aborted, refused, .. } = &*self.finished;
        let [failed, killed, aborted, refused] = [failed, killed, aborted, refused].map(read);
        let finished = (state.pushed - closures).saturating_sub(refused);
        drop(state);
        report.failed += failed;
        report.killed += killed;
        report.aborted += aborted;
        report.refused = refused;
        report.succeeded += finished.saturating_sub(failed + killed + aborted);
        report.started += finished + report.running;
        report
    }

    /// Counts a finished closure, and frees its place if it has one.
    pub(crate) fn finish(&self, has_place: bool) {
        // Freed before it counts as finished, and handed out after that: so no task finds fewer
        // closures than places and no free place, or more closures than places.
        let handed_out = has_place.then(|| self.places.put_back(1));
        self.finished.closures.fetch_add(1, SeqCst);
        if handed_out.is_some() {
            drop_contained(handed_out);
        }
        if self.finished.watched.load(SeqCst) {
            self.change(|_| ());
        }
    }

    /// Counts a closure that finished without a result, or that was `refused` and never started.
    pub(crate) fn count_failure(&self, failure: &Failure, refused: bool) {
        let count = match failure {
            _ if refused => &self.finished.refused,
            Failure::Panicked(_) => &self.finished.failed,
            Failure::Killed(_) => &self.finished.killed,
            Failure::Aborted(_) => &self.finished.aborted,
        };
        count.fetch_add(1, SeqCst);
    }

    /// Puts a closure into the queue. A closed pool refuses it.
    pub(crate) fn push(self: &Arc<Self>, work: Arc<dyn Work>) {
        let Some(work) = self.incoming.push(work) else { return };
        let mut state = self.lock();
        let idle = self.take_idle(&mut state);
        state.pushed = state.pushed.wrapping_add(1);
        self.put(state, work, Kind::Closure);
        set(idle);
    }

    /// Puts `count` turns of a map into the queue. A close does not end them, but a kill does.
    pub(crate) fn push_turns(self: &Arc<Self>, work: &Arc<dyn Work>, count: usize) {
        for _ in 0..count {
            let mut state = self.lock();
            let idle = self.take_idle(&mut state);
            state.turns += 1;
            self.put(state, Arc::clone(work), Kind::Turn);
            set(idle);
        }
    }

    /// Puts a turn that has run at the end of the queue.
    pub(crate) fn requeue(self: &Arc<Self>, work: Arc<dyn Work>) {
        self.put(self.lock(), work, Kind::Turn);
    }

    fn put(self: &Arc<Self>, mut state: MutexGuard<'_, State>, work: Arc<dyn Work>, kind: Kind) {
        let is_refused = match kind {
            Kind::Closure => state.closed,
            Kind::Turn => state.killed,
        };
        if is_refused {
            drop(state);
            work.end(self, GreenletExit::because(ThreadPoolClosed), false);
            return;
        }
        state.queue.push(work, kind);
        if kind == Kind::Closure && state.keeps_all_busy() {
            self.incoming.open();
        }
        self.settle(state);
    }

    /// Removes entries from the queue that need not run any more. Entries that were taken before
    /// are not affected.
    pub(crate) fn remove(&self, keys: impl IntoIterator<Item = u64>) {
        let remove = |state: &mut State| {
            let removed = keys.into_iter().filter_map(|key| state.queue.remove(key));
            let removed: Vec<_> = removed.collect();
            let turns = removed.iter().filter(|(_, kind)| *kind == Kind::Turn).count();
            state.turns -= turns;
            removed
        };
        drop(self.change(remove));
    }

    /// Counts a turn of a map as finished.
    pub(crate) fn end_turn(&self) {
        self.change(|state| state.turns -= 1);
    }

    /// Counts a new map, whose outcomes are in `items`. Returns its key, and the capacity; `None` if
    /// the pool was closed.
    pub(crate) fn begin_map(
        &self,
        map: Weak<dyn Work>,
        items: &Arc<Outcomes>,
    ) -> Option<(usize, usize)> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        if state.items.len() == state.items.capacity() {
            state.merge_items();
        }
        state.items.push(Arc::clone(items));
        Some((state.maps.insert(map), state.capacity))
    }

    /// Counts the map `key` as finished.
    pub(crate) fn end_map(&self, key: usize) {
        let map = self.change(|state| state.maps.remove(key));
        drop(map);
    }

    /// Whether a thread has something to do; a hint.
    #[inline]
    fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    /// Whether a map should release its thread after an item, for other entries of the queue. The
    /// map's `own` turns in the queue do not count.
    #[inline]
    pub(crate) fn is_wanted_beside(&self, own: impl FnOnce() -> usize) -> bool {
        self.is_wanted() && self.has_more_than(own())
    }

    #[cold]
    fn has_more_than(&self, own: usize) -> bool {
        let state = self.lock();
        state.queue.len() > own || state.is_too_many() || !state.may_start()
    }

    pub(crate) fn resize(self: &Arc<Self>, capacity: usize) {
        let mut state = self.lock();
        state.capacity = capacity;
        if state.is_too_many() {
            state.wake_all();
        }
        let maps: Vec<_> = state.maps.iter().map(|(_, map)| Weak::clone(map)).collect();
        self.settle(state);
        self.work.notify_all();
        contain(|| self.places.resize(self.settings.places(capacity)));
        for map in maps.iter().filter_map(Weak::upgrade) {
            map.resize(capacity);
        }
    }

    pub(crate) fn set_paused(self: &Arc<Self>, paused: bool) {
        let mut state = self.lock();
        state.paused = paused;
        self.settle(state);
    }

    /// Accepts no new entries; the threads exit when the queue is empty.
    pub(crate) fn close(self: &Arc<Self>) {
        self.stop(false);
    }

    /// Closes the pool, starts nothing more, and refuses the waiting entries for the reason `exit`.
    pub(crate) fn shut_down(self: &Arc<Self>, exit: &GreenletExit) {
        self.stop(true);
        let killed = self.lock().queue.take_all();
        self.end_all(killed, exit, true);
        contain(|| self.killed.set());
    }

    fn stop(self: &Arc<Self>, kill: bool) {
        let mut state = self.lock();
        state.closed = true;
        state.killed |= kill;
        state.wake_all();
        self.settle(state);
        self.work.notify_all();
        // Callers that this wakes find the pool closed.
        contain(|| {
            self.places.close();
        });
    }

    /// Kills the waiting closures for the reason `exit`; in a closed pool the same as
    /// [`shut_down`](Self::shut_down).
    pub(crate) fn kill(self: &Arc<Self>, exit: &GreenletExit) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            return self.shut_down(exit);
        }
        let killed = state.queue.take_closures();
        self.settle(state);
        self.end_all(killed, exit, true);
    }

    /// Ends entries that were taken out of the queue, for the reason `exit`.
    fn end_all(&self, works: Vec<Arc<dyn Work>>, exit: &GreenletExit, was_admitted: bool) {
        for work in works {
            work.end(self, exit.clone(), was_admitted);
        }
    }

    /// Waits until there has been a moment since the call without closures and turns.
    pub(crate) async fn wait_idle(&self, what: &'static str, at: &'static Location<'static>) {
        let idle = self.watch(|state| &mut state.idle, |state| self.unfinished(state) == 0);
        if let Some(idle) = idle {
            idle.wait_for(what, at).await;
        }
    }

    /// Like [`wait_idle`](Self::wait_idle), and without maps.
    pub(crate) async fn wait_drained(&self, what: &'static str, at: &'static Location<'static>) {
        let is_over = |state: &State| self.unfinished(state) + state.maps.len() == 0;
        if let Some(drained) = self.watch(|state| &mut state.drained, is_over) {
            drained.wait_for(what, at).await;
        }
    }

    /// The event to wait for; `None` if the condition holds. Each idle moment has its own event, so
    /// no task sees a moment before its call.
    fn watch(
        &self,
        event: impl FnOnce(&mut State) -> &mut Option<Arc<Event>>,
        is_so: impl FnOnce(&State) -> bool,
    ) -> Option<Arc<Event>> {
        let mut state = self.lock();
        self.finished.watched.store(true, SeqCst);
        (!is_so(&state)).then(|| Arc::clone(event(&mut state).get_or_insert_default()))
    }

    /// Waits until all threads have exited, once nothing starts any more.
    pub(crate) async fn join(self: &Arc<Self>, what: &'static str, at: &'static Location<'static>) {
        self.gone.wait_for(what, at).await;
        let last = self.lock().last.take();
        if let Some(last) = last {
            // The thread has nothing left to do but exit, which may take a moment.
            let workers = Arc::clone(self);
            let join = move || {
                drop(last.join());
                workers.joined.set();
            };
            blocking::unblock(join).detach();
        }
        self.joined.wait_for(what, at).await;
    }

    /// Changes the state, then wakes the tasks that wait for it.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        let idle = self.take_idle(&mut state);
        let is_drained = state.drained.is_some() && self.unfinished(&state) + state.maps.len() == 0;
        let drained = if is_drained { state.drained.take() } else { None };
        if state.idle.is_none() && state.drained.is_none() {
            self.finished.watched.store(false, SeqCst);
        }
        drop(state);
        set(idle);
        set(drained);
        changed
    }

    /// Takes the event to set, if no closure and no turn is left.
    fn take_idle(&self, state: &mut State) -> Option<Arc<Event>> {
        let is_idle = state.idle.is_some() && self.unfinished(state) == 0;
        if is_idle { state.idle.take() } else { None }
    }

    /// Makes sure that there are threads for the entries of the queue, and releases the lock.
    fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut woken = 0;
        while state.is_short() && state.wake_one() {
            woken += 1;
        }
        let mut refused = None;
        while refused.is_none() && state.is_short() && state.may_grow() {
            refused = self.start_thread(&mut state).err();
        }
        // With other threads there is only less parallelism; without any, nothing in the queue
        // would ever run.
        let strands = refused.is_some() && state.threads.is_empty();
        let stranded = if strands { state.queue.take_all() } else { Vec::new() };
        self.update_wanted(&state);
        let gone = state.killed && state.threads.is_empty() && !self.gone.is_set();
        let joined = gone && state.last.is_none();
        drop(state);
        for _ in 0..woken {
            self.work.notify_one();
        }
        if let Some(error) = refused.filter(|_| strands) {
            let exit = GreenletExit::because(ThreadRefused::new(error));
            self.end_all(stranded, &exit, false);
        }
        if joined {
            contain(|| self.joined.set());
        }
        if gone {
            contain(|| self.gone.set());
        }
    }

    /// Updates the hint for threads that read it without the lock; written only when it changes,
    /// because they read it often.
    fn update_wanted(&self, state: &State) {
        let wanted = state.wants_threads() || state.paused;
        if self.wanted.load(Relaxed) != wanted {
            self.wanted.store(wanted, Relaxed);
        }
    }

    /// Starts a thread, under the lock, so that it is on the list before it can exit.
    fn start_thread(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let index = state.threads.insert(None);
        let workers = Arc::clone(self);
        match self.settings.start(index, move || workers.run(index)) {
            Ok(thread) => {
                state.threads[index] = Some(thread);
                state.looking += 1;
                Ok(())
            }
            Err(error) => {
                state.threads.remove(index);
                Err(error)
            }
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Takes the lock, with all waiting closures in the queue.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock_as_is();
        self.take_in(&mut state);
        state
    }

    fn lock_as_is(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the incoming closures into the queue; further ones are put there directly.
    fn take_in(&self, state: &mut State) {
        for closure in self.incoming.shut() {
            state.pushed = state.pushed.wrapping_add(1);
            state.queue.push(closure, Kind::Closure);
        }
    }
}

/// The threads.
impl Workers {
    fn run(self: Arc<Self>, index: usize) {
        POOL.set(self.address());
        self.settings.thread_starts(index);
        let mut starts = true;
        while let Some((key, work)) = self.next(starts) {
            work.run(&self, key);
            starts = false;
        }
        // The thread counts as alive meanwhile, so that no other takes its number.
        self.settings.thread_stops(index);
        let before = self.leave(index);
        if let Some(before) = before {
            drop(before.join());
        }
    }

    /// Waits for the next entry, the first one if the thread `starts`; `None` when the thread must
    /// exit.
    fn next(self: &Arc<Self>, starts: bool) -> Option<(u64, Arc<dyn Work>)> {
        let mut state = self.lock_as_is();
        state.looking -= usize::from(starts);
        let mut timed_out = false;
        while !state.is_too_many() {
            let entry = if state.may_start() { state.queue.pop() } else { None };
            if state.queue.len() == 0 {
                self.take_in(&mut state);
            }
            self.update_wanted(&state);
            if entry.is_some() {
                return entry;
            }
            if timed_out || state.has_no_more() {
                break;
            }
            state = self.backoff(state);
            if !state.wants_threads() && !state.has_no_more() {
                (state, timed_out) = self.sleep(state);
            }
        }
        state.leaving += 1;
        // There may be no surplus thread any more, for which maps would release their threads.
        self.settle(state);
        None
    }

    /// Polls for an entry for a moment: a wake-up costs as much as many polls.
    fn backoff<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.looking += 1;
        let before = state.pushed;
        drop(state);
        backoff(|| self.is_wanted());
        state = self.lock();
        state.looking -= 1;
        if state.pushed.wrapping_sub(before) >= FLOW {
            backoff_has_paid();
        }
        state
    }

    /// Sleeps until it is woken; returns whether the idle timeout expired instead.
    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        let timeout = self.settings.idle_timeout;
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        state.asleep += 1;
        loop {
            state = match end {
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(end) => {
                    let left = end.saturating_duration_since(Instant::now());
                    self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            if state.woken > 0 {
                state.woken -= 1;
                return (state, false);
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                state.asleep -= 1;
                return (state, true);
            }
        }
    }

    /// Removes a thread from the list. Returns the thread that exited before it.
    fn leave(self: &Arc<Self>, index: usize) -> Option<JoinHandle<()>> {
        let mut state = self.lock();
        state.leaving -= 1;
        let own = state.threads.remove(index);
        let before = std::mem::replace(&mut state.last, own);
        self.settle(state);
        before
    }
}

impl Container for Workers {
    fn kind(&self) -> &'static str {
        "thread pool"
    }

    fn created_at(&self) -> &'static Location<'static> {
        self.at
    }

    fn capacity(&self) -> Option<usize> {
        Some(Workers::capacity(self))
    }

    fn report(&self) -> Report {
        Workers::report(self)
    }
}

impl State {
    fn new(capacity: usize) -> Self {
        Self {
            queue: Queue::default(),
            capacity,
            paused: false,
            threads: Slab::new(),
            looking: 0,
            asleep: 0,
            woken: 0,
            leaving: 0,
            last: None,
            closed: false,
            killed: false,
            pushed: 0,
            turns: 0,
            maps: Slab::new(),
            items: Vec::new(),
            outcomes: Outcomes::default(),
            idle: None,
            drained: None,
        }
    }

    fn may_start(&self) -> bool {
        !self.paused && !self.killed
    }

    /// Whether there are more entries to start than threads that are about to take one.
    fn is_short(&self) -> bool {
        self.may_start() && self.queue.len() > self.woken + self.looking
    }

    fn may_grow(&self) -> bool {
        self.threads.len() < self.capacity
    }

    /// Whether there are entries for all threads, so that one more concerns none of them.
    fn keeps_all_busy(&self) -> bool {
        let is_work = self.may_start() && !self.closed && self.queue.len() > 0;
        is_work && self.asleep == 0 && !self.may_grow()
    }

    /// Whether a thread should exit because there are more than the capacity.
    fn is_too_many(&self) -> bool {
        self.threads.len() - self.leaving > self.capacity
    }

    /// Whether threads without work should exit.
    fn has_no_more(&self) -> bool {
        self.killed || (self.closed && self.queue.len() == 0)
    }

    /// Whether there is something for a thread to see.
    fn wants_threads(&self) -> bool {
        (self.may_start() && self.queue.len() > 0) || self.is_too_many() || self.killed
    }

    /// Counts a sleeping thread as woken, for the caller to wake; `false` if there is none.
    fn wake_one(&mut self) -> bool {
        let any = self.asleep > 0;
        self.asleep -= usize::from(any);
        self.woken += usize::from(any);
        any
    }

    /// Counts all sleeping threads as woken, for the caller to wake.
    fn wake_all(&mut self) {
        self.woken += std::mem::take(&mut self.asleep);
    }

    /// Merges the outcomes of finished maps into one.
    fn merge_items(&mut self) {
        let outcomes = &self.outcomes;
        self.items.retain(|items| {
            let is_there = Arc::strong_count(items) > 1;
            if !is_there {
                outcomes.add(items);
            }
            is_there
        });
    }
}

fn set(event: Option<Arc<Event>>) {
    if let Some(event) = event {
        contain(|| event.set());
    }
}

thread_local! {
    /// The address of the [`Workers`] of this thread, which the thread keeps alive; 0 on other
    /// threads. It needs no destructor, so destructors of other locals can use it.
    static POOL: Cell<usize> = const { Cell::new(0) };
}
