//! [`Record`]: the facts of a living greenlet; [`start`], from which on there are records.

use std::panic::Location;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use spinney_greenlet::{Failure, Handle, Observer, ObserverSet, Spawned, Watch, set_observer};
use spinney_sync::Wait;

use crate::hubs::HubNote;
use crate::pools::PoolNote;
use crate::spans::Span;
use crate::threads::ThisThread;
use crate::timeline;

/// Observes every greenlet that is created from now on, in the whole process. A further call is a
/// no-op.
///
/// # Errors
///
/// [`ObserverSet`] if something else observes greenlets: the process has one observer.
pub fn start() -> Result<(), ObserverSet> {
    static STARTED: Mutex<bool> = Mutex::new(false);
    let mut started = lock(&STARTED);
    if !*started {
        set_observer(Recorder)?;
        *started = true;
    }
    Ok(())
}

struct Recorder;

impl Observer for Recorder {
    fn spawned(&self, spawned: Spawned<'_>) -> Arc<dyn Watch> {
        Record::of(spawned)
    }
}

/// How many lists the records are in: each thread adds to one of them.
const SHARDS: usize = 64;

/// How many records of finished greenlets a list keeps for new ones.
const SPARES: usize = 256;

/// How many pointers of a list are copied under its lock.
const COPIED: usize = 4096;

static RECORDS: [Mutex<Shard>; SHARDS] =
    [const { Mutex::new(Shard { records: Vec::new(), free: Vec::new() }) }; SHARDS];

/// The records of greenlets that live, and spare ones of greenlets that have finished.
struct Shard {
    records: Vec<Option<Arc<Record>>>,
    /// The places of spare and missing records.
    free: Vec<usize>,
}

/// The facts of all living greenlets. A list is locked for as long as copying [`COPIED`] pointers
/// takes.
pub(crate) fn living() -> Vec<Facts> {
    let copy = |shard: &'static Mutex<Shard>| {
        (0..).step_by(COPIED).map_while(|from| lock(shard).copy(from)).flatten()
    };
    RECORDS.iter().flat_map(copy).filter_map(|record| record.facts()).collect()
}

/// The facts of a living greenlet. The record is also the waker of the greenlet's task, so that it
/// sees the wake-ups.
///
/// The items that a worker of a map runs share a record: an item whose greenlet nothing asks for
/// costs one store.
pub(crate) struct Record {
    /// The index of the item; `NO_ITEM` for a greenlet that is none.
    item: AtomicUsize,
    /// Its span, if spans are opened.
    span: Span,
    /// Its place in [`RECORDS`].
    shard: usize,
    key: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    facts: Facts,
    /// Wakes the task; `None` before the first poll.
    waker: Option<Waker>,
    /// It was woken during the poll in progress.
    woken: Option<Instant>,
}

/// The identity and the progress of a greenlet.
#[derive(Clone)]
pub(crate) struct Facts {
    /// `None` once it has finished: its control block holds this record.
    greenlet: Option<Handle>,
    /// The number of its pool; 0 without a pool.
    pub(crate) pool: usize,
    /// The item of which these are the facts.
    item: usize,
    /// It is a closure on a thread of its own.
    pub(crate) may_block: bool,
    /// Identifies it in timelines: its id; for an item, which may never draw its id, a number from
    /// [`ITEM_TRACKS`] on; `NO_TRACK` while a worker waits for its next item.
    track: u64,
    pub(crate) born: Instant,
    pub(crate) phase: Phase,
    /// When it began to; a wait counts from the beginning of its poll.
    pub(crate) since: Instant,
    /// Where it waits, or waited last.
    pub(crate) wait: Option<Wait>,
    pub(crate) polls: u64,
    /// The hub that polled it first.
    pub(crate) hub: Option<Arc<HubNote>>,
    /// The thread that polled it last, and how many polls were in progress there.
    pub(crate) thread: usize,
    pub(crate) depth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is about to be polled.
    Queued,
    Polled,
    Waiting,
}

const NO_ITEM: usize = usize::MAX;

/// Below all ids.
const NO_TRACK: u64 = 0;

/// Above all ids.
pub(crate) const ITEM_TRACKS: u64 = 1 << 63;

fn next_item_track() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(ITEM_TRACKS);
    NEXT.fetch_add(1, Relaxed)
}

impl Record {
    /// The record of a new greenlet.
    fn of(spawned: Spawned<'_>) -> Arc<Self> {
        let (number, now) = ThisThread::with(|thread| (thread.number(), thread.now()))
            .unwrap_or_else(|| (0, Instant::now()));
        let shard = number % SHARDS;
        let spare = lock(&RECORDS[shard]).take_spare();
        let record = spare.unwrap_or_else(|| {
            let record = Arc::new(Self::empty(shard, now));
            record.enlist();
            record
        });
        record.span.renew(spawned);
        let mut state = record.lock();
        record.item.store(state.facts.begin(spawned, now), Relaxed);
        timeline::spawned(&state.facts, now);
        drop(state);
        record
    }

    fn empty(shard: usize, now: Instant) -> Self {
        let facts = Facts {
            greenlet: None,
            pool: 0,
            item: NO_ITEM,
            may_block: false,
            track: NO_TRACK,
            born: now,
            phase: Phase::Queued,
            since: now,
            wait: None,
            polls: 0,
            hub: None,
            thread: 0,
            depth: 0,
        };
        let state = Mutex::new(State { facts, waker: None, woken: None });
        let (item, key) = (AtomicUsize::new(NO_ITEM), AtomicUsize::new(0));
        Self { item, span: Span::none(), shard, key, state }
    }

    /// The facts now; `None` if the greenlet has finished.
    pub(crate) fn facts(&self) -> Option<Facts> {
        let mut state = self.lock();
        state.facts.go_on(self.item.load(Relaxed));
        state.facts.greenlet.is_some().then(|| state.facts.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Adds it to the list.
    fn enlist(self: &Arc<Self>) {
        let mut shard = lock(&RECORDS[self.shard]);
        let key = shard.free_key();
        self.key.store(key, Relaxed);
        let before = shard.records[key].replace(Arc::clone(self));
        drop(shard);
        drop(before);
    }

    /// Makes it a spare if it `may_be_spare`, otherwise removes it from the list.
    fn delist(&self, may_be_spare: bool) {
        let mut shard = lock(&RECORDS[self.shard]);
        let key = self.key.load(Relaxed);
        let is_spare = may_be_spare && shard.free.len() < SPARES;
        let removed = if is_spare { None } else { shard.records[key].take() };
        shard.free.push(key);
        drop(shard);
        drop(removed);
    }

    /// Out of line, for the sake of items that no timeline records.
    #[cold]
    #[inline(never)]
    fn record_item(&self, index: usize) {
        timeline::next_item(&self.lock().facts, index);
    }

    fn exit_span(&self) {
        self.span.exit(|| self.lock().facts.greenlet.as_ref().map(Handle::unasked));
    }
}

impl State {
    /// Returns what it holds for a task that has finished.
    fn release(&mut self) -> (Option<Waker>, Option<Arc<HubNote>>) {
        (self.waker.take(), self.facts.hub.take())
    }
}

impl Shard {
    /// The next records from the place `from` on; `None` if there is no such place.
    fn copy(&self, from: usize) -> Option<Vec<Arc<Record>>> {
        let records = self.records.get(from..).filter(|records| !records.is_empty())?;
        Some(records.iter().take(COPIED).flatten().map(Arc::clone).collect())
    }

    /// Returns a spare record, which stays in the list, unless something still holds it.
    fn take_spare(&mut self) -> Option<Arc<Record>> {
        let key = *self.free.last()?;
        // Others clone it only under the lock.
        let spare = self.records[key].as_ref().filter(|spare| Arc::strong_count(spare) == 1)?;
        self.free.pop();
        Some(Arc::clone(spare))
    }

    fn free_key(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.records.push(None);
            self.records.len() - 1
        })
    }
}

impl Facts {
    /// Makes these the facts of a new greenlet. Returns its item.
    fn begin(&mut self, spawned: Spawned<'_>, now: Instant) -> usize {
        // Unasked, so that items go on sharing a record.
        self.greenlet = Some(spawned.greenlet.unasked());
        self.pool = spawned.container.map_or(0, PoolNote::number_of);
        self.item = spawned.item.unwrap_or(NO_ITEM);
        self.may_block = spawned.may_block;
        self.track = spawned.item.map_or_else(|| spawned.greenlet.id(), |_| next_item_track());
        (self.born, self.since) = (now, now);
        (self.phase, self.wait, self.polls) = (Phase::Queued, None, 0);
        self.item
    }

    /// Makes these the facts of `item`, which began in the last poll that has begun.
    fn go_on(&mut self, item: usize) {
        if self.item != item {
            (self.item, self.born, self.polls, self.wait) = (item, self.since, 1, None);
        }
    }

    pub(crate) fn greenlet(&self) -> &Handle {
        self.greenlet.as_ref().expect("only facts of living greenlets leave their record")
    }

    /// The index of the item that it is.
    pub(crate) fn item(&self) -> Option<usize> {
        Some(self.item).filter(|item| *item != NO_ITEM)
    }

    pub(crate) fn track(&self) -> Option<u64> {
        Some(self.track).filter(|track| *track != NO_TRACK)
    }

    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.greenlet().spawned_at()
    }

    /// The current time on the clock of its hub.
    pub(crate) fn now(&self) -> Instant {
        self.hub.as_ref().map_or_else(Instant::now, |hub| hub.now())
    }

    /// Like [`now`](Self::now); in a poll on a real clock, when that began.
    fn coarse_now(&self) -> Instant {
        let is_real = self.hub.as_ref().is_none_or(|hub| hub.is_real());
        let began = || ThisThread::with(ThisThread::began).flatten();
        let began = if is_real { began() } else { None };
        began.unwrap_or_else(|| self.now())
    }
}

impl Watch for Record {
    fn poll_began(self: Arc<Self>, waker: &Waker) -> Waker {
        let replaced = ThisThread::with(|thread| {
            let State { facts, waker: known, woken } = &mut *self.lock();
            let hub = facts.hub.get_or_insert_with(|| thread.find_hub());
            let now = hub.now();
            let is_delayed = facts.phase == Phase::Queued && !facts.may_block;
            hub.polled(is_delayed.then(|| since(facts.since, now)));
            (facts.thread, facts.depth) = (thread.number(), thread.begin_poll(hub, now));
            (facts.phase, facts.since, *woken) = (Phase::Polled, now, None);
            facts.polls += 1;
            timeline::began(facts, now);
            let is_known = known.as_ref().is_some_and(|known| known.will_wake(waker));
            if is_known { None } else { known.replace(waker.clone()) }
        });
        drop(replaced);
        self.span.enter();
        Waker::from(self)
    }

    fn poll_paused(&self, wait: Option<Wait>) {
        self.exit_span();
        ThisThread::with(ThisThread::end_poll);
        let mut state = self.lock();
        let State { facts, woken, .. } = &mut *state;
        facts.go_on(self.item.load(Relaxed));
        (facts.phase, facts.wait) = (Phase::Waiting, wait);
        if let Some(woken) = woken.take() {
            (facts.phase, facts.since) = (Phase::Queued, woken);
        }
        timeline::paused(facts, wait);
        let is_ended = facts.greenlet.is_none();
        if is_ended {
            facts.track = NO_TRACK;
        }
        drop(state);
        if is_ended {
            self.span.close();
        }
    }

    fn poll_finished(&self) {
        self.exit_span();
        self.span.close();
        ThisThread::with(ThisThread::end_poll);
        let mut state = self.lock();
        timeline::paused(&state.facts, None);
        let unused = state.release();
        drop(state);
        drop(unused);
    }

    fn next_item(&self, index: usize) {
        self.item.store(index, Relaxed);
        if timeline::is_recording() {
            self.record_item(index);
        }
    }

    fn next_greenlet(self: Arc<Self>, spawned: Spawned<'_>) {
        self.exit_span();
        self.span.renew(spawned);
        let mut state = self.lock();
        let facts = &mut state.facts;
        timeline::paused(facts, None);
        // It began in the poll in progress.
        self.item.store(facts.begin(spawned, facts.since), Relaxed);
        (facts.phase, facts.polls) = (Phase::Polled, 1);
        timeline::spawned(facts, facts.now());
        timeline::began(facts, facts.now());
        drop(state);
        self.span.enter();
        self.enlist();
    }

    fn ended(&self, failure: Option<&Failure>) {
        let mut state = self.lock();
        state.facts.go_on(self.item.load(Relaxed));
        let Some(greenlet) = state.facts.greenlet.take() else { return };
        timeline::ended(&state.facts, &greenlet, failure);
        // A worker may go on with another item.
        let is_item = state.facts.item != NO_ITEM;
        // Otherwise the poll goes on.
        let is_dropped = state.facts.phase != Phase::Polled;
        let unused = is_dropped.then(|| state.release());
        drop(state);
        drop(unused);
        self.span.end(&greenlet, failure);
        if is_dropped {
            self.span.close();
        }
        self.delist(!is_item);
    }
}

impl Wake for Record {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.lock();
        let State { facts, waker, woken } = &mut *state;
        let now = facts.coarse_now();
        match facts.phase {
            Phase::Waiting => (facts.phase, facts.since) = (Phase::Queued, now),
            Phase::Polled => *woken = woken.or(Some(now)),
            Phase::Queued => {}
        }
        facts.hub.as_ref().inspect(|hub| hub.woken());
        timeline::woken(facts, now);
        let waker = waker.clone();
        drop(state);
        // `None` if the task has finished.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Since `since`; zero if that is in the future, because clocks differ.
pub(crate) fn since(since: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(since)
}

/// Locks `mutex`, also after a panic: each critical section leaves the data consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
