//! [`Workers`]: threads that run jobs, started when there is work for one more.
//!
//! Workers that sleep are counted, so that a job wakes one only if there is one: waking a
//! condition that nobody waits on is a system call all the same.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use spinney_greenlet::GreenletExit;
use spinney_sync::Event;

use crate::ThreadPoolClosed;
use crate::job::Job;

pub(crate) struct Workers {
    maxsize: usize,
    state: Mutex<State>,
    work: Condvar,
    /// Set when it is closed and the last thread is about to end.
    gone: Event,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Threads that have not ended, or are about to start.
    alive: usize,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    pub(crate) fn new(maxsize: usize) -> Self {
        Self { maxsize, state: Mutex::default(), work: Condvar::new(), gone: Event::new() }
    }

    pub(crate) fn maxsize(&self) -> usize {
        self.maxsize
    }

    /// How many threads are alive.
    pub(crate) fn size(&self) -> usize {
        self.lock().alive
    }

    /// Has `job` run. If that cannot be, the job is told why.
    pub(crate) fn push(self: &Arc<Self>, job: Job) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            job.refuse(GreenletExit::because(ThreadPoolClosed));
            return;
        }
        state.queue.push_back(job);
        let short = state.queue.len() > state.idle && state.alive < self.maxsize;
        state.alive += usize::from(short);
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.work.notify_one();
        }
        if short {
            self.start_thread();
        }
    }

    /// Refuses new jobs and those in the queue. Threads end when they are done with what they are
    /// running.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let refused = std::mem::take(&mut state.queue);
        self.tell_if_gone(state);
        self.work.notify_all();
        for job in refused {
            job.refuse(GreenletExit::because(ThreadPoolClosed));
        }
    }

    /// Waits, once it is closed, until all threads have ended.
    pub(crate) async fn join(&self) {
        self.gone.wait().await;
        // The threads have nothing left to do but to end.
        let threads = std::mem::take(&mut self.lock().threads);
        for thread in threads {
            drop(thread.join());
        }
    }

    /// Starts the thread that was counted as alive already.
    fn start_thread(self: &Arc<Self>) {
        let workers = Arc::clone(self);
        let builder = thread::Builder::new().name("spinney-worker".to_owned());
        // Under the lock, so that the thread is on the list before it can end.
        let mut state = self.lock();
        match builder.spawn(move || workers.run()) {
            Ok(thread) => state.threads.push(thread),
            Err(error) => {
                drop(state);
                self.thread_failed(&error);
            }
        }
    }

    /// With other threads alive there is merely less parallelism; without any, nothing in the
    /// queue would ever run.
    fn thread_failed(&self, error: &io::Error) {
        let mut state = self.lock();
        state.alive -= 1;
        let stranded =
            if state.alive == 0 { std::mem::take(&mut state.queue) } else { VecDeque::new() };
        self.tell_if_gone(state);
        for job in stranded {
            job.refuse(GreenletExit::because(format!("no thread could be started: {error}")));
        }
    }

    /// What a thread does.
    fn run(&self) {
        while let Some(job) = self.next() {
            job.run();
        }
    }

    /// Waits for the next job; None when this thread is to end.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            if state.closed {
                state.alive -= 1;
                self.tell_if_gone(state);
                return None;
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Wakes those who wait for the last thread, if it has ended; not under the lock.
    fn tell_if_gone(&self, state: MutexGuard<'_, State>) {
        let gone = state.closed && state.alive == 0;
        drop(state);
        if gone {
            self.gone.set();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
