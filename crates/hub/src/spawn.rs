//! [`Spawn`]: the one thing an executor has to be able to do.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

/// A task behind one pointer, whatever its type: what a hub takes as a trait object.
pub type BoxTask = Pin<Box<dyn Future<Output = ()> + Send>>;

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

    /// Whether the code that asks runs on this executor, so that it may poll a future there within
    /// its own poll: then a pool's member runs its children in its place.
    ///
    /// By default, whether it runs on no [`Hub`](crate::Hub) that is known, as the tasks of an executor of
    /// one's own do.
    fn is_current(&self) -> bool {
        crate::Hub::try_current().is_none()
    }

    /// Whether all is on one thread: the tasks, none of which is polled or dropped while another is
    /// polled, and this handle, which is not `Send` then, so that nothing that holds it is. By
    /// default that is not known.
    ///
    /// Who says so promises it. Containers rely on it to do once a poll, and without the atomics,
    /// what nobody can see before the poll ends.
    fn is_local(&self) -> bool {
        false
    }
}

#[diagnostic::do_not_recommend]
impl<F, X: Spawn<F> + ?Sized> Spawn<F> for &X {
    fn spawn(&self, future: F) {
        (**self).spawn(future);
    }

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

    fn is_current(&self) -> bool {
        (**self).is_current()
    }

    fn is_local(&self) -> bool {
        (**self).is_local()
    }
}
