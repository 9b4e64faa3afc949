//! [`Workers`]: threads that run what is in a queue, started when there is work for one more.
//!
//! Nothing is stranded, because whoever changes the queue or the number of threads *attends*: as
//! long as there is more work than threads on their way to it, a thread that sleeps is woken, or
//! one more is started. Threads that sleep are counted, for waking a condition that nobody waits
//! on is a system call all the same.
//!
//! Each thread that ends joins the one that ended before it. So whoever joins the last of them has
//! joined them all, and no list of them grows.
//!
//! Jobs, hooks and wakers are other people's code: none is run or dropped under the lock.

mod front;
mod state;
mod thread;

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use spinney_greenlet::GreenletExit;
use spinney_hub::contain;
use spinney_sync::Event;

use crate::settings::Settings;
use crate::unfinished::Unfinished;
use crate::work::Work;
use crate::{ThreadPoolClosed, ThreadRefused, inside};
use front::Front;
use state::State;

pub(crate) struct Workers {
    pub(crate) settings: Settings,
    /// What was pushed and has not been finished; more is pushed under the lock alone.
    pub(crate) unfinished: Arc<Unfinished>,
    front: Front,
    /// Its lock is taken before that of the front, where both are.
    state: Mutex<State>,
    work: Condvar,
    /// Whether a thread has anything to do or to see; what `State` says, for a look without lock.
    wanted: AtomicBool,
    /// Set when it is closed and the last thread is about to end.
    gone: Event,
    /// Set when they have all ended.
    joined: Event,
}

impl Workers {
    pub(crate) fn new(maxsize: usize, settings: Settings) -> Self {
        Self {
            unfinished: Arc::new(Unfinished::new(settings.places(maxsize))),
            settings,
            front: Front::new(),
            state: Mutex::new(State::new(maxsize)),
            work: Condvar::new(),
            wanted: AtomicBool::new(false),
            gone: Event::new(),
            joined: Event::new(),
        }
    }

    pub(crate) fn maxsize(&self) -> usize {
        self.lock().maxsize
    }

    /// How many threads are alive.
    pub(crate) fn size(&self) -> usize {
        self.lock().threads.len()
    }

    /// How many of them have nothing to do.
    pub(crate) fn idle(&self) -> usize {
        self.lock().free()
    }

    /// Whether closures need a place to get in.
    pub(crate) fn is_bounded(&self) -> bool {
        self.settings.queue != Some(usize::MAX)
    }

    /// Whether this is one of its threads.
    pub(crate) fn is_inside(&self) -> bool {
        inside::is_thread_of(self.address())
    }

    /// Has `work` run, and counts it as unfinished. If that cannot be, it is told why.
    pub(crate) fn push(self: &Arc<Self>, work: Arc<dyn Work>) {
        let state = self.lock();
        let emptied = self.unfinished.push();
        let closed = state.closed;
        self.put(state, work, closed);
        if let Some(emptied) = emptied {
            contain(|| emptied.set());
        }
    }

    /// Has `work`, which a thread runs right now, run again behind what is in the queue.
    pub(crate) fn requeue(self: &Arc<Self>, work: Arc<dyn Work>) {
        let state = self.lock();
        let killed = state.killed;
        self.put(state, work, killed);
    }

    fn put(self: &Arc<Self>, mut state: MutexGuard<'_, State>, work: Arc<dyn Work>, closed: bool) {
        if closed {
            drop(state);
            work.refuse(self, GreenletExit::because(ThreadPoolClosed));
            return;
        }
        let swept = state.is_to_be_swept().then(|| state.sweep());
        state.queue.push_back(work);
        self.attend(state);
        for void in swept.into_iter().flatten() {
            // It was killed through a handle, which knows nothing of what it left behind.
            void.refuse(self, GreenletExit::new());
        }
    }

    /// Whether a map should let go of its thread after an item, so that others get their turn.
    pub(crate) fn is_wanted(&self) -> bool {
        // A guess: it decides who runs an item, never whether one is run.
        self.wanted.load(Relaxed)
    }

    pub(crate) fn resize(self: &Arc<Self>, maxsize: usize) {
        let mut state = self.lock();
        state.maxsize = maxsize;
        // Those that are too many see so before they take anything.
        self.front.recall(&mut state);
        if state.is_too_many() {
            state.wake_all();
        }
        self.attend(state);
        self.work.notify_all();
        self.unfinished.places.resize(self.settings.places(maxsize));
    }

    /// Takes no new work; threads end when there is none left. Returns how much was unfinished.
    pub(crate) fn close(self: &Arc<Self>) -> usize {
        let mut state = self.lock();
        state.closed = true;
        state.wake_all();
        let unfinished = self.unfinished.count();
        self.attend(state);
        self.work.notify_all();
        // Whoever is woken by this finds the rest closed.
        self.unfinished.places.close();
        unfinished
    }

    /// As [`close`](Self::close), and refuses what is in the queue. Returns how much that ended.
    pub(crate) fn kill(self: &Arc<Self>) -> usize {
        let refused = {
            let mut state = self.lock();
            state.killed = true;
            // At once, so that nothing gets in between.
            state.closed = true;
            self.front.recall(&mut state);
            std::mem::take(&mut state.queue)
        };
        self.close();
        let exit = || GreenletExit::because(ThreadPoolClosed);
        refused.into_iter().filter(|work| work.refuse(self, exit())).count()
    }

    /// Waits, once it is closed, until all threads have ended; noted as a wait for `what` at `at`.
    pub(crate) async fn join(self: &Arc<Self>, what: &'static str, at: &'static Location<'static>) {
        self.gone.wait_for(what, at).await;
        let last = self.lock().last.take();
        if let Some(last) = last {
            // It has nothing left to do but to end, which may take it a moment all the same.
            let workers = Arc::clone(self);
            let join = move || {
                drop(last.join());
                workers.joined.set();
            };
            blocking::unblock(join).detach();
        }
        self.joined.wait_for(what, at).await;
    }

    /// Sees to it that there are threads for what is in the queue, and lets go of the lock.
    fn attend(self: &Arc<Self>, state: MutexGuard<'_, State>) {
        if state.is_settled() {
            self.say_wanted(&state);
        } else {
            self.settle(state);
        }
    }

    fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        self.front.count(&mut state);
        let mut woken = 0;
        while state.is_short() && state.wake_one() {
            woken += 1;
        }
        let mut refused = None;
        while refused.is_none() && state.is_short() && state.may_grow() {
            refused = self.start_thread(&mut state).err();
        }
        // With other threads there is merely less parallelism; without any, nothing in the queue
        // would ever run.
        let strands = refused.is_some() && state.threads.is_empty();
        let stranded = if strands { std::mem::take(&mut state.queue) } else { VecDeque::new() };
        self.say_wanted(&state);
        let gone = state.is_gone() && !self.gone.is_set();
        let joined = gone && state.last.is_none();
        drop(state);
        for _ in 0..woken {
            self.work.notify_one();
        }
        if let Some(error) = refused {
            let exit = GreenletExit::because(ThreadRefused::new(error));
            for work in stranded {
                work.refuse(self, exit.clone());
            }
        }
        if joined {
            contain(|| self.joined.set());
        }
        if gone {
            contain(|| self.gone.set());
        }
    }

    /// Tells those who look without the lock; written only when it changes, for they look often.
    fn say_wanted(&self, state: &State) {
        let wanted = state.wants_threads();
        if self.wanted.load(Relaxed) != wanted {
            self.wanted.store(wanted, Relaxed);
        }
    }

    /// Starts a thread; under the lock, so that it is on the list before it can end.
    fn start_thread(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let index = state.threads.insert(None);
        let workers = Arc::clone(self);
        match self.settings.start(index, move || workers.run(index)) {
            Ok(thread) => {
                state.threads[index] = Some(thread);
                state.coming += 1;
                Ok(())
            }
            Err(error) => {
                state.threads.remove(index);
                Err(error)
            }
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
