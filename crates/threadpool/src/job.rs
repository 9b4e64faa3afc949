//! [`Work`], which threads run, and [`Job`]: a closure, as a greenlet.
//!
//! So a closure ends as a greenlet does: with its value, a panic, or a kill that came before it
//! started.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use spinney_greenlet::{Failure, GreenletExit, Handle, Task, pair};

use crate::ThreadResult;
use crate::workers::Workers;

/// What stands in a pool's queue.
pub(crate) trait Work: Send + Sync {
    /// Runs it on this thread, which is one of `workers`. It never panics.
    fn run(self: Arc<Self>, workers: &Arc<Workers>);

    /// Ends it, unless it has started; says whether that was it that ended it.
    fn refuse(&self, workers: &Workers, exit: GreenletExit) -> bool;

    /// Whether there is nothing left to run, so that it only takes room in the queue.
    fn is_void(&self) -> bool;
}

/// A closure whose result somebody owns.
pub(crate) struct Job<C: FnOnce() -> T, T, G> {
    handle: Handle,
    /// None once it runs, or was cancelled.
    task: Mutex<Option<Task<Call<C>, G>>>,
}

impl<C, T, G> Job<C, T, G>
where
    C: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    G: Send + 'static,
{
    /// Makes a job of `closure`. `place` is dropped when it has ended.
    pub(crate) fn new(closure: C, place: G) -> (Arc<Self>, ThreadResult<T>) {
        let (task, greenlet) = pair(Call(Some(closure)), place);
        let job = Self { handle: greenlet.handle().clone(), task: Mutex::new(Some(task)) };
        let job = Arc::new(job);
        (Arc::clone(&job), ThreadResult::new(greenlet, job))
    }
}

impl<C: FnOnce() -> T, T, G> Job<C, T, G> {
    /// Runs it on this thread, unless it was cancelled. It never panics.
    pub(crate) fn run_here(&self) {
        if let Some(task) = self.take() {
            finish(task);
        }
    }

    fn take(&self) -> Option<Task<Call<C>, G>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Runs `closure` on this thread as a part of the greenlet that is running, if one is.
pub(crate) fn run_in_place<T>(closure: impl FnOnce() -> T) -> Result<T, Failure> {
    let (task, greenlet) = pair(Call(Some(closure)), ());
    finish(task.in_place());
    greenlet.try_get().expect("a closure does not wait")
}

/// Runs `closure` on this thread as a greenlet of its own.
pub(crate) fn run_as_greenlet(closure: impl FnOnce()) {
    let (task, greenlet) = pair(Call(Some(closure)), ());
    finish(task);
    drop(greenlet);
}

fn finish<C: FnOnce() -> T, T, G>(mut task: Task<Call<C>, G>) {
    let done = Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop()));
    debug_assert!(done.is_ready(), "a closure does not wait");
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
        self.handle.is_ready()
    }
}

/// What a [`ThreadResult`] may do to its job.
pub(crate) trait Withdraw: Send + Sync {
    /// Ends it unless it has started, and drops all that it holds, its place in the queue
    /// included. Says whether it was this that ended it.
    fn end(&self, exit: GreenletExit) -> bool;
}

impl<C, T, G> Withdraw for Job<C, T, G>
where
    C: FnOnce() -> T + Send,
    T: Send,
    G: Send,
{
    fn end(&self, exit: GreenletExit) -> bool {
        // Whoever has the task decides. Killed through a handle it has ended already.
        let Some(task) = self.take() else { return false };
        let lived = !self.handle.is_ready();
        self.handle.kill_now_with(exit);
        drop(task);
        lived
    }
}

/// A closure as a future that is ready at its first poll.
pub(crate) struct Call<C>(Option<C>);

impl<T, C: FnOnce() -> T> Future for Call<C> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<T> {
        let closure = self.0.take().expect("a closure is called once");
        Poll::Ready(closure())
    }
}

/// Nothing of it is pinned in place.
impl<C> Unpin for Call<C> {}
