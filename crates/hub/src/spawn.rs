//! [`Spawn`]: the one thing an executor has to be able to do; [`Executor`]: what a pool has to know of
//! one.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

/// A task behind one pointer, whatever its type: what a hub takes as a trait object.
pub type BoxTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task behind one pointer that stays on its thread.
pub type LocalBoxTask = Pin<Box<dyn Future<Output = ()>>>;

/// Can run a future of type `F` to its end, in the background.
///
/// The trait is generic over the future so that `Send` is asked for exactly where an executor
/// needs it: one that moves tasks between threads implements it for `F: Send`, one that stays on
/// its thread for any `F`.
///
/// What an implementation promises: the future is polled until it ends or, when the executor
/// stops first, dropped. It is never forgotten; greenlets learn of their end that way.
///
/// ```
/// use spinney_hub::Spawn;
///
/// /// Runs each task on a thread of its own.
/// struct Threads;
///
/// impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Threads {
///     fn spawn(&self, future: F) {
///         std::thread::spawn(|| futures_lite::future::block_on(future));
///     }
/// }
///
/// let (done, ended) = std::sync::mpsc::channel();
/// Threads.spawn(async move { done.send("ran").unwrap() });
/// assert_eq!(ended.recv(), Ok("ran"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run this future",
    label = "this future cannot be spawned on `{Self}`",
    note = "an executor with threads moves tasks between them: the future and its result must be `Send`",
    note = "work that is not `Send` runs on one thread, in a pool such as `Pool::on(&LocalHub::new(), 5)`",
    note = "to see what in it is not `Send`, hand the same future to `spinney::spawn`"
)]
pub trait Spawn<F> {
    /// Starts `future` in the background and returns at once. An implementation can find the line
    /// of the caller by [`Location::caller`](std::panic::Location::caller).
    #[track_caller]
    fn spawn(&self, future: F);
}

/// An executor that a pool can run on. The trait names the box for its tasks, and says whether the
/// caller runs on it.
///
/// An executor with threads of its own needs one line:
///
/// ```
/// use spinney_hub::{BoxTask, Executor};
///
/// struct Threads;
///
/// impl Executor for Threads {
///     type AnyTask = BoxTask;
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "no pool can run on `{Self}`",
    note = "an executor with threads says `impl Executor for .. {{ type AnyTask = BoxTask; }}`, one that stays on its thread `LocalBoxTask`"
)]
pub trait Executor {
    /// A task whose type is not known: [`BoxTask`] if the executor moves tasks between threads,
    /// [`LocalBoxTask`] if they stay on one.
    type AnyTask: Future<Output = ()> + Unpin;

    /// Whether the caller runs on this executor, so that it may poll a future there within its own
    /// poll: then a pool's member runs its children in its place.
    ///
    /// Default: whether the caller runs on no [`Hub`](crate::Hub) that is known, as the tasks of an
    /// executor of one's own do.
    fn is_current(&self) -> bool {
        crate::Hub::try_current().is_none()
    }

    /// Whether everything is on one thread: the tasks, none of which is polled or dropped while
    /// another is polled, and this handle, which is not `Send` then, so that nothing that holds it
    /// is. Default: `false`.
    ///
    /// Returning `true` is a contract: containers do once a poll, and without atomics, what no other
    /// code can see before the poll ends.
    fn is_local(&self) -> bool {
        false
    }
}

/// Puts a task of type `F` behind one pointer. Implemented for [`BoxTask`] and [`LocalBoxTask`].
pub trait Erase<F> {
    /// Boxes `task`.
    fn erase(task: F) -> Self;
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = ()> + Send + 'static> Erase<F> for BoxTask {
    fn erase(task: F) -> Self {
        Box::pin(task)
    }
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = ()> + 'static> Erase<F> for LocalBoxTask {
    fn erase(task: F) -> Self {
        Box::pin(task)
    }
}

#[diagnostic::do_not_recommend]
impl<F, X: Spawn<F> + ?Sized> Spawn<F> for &X {
    fn spawn(&self, future: F) {
        (**self).spawn(future);
    }
}

#[diagnostic::do_not_recommend]
impl<X: Executor + ?Sized> Executor for &X {
    type AnyTask = X::AnyTask;

    fn is_current(&self) -> bool {
        (**self).is_current()
    }

    fn is_local(&self) -> bool {
        (**self).is_local()
    }
}

#[diagnostic::do_not_recommend]
impl<F, X: Spawn<F> + ?Sized> Spawn<F> for Rc<X> {
    fn spawn(&self, future: F) {
        (**self).spawn(future);
    }
}

#[diagnostic::do_not_recommend]
impl<X: Executor + ?Sized> Executor for Rc<X> {
    type AnyTask = X::AnyTask;

    fn is_current(&self) -> bool {
        (**self).is_current()
    }

    fn is_local(&self) -> bool {
        (**self).is_local()
    }
}

#[diagnostic::do_not_recommend]
impl<F, X: Spawn<F> + ?Sized> Spawn<F> for Arc<X> {
    fn spawn(&self, future: F) {
        (**self).spawn(future);
    }
}

#[diagnostic::do_not_recommend]
impl<X: Executor + ?Sized> Executor for Arc<X> {
    type AnyTask = X::AnyTask;

    fn is_current(&self) -> bool {
        (**self).is_current()
    }

    fn is_local(&self) -> bool {
        (**self).is_local()
    }
}
