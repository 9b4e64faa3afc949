//! [`Spawn`]: the trait of executors; [`Executor`]: what a pool needs to know of one.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::contain;

/// A boxed task of any type: the argument of a hub as a trait object.
pub type BoxTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A boxed task that stays on its thread.
pub type LocalBoxTask = Pin<Box<dyn Future<Output = ()>>>;

/// Runs futures of type `F` to their end, in the background.
///
/// The trait is generic over the future so that `Send` is required only where an executor needs it:
/// an executor that moves tasks between threads implements it for `F: Send`, one that stays on its
/// thread for any `F`.
///
/// An implementation polls the future until it has finished or, if the executor stops first, drops
/// it. It never leaks the future: greenlets depend on that to finish.
///
/// ```
/// # mod spinney { pub use futures_lite::future::block_on; pub use spinney_hub::Spawn; }
/// use spinney::{Spawn, block_on};
///
/// /// Runs each task on a thread of its own.
/// struct Threads;
///
/// impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Threads {
///     fn spawn(&self, future: F) {
///         std::thread::spawn(|| block_on(future));
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
    note = "work that is not `Send` runs on one thread, in a pool like `Pool::on(&LocalHub::new(), 5)`",
    note = "to see what in it is not `Send`, hand the same future to `spinney::spawn`"
)]
pub trait Spawn<F> {
    /// Spawns `future` in the background and returns immediately. An implementation finds the line
    /// of the caller with [`Location::caller`](std::panic::Location::caller).
    #[track_caller]
    fn spawn(&self, future: F);
}

/// An executor that a pool can run on. It names the box for its tasks, and tells whether the caller
/// runs on it.
///
/// An executor with threads needs one line:
///
/// ```
/// # mod spinney { pub mod hub { pub use spinney_hub::{BoxTask, Executor}; } }
/// use spinney::hub::{BoxTask, Executor};
///
/// struct Threads;
///
/// impl Executor for Threads {
///     type AnyTask = BoxTask;
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "no pool can run on `{Self}`",
    note = "an executor with threads needs `impl Executor for .. {{ type AnyTask = BoxTask; }}`, one that stays on its thread `LocalBoxTask`"
)]
pub trait Executor {
    /// A boxed task of any type: [`BoxTask`] if the executor moves tasks between threads,
    /// [`LocalBoxTask`] if they stay on one.
    type AnyTask: Future<Output = ()> + Unpin;

    /// Whether the caller runs on this executor and may poll a future there within its own poll: a
    /// member of a pool then runs its children in place.
    ///
    /// Default: `true` if the caller runs on no known [`Hub`](crate::Hub), which is the case in
    /// tasks of a custom executor.
    fn is_current(&self) -> bool {
        crate::Hub::try_current().is_none()
    }

    /// Whether everything stays on one thread: the tasks, none of which is polled or dropped while
    /// another is polled, and this handle, which is then not `Send`. Default: `false`.
    ///
    /// Returning `true` is a contract: containers then defer work to the end of a poll, without
    /// atomic operations, if no other code can observe it before.
    fn is_local(&self) -> bool {
        false
    }
}

/// Boxes a task of type `F`. Implemented for [`BoxTask`] and [`LocalBoxTask`].
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

pin_project! {
    /// A future whose destructor may panic, and a guard that is dropped after it. For executors: some
    /// drop tasks where a panic would abort the process.
    pub(crate) struct Guarded<F, G> {
        #[pin]
        future: Option<F>,
        guard: G,
    }

    impl<F, G> PinnedDrop for Guarded<F, G> {
        fn drop(this: Pin<&mut Self>) {
            let mut future = this.project().future;
            contain(|| future.set(None));
        }
    }
}

impl<F, G> Guarded<F, G> {
    pub(crate) fn new(future: F, guard: G) -> Self {
        Self { future: Some(future), guard }
    }
}

impl<F: Future, G> Future for Guarded<F, G> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.as_pin_mut().expect("it is there until it is dropped").poll(cx)
    }
}
