//! [`Tasks`]: what runs on a simulated hub, and in which order.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use fastrand::Rng;
use spinney_hub::{BoxTask, Spawn};
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
            ready: Arc::default(),
            rng: rng.map(RefCell::new),
        }
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let id = self.ready.next_id();
        self.waiting.borrow_mut().insert(id, (Box::pin(future), Stuck::default()));
        self.ready.push(Place::of(id, &self.ready));
    }

    /// A handle for other threads, and for contexts.
    pub(crate) fn handle(&self) -> SimHandle {
        SimHandle { ready: Arc::clone(&self.ready) }
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
        self.take_in();
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
        self.take_in();
        self.waiting.borrow().values().map(|(_, stuck)| stuck.clone()).collect()
    }

    /// How many tasks have not ended.
    pub(crate) fn len(&self) -> usize {
        self.take_in();
        self.waiting.borrow().len()
    }

    /// Drops every task, also those that destructors spawn. What is spawned later through a handle
    /// is dropped.
    pub(crate) fn clear(&self) {
        self.ready.close();
        while self.len() > 0 {
            let tasks = std::mem::take(&mut *self.waiting.borrow_mut());
            drop(tasks);
        }
        self.ready.lock().clear();
    }

    /// Makes tasks of the futures that came through a handle.
    fn take_in(&self) {
        let spawned = std::mem::take(&mut *lock(&self.ready.inbox));
        let tasks = spawned.into_iter().map(|(id, future)| {
            let future: BoxFuture = future;
            (id, (future, Stuck::default()))
        });
        self.waiting.borrow_mut().extend(tasks);
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

/// A handle to a hub that it does not keep alive: spawns on it, in the order of the calls, from any
/// thread. Drops the future if the hub is gone.
pub(crate) struct SimHandle {
    ready: Arc<Ready>,
}

impl Spawn<BoxTask> for SimHandle {
    fn spawn(&self, future: BoxTask) {
        let mut inbox = lock(&self.ready.inbox);
        if self.ready.closed.load(Relaxed) {
            drop(inbox);
            return drop(future);
        }
        let id = self.ready.next_id();
        inbox.push((id, future));
        drop(inbox);
        self.ready.push(Place::of(id, &self.ready));
    }
}

/// The part of a hub that other threads may have.
#[derive(Default)]
struct Ready {
    /// The tasks that are ready to run.
    queue: Mutex<VecDeque<Arc<Place>>>,
    /// What came through a [`SimHandle`] and is no task yet, by the task's id.
    inbox: Mutex<Vec<(u64, BoxTask)>>,
    last_id: AtomicU64,
    /// The hub is gone. Changed under the lock of the inbox.
    closed: AtomicBool,
}

impl Ready {
    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Relaxed) + MAIN + 1
    }

    fn push(&self, place: Arc<Place>) {
        // Under the lock: another thread may say that it is queued, and nobody is to find the
        // queue empty before it is.
        let mut queue = self.lock();
        if place.queued.set() {
            queue.push_back(place);
        }
    }

    fn close(&self) {
        let _inbox = lock(&self.inbox);
        self.closed.store(true, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Place>>> {
        lock(&self.queue)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
