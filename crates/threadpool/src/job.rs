//! [`Job`]: a closure, its greenlet and its result, in one place.
//!
//! A closure ends as a greenlet does: with its value, a panic, or a kill that came before it
//! started. Its greenlet has a control block while it runs, and where somebody has its handle. So
//! what waits in a queue is small, and is the work of one allocation; the result will be in it.
//!
//! The owner of the result is told when the greenlet has ended and told all links. Closures,
//! results and wakers are other people's code: none is run or dropped under the lock.

use std::mem;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use spinney_greenlet::{Failure, GreenletExit, Handle, LazyHandle, Task};
use spinney_hub::{Hub, contain, require_threads};

use crate::ThreadResult;
use crate::call::{Call, finish};
use crate::place::{Place, Taken};
use crate::work::Work;
use crate::workers::Workers;

/// A closure whose result somebody owns.
pub(crate) struct Job<C, T> {
    /// None if it was put to no pool of ours.
    place: Option<Place>,
    /// The hub of the caller, on which the closure is.
    hub: Option<Hub>,
    state: Mutex<State<C, T>>,
}

struct State<C, T> {
    greenlet: LazyHandle,
    stage: Stage<C, T>,
    /// Wakes the owner; there while it waits.
    waiting: Option<Waker>,
    /// Whether the result has an owner.
    owned: bool,
}

enum Stage<C, T> {
    /// It has not started.
    Fresh(C),
    /// It runs, or is being ended.
    Begun,
    /// It has ended; None if the result was taken, or had no owner.
    Ended(Option<Result<T, Failure>>),
}

impl<C, T> Job<C, T>
where
    C: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    /// Makes a job of `closure`, spawned on the line `at`. `place` is free when that has ended.
    /// Panics where threads are forbidden.
    #[track_caller]
    pub(crate) fn new(
        closure: C,
        place: Option<Place>,
        at: &'static Location<'static>,
    ) -> (Arc<Self>, ThreadResult<T>) {
        require_threads("a thread pool");
        let greenlet = LazyHandle::at(at);
        let fresh = Stage::Fresh(closure);
        let state = State { greenlet, stage: fresh, waiting: None, owned: true };
        let hub = Hub::try_current();
        let job = Arc::new(Self { place, hub, state: Mutex::new(state) });
        (Arc::clone(&job), ThreadResult::new(job, at))
    }
}

impl<C: FnOnce() -> T, T> Job<C, T> {
    /// Runs it on this thread, unless it was cancelled. It never panics.
    pub(crate) fn run_here(self: Arc<Self>) {
        self.run_now();
        // With the result, if nobody is there to have it.
        contain(|| drop(self));
    }

    fn run_now(&self) {
        let mut value = None;
        let Some(task) = self.begin(&mut value) else { return };
        finish(task);
        self.give(value);
    }

    /// For whoever runs or ends it, which is one. The task leaves its value in `value`, if the
    /// result has an owner.
    fn begin<'a>(
        &'a self,
        value: &'a mut Option<T>,
    ) -> Option<Task<Call<impl FnOnce()>, Taken<'a>>> {
        let mut state = self.lock();
        match mem::replace(&mut state.stage, Stage::Begun) {
            Stage::Fresh(closure) => {
                let owned = state.owned;
                let hub = self.hub.as_ref();
                let call = Call::of(move || {
                    let returned = match hub {
                        Some(hub) => hub.enter(closure),
                        None => closure(),
                    };
                    if owned {
                        *value = Some(returned);
                    } else {
                        contain(|| drop(returned));
                    }
                });
                Some(state.greenlet.begin(call, Taken(self.place.as_ref())))
            }
            other => {
                state.stage = other;
                None
            }
        }
    }

    /// Gives its owner the result of its greenlet, which has ended.
    fn give(&self, value: Option<T>) {
        let mut state = self.lock();
        let result = match state.greenlet.failure() {
            Some(failure) => Some(Err(failure)),
            None => value.map(Ok),
        };
        state.stage = Stage::Ended(result);
        state.greenlet.fold();
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            contain(|| waiting.wake());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C, T> Work for Job<C, T>
where
    C: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
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

impl<C, T> Owned<T> for Job<C, T>
where
    C: FnOnce() -> T + Send,
    T: Send,
{
    fn poll_result(&self, cx: &Context<'_>) -> Poll<Result<T, Failure>> {
        let mut state = self.lock();
        if let Stage::Ended(result) = &mut state.stage {
            return Poll::Ready(result.take().expect("a closure gives its result once"));
        }
        let waits = state.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker()));
        let before = if waits { None } else { state.waiting.replace(cx.waker().clone()) };
        drop(state);
        drop(before);
        Poll::Pending
    }

    fn is_there(&self) -> bool {
        matches!(self.lock().stage, Stage::Ended(Some(_)))
    }

    fn handle(&self) -> Handle {
        self.lock().greenlet.handle()
    }

    fn is_ready(&self) -> bool {
        self.lock().greenlet.is_ready()
    }

    fn is_successful(&self) -> bool {
        self.lock().greenlet.is_successful()
    }

    fn end(&self, exit: GreenletExit) -> bool {
        let mut value = None;
        let Some(task) = self.begin(&mut value) else { return false };
        let handle = self.handle();
        // Killed through its handle it has ended already.
        let lived = !handle.is_ready();
        handle.kill_now_with(exit);
        drop(task);
        self.give(value);
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
