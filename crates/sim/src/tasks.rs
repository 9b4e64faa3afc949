//! [`Tasks`]: what runs on a simulated hub, and in which order.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use fastrand::Rng;

type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// The main future's id, which no task has.
const MAIN: u64 = 0;

pub(crate) struct Tasks {
    /// Those that have not ended; the one that is being polled has been taken out.
    waiting: RefCell<BTreeMap<u64, BoxFuture>>,
    next_id: RefCell<u64>,
    ready: Arc<Ready>,
    /// Picks who runs next; first in, first out if there is none.
    rng: Option<RefCell<Rng>>,
}

/// Who had a turn.
pub(crate) enum Turn {
    /// The main future, which the caller is to poll.
    Main,
    /// A task, which was polled.
    Task,
}

impl Tasks {
    pub(crate) fn new(rng: Option<Rng>) -> Self {
        Self {
            waiting: RefCell::default(),
            next_id: RefCell::new(MAIN + 1),
            ready: Arc::default(),
            rng: rng.map(RefCell::new),
        }
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let id = self.next_id.replace_with(|id| *id + 1);
        self.waiting.borrow_mut().insert(id, Box::pin(future));
        self.ready.push(Place::of(id, &self.ready));
    }

    /// Gives the main future a turn, and one more whenever the waker is woken.
    pub(crate) fn queue_main(&self) -> Waker {
        let place = Place::of(MAIN, &self.ready);
        self.ready.push(Arc::clone(&place));
        Waker::from(place)
    }

    /// Gives the next one a turn; None if nobody is ready.
    pub(crate) fn run_next(&self) -> Option<Turn> {
        let place = self.pick()?;
        place.queued.store(false, Release);
        if place.id == MAIN {
            return Some(Turn::Main);
        }
        // One that has ended may have had a turn left.
        let future = self.waiting.borrow_mut().remove(&place.id);
        if let Some(mut future) = future {
            let waker = Waker::from(Arc::clone(&place));
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                self.waiting.borrow_mut().insert(place.id, future);
            }
        }
        Some(Turn::Task)
    }

    /// How many tasks have not ended.
    pub(crate) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Drops every task, also those that destructors spawn.
    pub(crate) fn clear(&self) {
        while self.len() > 0 {
            drop(std::mem::take(&mut *self.waiting.borrow_mut()));
        }
        self.ready.lock().clear();
    }

    fn pick(&self) -> Option<Arc<Place>> {
        let mut queue = self.ready.lock();
        let place = match &self.rng {
            Some(rng) if !queue.is_empty() => rng.borrow_mut().usize(..queue.len()),
            _ => 0,
        };
        queue.remove(place)
    }
}

/// Those that are ready to run.
#[derive(Default)]
struct Ready {
    queue: Mutex<VecDeque<Arc<Place>>>,
}

impl Ready {
    fn push(&self, place: Arc<Place>) {
        if !place.queued.swap(true, AcqRel) {
            self.lock().push_back(place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Place>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's place in the queue, which it has once at the most.
struct Place {
    id: u64,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Place {
    fn of(id: u64, ready: &Arc<Ready>) -> Arc<Self> {
        Arc::new(Self { id, queued: AtomicBool::new(false), ready: Arc::clone(ready) })
    }
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        let ready = Arc::clone(&self.ready);
        ready.push(self);
    }
}
