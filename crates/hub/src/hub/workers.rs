//! The threads of a hub: [`Workers`] counts them and the spares, [`ThreadSettings`] starts them,
//! [`drive`] runs tasks on them.
//!
//! A thread whose task blocks on a future leaves its work to another thread, and returns when the
//! future is ready. For the length of one poll, one thread too many then runs tasks: the first that
//! notices steps back and becomes a spare. Spares wait for the next task that blocks, and exit
//! after some idle time. All threads of a hub are equal.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use async_executor::{Executor, StaticExecutor};
use event_listener::Event;
use futures_lite::future;
use slab::Slab;

use crate::contain;

/// How many turns run before the thread checks the reactor again.
const BATCH: usize = 200;

/// How long a spare thread waits for work before it exits.
const IDLE: Duration = Duration::from_secs(1);

pub(super) struct Workers {
    /// How many threads should run tasks.
    threads: usize,
    /// How many threads run tasks, including those that were called or are being started. Changed
    /// under the lock.
    running: AtomicUsize,
    state: Mutex<State>,
    /// A spare is called, or the hub has stopped.
    called: Condvar,
    /// The last thread has exited.
    ended: Condvar,
    /// Wakes the threads that wait for tasks, when the hub has stopped.
    stop: Event,
}

#[derive(Default)]
struct State {
    /// The threads, by their number.
    living: Slab<()>,
    /// How many threads wait for work.
    spares: usize,
    /// How many spares were called and have not noticed yet.
    calls: usize,
    stopped: bool,
    /// How many threads the system refused to start.
    refused: usize,
}

impl Workers {
    /// No thread runs yet: see [`missing_worker`](Self::missing_worker).
    pub(super) fn new(threads: usize) -> Self {
        Self {
            threads,
            running: AtomicUsize::new(0),
            state: Mutex::default(),
            called: Condvar::new(),
            ended: Condvar::new(),
            stop: Event::new(),
        }
    }

    /// How many threads run tasks, unless tasks block.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// How many threads run tasks, and how many are spare.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (self.running.load(Relaxed), state.spares)
    }

    /// How many threads the system refused to start.
    pub(super) fn refused(&self) -> usize {
        self.lock().refused
    }

    /// Calls spares until enough threads run tasks. If there are not enough spares, returns the
    /// number of a thread that the caller must start before it asks again.
    pub(super) fn missing_worker(&self) -> Option<usize> {
        let mut state = self.lock();
        while !state.stopped && self.running.load(Relaxed) < self.threads {
            self.running.fetch_add(1, Relaxed);
            if state.spares == 0 {
                return Some(state.living.insert(()));
            }
            state.spares -= 1;
            state.calls += 1;
            self.called.notify_one();
        }
        None
    }

    /// Records that the system refused to start the thread of a
    /// [`missing_worker`](Self::missing_worker).
    pub(super) fn record_refusal(&self, index: usize) {
        self.lock().refused += 1;
        self.leave();
        self.end(index);
    }

    /// The calling thread stops running tasks.
    pub(super) fn leave(&self) {
        let _state = self.lock();
        self.running.fetch_sub(1, Relaxed);
    }

    /// The calling thread runs tasks again, even if another thread does its work.
    pub(super) fn resume(&self) {
        let _state = self.lock();
        self.running.fetch_add(1, Relaxed);
    }

    /// Whether one thread too many runs tasks.
    pub(super) fn has_surplus(&self) -> bool {
        self.running.load(Relaxed) > self.threads
    }

    /// Waits as a spare if one thread too many runs tasks. Returns `false` if the thread must exit:
    /// it was idle for some time, or the hub has stopped.
    pub(super) fn wait_as_spare(&self) -> bool {
        let mut state = self.lock();
        if state.stopped {
            self.running.fetch_sub(1, Relaxed);
            return false;
        }
        if !self.has_surplus() {
            return true;
        }
        self.running.fetch_sub(1, Relaxed);
        state.spares += 1;
        let idle = |state: &mut State| state.calls == 0 && !state.stopped;
        let waited = self.called.wait_timeout_while(state, IDLE, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let called = state.calls > 0;
        if called {
            state.calls -= 1;
        } else {
            state.spares -= 1;
        }
        called
    }

    /// Records that the thread `index` exits; it runs none of the hub's code any more.
    pub(super) fn end(&self, index: usize) {
        let mut state = self.lock();
        state.living.remove(index);
        if state.living.is_empty() {
            self.ended.notify_all();
        }
    }

    /// Makes all threads exit.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.called.notify_all();
        self.stop.notify(usize::MAX);
    }

    /// Waits until the hub has stopped.
    pub(super) async fn stopped(&self) {
        // Listens before it checks: a stop between the two is not missed.
        let stop = self.stop.listen();
        if !self.lock().stopped {
            stop.await;
        }
    }

    /// Waits at most `limit` until all threads have exited.
    pub(super) fn wait_for_end(&self, limit: Duration) {
        let state = self.lock();
        let waited = self.ended.wait_timeout_while(state, limit, |state| !state.living.is_empty());
        drop(waited);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Called on a thread, with the thread's number.
pub(crate) type Hook = Arc<dyn Fn(usize) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct ThreadSettings {
    pub(crate) name: String,
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_start: Option<Hook>,
    pub(crate) on_stop: Option<Hook>,
}

impl ThreadSettings {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), stack_size: None, on_start: None, on_stop: None }
    }

    /// Starts thread number `index`, which runs `work` between its hooks, and `end` last.
    pub(crate) fn start(
        &self,
        index: usize,
        work: impl FnOnce() + Send + 'static,
        end: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        if self.name.contains('\0') {
            let text = "a thread's name must not contain NUL";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut builder = thread::Builder::new().name(format!("{}-{index}", self.name));
        if let Some(stack_size) = self.stack_size {
            builder = builder.stack_size(stack_size);
        }
        let (on_start, on_stop) = (self.on_start.clone(), self.on_stop.clone());
        let run = move || {
            call(on_start.as_ref(), index);
            work();
            call(on_stop.as_ref(), index);
            drop((on_start, on_stop));
            end();
        };
        builder.spawn(run).map(drop)
    }
}

/// Calls a hook. If it panics, the panic hook reports it, and the thread goes on.
fn call(hook: Option<&Hook>, index: usize) {
    if let Some(hook) = hook {
        contain(|| hook(index));
    }
}

impl fmt::Debug for ThreadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadSettings")
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("on_start", &self.on_start.is_some())
            .field("on_stop", &self.on_stop.is_some())
            .finish()
    }
}

/// Runs tasks until the hub has stopped, or one thread too many runs them.
///
/// async-executor's own loop first moves tasks from the shared queue into a queue of the thread: a
/// second pass for each turn, which costs more than it saves.
pub(super) async fn drive(executor: &impl Tick, workers: &Workers) {
    future::or(workers.stopped(), run_tasks(executor, workers)).await;
}

async fn run_tasks(executor: &impl Tick, workers: &Workers) {
    loop {
        for _ in 0..BATCH {
            if !executor.try_tick() {
                executor.tick().await;
            }
            if workers.has_surplus() {
                return;
            }
        }
        future::yield_now().await;
    }
}

/// An executor that runs one task at a time.
pub(super) trait Tick {
    /// Runs a ready task; `false` if none is ready.
    fn try_tick(&self) -> bool;

    /// Waits until a task is ready, and runs it.
    fn tick(&self) -> impl Future<Output = ()>;
}

impl Tick for StaticExecutor {
    fn try_tick(&self) -> bool {
        self.try_tick()
    }

    fn tick(&self) -> impl Future<Output = ()> {
        self.tick()
    }
}

impl Tick for Executor<'_> {
    fn try_tick(&self) -> bool {
        self.try_tick()
    }

    fn tick(&self) -> impl Future<Output = ()> {
        self.tick()
    }
}
