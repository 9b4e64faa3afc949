//! [`ThreadNote`]: which greenlets a thread polls.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Instant;

use spinney_greenlet::Handle;
use spinney_hub::{Hub, ThreadParks};

use crate::hubs::HubNote;
use crate::record::lock;

/// The threads that have polled a greenlet, until they exit.
static THREADS: Mutex<Vec<Weak<ThreadNote>>> = Mutex::new(Vec::new());

thread_local! {
    static HERE: Arc<ThreadNote> = ThreadNote::new();
}

/// What is known of a thread.
pub(crate) struct ThreadNote {
    number: usize,
    name: String,
    parks: ThreadParks,
    work: Mutex<Work>,
}

/// What a thread does.
#[derive(Default)]
struct Work {
    /// The hub that it polled for last.
    hub: Option<Arc<HubNote>>,
    /// The polls in progress, the innermost last.
    polls: Vec<ThreadPoll>,
}

/// A poll in progress.
#[derive(Clone)]
pub(crate) struct ThreadPoll {
    /// Unasked, as that of its record is; a clone of it is asked for.
    pub(crate) greenlet: Handle,
    pub(crate) since: Instant,
    /// How many calls of `block_on` the thread was in.
    depth: usize,
}

impl ThreadNote {
    fn new() -> Arc<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let number = NEXT.fetch_add(1, Relaxed);
        let name =
            thread::current().name().map_or_else(|| format!("thread {number}"), str::to_owned);
        let note =
            Arc::new(Self { number, name, parks: ThreadParks::current(), work: Mutex::default() });
        let mut threads = lock(&THREADS);
        threads.retain(|thread| thread.strong_count() > 0);
        threads.push(Arc::downgrade(&note));
        note
    }

    /// Calls `look` with the note of this thread; `None` while the thread exits.
    pub(crate) fn with<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        HERE.try_with(|here| look(here)).ok()
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

    /// The hub that polls on this thread. Called on the thread itself.
    pub(crate) fn hub(&self) -> Arc<HubNote> {
        let current = Hub::try_current();
        let last = self.last_hub().filter(|hub| hub.is_of(current.as_ref()));
        last.unwrap_or_else(|| HubNote::of(current))
    }

    /// The hub that it polled for last.
    pub(crate) fn last_hub(&self) -> Option<Arc<HubNote>> {
        lock(&self.work).hub.clone()
    }

    pub(crate) fn begin_poll(&self, hub: &Arc<HubNote>, greenlet: &Handle, since: Instant) {
        let depth = self.parks.depth();
        let mut work = lock(&self.work);
        let is_same = work.hub.as_ref().is_some_and(|last| Arc::ptr_eq(last, hub));
        let before = if is_same { None } else { work.hub.replace(Arc::clone(hub)) };
        work.polls.push(ThreadPoll { greenlet: greenlet.unasked(), since, depth });
        drop(work);
        drop(before);
    }

    pub(crate) fn end_poll(&self) {
        let poll = lock(&self.work).polls.pop();
        drop(poll);
    }

    /// The polls in progress, the innermost last.
    pub(crate) fn polls(&self) -> Vec<ThreadPoll> {
        lock(&self.work).polls.clone()
    }

    /// Whether it waits in a `block_on` within a poll.
    pub(crate) fn is_parked(&self) -> bool {
        lock(&self.work).polls.first().is_some_and(|poll| self.parks.depth() > poll.depth)
    }
}
