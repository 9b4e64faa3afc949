//! [`Semaphore`]: lets at most so many tasks past a point at once, in the order they came.
//!
//! A permit that comes back is handed to the first waiter, not put back for anyone to take. It
//! counts as out from that moment, though its new holder has yet to run; so nobody barges in, and
//! the holder that is dropped before it runs gives it on.
//!
//! While nobody waits, taking and giving back is one step of an atomic count; see [`Shared`].

mod acquire;
mod hand_out;
mod lock;
mod permit;
mod state;

use std::fmt;
use std::panic::Location;
use std::task::{Context, Poll};

pub use acquire::Acquire;
pub use hand_out::HandOut;
use lock::{Locked, Shared};
pub use permit::Permit;
use state::State;

use crate::waiters::wake_all;
use crate::{Closed, TryAcquireError, budget};

/// Hands out a number of permits, first come, first served. `gevent.lock.Semaphore`, but fair.
///
/// The number can be changed while permits are out. Dropping the semaphore is harmless; permits
/// and waiters hold on to it.
///
/// It limits a part of what tasks do, or how much of something they use together. To limit how many
/// tasks run, and to wait for and kill them, there is `spinney_pool::Pool`.
///
/// ```
/// # futures_lite::future::block_on(async {
/// let seats = spinney_sync::Semaphore::new(1);
/// let seat = seats.acquire().await?;
/// assert!(seats.try_acquire().is_err());
/// drop(seat);
/// assert!(seats.try_acquire().is_ok());
/// # Ok::<(), spinney_sync::Closed>(())
/// # }).unwrap();
/// ```
pub struct Semaphore {
    shared: Shared,
}

impl Semaphore {
    /// A semaphore with `permits` permits, none of them out.
    pub fn new(permits: usize) -> Self {
        Self { shared: Shared::new(State::new(permits, false)) }
    }

    /// One that does not grow when more comes back than is out.
    pub(crate) fn fixed(permits: usize) -> Self {
        Self { shared: Shared::new(State::new(permits, true)) }
    }

    /// Takes a permit, behind those who came before.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the semaphore was closed before a permit was free.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place in the queue; a permit that it had already been
    /// handed goes to the next.
    #[track_caller]
    pub fn acquire(&self) -> Acquire<&Self> {
        Acquire::of(self)
    }

    /// As [`acquire`](Self::acquire), `permits` permits together. Those behind wait until they
    /// are all there, though there be enough for one of them; those who want more than there are
    /// hold up the queue until a [`resize`](Self::resize) or [`add`](Self::add) makes room. Zero
    /// permits wait for their turn, too, and take nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many(&self, permits: usize) -> Acquire<&Self> {
        Acquire::many(self, permits)
    }

    /// Takes a permit without waiting. `acquire(blocking=False)`.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`] if none is free: permits do not go to a newcomer while
    /// others wait. [`TryAcquireError::Closed`] if the semaphore was closed.
    pub fn try_acquire(&self) -> Result<Permit<&Self>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// As [`try_acquire`](Self::try_acquire), `permits` permits together or none.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_many(&self, permits: usize) -> Result<Permit<&Self>, TryAcquireError> {
        if !self.shared.try_take(permits) {
            self.lock().take(permits)?;
        }
        Ok(Permit::of(self, permits))
    }

    /// Gives back `permits` permits that were [forgotten](Permit::forget), to those who wait, in
    /// their order. What is more than is out is added to the number, up to [`usize::MAX`]; a
    /// [`BoundedSemaphore`](crate::BoundedSemaphore) refuses it.
    pub fn release(&self, permits: usize) {
        if !self.shared.try_give_back(permits) {
            let mut state = self.lock();
            state.give_back(permits);
            self.hand_out(state);
        }
    }

    /// Gives back `permits` permits that were [forgotten](Permit::forget), but wakes nobody
    /// before the guard is dropped: for those who hold a lock, which wakers may need. Until then
    /// the permits are free, but go to no newcomer while others wait.
    ///
    /// # Panics
    ///
    /// If fewer are out; none is given back then.
    #[track_caller]
    pub fn put_back(&self, permits: usize) -> HandOut<'_> {
        if self.shared.try_give_back(permits) {
            return HandOut { semaphore: None };
        }
        let mut state = self.lock();
        state.put_back(permits);
        let concerns_others = !state.waiters.is_empty() || state.idle.is_some();
        HandOut { semaphore: concerns_others.then_some(self) }
    }

    /// Gives back `permits` permits if that many are out; says whether they were.
    pub(crate) fn try_put_back(&self, permits: usize) -> bool {
        if self.shared.try_give_back(permits) {
            return true;
        }
        let mut state = self.lock();
        let are_out = permits <= state.out;
        if are_out {
            state.put_back(permits);
            self.hand_out(state);
        }
        are_out
    }

    /// Makes `permits` more permits. As many waiters as then fit are admitted at once.
    ///
    /// # Panics
    ///
    /// If there were more than [`usize::MAX`] of them; none is added then.
    #[track_caller]
    pub fn add(&self, permits: usize) {
        let mut state = self.lock();
        let capacity = state.capacity.checked_add(permits);
        state.capacity = capacity.expect("that many permits cannot be counted");
        self.hand_out(state);
    }

    /// Changes the number of permits to `capacity`. A larger number admits at once as many
    /// waiters as fit; under a smaller one nobody gets in until enough permits have come back.
    pub fn resize(&self, capacity: usize) {
        let mut state = self.lock();
        state.capacity = capacity;
        self.hand_out(state);
    }

    /// Hands out no more permits: all who wait are refused, and all who come. Those that are out
    /// stay out. Closing again is of no effect.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let refused = state.waiters.dismiss();
        self.hand_out(state);
        wake_all(refused.map(|(_, waiter)| waiter.waker));
    }

    /// Waits until no permit is out and nobody waits for one; at once if that is so.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn wait_idle(&self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let idle = self.lock().idle();
            let Some(idle) = idle else { return budget::ready().await };
            idle.wait_for("Semaphore::wait_idle", at).await;
        }
    }

    /// How many permits there are, out or not.
    pub fn capacity(&self) -> usize {
        self.lock().capacity
    }

    /// How many permits are out: held, or on their way to a waiter.
    pub fn out(&self) -> usize {
        self.lock().out
    }

    /// How many more permits could be out; negative while more are out than there are, after a
    /// [`resize`](Self::resize) to fewer. A capacity, or a number that is out, above [`isize::MAX`]
    /// counts as that.
    ///
    /// Python: gevent's `counter`.
    pub fn available(&self) -> isize {
        self.lock().available()
    }

    /// [`available`](Self::available) less the number of waiters, however many permits they want.
    /// It takes no lock, unless the capacity or the number that is out is huge.
    ///
    /// Python: eventlet's `balance`.
    pub fn balance(&self) -> isize {
        self.shared.balance()
    }

    /// How many wait, for one permit or for many.
    pub fn waiting(&self) -> usize {
        self.lock().waiters.len()
    }

    /// Whether it was closed. It takes no lock.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// As [`available`](Self::available), but zero rather than negative.
    pub(crate) fn free(&self) -> usize {
        self.lock().free()
    }

    /// Whether whoever has this `ticket` has been served, or else comes in at once; if neither, they
    /// have one afterwards.
    fn poll_turn(
        &self,
        cx: &Context<'_>,
        ticket: &mut Option<u64>,
        permits: usize,
    ) -> Poll<Result<(), Closed>> {
        let mut state = self.lock();
        match *ticket {
            Some(ticket) if state.waiters.is_served(ticket) => Poll::Ready(Ok(())),
            Some(_) if state.closed => Poll::Ready(Err(Closed)),
            Some(ticket) => {
                let before = state.waiters.update(ticket, cx.waker());
                drop(state);
                drop(before);
                Poll::Pending
            }
            None => match state.take(permits) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TryAcquireError::Closed) => Poll::Ready(Err(Closed)),
                Err(TryAcquireError::WouldBlock) => {
                    *ticket = Some(state.waiters.push(cx.waker().clone(), permits));
                    Poll::Pending
                }
            },
        }
    }

    /// Wakes whoever there is a permit for, and who waits for idleness. The lock is let go before
    /// anyone is woken: a waker is somebody else's code.
    fn hand_out<'a>(&'a self, mut state: Locked<'a>) {
        loop {
            let admitted = state.admit();
            if admitted.is_some() {
                self.shared.set_served_below(state.waiters.served_below());
            }
            let more = admitted.is_some() && state.may_admit();
            let idle = if state.is_idle() { state.idle.take() } else { None };
            drop(state);
            wake_all(admitted);
            if let Some(idle) = idle {
                idle.set();
            }
            if !more {
                return;
            }
            state = self.lock();
        }
    }

    fn lock(&self) -> Locked<'_> {
        self.shared.lock()
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Semaphore")
            .field("capacity", &state.capacity)
            .field("out", &state.out)
            .field("waiting", &state.waiters.len())
            .field("closed", &state.closed)
            .finish()
    }
}
