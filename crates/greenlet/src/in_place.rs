//! [`InPlace`]: a task that a greenlet runs within its own poll while it waits for a container.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use crate::control::Control;
use crate::kill::Scope;
use crate::{Handle, Task, current};

/// A child that sees the kills of the greenlet that waits for it first. For containers.
///
/// From the first [`poll`](Self::poll) on, a kill of the waiting greenlet is sent to the child once,
/// for the same reason: the child may catch or shield it. The greenlet itself sees the kill when the
/// wait has [finished](Self::finish). A [`shield`](crate::shield) around the wait spares the child as
/// it spares the greenlet. An abort is not held off.
///
/// Dropping it lets the greenlet see the kill immediately, and leaves the child alone.
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
    /// The kill that is pending was sent to the child.
    sent: bool,
}

impl Deputy {
    /// A deputy of the greenlet that polls it: `child`.
    pub fn new(child: &Handle) -> Self {
        Self::of(child.clone())
    }

    fn of(child: Handle) -> Self {
        Self { child, scope: None, sent: false }
    }

    /// Sends kills to the greenlet of `control` from now on: of the current item, if the task runs
    /// several. Returns `true` if a kill is pending that was sent to the item before.
    fn follow(&mut self, control: &Arc<Control>) -> bool {
        if self.child.is_of(control) {
            return false;
        }
        self.child = Handle::new(Arc::clone(control));
        std::mem::take(&mut self.sent)
    }

    /// Polls the wait for the child within the current greenlet, and sends the child the kill of
    /// that one, if there is one.
    pub fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Some(scope) = Scope::enter_wait(&mut self.scope) else { return poll(cx) };
        let exit = scope.exit_or_watch(cx.waker()).filter(|_| !current::is_shielded());
        let before = std::mem::replace(&mut self.sent, exit.is_some());
        // Once: the child may have caught it, and be cleaning up.
        if let Some(exit) = exit.filter(|_| !before) {
            self.child.kill_now_with(exit);
        }
        scope.run(|| poll(cx))
    }

    /// Lets the greenlet see its kill. Returns `true` if there is one: then the wait has to be
    /// pending once more, as the kill is seen there. `waker` has been woken for that.
    pub fn finish(&mut self, waker: &Waker) -> bool {
        let is_killed = self.scope.take().is_some_and(Scope::close);
        if is_killed {
            waker.wake_by_ref();
        }
        is_killed
    }
}

/// The wait for the child ends here, and what was noted of it for a report.
impl Drop for Deputy {
    fn drop(&mut self) {
        // A thread that is about to end has no notes.
        let _note = WITHIN.try_with(RefCell::take);
    }
}

impl fmt::Debug for Deputy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deputy").field(&self.child).finish()
    }
}

/// A task that the current greenlet runs within its own polls, for containers: a greenlet of its
/// own, with its own id, parent, locals and kills; or a task that runs items, each of them one. It
/// opens no budget of ready awaits. Ready when the task has finished.
///
/// A kill of the current greenlet goes to the task first, as [`Deputy`] says; a kill of the task's
/// own handle ends the task alone. Dropping it ends the task at once as killed, whatever that
/// catches or shields.
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
}

impl<F: Future, G> InPlace<F, G> {
    /// `task` of the greenlet of `handle`, to be polled here. Kills go to the current item of a task
    /// that runs items.
    pub fn new(task: Task<F, G>, handle: &Handle) -> Self {
        task.set_in_place(true);
        Self { task: Box::pin(task), deputy: Deputy::of(handle.unasked()) }
    }

    /// As [`Deputy::finish`], before the task has finished: for a wait that ends otherwise.
    pub fn finish(&mut self, waker: &Waker) -> bool {
        self.deputy.finish(waker)
    }

    /// Holds no kill off until the task is polled again: for a wait that cannot poll it for a while,
    /// or that another greenlet polls.
    ///
    /// Ready if the task has finished. A task that was killed or aborted ends here, where it waits:
    /// its future is dropped. A kill that the task catches or shields takes code of the task, and so
    /// is put off until that is polled. A kill that comes later wakes `cx`.
    pub fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.deputy.scope = None;
        if self.task.as_mut().is_to_end(cx) { self.task.as_mut().poll(cx) } else { Poll::Pending }
    }

    /// The task, which goes on where it is spawned: it then opens a budget of its own, and a hub
    /// that stops is its end.
    pub fn into_task(self) -> Pin<Box<Task<F, G>>> {
        self.task.set_in_place(false);
        self.task
    }
}

impl<F: Future, G> Future for InPlace<F, G> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // A task that has finished is ready each time.
        let polled = this.deputy.poll(cx, |cx| this.task.as_mut().poll(cx));
        if this.task.control().is_some_and(|control| this.deputy.follow(control)) {
            cx.waker().wake_by_ref();
        }
        ready!(polled);
        if this.deputy.finish(cx.waker()) { Poll::Pending } else { Poll::Ready(()) }
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
    /// The innermost greenlet that is pending in place of the current one, and its depth, for
    /// reports.
    static WITHIN: RefCell<Option<(String, usize)>> = const { RefCell::new(None) };
}

/// What a hub calls the pending greenlet of `control` in its report. A hub keeps the last label of a
/// poll, which is the outermost greenlet's: so what is pending in its place is named first.
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
