//! [`Tasks`]: the tasks of a simulated hub, and their queue.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use fastrand::Rng;
use spinney_hub::{BoxTask, Spawn, drop_contained};
use spinney_sync::{Wait, WakeFlag};

use crate::clock::VirtualClock;
use crate::explore::Run;

type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A waiting future, for reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// The label that it has set.
    pub(crate) label: Option<String>,
    pub(crate) wait: Option<Wait>,
}

impl Stuck {
    /// What it waits for, as text.
    pub(crate) fn waits(&self) -> String {
        let wait = self.wait.map(|wait| wait.to_string());
        format!("waits for {}", wait.as_deref().unwrap_or("an unknown event"))
    }

    /// A line of a report.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.label.as_deref().unwrap_or("a task"), self.waits())
    }
}

/// Determines which of the ready tasks runs next.
pub(crate) enum Order {
    Fifo,
    Random(RefCell<Rng>),
    Explored(Rc<Run>),
}

pub(crate) struct Tasks {
    /// The tasks that have not finished; the one that is being polled is taken out.
    waiting: RefCell<BTreeMap<u64, Task>>,
    /// The label of the task that is being polled.
    label: Rc<RefCell<Option<String>>>,
    ready: Arc<Ready>,
    order: Order,
}

struct Task {
    future: BoxFuture,
    stuck: Stuck,
}

/// The kind of future that has a turn.
pub(crate) enum Turn {
    /// The main future, which the caller polls.
    Main,
    /// A task, which was polled, or a timer, which has fired.
    Other,
}

impl Tasks {
    pub(crate) fn new(order: Order) -> Self {
        let watched = matches!(order, Order::Explored(_)).then(this_thread);
        let ready = Ready { watched, ..Ready::default() };
        Self { waiting: RefCell::default(), label: Rc::default(), ready: Arc::new(ready), order }
    }

    /// Adds a task, and queues its first turn.
    #[track_caller]
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static, independent: bool) {
        let id = self.ready.next_id();
        let task = Task { future: Box::pin(future), stuck: Stuck::default() };
        self.waiting.borrow_mut().insert(id, task);
        let place = Place { independent, ..Place::new(id, &self.ready, Location::caller()) };
        self.ready.push(Arc::new(place));
    }

    /// A handle for other threads, and for contexts.
    pub(crate) fn handle(&self) -> SimHandle {
        SimHandle { ready: Arc::clone(&self.ready) }
    }

    /// Gives the main future a turn, and another whenever its place is woken.
    #[track_caller]
    pub(crate) fn queue_main(&self) -> Arc<Place> {
        let place = Arc::new(Place::new(MAIN, &self.ready, Location::caller()));
        self.ready.push(Arc::clone(&place));
        place
    }

    /// Lets time pass until the next timer is due; `false` if none is set. In an explored run each
    /// due timer then has a place in the queue, and fires in its turn.
    pub(crate) fn pass_time(&self, clock: &VirtualClock) -> bool {
        let Order::Explored(run) = &self.order else { return clock.jump() };
        let due = clock.jump_silently();
        if !due.is_empty() {
            run.time_passed(clock.elapsed());
        }
        for key in &due {
            let place = Place::new(key | TIMER, &self.ready, Location::caller());
            self.ready.push(Arc::new(place));
        }
        !due.is_empty()
    }

    /// Gives the next place in the queue its turn; `None` if the queue is empty.
    pub(crate) fn run_next(&self, clock: &VirtualClock) -> Option<Turn> {
        let place = self.pick(clock)?;
        place.queued.take();
        if place.id == MAIN {
            return Some(Turn::Main);
        }
        if place.id & TIMER != 0 {
            self.watch(&place, || (clock.ring(place.id & !TIMER), Step::default()));
            return Some(Turn::Other);
        }
        self.take_in();
        // A task that has finished may have a turn left.
        let task = self.waiting.borrow_mut().remove(&place.id);
        if let Some(mut task) = task {
            let (polled, stuck) = self.poll(&place, task.future.as_mut());
            if polled.is_pending() {
                task.stuck = stuck;
                self.waiting.borrow_mut().insert(place.id, task);
            }
        }
        Some(Turn::Other)
    }

    /// Polls `future`, and finds out what it waits for.
    pub(crate) fn poll<F: Future + ?Sized>(
        &self,
        place: &Arc<Place>,
        future: Pin<&mut F>,
    ) -> (Poll<F::Output>, Stuck) {
        self.label.take();
        Wait::forget();
        let waker = Waker::from(Arc::clone(place));
        self.watch(place, || {
            let polled = future.poll(&mut Context::from_waker(&waker));
            let stuck = Stuck { label: self.label.take(), wait: Wait::last() };
            let step = Step { finished: polled.is_ready(), stuck: Some(stuck.clone()) };
            ((polled, stuck), step)
        })
    }

    /// Makes a choice of the program.
    pub(crate) fn choose(&self, what: &str, options: usize) -> usize {
        match &self.order {
            Order::Fifo => 0,
            Order::Random(rng) => rng.borrow_mut().usize(..options),
            Order::Explored(run) => run.choose(what, options),
        }
    }

    /// The callback for the labels of tasks.
    pub(crate) fn labels(&self) -> Rc<dyn Fn(String)> {
        let label = Rc::clone(&self.label);
        Rc::new(move |text| drop(label.replace(Some(text))))
    }

    /// The tasks that have not finished.
    pub(crate) fn stuck(&self) -> Vec<Stuck> {
        self.take_in();
        self.waiting.borrow().values().map(|task| task.stuck.clone()).collect()
    }

    /// How many tasks have not finished.
    pub(crate) fn len(&self) -> usize {
        self.take_in();
        self.waiting.borrow().len()
    }

    /// Drops every task, including those that destructors spawn. Futures that are spawned later
    /// through a handle are dropped.
    pub(crate) fn clear(&self) {
        self.ready.close();
        while self.len() > 0 {
            let tasks = std::mem::take(&mut *self.waiting.borrow_mut());
            tasks.into_values().for_each(drop_contained);
        }
        self.ready.lock().clear();
    }

    /// Turns the futures that came through a handle into tasks.
    fn take_in(&self) {
        let spawned = std::mem::take(&mut *lock(&self.ready.inbox));
        let tasks = spawned.into_iter().map(|(id, future)| {
            let future: BoxFuture = future;
            (id, Task { future, stuck: Stuck::default() })
        });
        self.waiting.borrow_mut().extend(tasks);
    }

    fn pick(&self, clock: &VirtualClock) -> Option<Arc<Place>> {
        let mut queue = self.ready.lock();
        match &self.order {
            Order::Fifo => queue.pop_front(),
            Order::Random(_) if queue.is_empty() => None,
            Order::Random(rng) => {
                let picked = rng.borrow_mut().usize(..queue.len());
                queue.remove(picked)
            }
            Order::Explored(run) => {
                // A timer that was cleared since it became due is not an option.
                run.forget(&mut queue, |place| {
                    place.id & TIMER != 0 && !clock.is_set(place.id & !TIMER)
                });
                if let Some(foreign) = lock(&self.ready.foreign).take() {
                    run.forbid(foreign);
                }
                run.pick(&mut queue)
            }
        }
    }

    /// Performs a `step` of the task at `place`, and reports its effects to the run.
    fn watch<T>(&self, place: &Arc<Place>, step: impl FnOnce() -> (T, Step)) -> T {
        let Order::Explored(run) = &self.order else { return step().0 };
        if !run.is_traced() {
            return step().0;
        }
        let queued = self.ready.lock().len();
        run.begin_step(place);
        let (result, step) = step();
        run.end_step(place, &step, self.ready.lock().iter().skip(queued));
        result
    }
}

/// The effects of a step.
#[derive(Default)]
pub(crate) struct Step {
    pub(crate) finished: bool,
    /// What the task waits for; `None` for a timer.
    pub(crate) stuck: Option<Stuck>,
}

/// A weak handle to a hub: spawns on it from any thread, in the order of the calls. Drops the
/// future if the hub is gone.
pub(crate) struct SimHandle {
    ready: Arc<Ready>,
}

impl Spawn<BoxTask> for SimHandle {
    #[track_caller]
    fn spawn(&self, future: BoxTask) {
        let mut inbox = lock(&self.ready.inbox);
        if self.ready.closed.load(Relaxed) {
            drop(inbox);
            return drop(future);
        }
        let id = self.ready.next_id();
        inbox.push((id, future));
        drop(inbox);
        self.ready.push(Arc::new(Place::new(id, &self.ready, Location::caller())));
    }
}

/// The part of a hub that other threads access.
#[derive(Default)]
struct Ready {
    /// The tasks that are ready.
    queue: Mutex<VecDeque<Arc<Place>>>,
    /// Futures that came through a [`SimHandle`] and are no tasks yet, by the id of the task.
    inbox: Mutex<Vec<(u64, BoxTask)>>,
    last_id: AtomicU64,
    /// The hub is gone. Changed under the lock of the inbox.
    closed: AtomicBool,
    /// In an explored run, the only thread that may queue anything.
    watched: Option<u64>,
    /// The label of a task that another thread has queued.
    foreign: Mutex<Option<String>>,
}

impl Ready {
    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Relaxed) + MAIN + 1
    }

    fn push(&self, place: Arc<Place>) {
        if self.watched.is_some_and(|thread| thread != this_thread()) {
            *lock(&self.foreign) = Some(place.to_string());
        }
        // Under the lock: another thread may report that it has queued a task, and the queue must
        // not be found empty before it has.
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

/// A number that no other thread has; 0 once the thread's locals have been destroyed.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static HERE: Cell<u64> = Cell::new(NEXT.fetch_add(1, Relaxed));
    }
    HERE.try_with(Cell::get).unwrap_or_default()
}

/// The main future's id, which no task has.
const MAIN: u64 = 0;

/// Set in the ids of timers.
const TIMER: u64 = 1 << 63;

/// The place of a task or of a due timer in the queue, where it is at most once.
pub(crate) struct Place {
    pub(crate) id: u64,
    /// The line that spawned the task.
    pub(crate) at: &'static Location<'static>,
    /// The task shares nothing with others.
    pub(crate) independent: bool,
    queued: WakeFlag,
    ready: Arc<Ready>,
}

impl Place {
    fn new(id: u64, ready: &Arc<Ready>, at: &'static Location<'static>) -> Self {
        Self { id, at, independent: false, queued: WakeFlag::new(), ready: Arc::clone(ready) }
    }
}

impl Place {
    pub(crate) fn is_main(&self) -> bool {
        self.id == MAIN
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.id {
            MAIN => f.write_str("main"),
            id if id & TIMER != 0 => write!(f, "timer {}", (id & !TIMER) + 1),
            id => write!(f, "task {id}"),
        }
    }
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        let ready = Arc::clone(&self.ready);
        ready.push(self);
    }
}
