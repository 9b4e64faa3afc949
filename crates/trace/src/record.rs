//! [`Record`]: what is known of a living greenlet; [`start`], from which on there are records.

use std::panic::Location;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slab::Slab;
use spinney_greenlet::{Failure, Handle, Observer, ObserverSet, Spawned, Watch, set_observer};
use spinney_hub::Clock;
use spinney_sync::Wait;

use crate::hubs::HubNote;
use crate::pools::PoolNote;
use crate::spans::Span;
use crate::threads::ThreadNote;
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
        Record::new(spawned)
    }
}

/// How many lists the records are in: each thread adds to one of them.
const SHARDS: usize = 64;

/// The records of the greenlets that live.
static LIVING: [Mutex<Slab<Arc<Record>>>; SHARDS] = [const { Mutex::new(Slab::new()) }; SHARDS];

/// The records of all greenlets that live. Each list is locked for as long as copying it takes.
pub(crate) fn living() -> Vec<Arc<Record>> {
    let copy = |shard: &Mutex<Slab<Arc<Record>>>| -> Vec<_> {
        lock(shard).iter().map(|(_, record)| Arc::clone(record)).collect()
    };
    LIVING.iter().flat_map(copy).collect()
}

/// What is known of a living greenlet.
pub(crate) struct Record {
    /// Its control block holds this record until the greenlet has finished.
    ///
    /// The handle is unasked, so that a worker of a map has one record for all items whose greenlet
    /// nothing asks for: an item costs one store.
    pub(crate) greenlet: Handle,
    pub(crate) pool: Option<Arc<PoolNote>>,
    /// The index of the item; `NO_ITEM` for a greenlet that is none.
    item: AtomicUsize,
    /// It is a closure on a thread of its own.
    pub(crate) may_block: bool,
    /// Identifies it in timelines: its id; for an item, which may never draw its id, a number from
    /// [`ITEM_TRACKS`] on.
    pub(crate) track: u64,
    /// Its span, if spans are opened.
    pub(crate) span: Span,
    /// Its place in [`LIVING`].
    shard: usize,
    key: AtomicUsize,
    state: Mutex<State>,
}

const NO_ITEM: usize = usize::MAX;

/// Above all ids.
pub(crate) const ITEM_TRACKS: u64 = 1 << 63;

fn next_item_track() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(ITEM_TRACKS);
    NEXT.fetch_add(1, Relaxed)
}

/// What a greenlet does.
#[derive(Clone)]
pub(crate) struct State {
    /// The item of which this is the state.
    item: usize,
    pub(crate) born: Instant,
    pub(crate) phase: Phase,
    /// When it began to.
    pub(crate) since: Instant,
    /// Where it waits, or waited last.
    pub(crate) wait: Option<Wait>,
    /// When its last poll began.
    began: Instant,
    /// It was woken during the poll in progress.
    woken: Option<Instant>,
    pub(crate) polls: u64,
    /// The hub that polled it first.
    pub(crate) hub: Option<Arc<HubNote>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is about to be polled.
    Queued,
    Polled,
    Waiting,
}

impl Record {
    fn new(spawned: Spawned<'_>) -> Arc<Self> {
        let now = Clock::current().now();
        let item = spawned.item.unwrap_or(NO_ITEM);
        let state = State {
            item,
            born: now,
            phase: Phase::Queued,
            since: now,
            began: now,
            wait: None,
            woken: None,
            polls: 0,
            hub: None,
        };
        let shard = ThreadNote::with(ThreadNote::number).unwrap_or_default() % SHARDS;
        let record = Arc::new(Self {
            greenlet: spawned.greenlet.unasked(),
            pool: spawned.container.map(PoolNote::of),
            item: AtomicUsize::new(item),
            may_block: spawned.may_block,
            track: spawned.item.map_or_else(|| spawned.greenlet.id(), |_| next_item_track()),
            span: Span::open(spawned),
            shard,
            key: AtomicUsize::new(0),
            state: Mutex::new(state),
        });
        let mut list = lock(&LIVING[shard]);
        record.key.store(list.insert(Arc::clone(&record)), Relaxed);
        drop(list);
        timeline::spawned(&record, now);
        record
    }

    /// The index of the item that it is.
    pub(crate) fn item(&self) -> Option<usize> {
        Some(self.item.load(Relaxed)).filter(|item| *item != NO_ITEM)
    }

    pub(crate) fn state(&self) -> State {
        let mut state = self.lock();
        state.go_on(self.item.load(Relaxed));
        state.clone()
    }

    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.greenlet.spawned_at()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Makes this the state of `item`, which began in the last poll that has begun.
    fn go_on(&mut self, item: usize) {
        if self.item != item {
            (self.item, self.born, self.polls, self.wait) = (item, self.began, 1, None);
        }
    }

    /// The current time on the clock of its hub.
    pub(crate) fn now(&self) -> Instant {
        self.hub.as_ref().map_or_else(Instant::now, |hub| hub.now())
    }
}

impl Watch for Record {
    fn poll_began(&self) {
        ThreadNote::with(|thread| {
            let mut state = self.lock();
            let state = &mut *state;
            let hub = state.hub.get_or_insert_with(|| thread.hub());
            let now = hub.now();
            let is_delayed = state.phase == Phase::Queued && !self.may_block;
            hub.polled(is_delayed.then(|| now - state.since));
            thread.begin_poll(hub, &self.greenlet, now);
            (state.phase, state.since, state.began, state.woken) = (Phase::Polled, now, now, None);
            state.polls += 1;
            timeline::began(self, now);
        });
        self.span.enter();
    }

    fn poll_ended(&self, wait: Option<Wait>) {
        self.span.exit(&self.greenlet);
        ThreadNote::with(ThreadNote::end_poll);
        let mut state = self.lock();
        state.go_on(self.item.load(Relaxed));
        state.wait = wait;
        // A wait counts from the beginning of its poll: that saves a reading of the clock.
        (state.phase, state.since) = match state.woken.take() {
            Some(woken) => (Phase::Queued, woken),
            None => (Phase::Waiting, state.began),
        };
        timeline::paused(self, || state.now(), wait);
    }

    fn next_item(&self, index: usize) {
        self.item.store(index, Relaxed);
        timeline::next_item(self, || self.lock().now(), index);
    }

    fn woken(&self) {
        let mut state = self.lock();
        let now = state.now();
        match state.phase {
            Phase::Waiting => (state.phase, state.since) = (Phase::Queued, now),
            Phase::Polled => state.woken = state.woken.or(Some(now)),
            Phase::Queued => {}
        }
        state.hub.as_ref().inspect(|hub| hub.woken());
        timeline::woken(self, now);
    }

    fn ended(&self, failure: Option<&Failure>) {
        timeline::ended(self, || self.lock().now(), failure);
        self.span.end(&self.greenlet, failure);
        let removed = lock(&LIVING[self.shard]).try_remove(self.key.load(Relaxed));
        drop(removed);
    }
}

/// Since `since`; zero if that is in the future, for clocks differ.
pub(crate) fn since(since: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(since)
}

/// Locks `mutex`, also after a panic: each critical section leaves the data consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
