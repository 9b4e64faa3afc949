//! [`Condition`]: waiting, with a permit laid down meanwhile, until somebody says to look again.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::panic::Location;
use std::task::{Context, Poll, Waker};

use crate::place::Place;
use crate::primitive::{Mutex, lock};
use crate::waiters::Waiters;
use crate::{Acquire, Closed, Permit, Semaphore};

/// Lets tasks that hold a permit lay it down until others have changed something.
/// `threading.Condition`, over a [`Semaphore`] with one permit.
///
/// Whoever changes something holds the permit while they do, and notifies. Dropping it is
/// harmless; whoever waits borrows it.
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
    queue: Mutex<Waiters>,
}

impl Condition {
    /// A condition that nobody waits for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `permit` back, waits for a notification, and takes it again. No notification that
    /// comes after the permit is back is missed.
    ///
    /// Between the notification and the permit others may have been in; and what is notified is
    /// not always for this waiter, as it goes to the next in line when one that has it is
    /// dropped. So look again at what was waited for, or let [`wait_while`](Self::wait_while).
    ///
    /// # Errors
    ///
    /// [`Closed`] if the semaphore was closed before the permit was free again. Its closing alone
    /// ends no wait: it takes a notification as well.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the permit, which others have by then; a notification that it
    /// had been given goes to the next.
    #[track_caller]
    pub fn wait<S>(&self, permit: Permit<S>) -> impl Future<Output = Result<Permit<S>, Closed>>
    where
        S: Deref<Target = Semaphore>,
    {
        self.wait_at(Location::caller(), permit)
    }

    /// Waits, with `permit` given back meanwhile, as long as `unfit` says so, which is asked with
    /// the permit held. `wait_for`, with the opposite predicate.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// As [`wait`](Self::wait).
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
            let mut permit = permit;
            while unfit() {
                permit = self.wait_at(at, permit).await?;
            }
            Ok(permit)
        }
    }

    /// Wakes the `waiters` that have waited longest, or all if there are fewer. Nothing is kept
    /// for those who come later. `notify`.
    pub fn notify(&self, waiters: usize) {
        let notified = lock(&self.queue).serve(waiters);
        notified.into_iter().for_each(Waker::wake);
    }

    /// Wakes all who wait. `notify_all`.
    pub fn notify_all(&self) {
        self.notify(usize::MAX);
    }

    /// How many wait to be notified.
    pub fn waiting(&self) -> usize {
        lock(&self.queue).len()
    }

    async fn wait_at<S>(
        &self,
        at: &'static Location<'static>,
        permit: Permit<S>,
    ) -> Result<Permit<S>, Closed>
    where
        S: Deref<Target = Semaphore>,
    {
        // Queued up before the permit is back: so whoever has it next finds this one waiting.
        let mut turn = poll_fn(|cx| Poll::Ready(Turn::queue_up(self, cx))).await;
        let (semaphore, permits) = permit.give_back();
        poll_fn(|cx| turn.place.poll_served(cx, "Condition::wait", at)).await;
        let permit = Acquire::on_behalf_of(at, semaphore, permits).await?;
        turn.is_over = true;
        Ok(permit)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("waiting", &self.waiting()).finish()
    }
}

/// A wait for a notification. Dropped before it is over, it passes on the one that it got.
struct Turn<'a> {
    condition: &'a Condition,
    place: Place<'a>,
    is_over: bool,
}

impl<'a> Turn<'a> {
    fn queue_up(condition: &'a Condition, cx: &Context<'_>) -> Self {
        let ticket = lock(&condition.queue).push(cx.waker().clone(), ());
        Self { condition, place: Place::new(&condition.queue, ticket), is_over: false }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.place.leave() {
            self.condition.notify(1);
        }
    }
}
