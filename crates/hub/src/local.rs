//! [`LocalHub`]: an executor on one thread, first in, first out.
//!
//! Ready tasks are in a plain queue that only this thread accesses. A wake-up from another thread
//! goes into a locked inbox, which is emptied between two batches. While no task is ready, the
//! thread waits in async-io's reactor, which wakes tasks *on this thread* but outside any poll of
//! the hub: so a push into the plain queue of a sleeping hub wakes the hub as well.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{self, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures_lite::future;
use slab::Slab;
use spinney_sync::{Budget, WakeFlag};

use crate::inbox::{Inbox, Runnable, Turn};
use crate::spawn::Guarded;
use crate::timers::Slack;
use crate::{Clock, Context, Entered, Executor, Hub, LocalBoxTask, Spawn};

/// How many turns run before the reactor and the inbox are checked again.
const BATCH: usize = 200;

/// An idle hub keeps memory for this many turns and tasks.
const KEPT: usize = 1024;

thread_local! {
    /// The hub that is running on this thread.
    static RUNNING: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// An executor on one thread, gevent's kind of hub: tasks run first in, first out, need not be
/// `Send`, and share no lock of the hub.
///
/// Cloning is cheap; the handle stays on its thread. Tasks run only inside
/// [`block_on`](Self::block_on); tasks that remain when it returns go on at the next call. Dropping
/// the last handle drops the remaining tasks. A task that holds a handle of its own hub keeps the
/// hub alive.
///
/// For tasks on several threads use [`Hub`](crate::Hub); for tests, `spinney_sim::SimHub`.
///
/// ```
/// # use spinney_hub as spinney;
/// use std::{cell::Cell, rc::Rc};
/// use spinney::{LocalHub, Spawn, yield_now};
///
/// let hub = LocalHub::new();
/// let ran = Rc::new(Cell::new(false));
/// let seen = Rc::clone(&ran);
/// hub.spawn(async move { seen.set(true) });
/// hub.block_on(yield_now());
/// assert!(ran.get());
/// ```
#[derive(Clone)]
pub struct LocalHub {
    owner: Rc<Owner>,
}

impl LocalHub {
    /// Creates a hub without tasks.
    pub fn new() -> Self {
        Self { owner: Rc::new(Owner { local: Rc::new(Local::new()) }) }
    }

    /// Sets how late timers may be, as in [`Clock::with_timer_slack`]. Default: 50 microseconds.
    #[must_use]
    pub fn with_timer_slack(self, slack: Duration) -> Self {
        self.owner.local.slack.set(Slack::new(slack));
        self
    }

    /// Runs `main` to its end on this thread, together with the hub's tasks.
    ///
    /// # Panics
    ///
    /// Panics if a `LocalHub` already runs on this thread: the inner one would block the tasks of
    /// the outer one. Await the future instead.
    pub fn block_on<F: Future>(&self, main: F) -> F::Output {
        let local = &self.owner.local;
        let _running = Running::enter(local);
        let mut main = pin!(main);
        let turn = Arc::new(MainTurn { queued: WakeFlag::new(), inbox: local.inbox });
        let waker = Waker::from(Arc::clone(&turn));
        waker.wake_by_ref();
        async_io::block_on(future::poll_fn(|cx| {
            local.run_batch(cx, || {
                turn.queued.take();
                let _budget = Budget::open();
                main.as_mut().poll(&mut task::Context::from_waker(&waker))
            })
        }))
    }

    pub(crate) fn handle(&self) -> LocalHandle {
        self.owner.local.handle()
    }
}

impl Default for LocalHub {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Future<Output = ()> + 'static> Spawn<F> for LocalHub {
    fn spawn(&self, future: F) {
        self.owner.local.spawn(future);
    }
}

impl Executor for LocalHub {
    type AnyTask = LocalBoxTask;

    fn is_current(&self) -> bool {
        Hub::from(self).is_innermost()
    }

    fn is_local(&self) -> bool {
        true
    }
}

impl fmt::Debug for LocalHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = &self.owner.local;
        f.debug_struct("LocalHub")
            .field("tasks", &local.alive.get())
            .field("ready", &local.ready.borrow().len())
            .finish()
    }
}

/// Shared by all handles. Dropping it drops the tasks.
struct Owner {
    local: Rc<Local>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.local.clear();
        self.local.inbox.release();
    }
}

/// The weak handle of a hub for other threads: it spawns on the hub without keeping it alive.
#[derive(Clone, Copy)]
pub(crate) struct LocalHandle {
    inbox: &'static Inbox,
    generation: u64,
    slack: Slack,
}

impl PartialEq for LocalHandle {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.inbox, other.inbox) && self.generation == other.generation
    }
}

impl LocalHandle {
    pub(crate) fn clock(self) -> Clock {
        Clock::of_system(self.slack)
    }

    /// Queues `future` as a task; drops it if the hub is gone.
    pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(self, future: F) {
        let mut future = Some(future);
        on_running(self.inbox, |local| {
            if local.generation == self.generation {
                future.take().into_iter().for_each(|future| local.spawn(future));
            }
        });
        if let Some(future) = future {
            self.inbox.push_if(self.generation, Turn::Spawn(Box::pin(future)));
        }
    }
}

/// The part of a hub that only its own thread accesses.
struct Local {
    ready: RefCell<VecDeque<Turn>>,
    /// Wakes the thread; `Some` while it sleeps.
    sleeper: Cell<Option<Waker>>,
    /// A waker of each unfinished task, so that the last handle can drop them all.
    tasks: RefCell<Slab<Waker>>,
    /// The number of futures that have not been dropped yet.
    alive: Cell<usize>,
    inbox: &'static Inbox,
    /// Distinguishes this hub from other hubs that use its inbox.
    generation: u64,
    slack: Cell<Slack>,
}

impl Local {
    fn new() -> Self {
        let (inbox, generation) = Inbox::acquire();
        Self {
            ready: RefCell::default(),
            sleeper: Cell::default(),
            tasks: RefCell::default(),
            alive: Cell::default(),
            inbox,
            generation,
            slack: Cell::default(),
        }
    }

    fn handle(&self) -> LocalHandle {
        let slack = self.slack.get();
        LocalHandle { inbox: self.inbox, generation: self.generation, slack }
    }

    fn spawn<F: Future<Output = ()> + 'static>(self: &Rc<Self>, future: F) {
        self.push(Turn::Task(self.task(future)));
    }

    fn task<F: Future<Output = ()> + 'static>(self: &Rc<Self>, future: F) -> Runnable {
        let key = self.tasks.borrow().vacant_key();
        let entry = Entry { key, local: Rc::downgrade(self) };
        let (runnable, task) = async_task::Builder::new()
            .propagate_panic(true)
            .metadata(self.inbox)
            .spawn_local(move |_| Guarded::new(future, entry), schedule_task);
        task.detach();
        self.alive.set(self.alive.get() + 1);
        self.tasks.borrow_mut().insert(runnable.waker());
        runnable
    }

    fn push(&self, turn: Turn) {
        // Entries of the inbox are older.
        if self.inbox.is_filled() {
            self.empty_inbox();
        }
        self.ready.borrow_mut().push_back(turn);
        if let Some(sleeper) = self.sleeper.take() {
            sleeper.wake();
        }
    }

    fn next(&self) -> Option<Turn> {
        self.ready.borrow_mut().pop_front()
    }

    /// Runs ready tasks, at most one batch; ready when `main` is.
    fn run_batch<T>(
        self: &Rc<Self>,
        cx: &task::Context<'_>,
        mut main: impl FnMut() -> Poll<T>,
    ) -> Poll<T> {
        self.sleeper.set(None);
        self.empty_inbox();
        for _ in 0..BATCH {
            match self.next() {
                Some(Turn::Task(runnable)) => drop(runnable.run()),
                Some(Turn::Spawn(future)) => drop(self.task(future).run()),
                Some(Turn::Main) => {
                    if let Poll::Ready(output) = main() {
                        return Poll::Ready(output);
                    }
                }
                None if self.fall_asleep(cx.waker()) => return Poll::Pending,
                None => self.empty_inbox(),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn empty_inbox(&self) {
        self.inbox.empty_into(&mut self.ready.borrow_mut());
    }

    /// Registers `waker` with every source of work for this hub; `false` if there is work already.
    fn fall_asleep(&self, waker: &Waker) -> bool {
        let asleep = self.inbox.fall_asleep(waker);
        if asleep {
            // Returns the memory of a peak.
            self.ready.borrow_mut().shrink_to(KEPT);
            self.sleeper.set(Some(waker.clone()));
        }
        asleep
    }

    /// Drops every task. Waits for tasks that another thread is about to put into the inbox,
    /// because their futures must be dropped here. Afterwards no task's waker reaches the inbox.
    fn clear(&self) {
        let tasks = self.tasks.take();
        tasks.into_iter().for_each(|(_, waker)| waker.wake());
        loop {
            self.run_out();
            if self.alive.get() == 0 {
                return;
            }
            // Uses no thread-local: the hub may be dropped while the thread exits.
            if self.fall_asleep(&Waker::from(Arc::new(Unpark(thread::current())))) {
                thread::park();
            }
        }
    }

    fn run_out(&self) {
        self.sleeper.set(None);
        self.empty_inbox();
        while let Some(turn) = self.next() {
            drop(turn);
        }
    }
}

/// Removes its task from the list when the task's future is dropped.
struct Entry {
    key: usize,
    local: Weak<Local>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(local) = self.local.upgrade() else { return };
        local.alive.set(local.alive.get() - 1);
        let mut tasks = local.tasks.borrow_mut();
        let waker = tasks.try_remove(self.key);
        if tasks.is_empty() && tasks.capacity() > KEPT {
            *tasks = Slab::new();
        }
        drop(tasks);
        drop(waker);
    }
}

/// Called by async-task. The function captures nothing, so async-task keeps nothing alive while it
/// runs: that saves a yield two atomic operations, and a wake-up one.
fn schedule_task(runnable: Runnable) {
    schedule(runnable.metadata(), Turn::Task(runnable));
}

/// Queues `turn` for the hub of `inbox`: on the hub's own thread in the plain queue.
fn schedule(inbox: &'static Inbox, turn: Turn) {
    let mut turn = Some(turn);
    on_running(inbox, |local| turn.take().into_iter().for_each(|turn| local.push(turn)));
    if let Some(turn) = turn {
        inbox.push(turn);
    }
}

/// Runs `code` if the hub of `inbox` runs on this thread. Once the thread's locals have been
/// destroyed, no hub does.
fn on_running(inbox: &'static Inbox, code: impl FnOnce(&Rc<Local>)) {
    let _gone = RUNNING.try_with(|running| {
        let running = running.borrow();
        running.as_ref().filter(|local| ptr::eq(local.inbox, inbox)).map(code)
    });
}

/// Queues the main future's turn, once for any number of wake-ups.
struct MainTurn {
    queued: WakeFlag,
    inbox: &'static Inbox,
}

impl Wake for MainTurn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.set() {
            schedule(self.inbox, Turn::Main);
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// While it lives, the hub runs on this thread.
struct Running {
    _context: Entered,
}

impl Running {
    fn enter(local: &Rc<Local>) -> Self {
        RUNNING.with_borrow_mut(|running| {
            assert!(
                running.is_none(),
                "a LocalHub already runs on this thread: await the future instead of `block_on`"
            );
            *running = Some(Rc::clone(local));
        });
        Self { _context: Context::driving(Hub::from(local.handle())).enter() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let local = RUNNING.take();
        if let Some(local) = local {
            // The main future has finished, and so has its turn. A waker of it may still queue
            // another turn, which then is a needless poll of the next main future.
            local.ready.borrow_mut().retain(|turn| !matches!(turn, Turn::Main));
        }
    }
}
