//! [`Acquire`]: a place in the queue of a semaphore.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Permit, Semaphore};
use crate::{Closed, GiveWay, Wait};

/// The future of [`Semaphore::acquire`]; over an `Arc<Semaphore>` it borrows nothing.
///
/// Dropping it gives up its place in the queue; a permit that it had been handed goes to the next
/// waiter.
///
/// ```
/// use std::sync::Arc;
///
/// use spinney_sync::{Acquire, Closed, Permit, Semaphore};
///
/// async fn seat(seats: &Arc<Semaphore>) -> Result<Permit<Arc<Semaphore>>, Closed> {
///     Acquire::of(Arc::clone(seats)).await
/// }
/// # let seats = Arc::new(Semaphore::new(1));
/// # drop(futures_lite::future::block_on(seat(&seats)));
/// ```
///
/// # Panics
///
/// If it is polled again after it has finished.
#[must_use = "nothing is acquired unless it is awaited"]
pub struct Acquire<S: Deref<Target = Semaphore>> {
    semaphore: Option<S>,
    permits: usize,
    /// The place in the queue, once it has one.
    ticket: Option<u64>,
    /// The line of the program that waits.
    at: &'static Location<'static>,
    give_way: GiveWay,
}

impl<S: Deref<Target = Semaphore>> Acquire<S> {
    /// Takes a permit of `semaphore`, behind those who came before: [`Semaphore::acquire`] for
    /// any kind of pointer to one.
    #[track_caller]
    pub fn of(semaphore: S) -> Self {
        Self::many(semaphore, 1)
    }

    /// As [`of`](Self::of), several permits together: [`Semaphore::acquire_many`].
    #[track_caller]
    pub fn many(semaphore: S, permits: usize) -> Self {
        Self::on_behalf_of(Location::caller(), semaphore, permits)
    }

    pub(crate) fn on_behalf_of(
        at: &'static Location<'static>,
        semaphore: S,
        permits: usize,
    ) -> Self {
        let give_way = GiveWay::default();
        Self { semaphore: Some(semaphore), permits, ticket: None, at, give_way }
    }
}

/// The pointer is not pinned in place.
impl<S: Deref<Target = Semaphore>> Unpin for Acquire<S> {}

impl<S: Deref<Target = Semaphore>> Future for Acquire<S> {
    type Output = Result<Permit<S>, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { semaphore, permits, ticket, at, give_way } = &mut *self;
        give_way.poll(cx, |cx| {
            let asked = semaphore.as_ref().expect("polled after it had finished");
            let immediately = match *ticket {
                Some(ticket) => asked.shared.is_served(ticket),
                None => asked.shared.try_take(*permits),
            };
            let admitted = if immediately {
                Ok(())
            } else {
                let Poll::Ready(admitted) = asked.poll_turn(cx, ticket, *permits) else {
                    Wait::note("Semaphore::acquire", at);
                    return Poll::Pending;
                };
                admitted
            };
            *ticket = None;
            let semaphore = semaphore.take().expect("it was there a moment ago");
            Poll::Ready(admitted.map(|()| Permit::of(semaphore, *permits)))
        })
    }
}

impl<S: Deref<Target = Semaphore>> Drop for Acquire<S> {
    fn drop(&mut self) {
        let (Some(semaphore), Some(ticket)) = (&self.semaphore, self.ticket) else { return };
        let mut state = semaphore.lock();
        if state.waiters.is_served(ticket) {
            state.give_back(self.permits);
            semaphore.hand_out(state);
        } else {
            let waiter = state.waiters.remove(ticket);
            semaphore.hand_out(state);
            drop(waiter);
        }
    }
}

impl<S: Deref<Target = Semaphore>> fmt::Debug for Acquire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("permits", &self.permits)
            .field("waiting", &self.ticket.is_some())
            .finish()
    }
}
