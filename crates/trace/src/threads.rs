//! [`ThreadNote`]: whether a thread polls, and for which hub.

use std::cell::{Cell, RefCell};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Instant;

use spinney_hub::{Clock, Hub, ThreadParks};

use crate::hubs::HubNote;
use crate::record::lock;
use crate::timeline;

/// The threads that have polled a greenlet, until they exit.
static THREADS: Mutex<Vec<Weak<ThreadNote>>> = Mutex::new(Vec::new());

thread_local! {
    static HERE: ThisThread = ThisThread::new();
}

/// What is known of a thread.
#[derive(Default)]
pub(crate) struct ThreadNote {
    number: usize,
    name: String,
    parks: ThreadParks,
    /// The hub that it polled for last.
    hub: Mutex<Option<Arc<HubNote>>>,
    /// How many polls are in progress: more than one if they are in place. Only the thread itself
    /// changes this and the next two fields.
    depth: AtomicUsize,
    /// How many polls have begun, those in place not counted.
    polls: AtomicUsize,
    /// How many calls of `block_on` it was in when the last of these polls began.
    parked_around: AtomicUsize,
}

impl ThreadNote {
    fn new() -> Arc<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let number = NEXT.fetch_add(1, Relaxed);
        let name =
            thread::current().name().map_or_else(|| format!("thread {number}"), str::to_owned);
        let note =
            Arc::new(Self { number, name, parks: ThreadParks::current(), ..Self::default() });
        let mut threads = lock(&THREADS);
        threads.retain(|thread| thread.strong_count() > 0);
        threads.push(Arc::downgrade(&note));
        note
    }

    /// The threads that have polled a greenlet and have not exited.
    pub(crate) fn all() -> Vec<Arc<Self>> {
        lock(&THREADS).iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The hub that it polled for last.
    pub(crate) fn last_hub(&self) -> Option<Arc<HubNote>> {
        lock(&self.hub).clone()
    }

    /// The poll in progress, by a number that no later poll of the thread has.
    pub(crate) fn poll(&self) -> Option<usize> {
        (self.depth.load(Relaxed) > 0).then(|| self.polls.load(Relaxed))
    }

    /// Whether it waits in a `block_on` within a poll.
    pub(crate) fn is_parked(&self) -> bool {
        self.poll().is_some() && self.parks.depth() > self.parked_around.load(Relaxed)
    }
}

/// The note of this thread, and what only the thread itself needs.
pub(crate) struct ThisThread {
    note: Arc<ThreadNote>,
    /// The hub that it polled for last.
    hub: RefCell<Option<Arc<HubNote>>>,
    /// When the last poll began; `None` outside any poll, and if its hub has a virtual clock.
    now: Cell<Option<Instant>>,
}

impl ThisThread {
    fn new() -> Self {
        Self { note: ThreadNote::new(), hub: RefCell::default(), now: Cell::default() }
    }

    /// Calls `look` with this thread; `None` while the thread exits.
    pub(crate) fn with<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        HERE.try_with(look).ok()
    }

    pub(crate) fn number(&self) -> usize {
        self.note.number
    }

    /// The hub that polls on this thread.
    pub(crate) fn find_hub(&self) -> Arc<HubNote> {
        let current = Hub::try_current();
        let last = self.hub.borrow().clone().filter(|hub| hub.is_of(current.as_ref()));
        last.unwrap_or_else(|| HubNote::of(current))
    }

    /// The time on the clock of the hub that polls on this thread; within a poll, when that began.
    pub(crate) fn now(&self) -> Instant {
        self.began().unwrap_or_else(|| Clock::current().now())
    }

    /// When the poll in progress began, if there is one on a real clock: all real clocks show the
    /// same time. `None` for the sake of a timeline, whose times are exact.
    pub(crate) fn began(&self) -> Option<Instant> {
        if timeline::is_recording() { None } else { self.now.get() }
    }

    /// A poll for `hub` begins. Returns how many are in progress around it.
    pub(crate) fn begin_poll(&self, hub: &Arc<HubNote>, now: Instant) -> usize {
        let note = &*self.note;
        let depth = note.depth.load(Relaxed);
        if depth == 0 {
            note.parked_around.store(note.parks.depth(), Relaxed);
            note.polls.store(note.polls.load(Relaxed).wrapping_add(1), Relaxed);
        }
        note.depth.store(depth + 1, Relaxed);
        self.now.set(hub.is_real().then_some(now));
        let is_same = self.hub.borrow().as_ref().is_some_and(|last| Arc::ptr_eq(last, hub));
        if !is_same {
            self.set_hub(hub);
        }
        depth
    }

    #[cold]
    fn set_hub(&self, hub: &Arc<HubNote>) {
        let before = self.hub.replace(Some(Arc::clone(hub)));
        *lock(&self.note.hub) = Some(Arc::clone(hub));
        drop(before);
    }

    pub(crate) fn end_poll(&self) {
        self.note.depth.store(self.note.depth.load(Relaxed) - 1, Relaxed);
        self.now.set(None);
    }
}
