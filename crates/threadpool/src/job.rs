//! [`Job`]: a closure, its greenlet and its result, in one place.
//!
//! A closure ends as a greenlet does: with its value, a panic, or a kill that came before it
//! started. Its greenlet is made when somebody needs it: when its handle is asked for, or when it
//! starts. So what waits in a queue is small, and is the work of one allocation.
//!
//! The owner of the result is told when the greenlet has ended and told all links. Closures,
//! results and wakers are other people's code: none is run or dropped under the lock.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use spinney_greenlet::{Failure, Greenlet, GreenletExit, Handle, Task, pair_for};
use spinney_hub::contain;

use crate::ThreadResult;
use crate::call::{Call, finish};
use crate::work::Work;
use crate::workers::Workers;

/// A closure whose result somebody owns.
pub(crate) struct Job<C: FnOnce() -> T, T, G> {
    /// The greenlet that spawned it.
    parent: Option<u64>,
    state: Mutex<State<C, T, G>>,
}

struct State<C: FnOnce() -> T, T, G> {
    stage: Stage<C, T, G>,
    /// Wakes the owner; there while it waits.
    waiting: Option<Waker>,
    /// Whether the result has an owner.
    owned: bool,
}

enum Stage<C: FnOnce() -> T, T, G> {
    /// It has not started, and nobody has needed a greenlet.
    Fresh(C, G),
    /// It has not started.
    Made(Box<Pair<C, T, G>>),
    /// It runs, or is being ended.
    Begun(Handle),
    /// It has ended; None if the result was taken, or had no owner.
    Ended(Handle, Option<Result<T, Failure>>),
    /// On the way from one to another, under the lock.
    Between,
}

type Pair<C, T, G> = (Task<Call<C>, G>, Greenlet<T>);

/// The second half is for the owner of the result, if there is one.
type Begun<C, T, G> = (Task<Call<C>, G>, Option<Greenlet<T>>);

impl<C, T, G> Job<C, T, G>
where
    C: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    G: Send + 'static,
{
    /// Makes a job of `closure`. `place` is dropped when it has ended.
    pub(crate) fn new(closure: C, place: G) -> (Arc<Self>, ThreadResult<T>) {
        let fresh = Stage::Fresh(closure, place);
        let state = State { stage: fresh, waiting: None, owned: true };
        let parent = Handle::current().map(|current| current.id());
        let job = Arc::new(Self { parent, state: Mutex::new(state) });
        (Arc::clone(&job), ThreadResult::new(job))
    }
}

impl<C: FnOnce() -> T, T, G> Job<C, T, G> {
    /// Runs it on this thread, unless it was cancelled. It never panics.
    pub(crate) fn run_here(self: Arc<Self>) {
        if let Some((task, greenlet)) = self.begin() {
            finish(task);
            self.give(greenlet);
        }
        // With the result, if nobody is there to have it.
        contain(|| drop(self));
    }

    /// For whoever runs or ends it, which is one.
    fn begin(&self) -> Option<Begun<C, T, G>> {
        let mut state = self.lock();
        let (task, greenlet) = match state.take_stage() {
            Stage::Fresh(closure, place) => pair_for(self.parent, Call::of(closure), place),
            Stage::Made(pair) => *pair,
            other => {
                state.stage = other;
                return None;
            }
        };
        state.stage = Stage::Begun(greenlet.handle().clone());
        Some((task, state.owned.then_some(greenlet)))
    }

    /// Sees to it that there is a greenlet.
    fn make(&self, state: &mut State<C, T, G>) {
        state.stage = match state.take_stage() {
            Stage::Fresh(closure, place) => {
                Stage::Made(Box::new(pair_for(self.parent, Call::of(closure), place)))
            }
            other => other,
        };
    }

    /// Gives its owner the result of its greenlet, which has ended.
    fn give(&self, greenlet: Option<Greenlet<T>>) {
        let result = greenlet.map(|greenlet| greenlet.try_get().expect("its task has ended"));
        let mut state = self.lock();
        state.stage = match state.take_stage() {
            Stage::Begun(handle) => Stage::Ended(handle, result),
            other => other,
        };
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            contain(|| waiting.wake());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C, T, G>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: FnOnce() -> T, T, G> State<C, T, G> {
    fn take_stage(&mut self) -> Stage<C, T, G> {
        mem::replace(&mut self.stage, Stage::Between)
    }

    /// None while there is no greenlet.
    fn handle(&self) -> Option<&Handle> {
        match &self.stage {
            Stage::Made(pair) => Some(pair.1.handle()),
            Stage::Begun(handle) | Stage::Ended(handle, _) => Some(handle),
            Stage::Fresh(..) | Stage::Between => None,
        }
    }
}

impl<C, T, G> Work for Job<C, T, G>
where
    C: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    G: Send + 'static,
{
    fn run(self: Arc<Self>, _workers: &Arc<Workers>) {
        self.run_here();
    }

    fn refuse(&self, _workers: &Workers, exit: GreenletExit) -> bool {
        self.end(exit)
    }

    fn is_void(&self) -> bool {
        self.is_ready()
    }
}

/// What a [`ThreadResult`] knows of its job.
pub(crate) trait Owned<T>: Send + Sync {
    /// Takes the result; if it is not there, `cx` is woken when it is.
    fn poll_result(&self, cx: &Context<'_>) -> Poll<Result<T, Failure>>;

    /// Whether the result can be taken.
    fn is_there(&self) -> bool;

    fn handle(&self) -> Handle;

    fn is_ready(&self) -> bool;

    fn is_successful(&self) -> bool;

    /// Ends it unless it has started, and drops all that it holds, its place in the queue
    /// included. Says whether it was this that ended it.
    fn end(&self, exit: GreenletExit) -> bool;

    /// The owner leaves.
    fn leave(&self);
}

impl<C, T, G> Owned<T> for Job<C, T, G>
where
    C: FnOnce() -> T + Send,
    T: Send,
    G: Send,
{
    fn poll_result(&self, cx: &Context<'_>) -> Poll<Result<T, Failure>> {
        let mut state = self.lock();
        if let Stage::Ended(_, result) = &mut state.stage {
            return Poll::Ready(result.take().expect("a closure gives its result once"));
        }
        let waits = state.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker()));
        let before = if waits { None } else { state.waiting.replace(cx.waker().clone()) };
        drop(state);
        drop(before);
        Poll::Pending
    }

    fn is_there(&self) -> bool {
        matches!(self.lock().stage, Stage::Ended(_, Some(_)))
    }

    fn handle(&self) -> Handle {
        let mut state = self.lock();
        self.make(&mut state);
        state.handle().expect("it was made").clone()
    }

    fn is_ready(&self) -> bool {
        self.lock().handle().is_some_and(Handle::is_ready)
    }

    fn is_successful(&self) -> bool {
        self.lock().handle().is_some_and(Handle::is_successful)
    }

    fn end(&self, exit: GreenletExit) -> bool {
        let Some((task, greenlet)) = self.begin() else { return false };
        let handle = self.handle();
        // Killed through its handle it has ended already.
        let lived = !handle.is_ready();
        handle.kill_now_with(exit);
        drop(task);
        self.give(greenlet);
        lived
    }

    fn leave(&self) {
        let mut state = self.lock();
        state.owned = false;
        let waiting = state.waiting.take();
        drop(state);
        drop(waiting);
    }
}
