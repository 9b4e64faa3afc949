//! [`LocalHub`]: one thread, first come, first served.
//!
//! What is ready to run stands in a plain queue that only this thread touches. A wake from
//! another thread goes into a locked inbox and is moved over between two batches. While nothing
//! is ready the thread waits in async-io's reactor, which itself wakes tasks *on this thread* but
//! outside of any poll of ours: so a push into the plain queue of a sleeping hub wakes it, too.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{self, Poll, Wake, Waker};
use std::thread::{self, Thread};

use futures_lite::future;
use slab::Slab;
use spinney_sync::{Budget, WakeFlag};

use crate::guarded::Guarded;
use crate::inbox::{Inbox, Runnable};
use crate::{BoxTask, Context, Entered, Executor, Hub, LocalBoxTask, Spawn};

/// How many turns are run before the reactor and the inbox are looked at again.
const BATCH: usize = 200;

/// For how many turns and tasks a hub without any keeps its memory.
const KEPT: usize = 1024;

thread_local! {
    /// The hub that runs on this thread.
    static RUNNING: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// An executor on one thread, gevent's kind of hub: tasks run first in, first out, need not be
/// `Send`, and meet no lock of the hub's between them.
///
/// A cheap handle that stays on its thread. Nothing runs but inside [`block_on`](Self::block_on);
/// tasks that are left when that returns go on at the next one. Dropping the last handle drops
/// the tasks that are left. A task that holds a handle of its own hub keeps it alive.
///
/// For tasks that are to run on several threads there is [`Hub`](crate::Hub); for tests,
/// `spinney_sim::SimHub`.
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use spinney_hub::{LocalHub, Spawn, yield_now};
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
    /// A hub with no tasks.
    pub fn new() -> Self {
        Self { owner: Rc::new(Owner { local: Rc::new(Local::new()) }) }
    }

    /// Runs `main` to its end on this thread, and the hub's tasks beside it, each in its turn.
    ///
    /// # Panics
    ///
    /// If a `LocalHub` already runs on this thread: the inner one would hold up the outer one's
    /// tasks. Await the future instead.
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

/// What all handles share. Dropping it drops the tasks.
struct Owner {
    local: Rc<Local>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.local.clear();
        self.local.inbox.give_back();
    }
}

/// What a hub is known by elsewhere: spawns on it without keeping it alive.
#[derive(Clone, Copy)]
pub(crate) struct LocalHandle {
    inbox: &'static Inbox,
    generation: u64,
}

impl PartialEq for LocalHandle {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.inbox, other.inbox) && self.generation == other.generation
    }
}

impl LocalHandle {
    /// Starts `future` in its turn; drops it if the hub is gone.
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

/// What runs next.
pub(crate) enum Turn {
    /// The future that [`LocalHub::block_on`] was given.
    Main,
    Task(Runnable),
    /// A future that came from elsewhere, and becomes a task in its turn.
    Spawn(BoxTask),
}

/// The half of a hub that its own thread alone touches.
struct Local {
    ready: RefCell<VecDeque<Turn>>,
    /// Wakes the thread; there while it sleeps.
    sleeper: Cell<Option<Waker>>,
    /// A waker of every task that has not ended, so that the last handle can have them dropped.
    tasks: RefCell<Slab<Waker>>,
    /// Futures that have not been dropped yet.
    alive: Cell<usize>,
    inbox: &'static Inbox,
    /// Tells this hub from others that have had its inbox.
    generation: u64,
}

impl Local {
    fn new() -> Self {
        let (inbox, generation) = Inbox::rent();
        Self {
            ready: RefCell::default(),
            sleeper: Cell::default(),
            tasks: RefCell::default(),
            alive: Cell::default(),
            inbox,
            generation,
        }
    }

    fn handle(&self) -> LocalHandle {
        LocalHandle { inbox: self.inbox, generation: self.generation }
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
        // What came from elsewhere came before.
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

    /// Runs what is ready, up to a batch of it; done when `main` is.
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

    /// Leaves `waker` with all who may have work for this hub; false if there is some already.
    fn fall_asleep(&self, waker: &Waker) -> bool {
        let asleep = self.inbox.fall_asleep(waker);
        if asleep {
            // What a peak took goes back.
            self.ready.borrow_mut().shrink_to(KEPT);
            self.sleeper.set(Some(waker.clone()));
        }
        asleep
    }

    /// Drops every task. One that another thread is about to put into the inbox is waited for,
    /// since its future must be dropped here. Afterwards no task's waker reaches the inbox.
    fn clear(&self) {
        let tasks = self.tasks.take();
        tasks.into_iter().for_each(|(_, waker)| waker.wake());
        loop {
            self.run_out();
            if self.alive.get() == 0 {
                return;
            }
            // It needs no thread-local of others, should the hub go with its thread.
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

/// Crosses its task off the list when its future is dropped.
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

/// What async-task calls. It holds nothing itself, so that nothing of it has to be kept alive while
/// it runs: that spares a yield two atomics, and a wake one.
fn schedule_task(runnable: Runnable) {
    schedule(runnable.metadata(), Turn::Task(runnable));
}

/// Puts `turn` where the hub with this `inbox` will find it: on its own thread into the plain
/// queue.
fn schedule(inbox: &'static Inbox, turn: Turn) {
    let mut turn = Some(turn);
    on_running(inbox, |local| turn.take().into_iter().for_each(|turn| local.push(turn)));
    if let Some(turn) = turn {
        inbox.push(turn);
    }
}

/// Runs `code` if the hub with this `inbox` runs on this thread. Where the thread's locals are
/// gone, none does.
fn on_running(inbox: &'static Inbox, code: impl FnOnce(&Rc<Local>)) {
    let _gone = RUNNING.try_with(|running| {
        let running = running.borrow();
        running.as_ref().filter(|local| ptr::eq(local.inbox, inbox)).map(code)
    });
}

/// Queues the main future's turn, once however often it is woken.
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
            // The main future is over, so is its turn; the waker that it gave away may still
            // queue one more, which then is a needless poll of the next main future.
            local.ready.borrow_mut().retain(|turn| !matches!(turn, Turn::Main));
        }
    }
}
