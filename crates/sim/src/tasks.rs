//! [`Tasks`]: what runs on a simulated hub, and in which order.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use fastrand::Rng;
use spinney_sync::{Wait, WakeFlag};

type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// What is known of a future that waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// What it calls itself.
    pub(crate) label: Option<String>,
    wait: Option<Wait>,
}

impl Stuck {
    /// What it waits for, in words.
    pub(crate) fn waits(&self) -> String {
        let wait = self.wait.map(|wait| wait.to_string());
        format!("waits for {}", wait.as_deref().unwrap_or("something that does not say what it is"))
    }
}

/// The main future's id, which no task has.
const MAIN: u64 = 0;

pub(crate) struct Tasks {
    /// Those that have not ended; the one that is being polled has been taken out.
    waiting: RefCell<BTreeMap<u64, (BoxFuture, Stuck)>>,
    /// What the task that is being polled calls itself.
    label: Rc<RefCell<Option<String>>>,
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
            label: Rc::default(),
            next_id: RefCell::new(MAIN + 1),
            ready: Arc::default(),
            rng: rng.map(RefCell::new),
        }
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let id = self.next_id.replace_with(|id| *id + 1);
        self.waiting.borrow_mut().insert(id, (Box::pin(future), Stuck::default()));
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
        place.queued.take();
        if place.id == MAIN {
            return Some(Turn::Main);
        }
        // One that has ended may have had a turn left.
        let task = self.waiting.borrow_mut().remove(&place.id);
        if let Some((mut future, _)) = task {
            let waker = Waker::from(Arc::clone(&place));
            let (polled, stuck) = self.poll(future.as_mut(), &waker);
            if polled.is_pending() {
                self.waiting.borrow_mut().insert(place.id, (future, stuck));
            }
        }
        Some(Turn::Task)
    }

    /// Polls `future`, and finds out what it waits for.
    pub(crate) fn poll<F: Future + ?Sized>(
        &self,
        future: Pin<&mut F>,
        waker: &Waker,
    ) -> (Poll<F::Output>, Stuck) {
        self.label.take();
        Wait::forget();
        let polled = future.poll(&mut Context::from_waker(waker));
        (polled, Stuck { label: self.label.take(), wait: Wait::last() })
    }

    /// Where tasks say what they are called.
    pub(crate) fn labels(&self) -> Rc<dyn Fn(String)> {
        let label = Rc::clone(&self.label);
        Rc::new(move |text| drop(label.replace(Some(text))))
    }

    /// Those that have not ended.
    pub(crate) fn stuck(&self) -> Vec<Stuck> {
        self.waiting.borrow().values().map(|(_, stuck)| stuck.clone()).collect()
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
        // Under the lock: another thread may say that it is queued, and nobody is to find the
        // queue empty before it is.
        let mut queue = self.lock();
        if place.queued.set() {
            queue.push_back(place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Place>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's place in the queue, which it has once at the most.
struct Place {
    id: u64,
    queued: WakeFlag,
    ready: Arc<Ready>,
}

impl Place {
    fn of(id: u64, ready: &Arc<Ready>) -> Arc<Self> {
        Arc::new(Self { id, queued: WakeFlag::new(), ready: Arc::clone(ready) })
    }
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        let ready = Arc::clone(&self.ready);
        ready.push(self);
    }
}
