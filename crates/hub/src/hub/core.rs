//! [`Core`]: what runs a hub's tasks, the part that its threads and tasks hold, too.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_executor::{Executor, StaticExecutor, Task};
use slab::Slab;

use super::drive::drive;
use super::post::{Away, Post};
use super::threads::ThreadSettings;
use super::workers::Workers;
use super::{Hub, ShutdownReport, spawn_global};
use crate::guarded::Guarded;
use crate::{Context, contain, current};

pub(crate) struct Core {
    engine: Engine,
    tasks: Mutex<Tasks>,
    /// A task has ended, and others wait for that.
    fewer: Condvar,
    pub(super) workers: Workers,
    settings: ThreadSettings,
    /// How long stopping waits for polls that do not end.
    limit: Duration,
}

/// The executor: of the process, or one that is dropped with its hub.
pub(super) enum Engine {
    Global(&'static StaticExecutor),
    Own(Executor<'static>),
}

#[derive(Default)]
struct Tasks {
    /// Those that have not ended; empty once the hub was closed.
    list: Slab<Task<()>>,
    /// Futures that have not been dropped.
    alive: usize,
    /// How many have ended so far.
    ended: usize,
    /// Tasks that wait, in a [`shutdown`](Core::shutdown), for the end of all others.
    asking: usize,
    /// Threads that wait for the end of tasks.
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
    ) -> io::Result<Arc<Self>> {
        let core = Arc::new(Self {
            engine,
            tasks: Mutex::default(),
            fewer: Condvar::new(),
            workers: Workers::new(threads),
            settings,
            limit,
        });
        if let Err(error) = core.staff() {
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

    /// Waits for the tasks until `grace` is over, then drops what is left; see
    /// [`Hub::shutdown`].
    pub(super) fn shutdown(self: &Arc<Self>, grace: Duration) -> ShutdownReport {
        if self.is_global() {
            return ShutdownReport::default();
        }
        let is_inside = current::is_inside();
        let asking = super::post::is_at(self).then(|| Asking::begin(self));
        // Another thread does what this one leaves undone while it waits.
        let away = Away::begin();
        let before = self.lock().ended;
        drop(self.wait(grace, asking.is_some()));
        let end = Instant::now().checked_add(self.limit);
        let (left, ended) = self.close();
        let running = self.wait(self.limit, asking.is_some()).alive;
        if !is_inside && running == 0 {
            let rest = end.map_or(self.limit, |end| end.saturating_duration_since(Instant::now()));
            self.workers.wait_for_end(rest);
        }
        drop((away, asking));
        ShutdownReport { ended: ended - before, dropped: left.saturating_sub(running), running }
    }

    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (threads, tasks) = (self.workers.threads(), self.lock().alive);
        f.debug_struct("Hub").field("threads", &threads).field("tasks", &tasks).finish()
    }

    /// Drops all tasks and stops the threads. Waits for them, for a while, unless it is called
    /// inside of any hub.
    pub(super) fn stop(&self) {
        self.close();
        if !current::is_inside() {
            self.workers.wait_for_end(self.limit);
        }
    }

    /// Cancels all tasks: each is dropped by a thread of the hub, where it would run next, or when
    /// the poll it is in is over. With the last of them the threads end. Returns how many tasks are
    /// alive, and how many have ended.
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

    /// Waits until all tasks have ended, or `limit` is over. One that `asks` does not wait for
    /// itself, nor for others that ask.
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

/// The threads.
impl Core {
    /// The calling thread, which runs tasks, is about to block: another one runs them meanwhile. If
    /// the system refuses to start one, there is one fewer.
    pub(super) fn hand_over(self: &Arc<Self>) {
        self.workers.leave();
        let _refused = self.staff();
    }

    /// Has as many threads run tasks as there should be.
    fn staff(self: &Arc<Self>) -> io::Result<()> {
        while let Some(index) = self.workers.vacancy() {
            let (core, ending) = (Arc::clone(self), Arc::clone(self));
            let work = move || core.run();
            let started = self.settings.start(index, work, move || ending.workers.end(index));
            if let Err(error) = started {
                self.workers.refuse(index);
                return Err(error);
            }
        }
        Ok(())
    }

    /// A thread's work.
    fn run(self: &Arc<Self>) {
        let _entered = Context::blocking(Hub::weak(self)).enter();
        let mut done = false;
        while !done {
            // A destructor that panics, of a task that was cancelled, ends the loop that ran it.
            contain(|| {
                let _post = Post::take(self);
                match &self.engine {
                    Engine::Global(executor) => {
                        async_io::block_on(drive(*executor, &self.workers));
                    }
                    Engine::Own(executor) => async_io::block_on(drive(executor, &self.workers)),
                }
                done = true;
            });
            done = done && !self.workers.step_back();
        }
    }
}

/// While it lives, one task of the hub waits for the end of the others.
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

/// A task's place on the list. Dropping it, after the task's future, crosses it off.
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
