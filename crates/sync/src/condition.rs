//! [`Condition`]: a task releases its permit until another task signals a change.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::panic::Location;
use std::task::Poll;

use crate::primitive::{Mutex, lock};
use crate::waiters::{Place, Waiters, wake_all};
use crate::{Acquire, Closed, Permit, Semaphore, budget};

/// Lets a task release a permit of a [`Semaphore`] until another task signals a change.
///
/// A task that changes the guarded state holds the permit meanwhile, and notifies. Dropping the
/// condition is harmless, as waiters borrow it.
///
/// Python: `threading.Condition`.
///
/// ```
/// use std::cell::Cell;
///
/// use futures_lite::future::{block_on, zip};
/// use spinney_sync::{Condition, Semaphore};
///
/// let (lock, filled, stock) = (Semaphore::new(1), Condition::new(), Cell::new(0));
/// let take = async {
///     let permit = lock.acquire().await.unwrap();
///     let _permit = filled.wait_while(permit, || stock.get() == 0).await.unwrap();
///     stock.replace(0)
/// };
/// let fill = async {
///     let _permit = lock.acquire().await.unwrap();
///     stock.set(3);
///     filled.notify(1);
/// };
/// let (taken, ()) = block_on(zip(take, fill));
/// assert_eq!(taken, 3);
/// ```
#[derive(Default)]
pub struct Condition {
    waiters: Mutex<Waiters>,
}

impl Condition {
    /// A condition without waiters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `permit` back, waits for a notification, and takes the permit again. No notification
    /// that comes after the permit was given back is missed.
    ///
    /// Other tasks may hold the permit between the notification and the return. A notification of
    /// a waiter that is dropped goes to the next one. So the caller checks what it waits for
    /// again, or uses [`wait_while`](Self::wait_while).
    ///
    /// # Errors
    ///
    /// [`Closed`] if the semaphore was closed before the permit was free again. Closing alone ends
    /// no wait: it takes a notification as well.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the permit, which was given back; a notification that it had been
    /// given goes to the next waiter.
    #[track_caller]
    pub fn wait<S>(&self, permit: Permit<S>) -> impl Future<Output = Result<Permit<S>, Closed>>
    where
        S: Deref<Target = Semaphore>,
    {
        self.wait_at(Location::caller(), permit)
    }

    /// Waits, with `permit` given back meanwhile, while `unfit` returns `true`. The permit is held
    /// whenever `unfit` runs.
    ///
    /// # Errors
    ///
    /// [`Closed`], as [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the permit, and passes a notification on, as with
    /// [`wait`](Self::wait).
    ///
    /// Python: `wait_for`, with the opposite predicate.
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

    /// Wakes the `waiters` that have waited longest, or all if there are fewer. Nothing is kept
    /// for waiters that come later. A panic of a waker is contained, and the other waiters are
    /// woken.
    ///
    /// Python: `notify`.
    pub fn notify(&self, waiters: usize) {
        let served = lock(&self.waiters).serve(waiters);
        wake_all(served);
    }

    /// Wakes all waiters, as [`notify`](Self::notify) does.
    ///
    /// Python: `notify_all`.
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
        // The waiter is in the line before the permit is back, so the next holder finds it there.
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
    /// Whether it was notified and has yet to take the permit.
    notified: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.place.leave() || self.notified {
            self.condition.notify(1);
        }
    }
}
