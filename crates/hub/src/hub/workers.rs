//! [`Workers`]: how many threads run a hub's tasks, and the spare ones.
//!
//! A thread whose task blocks on a future leaves its work to another one, and comes back when the
//! future is ready. Then one thread too many runs tasks, for the length of one poll: the first that
//! notices steps back and is a spare. Spares wait for the next task that blocks, and end when none
//! does for a while. All threads of a hub are equal.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_listener::Event;
use slab::Slab;

/// How long a spare thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(1);

pub(super) struct Workers {
    /// How many threads should run tasks.
    threads: usize,
    /// How many do; those that were called or are being started count. Changed under the lock.
    running: AtomicUsize,
    state: Mutex<State>,
    /// A spare is called, or the hub has stopped.
    called: Condvar,
    /// The last thread has ended.
    ended: Condvar,
    /// Wakes the threads that wait for tasks when the hub has stopped.
    stop: Event,
}

#[derive(Default)]
struct State {
    /// The threads, by their number.
    living: Slab<()>,
    /// Threads that wait for work.
    spares: usize,
    /// How many spares are to go on, and have not noticed yet.
    calls: usize,
    stopped: bool,
    /// How many threads the system refused to start.
    refused: usize,
}

impl Workers {
    /// None runs yet: see [`vacancy`](Self::vacancy).
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

    /// How many threads the system refused to start.
    pub(super) fn refused(&self) -> usize {
        self.lock().refused
    }

    /// Calls spares until enough threads run tasks. Where there are none, returns the number of a
    /// thread that the caller has to start, and then asks again.
    pub(super) fn vacancy(&self) -> Option<usize> {
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

    /// The system refused to start the thread of a [`vacancy`](Self::vacancy).
    pub(super) fn refuse(&self, index: usize) {
        self.lock().refused += 1;
        self.leave();
        self.end(index);
    }

    /// The calling thread runs tasks no more.
    pub(super) fn leave(&self) {
        let _state = self.lock();
        self.running.fetch_sub(1, Relaxed);
    }

    /// The calling thread runs tasks again, whether or not others do its work.
    pub(super) fn come_back(&self) {
        let _state = self.lock();
        self.running.fetch_add(1, Relaxed);
    }

    /// Whether one thread too many runs tasks.
    pub(super) fn is_overstaffed(&self) -> bool {
        self.running.load(Relaxed) > self.threads
    }

    /// Waits as a spare if one thread too many runs tasks. False if the thread is to end: it was
    /// not needed for a while, or the hub has stopped.
    pub(super) fn step_back(&self) -> bool {
        let mut state = self.lock();
        if state.stopped {
            self.running.fetch_sub(1, Relaxed);
            return false;
        }
        if !self.is_overstaffed() {
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

    /// The thread `index` ends; nothing of the hub's runs on it any more.
    pub(super) fn end(&self, index: usize) {
        let mut state = self.lock();
        state.living.remove(index);
        if state.living.is_empty() {
            self.ended.notify_all();
        }
    }

    /// Has all threads end.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.called.notify_all();
        self.stop.notify(usize::MAX);
    }

    /// Waits until the hub has stopped.
    pub(super) async fn stopped(&self) {
        // Listening first and looking second: a stop between the two is not missed.
        let stop = self.stop.listen();
        if !self.lock().stopped {
            stop.await;
        }
    }

    /// Waits until all threads have ended, but no longer than `limit`.
    pub(super) fn wait_for_end(&self, limit: Duration) {
        let state = self.lock();
        let waited = self.ended.wait_timeout_while(state, limit, |state| !state.living.is_empty());
        drop(waited);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
