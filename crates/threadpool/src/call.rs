//! [`Call`]: a closure as a future, and so as a greenlet.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use spinney_greenlet::{Failure, Task, pair};

/// A closure as a future that is ready at its first poll.
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

/// Nothing of it is pinned in place.
impl<C> Unpin for Call<C> {}

/// Runs the closure of a greenlet on this thread, to the greenlet's end. It never panics.
pub(crate) fn finish<C: FnOnce() -> T, T, G>(mut task: Task<Call<C>, G>) {
    let done = Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop()));
    debug_assert!(done.is_ready(), "a closure does not wait");
}

/// Runs `closure` on this thread as a part of the greenlet that is running, if one is.
pub(crate) fn run_in_place<T>(closure: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(closure)).map_err(Failure::panicked)
}

/// Runs `closure` on this thread as a greenlet of its own.
pub(crate) fn run_as_greenlet(closure: impl FnOnce()) {
    let (task, greenlet) = pair(Call::of(closure), ());
    finish(task);
    drop(greenlet);
}
