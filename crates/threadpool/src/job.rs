//! [`Job`]: a closure that a thread runs, as a greenlet.
//!
//! So a closure ends as a greenlet does: with its value, a panic, or a kill that came before it
//! started.

use std::task::{Context, Waker};

use spinney_greenlet::{GreenletExit, Handle, pair};
use spinney_hub::BoxFuture;

use crate::ThreadResult;

pub(crate) struct Job {
    task: BoxFuture,
    handle: Handle,
}

impl Job {
    /// Makes a job of `closure`. `place` is dropped when it has ended.
    pub(crate) fn new<T: Send + 'static>(
        closure: impl FnOnce() -> T + Send + 'static,
        place: impl Send + 'static,
    ) -> (Self, ThreadResult<T>) {
        let (task, greenlet) = pair(async { closure() }, place);
        let handle = greenlet.handle().clone();
        (Self { task: Box::pin(task), handle }, ThreadResult::new(greenlet))
    }

    /// Runs it on this thread. It never panics.
    pub(crate) fn run(mut self) {
        let done = self.task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        debug_assert!(done.is_ready(), "a closure does not wait");
    }

    /// Ends it, if it has not started, as killed for a reason.
    pub(crate) fn refuse(self, exit: GreenletExit) {
        drop(self.handle.kill_with(exit));
    }
}
