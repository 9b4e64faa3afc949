//! [`InPlace`]: a task that a greenlet runs within its own polls while it waits for a container.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use crate::control::Control;
use crate::kill::Scope;
use crate::{Handle, Task, current};

/// A child that sees kills of the greenlet that waits for it before that greenlet does. For
/// containers.
///
/// From the first [`poll`](Self::poll) on, a kill of the waiting greenlet is sent to the child
/// once, for the same reason: the child may catch or shield it. The greenlet itself sees the kill
/// when the wait has [finished](Self::finish). A [`shield`](crate::shield) around the wait protects
/// the child as it protects the greenlet. An abort is not deferred.
///
/// Dropping it makes the greenlet see the kill immediately, and does not affect the child.
///
/// ```
/// use std::future::poll_fn;
///
/// use spinney_greenlet::{KillForwarder, spawn};
///
/// spinney_hub::LocalHub::new().block_on(async {
///     let child = spawn(std::future::pending::<()>());
///     let handle = child.handle().clone();
///     let parent = spawn(async move {
///         let mut forwarder = KillForwarder::new(child.handle());
///         let mut joined = Box::pin(child.join());
///         poll_fn(|cx| forwarder.poll(cx, |cx| joined.as_mut().poll(cx))).await;
///     });
///     spinney_hub::yield_now().await;
///     parent.kill().await;
///     assert!(handle.failure().unwrap().is_killed());
/// });
/// ```
pub struct KillForwarder {
    child: Handle,
    /// Defers kills of the greenlet that polled last.
    scope: Option<Scope>,
    /// The pending kill was sent to the child.
    sent: bool,
}

impl KillForwarder {
    /// Sends `child` the kills of the greenlet that polls this.
    pub fn new(child: &Handle) -> Self {
        Self::of(child.clone())
    }

    fn of(child: Handle) -> Self {
        Self { child, scope: None, sent: false }
    }

    /// Sends kills to the greenlet of `control` from now on: to the current item, if the task runs
    /// several. Returns `true` if a kill is pending that was sent to the item before.
    fn follow(&mut self, control: &Arc<Control>) -> bool {
        if self.child.is_of(control) {
            return false;
        }
        self.child = Handle::new(Arc::clone(control));
        std::mem::take(&mut self.sent)
    }

    /// Polls the wait for the child within the current greenlet, and forwards that greenlet's
    /// pending kill to the child.
    pub fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Some(scope) = Scope::enter_wait(&mut self.scope) else { return poll(cx) };
        let exit = scope.exit_or_watch(cx.waker()).filter(|_| !current::is_shielded());
        let before = std::mem::replace(&mut self.sent, exit.is_some());
        // Once: the child may have caught it and be cleaning up.
        if let Some(exit) = exit.filter(|_| !before) {
            self.child.kill_now_with(exit);
        }
        scope.run(|| poll(cx))
    }

    /// Makes the greenlet see its kill. Returns `true` if one is pending: the wait must then return
    /// pending once more, because the greenlet sees the kill there. `waker` has been woken for
    /// that.
    pub fn finish(&mut self, waker: &Waker) -> bool {
        let is_killed = self.scope.take().is_some_and(Scope::close);
        if is_killed {
            waker.wake_by_ref();
        }
        is_killed
    }
}

/// The wait for the child ends here, and so does the note of it for reports.
impl Drop for KillForwarder {
    fn drop(&mut self) {
        // A thread that exits has no notes.
        let _note = WITHIN.try_with(RefCell::take);
    }
}

impl fmt::Debug for KillForwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KillForwarder").field(&self.child).finish()
    }
}

/// A task that the current greenlet runs within its own polls, for containers. The task is a
/// greenlet with its own id, parent, locals and kills, or runs items that are. It opens no budget
/// of ready awaits. Completes when the task has finished.
///
/// A kill of the current greenlet goes to the task first, as for [`KillForwarder`]; a kill through
/// the task's own handle ends the task alone. Dropping it ends the task immediately as killed, even
/// if the task catches or shields kills.
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
    forwarder: KillForwarder,
}

impl<F: Future, G> InPlace<F, G> {
    /// Runs `task`, the greenlet of `handle`. If the task runs items, kills go to the current item.
    pub fn new(task: Task<F, G>, handle: &Handle) -> Self {
        task.set_in_place(true);
        Self { task: Box::pin(task), forwarder: KillForwarder::of(handle.unasked()) }
    }

    /// Like [`KillForwarder::finish`], before the task has finished: for a wait that ends for another
    /// reason.
    pub fn finish(&mut self, waker: &Waker) -> bool {
        self.forwarder.finish(waker)
    }

    /// Defers no kill until the task is polled again: for a wait that cannot poll the task for a
    /// while, or that another greenlet polls.
    ///
    /// Ready if the task has finished. A task that was killed or aborted ends here, where it waits:
    /// its future is dropped. A kill that the task catches or shields runs code of the task, and is
    /// therefore deferred until the task is polled. A later kill wakes `cx`.
    pub fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.forwarder.scope = None;
        if self.task.as_mut().must_end(cx) { self.task.as_mut().poll(cx) } else { Poll::Pending }
    }

    /// Returns the task, to be spawned elsewhere: it then opens a budget of its own, and ends if
    /// its hub shuts down.
    pub fn into_task(self) -> Pin<Box<Task<F, G>>> {
        self.task.set_in_place(false);
        self.task
    }
}

impl<F: Future, G> Future for InPlace<F, G> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // A finished task returns ready at every poll.
        let polled = this.forwarder.poll(cx, |cx| this.task.as_mut().poll(cx));
        if this.task.control().is_some_and(|control| this.forwarder.follow(control)) {
            cx.waker().wake_by_ref();
        }
        ready!(polled);
        if this.forwarder.finish(cx.waker()) { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// The task is pinned in its box.
impl<F: Future, G> Unpin for InPlace<F, G> {}

impl<F: Future, G> fmt::Debug for InPlace<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InPlace").field(&self.forwarder.child).finish()
    }
}

thread_local! {
    /// The innermost greenlet that is pending in place of the current one, and its depth, for
    /// reports.
    static WITHIN: RefCell<Option<(String, usize)>> = const { RefCell::new(None) };
}

/// The label of the pending greenlet of `control` in a hub's report. A hub keeps the last label of
/// a poll, which is the outermost greenlet's: so the greenlet pending in its place is named first.
pub(crate) fn label(control: &Arc<Control>) -> String {
    let label = Handle::new(Arc::clone(control)).to_string();
    let within = WITHIN.take();
    if control.is_in_place() {
        let (innermost, depth) = within.unwrap_or_else(|| (label.clone(), 0));
        WITHIN.set(Some((innermost, depth + 1)));
        return label;
    }
    match within {
        None => label,
        Some((innermost, 1)) => format!("{innermost}, in place of {label}"),
        Some((innermost, depth)) => format!("{innermost}, {depth} deep in place of {label}"),
    }
}
