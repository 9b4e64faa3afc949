//! [`Acquire`]: the wait for a permit.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::line::{Line, Place, PriorityLine, WaiterState, Want};
use super::{Permit, Semaphore};
use crate::{BudgetedAwait, Wait};

/// The future of [`Semaphore::acquire`]; over an `Arc<Semaphore>` it borrows nothing.
///
/// Dropping it leaves the queue; a permit that it was already handed goes to the next waiter.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on; pub use spinney_sync::Semaphore;
/// #     pub mod sync { pub use spinney_sync::{Acquire, Closed, Permit}; }
/// # }
/// use std::sync::Arc;
///
/// use spinney::{Semaphore, block_on};
/// use spinney::sync::{Acquire, Closed, Permit};
///
/// async fn seat(seats: &Arc<Semaphore>) -> Result<Permit<Arc<Semaphore>>, Closed> {
///     Acquire::of(Arc::clone(seats)).await
/// }
/// let seats = Arc::new(Semaphore::new(1));
/// drop(block_on(seat(&seats)));
/// ```
///
/// # Panics
///
/// Panics if it is polled again after it has finished.
#[must_use = "nothing is acquired unless it is awaited"]
pub struct Acquire<S: Deref<Target = Semaphore<L>>, L: Line = PriorityLine> {
    semaphore: Option<S>,
    want: Want<L::Request>,
    /// The ticket, once it is in the line.
    ticket: Option<u64>,
    /// The caller's line.
    at: &'static Location<'static>,
    budgeted: BudgetedAwait,
}

impl<S: Deref<Target = Semaphore>> Acquire<S> {
    /// Waits for a permit of `semaphore`, which is any kind of pointer to one; see
    /// [`Semaphore::acquire`].
    #[track_caller]
    pub fn of(semaphore: S) -> Self {
        Self::many(semaphore, 1)
    }

    /// Waits for several permits of `semaphore` together; see [`Semaphore::acquire_many`].
    #[track_caller]
    pub fn many(semaphore: S, permits: usize) -> Self {
        Self::on_behalf_of(Location::caller(), semaphore, permits)
    }

    pub(crate) fn on_behalf_of(
        at: &'static Location<'static>,
        semaphore: S,
        permits: usize,
    ) -> Self {
        let (want, budgeted) = (Want { permits, ..Want::default() }, BudgetedAwait::default());
        Self { semaphore: Some(semaphore), want, ticket: None, at, budgeted }
    }

    /// Places the request before all waiters with a smaller `priority`, and behind earlier ones
    /// with the same priority. The default is 0. Waiters with a smaller priority may wait for ever:
    /// no fairness is promised between priorities. Has no effect after the first poll.
    ///
    /// ```
    /// # use spinney_sync as spinney;
    /// use std::pin::Pin;
    /// use std::task::{Context, Waker};
    ///
    /// use spinney::Semaphore;
    ///
    /// let cx = &mut Context::from_waker(Waker::noop());
    /// let seats = Semaphore::new(1);
    /// let seat = seats.try_acquire();
    /// let (mut usual, mut urgent) = (seats.acquire(), seats.acquire().priority(1));
    /// assert!(Pin::new(&mut usual).poll(cx).is_pending());
    /// assert!(Pin::new(&mut urgent).poll(cx).is_pending());
    /// drop(seat);
    /// assert!(Pin::new(&mut usual).poll(cx).is_pending());
    /// assert!(Pin::new(&mut urgent).poll(cx).is_ready());
    /// ```
    pub fn priority(mut self, priority: i32) -> Self {
        if self.ticket.is_none() {
            self.want.request = priority;
        }
        self
    }
}

impl<S: Deref<Target = Semaphore<L>>, L: Line> Acquire<S, L> {
    /// Waits for what `want` requests, by the rule of the semaphore's line: for containers.
    #[track_caller]
    pub fn wanting(semaphore: S, want: Want<L::Request>) -> Self {
        let (at, budgeted) = (Location::caller(), BudgetedAwait::default());
        Self { semaphore: Some(semaphore), want, ticket: None, at, budgeted }
    }

    /// Keeps waiting after a close of the semaphore: for work that was admitted before the close
    /// and needs further permits to finish.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use futures_lite::future::block_on; pub use spinney_sync::Semaphore;
    /// #     pub mod sync { pub use spinney_sync::Acquire; }
    /// # }
    /// use spinney::sync::Acquire;
    /// use spinney::{Semaphore, block_on};
    ///
    /// let seats = Semaphore::new(1);
    /// seats.close();
    /// assert!(block_on(seats.acquire()).is_err());
    /// assert!(block_on(Acquire::of(&seats).despite_close()).is_ok());
    /// ```
    pub fn despite_close(mut self) -> Self {
        self.want.despite_close = true;
        self
    }

    /// The semaphore; `None` once the wait has finished.
    pub fn semaphore(&self) -> Option<&S> {
        self.semaphore.as_ref()
    }

    /// The request.
    pub fn want(&self) -> &Want<L::Request> {
        &self.want
    }

    /// The request, to change it; `None` once it is in the line.
    pub fn want_mut(&mut self) -> Option<&mut Want<L::Request>> {
        self.ticket.is_none().then_some(&mut self.want)
    }

    /// Changes the line and the request in it, given the ticket, and then serves the waiters that
    /// may be served. A no-op unless the request is in the line. A panic of a waker is contained.
    pub fn change_in_line(&mut self, change: impl FnOnce(&mut L, u64, &mut Want<L::Request>)) {
        let (Some(semaphore), Some(ticket)) = (&self.semaphore, self.ticket) else { return };
        let mut state = semaphore.lock();
        change(&mut state.line, ticket, &mut self.want);
        semaphore.hand_out(state);
    }

    /// The place in the line, if the request has or had one. A request without one was not polled
    /// yet, or was granted permits alone.
    pub fn place(&self) -> Option<Place<'_, L::Request>> {
        self.ticket.map(|ticket| Place { ticket, want: &self.want })
    }
}

/// No field is structurally pinned.
impl<S: Deref<Target = Semaphore<L>>, L: Line> Unpin for Acquire<S, L> {}

impl<S: Deref<Target = Semaphore<L>>, L: Line<Request: Clone>> Future for Acquire<S, L> {
    type Output = Result<Permit<S, L>, L::Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { semaphore, want, ticket, at, budgeted } = &mut *self;
        budgeted.poll(cx, |cx| {
            let asked = semaphore.as_ref().expect("polled after it had finished");
            let immediately = match *ticket {
                Some(ticket) => L::is_usual(&want.request) && asked.shared.is_served(ticket),
                None => asked.shared.try_take(want.permits),
            };
            let admitted = if immediately {
                Ok(())
            } else {
                let Poll::Ready(admitted) = asked.poll_turn(cx, ticket, want) else {
                    Wait::note("Semaphore::acquire", at);
                    return Poll::Pending;
                };
                admitted
            };
            let semaphore = semaphore.take().expect("the wait has not finished");
            Poll::Ready(admitted.map(|()| Permit::of(semaphore, want.permits)))
        })
    }
}

impl<S: Deref<Target = Semaphore<L>>, L: Line> Drop for Acquire<S, L> {
    #[inline]
    fn drop(&mut self) {
        if self.semaphore.is_some() && self.ticket.is_some() {
            self.leave();
        }
    }
}

impl<S: Deref<Target = Semaphore<L>>, L: Line> Acquire<S, L> {
    /// Leaves the line, and returns what the request was granted meanwhile.
    #[cold]
    fn leave(&mut self) {
        let (Some(semaphore), Some(ticket)) = (&self.semaphore, self.ticket) else { return };
        let place = || Place { ticket, want: &self.want };
        let mut state = semaphore.lock();
        let waker = match state.line.state_of(place(), false) {
            WaiterState::Served => {
                state.give_back(self.want.permits);
                state.line.give_back(place());
                None
            }
            WaiterState::Waits => state.line.remove(place()),
            WaiterState::Refused(_) => None,
        };
        semaphore.hand_out(state);
        drop(waker);
    }
}

impl<S: Deref<Target = Semaphore<L>>, L: Line> fmt::Debug for Acquire<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("permits", &self.want.permits)
            .field("waiting", &(self.semaphore.is_some() && self.ticket.is_some()))
            .finish()
    }
}
