//! [`Workers`]: one queue, and the threads that run what is in it.
//!
//! A thread that is free takes the first entry of the queue. If there is none it looks for a moment,
//! then sleeps. Each change of the queue or of the number of threads ends in `settle`: as long as there
//! are more entries than threads on their way to the queue, a thread that sleeps is woken, or one more is
//! started. So no entry waits while a thread is free.
//!
//! Each thread that ends joins the one that ended before it. So a join of the last one is a join of
//! them all, and no list of ended threads grows.
//!
//! Closures, hooks, wakers and destructors are other people's code: none runs under the lock.

use std::cell::Cell;
use std::io;
use std::panic::Location;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_utils::CachePadded;
use slab::Slab;
use spinney_greenlet::results::Outcomes;
use spinney_greenlet::{Container, Failure, GreenletExit, Report};
use spinney_hub::{contain, drop_contained};
use spinney_sync::{Event, Semaphore};

use crate::look::{look, look_has_paid};
use crate::queue::{Kind, Queue, Work};
use crate::threadpool::Settings;
use crate::{ThreadPoolClosed, ThreadRefused};

/// How many closures are put into the queue while a thread looks out for some, if that has paid: the
/// threads that kept it from its core had work to do for it.
const FLOW: usize = 64;

pub(crate) struct Workers {
    pub(crate) settings: Settings,
    /// The line that created the pool.
    at: &'static Location<'static>,
    /// How many closures may run or wait: each has a permit, if the queue is bounded.
    pub(crate) places: CachePadded<Semaphore>,
    finished: CachePadded<Finished>,
    state: Mutex<State>,
    work: Condvar,
    /// Whether a thread has anything to take or to see; what the state says, for a look without lock.
    wanted: AtomicBool,
    /// Set when nothing starts any more.
    pub(crate) killed: Event,
    /// Set when nothing starts any more and the last thread is about to end.
    gone: Event,
    /// Set when all threads have ended.
    joined: Event,
}

/// The closures that have finished, counted without a lock.
#[derive(Default)]
struct Finished {
    closures: AtomicUsize,
    /// Those of them without a result, by the reason; `refused` ones never started.
    failed: AtomicUsize,
    killed: AtomicUsize,
    aborted: AtomicUsize,
    refused: AtomicUsize,
    /// Whether a task waits until the pool is idle. A thread that finishes a closure counts it, then
    /// looks here; a task that is to wait sets this, then looks at the counts. All in one order, so one
    /// of them sees the other.
    watched: AtomicBool,
}

struct State {
    queue: Queue,
    capacity: usize,
    paused: bool,
    /// The threads that are alive, by number. `None` for the one that is being started.
    threads: Slab<Option<JoinHandle<()>>>,
    /// Threads that are about to look at the queue.
    looking: usize,
    /// Threads that sleep.
    asleep: usize,
    /// Threads that were woken and have yet to notice.
    woken: usize,
    /// Threads that are about to end.
    leaving: usize,
    /// The thread that ended last, if it has not been joined.
    last: Option<JoinHandle<()>>,
    /// Nothing new is taken.
    closed: bool,
    /// Nothing more is started.
    killed: bool,
    /// Closures that were put into the queue.
    pushed: usize,
    /// Turns of maps that wait or run.
    turns: usize,
    /// Maps that have not finished, read or not.
    maps: usize,
    /// What became of the items of maps: of each that is there, and of all that were.
    items: Vec<Arc<Outcomes>>,
    outcomes: Outcomes,
    /// Set when no closure and no turn is left; there if a task waits for that.
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
            state: Mutex::new(State::new(settings.capacity)),
            work: Condvar::new(),
            wanted: AtomicBool::new(false),
            killed: Event::new(),
            gone: Event::new(),
            joined: Event::new(),
            settings,
        }
    }

    /// Whether closures need a place to get in.
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

    /// How many threads have nothing to do.
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

    /// How many closures wait or run. A closure is pushed under the lock before it can finish, so this
    /// is never below zero.
    fn closures(&self, state: &State) -> usize {
        state.pushed.wrapping_sub(self.finished.closures.load(SeqCst))
    }

    pub(crate) fn report(&self) -> Report {
        let mut report = Report::default();
        let mut state = self.lock();
        state.fold_items();
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

    /// A closure has finished; its place, if it has one, is free again.
    pub(crate) fn finish(&self, has_place: bool) {
        // Free before it counts as finished, and handed out after that: so no task finds fewer closures
        // than places and no place, or more closures than places.
        let handed_out = has_place.then(|| self.places.put_back(1));
        self.finished.closures.fetch_add(1, SeqCst);
        if handed_out.is_some() {
            drop_contained(handed_out);
        }
        if self.finished.watched.load(SeqCst) {
            self.change(|_| ());
        }
    }

    /// A closure has finished without a result; or it was `refused`, and has never started.
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
        let mut state = self.lock();
        let idle = self.take_idle(&mut state);
        state.pushed = state.pushed.wrapping_add(1);
        self.put(state, work, Kind::Closure);
        set(idle);
    }

    /// Puts `count` turns of a map into the queue, which a close does not end, but a kill does.
    pub(crate) fn push_turns(self: &Arc<Self>, work: &Arc<dyn Work>, count: usize) {
        for _ in 0..count {
            let mut state = self.lock();
            let idle = self.take_idle(&mut state);
            state.turns += 1;
            self.put(state, Arc::clone(work), Kind::Turn);
            set(idle);
        }
    }

    /// Puts a turn that has run into the queue again, behind what is there.
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
        self.settle(state);
    }

    /// Takes entries out of the queue that need not run any more. Those that were taken before are
    /// left alone.
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

    /// A turn of a map has ended.
    pub(crate) fn end_turn(&self) {
        self.change(|state| state.turns -= 1);
    }

    /// A map begins, and counts what becomes of its items. False if the pool was closed.
    pub(crate) fn begin_map(&self, items: &Arc<Outcomes>) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if state.items.len() == state.items.capacity() {
            state.fold_items();
        }
        state.items.push(Arc::clone(items));
        state.maps += 1;
        true
    }

    /// A map has finished.
    pub(crate) fn end_map(&self) {
        self.change(|state| state.maps -= 1);
    }

    /// Whether there is something for a thread to take or to see; a guess.
    #[inline]
    fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    /// Whether a map should release its thread after an item, for other entries of the queue. It has `own`
    /// turns there itself.
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
        self.settle(state);
        self.work.notify_all();
        contain(|| self.places.resize(self.settings.places(capacity)));
    }

    pub(crate) fn set_paused(self: &Arc<Self>, paused: bool) {
        let mut state = self.lock();
        state.paused = paused;
        self.settle(state);
    }

    /// Takes nothing new; the threads end when the queue is empty.
    pub(crate) fn close(self: &Arc<Self>) {
        self.stop(false);
    }

    /// Closes the pool, starts nothing more, and refuses what waits, for the reason `exit`.
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
        // Callers that this wakes find the rest closed.
        contain(|| {
            self.places.close();
        });
    }

    /// Kills the closures that wait, for the reason `exit`; in a closed pool it is as
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

    /// Ends what was taken out of the queue, for the reason `exit`.
    fn end_all(&self, works: Vec<Arc<dyn Work>>, exit: &GreenletExit, was_admitted: bool) {
        for work in works {
            work.end(self, exit.clone(), was_admitted);
        }
    }

    /// Waits until no closure and no turn is left, at least once since the call.
    pub(crate) async fn wait_idle(&self, what: &'static str, at: &'static Location<'static>) {
        let idle = self.watch(|state| &mut state.idle, |state| self.unfinished(state) == 0);
        if let Some(idle) = idle {
            idle.wait_for(what, at).await;
        }
    }

    /// As [`wait_idle`](Self::wait_idle), and until no map is left.
    pub(crate) async fn wait_drained(&self, what: &'static str, at: &'static Location<'static>) {
        let is_over = |state: &State| self.unfinished(state) + state.maps == 0;
        if let Some(drained) = self.watch(|state| &mut state.drained, is_over) {
            drained.wait_for(what, at).await;
        }
    }

    /// The event to wait for; `None` if the condition holds. Each moment has an event of its own, so no task
    /// sees a moment that was before its call.
    fn watch(
        &self,
        event: impl FnOnce(&mut State) -> &mut Option<Arc<Event>>,
        is_so: impl FnOnce(&State) -> bool,
    ) -> Option<Arc<Event>> {
        let mut state = self.lock();
        self.finished.watched.store(true, SeqCst);
        (!is_so(&state)).then(|| Arc::clone(event(&mut state).get_or_insert_default()))
    }

    /// Waits, once nothing starts any more, until all threads have ended.
    pub(crate) async fn join(self: &Arc<Self>, what: &'static str, at: &'static Location<'static>) {
        self.gone.wait_for(what, at).await;
        let last = self.lock().last.take();
        if let Some(last) = last {
            // It has nothing left to do but to end, which may take it a moment all the same.
            let workers = Arc::clone(self);
            let join = move || {
                drop(last.join());
                workers.joined.set();
            };
            blocking::unblock(join).detach();
        }
        self.joined.wait_for(what, at).await;
    }

    /// Changes the state, then wakes the tasks that wait for such a state.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        let idle = self.take_idle(&mut state);
        let is_drained = state.drained.is_some() && self.unfinished(&state) + state.maps == 0;
        let drained = if is_drained { state.drained.take() } else { None };
        if state.idle.is_none() && state.drained.is_none() {
            self.finished.watched.store(false, SeqCst);
        }
        drop(state);
        set(idle);
        set(drained);
        changed
    }

    /// What is to be set, if no closure and no turn is left.
    fn take_idle(&self, state: &mut State) -> Option<Arc<Event>> {
        let is_idle = state.idle.is_some() && self.unfinished(state) == 0;
        if is_idle { state.idle.take() } else { None }
    }

    /// Sees to it that there are threads for what is in the queue, and releases the lock.
    fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut woken = 0;
        while state.is_short() && state.wake_one() {
            woken += 1;
        }
        let mut refused = None;
        while refused.is_none() && state.is_short() && state.may_grow() {
            refused = self.start_thread(&mut state).err();
        }
        // With other threads there is merely less parallelism; without any, nothing in the queue would
        // ever run.
        let strands = refused.is_some() && state.threads.is_empty();
        let stranded = if strands { state.queue.take_all() } else { Vec::new() };
        self.say_wanted(&state);
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

    /// Updates the hint for threads that look without the lock; written only when it changes, for they look
    /// often.
    fn say_wanted(&self, state: &State) {
        let wanted = state.wants_threads() || state.paused;
        if self.wanted.load(Relaxed) != wanted {
            self.wanted.store(wanted, Relaxed);
        }
    }

    /// Starts a thread; under the lock, so that it is on the list before it can end.
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a thread does.
impl Workers {
    fn run(self: Arc<Self>, index: usize) {
        POOL.set(self.address());
        self.settings.thread_starts(index);
        let mut starts = true;
        while let Some((key, work)) = self.next(starts) {
            work.run(&self, key);
            starts = false;
        }
        // It counts as alive meanwhile, so that no other takes its number.
        self.settings.thread_stops(index);
        let before = self.leave(index);
        if let Some(before) = before {
            drop(before.join());
        }
    }

    /// Waits for the next entry, the first one if the thread `starts`; `None` when the thread is to end.
    fn next(self: &Arc<Self>, starts: bool) -> Option<(u64, Arc<dyn Work>)> {
        let mut state = self.lock();
        state.looking -= usize::from(starts);
        let mut timed_out = false;
        while !state.is_too_many() {
            let entry = if state.may_start() { state.queue.pop() } else { None };
            self.say_wanted(&state);
            if entry.is_some() {
                return entry;
            }
            if timed_out || state.has_no_more() {
                break;
            }
            state = self.look(state);
            if !state.wants_threads() && !state.has_no_more() {
                (state, timed_out) = self.sleep(state);
            }
        }
        state.leaving += 1;
        // There may not be one too many any more, for which maps would release their threads.
        self.settle(state);
        None
    }

    /// Looks out for an entry for a moment, for a wake-up costs as much as many looks.
    fn look<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.looking += 1;
        let before = state.pushed;
        drop(state);
        look(|| self.is_wanted());
        state = self.lock();
        state.looking -= 1;
        if state.pushed.wrapping_sub(before) >= FLOW {
            look_has_paid();
        }
        state
    }

    /// Sleeps until it is woken; says whether its time ran out instead.
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

    /// A thread is off the list. Returns the one that ended before it.
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
            maps: 0,
            items: Vec::new(),
            outcomes: Outcomes::default(),
            idle: None,
            drained: None,
        }
    }

    fn may_start(&self) -> bool {
        !self.paused && !self.killed
    }

    /// Whether there is more to start than there are threads on their way to it.
    fn is_short(&self) -> bool {
        self.may_start() && self.queue.len() > self.woken + self.looking
    }

    fn may_grow(&self) -> bool {
        self.threads.len() < self.capacity
    }

    /// Whether a thread should end because there are more than there may be.
    fn is_too_many(&self) -> bool {
        self.threads.len() - self.leaving > self.capacity
    }

    /// Whether threads without work are to end.
    fn has_no_more(&self) -> bool {
        self.killed || (self.closed && self.queue.len() == 0)
    }

    /// Whether there is something that a thread should see.
    fn wants_threads(&self) -> bool {
        (self.may_start() && self.queue.len() > 0) || self.is_too_many() || self.killed
    }

    /// Counts a thread that sleeps as woken, for the caller to wake; `false` if there is none.
    fn wake_one(&mut self) -> bool {
        let any = self.asleep > 0;
        self.asleep -= usize::from(any);
        self.woken += usize::from(any);
        any
    }

    /// Counts all threads that sleep as woken, for the caller to wake.
    fn wake_all(&mut self) {
        self.woken += std::mem::take(&mut self.asleep);
    }

    /// Counts the items of maps that are gone with the others, once for all.
    fn fold_items(&mut self) {
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
    /// The address of the [`Workers`] for which this thread works, which the thread keeps alive; none is
    /// at zero. It needs no destructor, so it is there for those of other locals.
    static POOL: Cell<usize> = const { Cell::new(0) };
}
