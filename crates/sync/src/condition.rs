//! [`Condition`]: releases a permit until another task signals a change.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::panic::Location;
use std::task::Poll;

use crate::primitive::{Mutex, lock};
use crate::waiters::{Place, Waiters, wake_all};
use crate::{Acquire, Closed, Permit, Semaphore, budget};

/// Releases a permit of a [`Semaphore`] until another task signals a change.
///
/// The notifying task holds the permit while it changes the guarded state. Dropping the condition
/// is harmless, because waiters borrow it.
///
/// Python: `threading.Condition`.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on; pub use spinney_sync::Semaphore;
/// #     pub mod sync { pub use spinney_sync::Condition; }
/// # }
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
/// use std::thread;
///
/// use spinney::sync::Condition;
/// use spinney::{Semaphore, block_on};
///
/// let (lock, filled, stock) = (Semaphore::new(1), Condition::new(), AtomicU32::new(0));
/// let take = async {
///     let permit = lock.acquire().await.unwrap();
///     let _permit = filled.wait_while(permit, || stock.load(Relaxed) == 0).await.unwrap();
///     stock.swap(0, Relaxed)
/// };
/// let fill = async {
///     let _permit = lock.acquire().await.unwrap();
///     stock.store(3, Relaxed);
///     filled.notify(1);
/// };
/// let taken = thread::scope(|scope| {
///     let taker = scope.spawn(|| block_on(take));
///     block_on(fill);
///     taker.join().unwrap()
/// });
/// assert_eq!(taken, 3);
/// ```
#[doc(alias("Condvar", "Notify"))]
#[derive(Default)]
pub struct Condition {
    waiters: Mutex<Waiters>,
}

impl Condition {
    /// Creates a condition without waiters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns `permit`, waits for a notification, and takes the permit again. No notification that
    /// comes after the return is missed.
    ///
    /// Other tasks may hold the permit between the notification and the return from `wait`. The
    /// notification of a dropped waiter goes to the next one. So the caller checks its predicate
    /// again, or uses [`wait_while`](Self::wait_while).
    ///
    /// # Errors
    ///
    /// [`Closed`] if the semaphore was closed before the permit was free again. Closing alone does
    /// not end the wait: a notification is needed as well.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the permit, which was returned; a notification that it had
    /// received goes to the next waiter.
    ///
    /// Python: `threading.Condition.wait`.
    #[track_caller]
    pub fn wait<S>(&self, permit: Permit<S>) -> impl Future<Output = Result<Permit<S>, Closed>>
    where
        S: Deref<Target = Semaphore>,
    {
        self.wait_at(Location::caller(), permit)
    }

    /// Waits while `unfit` returns `true`. The permit is returned during the waits, and held
    /// whenever `unfit` runs.
    ///
    /// # Errors
    ///
    /// [`Closed`], as in [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the permit, and passes a notification on, like
    /// [`wait`](Self::wait).
    ///
    /// Python: `threading.Condition.wait_for`, with the opposite predicate.
    #[track_caller]
    pub fn wait_while<S, F>(
        &self,
        permit: Permit<S>,
        mut unfit: F,
    ) -> impl Future<Output = Result<Permit<S>, Closed>>
    where
        S: Deref<Target = Semaphore>,
        F: FnMut() -> bool,
    {
        let at = Location::caller();
        async move {
            if !unfit() {
                budget::ready().await;
                return Ok(permit);
            }
            let mut permit = self.wait_at(at, permit).await?;
            while unfit() {
                permit = self.wait_at(at, permit).await?;
            }
            Ok(permit)
        }
    }

    /// Wakes the `waiters` that have waited longest, or all if there are fewer. Later waiters do
    /// not see the notification. A panic of a waker is contained, and the other waiters are woken.
    ///
    /// Python: `threading.Condition.notify`.
    pub fn notify(&self, waiters: usize) {
        let served = lock(&self.waiters).serve(waiters);
        wake_all(served);
    }

    /// Wakes all waiters, like [`notify`](Self::notify).
    ///
    /// Python: `threading.Condition.notify_all`.
    pub fn notify_all(&self) {
        self.notify(usize::MAX);
    }

    /// The number of waiters that have not been notified.
    pub fn waiting(&self) -> usize {
        lock(&self.waiters).len()
    }

    async fn wait_at<S>(
        &self,
        at: &'static Location<'static>,
        permit: Permit<S>,
    ) -> Result<Permit<S>, Closed>
    where
        S: Deref<Target = Semaphore>,
    {
        let place = Place::new(&self.waiters, "Condition::wait", at);
        let mut turn = Turn { condition: self, place, notified: false };
        // The waiter is in the line before the permit is returned, so the next holder finds it
        // there.
        poll_fn(|cx| Poll::Ready(turn.place.poll(cx, |_| false).is_ready())).await;
        let (semaphore, permits) = permit.give_back();
        poll_fn(|cx| turn.place.poll(cx, |_| false)).await;
        turn.notified = true;
        let permit = Acquire::on_behalf_of(at, semaphore, permits).await?;
        turn.notified = false;
        Ok(permit)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("waiting", &self.waiting()).finish()
    }
}

/// A wait for a notification. Dropped before it has finished, it passes its notification on.
struct Turn<'a> {
    condition: &'a Condition,
    place: Place<'a>,
    /// It was notified and has not taken the permit yet.
    notified: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.place.leave() || self.notified {
            self.condition.notify(1);
        }
    }
}
