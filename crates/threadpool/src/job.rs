//! [`Job`]: a closure, its greenlet and its result, in one allocation.
//!
//! A closure finishes like a greenlet: with its value, a panic, or a kill before it started. Its
//! greenlet has a control block while it runs, and once its handle was asked for.
//!
//! The owner of the result is woken last, after the greenlet has finished and called all links.
//! Closures, results and wakers are foreign code: none is run or dropped under the lock.

use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use spinney_greenlet::{
    Announcement, Failure, GreenletExit, Handle, Inherited, LazyHandle, Task, is_observed,
};
use spinney_hub::{Hub, drop_contained, require_threads};
use spinney_sync::wake_all;

use crate::queue::Work;
use crate::workers::Workers;

/// A closure whose result has an owner.
pub(crate) struct Job<C, T> {
    /// Its entry in the queue.
    key: AtomicU64,
    /// Whether it holds a place in the queue of its pool, if it is in one.
    has_place: bool,
    /// The hub of the caller, which is current in the closure.
    hub: Option<Hub>,
    /// The locals with which it starts.
    locals: Inherited,
    state: Mutex<State<C, T>>,
}

struct State<C, T> {
    greenlet: LazyHandle,
    stage: Stage<C, T>,
    /// Wakes the owner; `Some` while it waits.
    waiting: Option<Waker>,
    /// Whether the result has an owner.
    owned: bool,
}

enum Stage<C, T> {
    /// It has not started.
    Fresh(C),
    /// It runs, or is being ended.
    Begun,
    /// It has finished; `None` if the result was taken, or had no owner.
    Finished(Option<Result<T, Failure>>),
}

/// How a closure ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EndKind {
    Runs,
    /// It was killed before it started.
    Killed,
    /// Its pool did not admit it.
    Refused,
}

impl<C, T> Job<C, T>
where
    C: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    /// Creates a job of `closure`, spawned on the line `at`. Panics where threads are forbidden.
    #[track_caller]
    pub(crate) fn new(
        closure: C,
        has_place: bool,
        locals: Inherited,
        at: &'static Location<'static>,
    ) -> Arc<Self> {
        require_threads("a thread pool");
        let greenlet = LazyHandle::at(at);
        let fresh = State { greenlet, stage: Stage::Fresh(closure), waiting: None, owned: true };
        let (key, hub) = (AtomicU64::new(0), Hub::try_current());
        Arc::new(Self { key, has_place, hub, locals, state: Mutex::new(fresh) })
    }
}

impl<C: FnOnce() -> T, T> Job<C, T> {
    /// Announces it to an observer of greenlets, as a closure of `workers`.
    pub(crate) fn announce(&self, workers: Option<&Arc<Workers>>) {
        if is_observed() {
            let container = workers.map(|workers| Arc::clone(workers) as _);
            let greenlet = self.lock().greenlet.handle();
            greenlet.announce(|| Announcement { container, item: None, may_block: true });
        }
    }

    /// Runs the closure on this thread, unless it was ended before. It never panics.
    pub(crate) fn run_here(self: Arc<Self>, workers: Option<&Workers>) {
        self.finish(workers, EndKind::Runs);
        // Drops the result as well, if it has no owner.
        drop_contained(self);
    }

    /// Runs its greenlet to the end, and gives the owner the result; `false` if it had begun
    /// before.
    fn finish(&self, workers: Option<&Workers>, kind: EndKind) -> bool {
        let mut value = None;
        let Some(task) = self.begin(&mut value, workers) else { return false };
        match kind {
            EndKind::Runs => run_to_end(task),
            EndKind::Killed | EndKind::Refused => drop(task),
        }
        self.give(value, workers, kind);
        true
    }

    /// Kills it for the reason `exit`, unless it has begun. Returns whether this call ended it.
    fn end_unbegun(&self, workers: Option<&Workers>, exit: GreenletExit, kind: EndKind) -> bool {
        let mut value = None;
        let Some(task) = self.begin(&mut value, workers) else { return false };
        let handle = self.lock().greenlet.handle();
        // A kill through its handle has finished it already.
        let lived = !handle.is_ready();
        handle.kill_now_with(exit);
        drop(task);
        self.give(value, workers, kind);
        lived
    }

    /// Called once, by the thread that runs or ends it. The task stores its value in `value`, if
    /// the result has an owner.
    fn begin<'a>(
        &'a self,
        value: &'a mut Option<T>,
        workers: Option<&'a Workers>,
    ) -> Option<Task<Call<impl FnOnce()>, Place<'a>>> {
        let mut state = self.lock();
        match mem::replace(&mut state.stage, Stage::Begun) {
            Stage::Fresh(closure) => {
                let owned = state.owned;
                let call = Call::of(move || {
                    self.locals.apply();
                    let returned = on_hub(self.hub.as_ref(), closure);
                    if owned {
                        *value = Some(returned);
                    } else {
                        drop_contained(returned);
                    }
                });
                Some(state.greenlet.begin(call, Place { workers, is_taken: self.has_place }))
            }
            other => {
                state.stage = other;
                None
            }
        }
    }

    /// Gives the owner the result of the greenlet, which has finished.
    fn give(&self, value: Option<T>, workers: Option<&Workers>, kind: EndKind) {
        let mut state = self.lock();
        let failure = state.greenlet.failure();
        if let (Some(failure), Some(workers)) = (&failure, workers) {
            workers.count_failure(failure, kind == EndKind::Refused);
        }
        let result = failure.map_or_else(|| value.map(Ok), |failure| Some(Err(failure)));
        state.stage = Stage::Finished(result);
        state.greenlet.recycle();
        let waiting = state.waiting.take();
        drop(state);
        wake_all(waiting);
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
    fn enter(&self, key: u64) {
        self.key.store(key, Relaxed);
    }

    fn run(self: Arc<Self>, workers: &Arc<Workers>, _key: u64) {
        self.run_here(Some(workers));
    }

    fn end(&self, workers: &Workers, exit: GreenletExit, was_admitted: bool) {
        let kind = if was_admitted { EndKind::Killed } else { EndKind::Refused };
        self.end_unbegun(Some(workers), exit, kind);
    }
}

/// The job of a [`ThreadResult`](crate::ThreadResult).
pub(crate) trait Owned<T>: Send + Sync {
    /// Takes the result; if it is not there, `cx` is woken when it is.
    fn poll_result(&self, cx: &Context<'_>) -> Poll<Result<T, Failure>>;

    /// Whether the result can be taken.
    fn is_there(&self) -> bool;

    /// The handle of its greenlet. A kill or an abort through the handle removes a job that has not
    /// started from the queue of `workers`.
    fn handle(self: Arc<Self>, workers: Option<&Arc<Workers>>) -> Handle;

    fn is_ready(&self) -> bool;

    fn is_successful(&self) -> bool;

    /// Ends it unless it has started, and drops all that it holds, including its place in the
    /// queue. Returns whether this call ended it.
    fn cancel(&self, workers: Option<&Workers>) -> bool;

    /// Called when the owner is dropped.
    fn leave(&self);
}

impl<C, T> Owned<T> for Job<C, T>
where
    C: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn poll_result(&self, cx: &Context<'_>) -> Poll<Result<T, Failure>> {
        let mut state = self.lock();
        if let Stage::Finished(result) = &mut state.stage {
            return Poll::Ready(result.take().expect("a closure gives its result once"));
        }
        let waits = state.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker()));
        let before = if waits { None } else { state.waiting.replace(cx.waker().clone()) };
        drop(state);
        drop(before);
        Poll::Pending
    }

    fn is_there(&self) -> bool {
        matches!(self.lock().stage, Stage::Finished(Some(_)))
    }

    fn handle(self: Arc<Self>, workers: Option<&Arc<Workers>>) -> Handle {
        let mut state = self.lock();
        if matches!(state.stage, Stage::Fresh(_)) {
            let (job, workers) = (Arc::downgrade(&self), workers.map(Arc::downgrade));
            state.greenlet.on_early_end(move || {
                let Some(job) = job.upgrade() else { return };
                let workers = workers.and_then(|workers| workers.upgrade());
                if job.finish(workers.as_deref(), EndKind::Killed) {
                    workers.inspect(|workers| workers.remove([job.key.load(Relaxed)]));
                }
            });
        }
        state.greenlet.handle()
    }

    fn is_ready(&self) -> bool {
        self.lock().greenlet.is_ready()
    }

    fn is_successful(&self) -> bool {
        self.lock().greenlet.is_successful()
    }

    fn cancel(&self, workers: Option<&Workers>) -> bool {
        let ended = self.end_unbegun(workers, GreenletExit::new(), EndKind::Killed);
        if ended {
            workers.inspect(|workers| workers.remove([self.key.load(Relaxed)]));
        }
        ended
    }

    fn leave(&self) {
        let mut state = self.lock();
        state.owned = false;
        let waiting = state.waiting.take();
        drop(state);
        drop(waiting);
    }
}

/// Held by a closure that is being ended: dropping it counts the closure as finished, and frees its
/// place, if it has one.
struct Place<'a> {
    workers: Option<&'a Workers>,
    is_taken: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(workers) = self.workers {
            workers.finish(self.is_taken);
        }
    }
}

/// A closure as a future that is ready at its first poll, to run it as a greenlet.
pub(crate) struct Call<C>(Option<C>);

impl<C> Call<C> {
    pub(crate) fn of(closure: C) -> Self {
        Self(Some(closure))
    }
}

impl<T, C: FnOnce() -> T> Future for Call<C> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<T> {
        let closure = self.0.take().expect("a closure is called once");
        Poll::Ready(closure())
    }
}

/// No field is structurally pinned.
impl<C> Unpin for Call<C> {}

/// Runs the closure of a greenlet on this thread, to the greenlet's end. It never panics.
pub(crate) fn run_to_end<C: FnOnce() -> T, T, G>(mut task: Task<Call<C>, G>) {
    let done = Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop()));
    debug_assert!(done.is_ready(), "a closure does not wait");
}

/// Runs `code` on `hub`, if there is one.
pub(crate) fn on_hub<T>(hub: Option<&Hub>, code: impl FnOnce() -> T) -> T {
    match hub {
        Some(hub) => hub.enter(code),
        None => code(),
    }
}
