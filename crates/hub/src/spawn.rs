//! [`Spawn`]: the one thing an executor has to be able to do.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

/// A future of any type, made to fit behind one pointer.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

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
    /// Starts `future` in the background and returns at once.
    fn spawn(&self, future: F);

    /// Whether its tasks, and all who hold a handle of it, are on one thread, and no task is polled
    /// while another is. By default that is not known.
    ///
    /// To say so is a promise, which only a handle that is not `Send` can keep. Containers rely on
    /// it: what others would see only between two polls, they do once a poll and without atomics.
    fn is_local(&self) -> bool {
        false
    }
}

impl<F, X: Spawn<F> + ?Sized> Spawn<F> for &X {
    fn spawn(&self, future: F) {
        (**self).spawn(future);
    }

    fn is_local(&self) -> bool {
        (**self).is_local()
    }
}

impl<F, X: Spawn<F> + ?Sized> Spawn<F> for Rc<X> {
    fn spawn(&self, future: F) {
        (**self).spawn(future);
    }

    fn is_local(&self) -> bool {
        (**self).is_local()
    }
}

impl<F, X: Spawn<F> + ?Sized> Spawn<F> for Arc<X> {
    fn spawn(&self, future: F) {
        (**self).spawn(future);
    }

    fn is_local(&self) -> bool {
        (**self).is_local()
    }
}
