//! [`Core`]: the state of a hub that its threads and tasks share; [`BlockingGuard`]: one of the
//! threads blocks.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_executor::{Executor, StaticExecutor, Task};
use slab::Slab;

use super::workers::{ThreadSettings, Workers, drive};
use super::{Hub, HubStats, ShutdownReport, spawn_global};
use crate::spawn::Guarded;
use crate::{Clock, Context, contain, current};

thread_local! {
    /// The hub whose tasks this thread runs.
    static WORKER: RefCell<Option<CurrentWorker>> = const { RefCell::new(None) };
}

pub(crate) struct Core {
    engine: Engine,
    tasks: Mutex<Tasks>,
    /// A task has finished, and a thread waits for that.
    fewer: Condvar,
    pub(super) workers: Workers,
    settings: ThreadSettings,
    /// How long stopping waits for polls in progress.
    limit: Duration,
    pub(super) clock: Clock,
}

/// The executor: that of the process, or a private executor that is dropped with its hub.
pub(super) enum Engine {
    Global(&'static StaticExecutor),
    Own(Executor<'static>),
}

#[derive(Default)]
struct Tasks {
    /// The unfinished tasks; empty once the hub was closed.
    list: Slab<Task<()>>,
    /// The number of futures that have not been dropped.
    alive: usize,
    /// How many tasks have finished so far.
    ended: usize,
    /// Tasks that wait, in a [`shutdown`](Core::shutdown), for all others to finish.
    asking: usize,
    /// Threads that wait for tasks to finish.
    waiting: usize,
    closed: bool,
}

impl Core {
    /// Starts a hub.
    pub(super) fn start(
        engine: Engine,
        threads: usize,
        settings: ThreadSettings,
        limit: Duration,
        clock: Clock,
    ) -> io::Result<Arc<Self>> {
        let core = Arc::new(Self {
            engine,
            tasks: Mutex::default(),
            fewer: Condvar::new(),
            workers: Workers::new(threads),
            settings,
            limit,
            clock,
        });
        if let Err(error) = core.ensure_workers() {
            core.close();
            return Err(error);
        }
        Ok(core)
    }

    /// Runs `future`, or drops it if the hub was closed.
    pub(super) fn spawn(self: &Arc<Self>, future: impl Future<Output = ()> + Send + 'static) {
        let Engine::Own(executor) = &self.engine else { return spawn_global(future) };
        let mut tasks = self.lock();
        if !tasks.closed {
            let entry = Entry { core: Arc::clone(self), key: tasks.list.vacant_key() };
            let task = executor.spawn(Guarded::new(future, entry));
            tasks.list.insert(task);
            tasks.alive += 1;
        }
    }

    /// Whether this is the hub of the process, which never stops.
    pub(super) fn is_global(&self) -> bool {
        matches!(self.engine, Engine::Global(_))
    }

    /// Waits for the tasks, at most `grace`, then drops the remaining ones; see [`Hub::shutdown`].
    pub(super) fn shutdown(self: &Arc<Self>, grace: Duration) -> ShutdownReport {
        if self.is_global() {
            return ShutdownReport::default();
        }
        let is_inside = current::is_inside();
        let asking = is_at(self).then(|| Asking::begin(self));
        // Another thread takes over this thread's work while it waits.
        let blocking = BlockingGuard::begin();
        let before = self.lock().ended;
        drop(self.wait(grace, asking.is_some()));
        let end = Instant::now().checked_add(self.limit);
        let (left, ended) = self.close();
        let running = self.wait(self.limit, asking.is_some()).alive;
        if !is_inside && running == 0 {
            let rest = end.map_or(self.limit, |end| end.saturating_duration_since(Instant::now()));
            self.workers.wait_for_end(rest);
        }
        drop((blocking, asking));
        ShutdownReport { ended: ended - before, dropped: left.saturating_sub(running), running }
    }

    pub(super) fn stats(&self) -> HubStats {
        let (running, spares) = self.workers.counts();
        HubStats {
            name: self.settings.name.clone(),
            threads: Some(self.workers.threads()),
            running,
            spares,
            tasks: (!self.is_global()).then(|| self.lock().alive),
        }
    }

    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (threads, tasks) = (self.workers.threads(), self.lock().alive);
        f.debug_struct("Hub").field("threads", &threads).field("tasks", &tasks).finish()
    }

    /// Drops all tasks and stops the threads. Waits for them up to the limit, unless called inside
    /// a hub.
    pub(super) fn stop(&self) {
        self.close();
        if !current::is_inside() {
            self.workers.wait_for_end(self.limit);
        }
    }

    /// Cancels all tasks: a thread of the hub drops each task at its next turn, or after the poll
    /// in progress. The threads exit with the last task. Returns how many tasks are alive, and how
    /// many have finished.
    fn close(&self) -> (usize, usize) {
        let mut tasks = self.lock();
        tasks.closed = true;
        let list = std::mem::take(&mut tasks.list);
        let counts = (tasks.alive, tasks.ended);
        drop(tasks);
        drop(list);
        if counts.0 == 0 {
            self.workers.stop();
        }
        counts
    }

    /// Waits at most `limit` until all tasks have finished. A task that `asks` waits neither for
    /// itself nor for others that ask.
    fn wait(&self, limit: Duration, asks: bool) -> MutexGuard<'_, Tasks> {
        let mut tasks = self.lock();
        tasks.waiting += 1;
        let is_left = |tasks: &mut Tasks| tasks.alive > if asks { tasks.asking } else { 0 };
        let waited = self.fewer.wait_timeout_while(tasks, limit, is_left);
        let (mut tasks, _) = waited.unwrap_or_else(PoisonError::into_inner);
        tasks.waiting -= 1;
        tasks
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The methods of the threads.
impl Core {
    /// Called before the calling thread, which runs tasks, blocks: another thread runs them
    /// meanwhile. If the system refuses to start one, the hub has one thread fewer.
    pub(super) fn hand_over(self: &Arc<Self>) {
        self.workers.leave();
        let _refused = self.ensure_workers();
    }

    /// Starts or wakes threads until enough of them run tasks.
    fn ensure_workers(self: &Arc<Self>) -> io::Result<()> {
        while let Some(index) = self.workers.missing_worker() {
            let (core, ending) = (Arc::clone(self), Arc::clone(self));
            let work = move || core.run();
            let started = self.settings.start(index, work, move || ending.workers.end(index));
            if let Err(error) = started {
                self.workers.record_refusal(index);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The loop of a thread.
    fn run(self: &Arc<Self>) {
        let _entered = Context::blocking(Hub::weak(self)).enter();
        let mut done = false;
        while !done {
            // A panic in the destructor of a cancelled task ends the loop that ran it; another one
            // starts.
            contain(|| {
                let _guard = WorkerGuard::take(self);
                match &self.engine {
                    Engine::Global(executor) => {
                        async_io::block_on(drive(*executor, &self.workers));
                    }
                    Engine::Own(executor) => async_io::block_on(drive(executor, &self.workers)),
                }
                done = true;
            });
            done = done && !self.workers.wait_as_spare();
        }
    }
}

/// While it lives, one task of the hub waits for the others to finish.
struct Asking<'a>(&'a Core);

impl<'a> Asking<'a> {
    fn begin(core: &'a Core) -> Self {
        core.lock().asking += 1;
        core.fewer.notify_all();
        Self(core)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.lock().asking -= 1;
    }
}

/// A task's entry in the list. It is dropped after the task's future, and removes the entry.
struct Entry {
    core: Arc<Core>,
    key: usize,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut tasks = self.core.lock();
        tasks.alive -= 1;
        tasks.ended += 1;
        let task = tasks.list.try_remove(self.key);
        let stops = tasks.closed && tasks.alive == 0;
        let waited_for = tasks.waiting > 0 && tasks.alive <= tasks.asking;
        drop(tasks);
        if let Some(task) = task {
            task.detach();
        }
        if waited_for {
            self.core.fewer.notify_all();
        }
        if stops {
            self.core.workers.stop();
        }
    }
}

/// The state of a hub's thread.
struct CurrentWorker {
    core: Arc<Core>,
    /// One of the tasks blocks it; another thread does its work.
    blocking: bool,
}

/// While it lives, this thread runs the tasks of a hub.
pub(super) struct WorkerGuard(());

impl WorkerGuard {
    pub(super) fn take(core: &Arc<Core>) -> Self {
        WORKER.set(Some(CurrentWorker { core: Arc::clone(core), blocking: false }));
        Self(())
    }
}

impl Drop for WorkerGuard {
    fn drop(&mut self) {
        WORKER.take();
    }
}

/// Whether this thread runs a task of the hub.
pub(super) fn is_at(core: &Arc<Core>) -> bool {
    let is_at = |worker: &CurrentWorker| Arc::ptr_eq(&worker.core, core);
    WORKER.try_with(|worker| worker.borrow().as_ref().is_some_and(is_at)).unwrap_or(false)
}

thread_local! {
    static PARKS: ThreadParks = ThreadParks::default();
}

/// How many calls of `block_on` and of hubs a thread is in, for tools on other threads: a poll on it
/// during which the number is larger than at its beginning waits for a future, and holds up no other
/// task. Dropping it does not affect the thread.
///
/// ```
/// # mod spinney { pub mod hub { pub use spinney_hub::ThreadParks; } }
/// use spinney::hub::ThreadParks;
///
/// assert_eq!(ThreadParks::current().depth(), 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ThreadParks(Arc<AtomicUsize>);

impl ThreadParks {
    /// The state of this thread, from now on.
    pub fn current() -> Self {
        PARKS.try_with(Clone::clone).unwrap_or_default()
    }

    /// The number of calls that the thread is in now.
    pub fn depth(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// While it lives, its thread counts as parked.
struct Parked(ThreadParks);

impl Parked {
    fn begin() -> Self {
        let parks = ThreadParks::current();
        parks.0.fetch_add(1, Relaxed);
        Self(parks)
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// While it lives, this thread blocks, and another one runs the tasks of its hub. A no-op on any
/// other thread, and on a thread that is blocking already.
pub(crate) struct BlockingGuard {
    from: Option<Arc<Core>>,
    _parked: Parked,
}

impl BlockingGuard {
    pub(crate) fn begin() -> Self {
        // Once the thread's locals have been destroyed, it has no post any more.
        let from = WORKER.try_with(|worker| {
            let mut worker = worker.borrow_mut();
            let worker = worker.as_mut().filter(|worker| !worker.blocking)?;
            worker.blocking = true;
            Some(Arc::clone(&worker.core))
        });
        let from = from.ok().flatten();
        if let Some(core) = &from {
            core.hand_over();
        }
        Self { from, _parked: Parked::begin() }
    }
}

impl Drop for BlockingGuard {
    fn drop(&mut self) {
        let Some(core) = self.from.take() else { return };
        core.workers.resume();
        WORKER
            .with_borrow_mut(|worker| worker.iter_mut().for_each(|worker| worker.blocking = false));
    }
}
