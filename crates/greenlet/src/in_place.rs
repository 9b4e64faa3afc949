//! [`InPlace`]: a task that a greenlet runs within its own poll while it waits for a container.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use crate::control::Control;
use crate::kill::Scope;
use crate::{Handle, Task, current};

/// A child whose kill comes before that of the greenlet that waits for it. For containers.
///
/// From the first [`poll`](Self::poll) on, a kill of the waiting greenlet is sent to the child, for
/// the same reason, and the greenlet itself sees it when the wait has [finished](Self::finish). Inside
/// of a [`shield`](crate::shield) the child is spared, as the greenlet is. An abort is not held off.
///
/// Dropping it lets the greenlet see the kill immediately.
///
/// ```
/// use std::future::poll_fn;
///
/// use spinney_greenlet::{Deputy, spawn};
///
/// spinney_hub::LocalHub::new().block_on(async {
///     let child = spawn(std::future::pending::<()>());
///     let handle = child.handle().clone();
///     let parent = spawn(async move {
///         let (mut deputy, mut joined) = (Deputy::new(child.handle()), Box::pin(child.join()));
///         poll_fn(|cx| deputy.poll(cx, |cx| joined.as_mut().poll(cx))).await;
///     });
///     spinney_hub::yield_now().await;
///     parent.kill().await;
///     assert!(handle.failure().unwrap().is_killed());
/// });
/// ```
pub struct Deputy {
    child: Handle,
    /// Holds off kills; of the greenlet that polled last.
    scope: Option<Scope>,
}

impl Deputy {
    /// A deputy for the current greenlet: `child`.
    pub fn new(child: &Handle) -> Self {
        Self { child: child.clone(), scope: None }
    }

    /// Polls the wait for the child within the current greenlet, and sends the child the kill of
    /// that one, if there is one.
    pub fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let is_shielded = current::is_shielded();
        let Some(scope) = Scope::enter(&mut self.scope, true) else { return poll(cx) };
        if let Some(exit) = scope.exit_or_watch(cx.waker()).filter(|_| !is_shielded) {
            // A no-op while one is pending.
            self.child.kill_now_with(exit);
        }
        scope.run(|| poll(cx))
    }

    /// Lets the greenlet see its kill. True if there is one: then the wait is to be pending once
    /// more, as the kill is seen there. `waker` has been woken for that.
    pub fn finish(&mut self, waker: &Waker) -> bool {
        let is_killed = self.scope.take().is_some_and(Scope::close);
        if is_killed {
            waker.wake_by_ref();
        }
        is_killed
    }
}

impl Drop for Deputy {
    fn drop(&mut self) {
        WITHIN.take();
    }
}

impl fmt::Debug for Deputy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deputy").field(&self.child).finish()
    }
}

/// A task that the current greenlet runs within its own polls, for containers: a greenlet of its
/// own, with its own id, locals and kills. It opens no budget of ready awaits. Ready when that
/// greenlet has finished.
///
/// A kill of the current greenlet goes to the task first, as [`Deputy`] says. Dropping it kills the
/// task's greenlet, whatever that shields.
///
/// ```
/// use spinney_greenlet::{Handle, InPlace, pair, spawn};
///
/// spinney_hub::block_on(async {
///     let parent = spawn(async {
///         let (task, child) = pair(async { Handle::current().unwrap().parent() }, ());
///         InPlace::new(task, child.handle()).await;
///         child.await.unwrap()
///     });
///     let id = parent.id();
///     assert_eq!(parent.await.unwrap(), Some(id));
/// });
/// ```
#[must_use = "a future does nothing unless it is awaited"]
pub struct InPlace<F: Future, G = ()> {
    task: Pin<Box<Task<F, G>>>,
    deputy: Deputy,
    done: bool,
}

impl<F: Future, G> InPlace<F, G> {
    /// `task` of the greenlet of `handle`, to be polled here.
    pub fn new(task: Task<F, G>, handle: &Handle) -> Self {
        task.set_in_place(true);
        Self { task: Box::pin(task), deputy: Deputy::new(handle), done: false }
    }

    /// As [`Deputy::finish`], before the task has finished.
    pub fn finish(&mut self, waker: &Waker) -> bool {
        self.deputy.finish(waker)
    }

    /// The task, to be spawned on a hub, where it goes on.
    pub fn into_task(self) -> Pin<Box<Task<F, G>>> {
        self.task.set_in_place(false);
        self.task
    }
}

impl<F: Future, G> Future for InPlace<F, G> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.done {
            ready!(this.deputy.poll(cx, |cx| this.task.as_mut().poll(cx)));
            this.done = true;
            if this.deputy.finish(cx.waker()) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

/// The task is pinned in its box.
impl<F: Future, G> Unpin for InPlace<F, G> {}

impl<F: Future, G> fmt::Debug for InPlace<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InPlace").field(&self.deputy.child).finish()
    }
}

thread_local! {
    /// The greenlet that waits in place of the one that is being polled, and so on, for reports.
    static WITHIN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a hub is told of the greenlet of `control`, which waits: what runs in its place comes first.
pub(crate) fn label(control: &Arc<Control>) -> String {
    let mut label = Handle::new(Arc::clone(control)).to_string();
    if let Some(within) = WITHIN.take() {
        label = format!("{within}, in place of {label}");
    }
    if control.is_in_place() {
        WITHIN.set(Some(label.clone()));
    }
    label
}
