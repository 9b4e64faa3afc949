//! [`Semaphore`]: lets at most so many tasks past a point at once, in the order they came.
//!
//! A permit that comes back is handed to the first waiter, not put back for anyone to take. It
//! counts as out from that moment, though its new holder has yet to run; so nobody barges in, and
//! the holder that is dropped before it runs gives it on.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::waiters::Waiters;
use crate::{Closed, Event, TryAcquireError, Wait};

/// Hands out a number of permits, first come, first served. `gevent.lock.BoundedSemaphore`, but
/// fair.
///
/// The number can be changed while permits are out. Dropping the semaphore is harmless; permits
/// and waiters hold on to it.
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
    state: Mutex<State>,
}

struct State {
    capacity: usize,
    /// Permits that are held, or handed to a waiter that has yet to run.
    out: usize,
    waiters: Waiters,
    closed: bool,
    /// Set when the semaphore becomes idle; there if anybody waits for that. Each time has its
    /// own, so that nobody is told of one that was before they asked.
    idle: Option<Arc<Event>>,
}

impl Semaphore {
    /// A semaphore with `permits` permits, none of them out.
    pub fn new(permits: usize) -> Self {
        let waiters = Waiters::default();
        let state = State { capacity: permits, out: 0, waiters, closed: false, idle: None };
        Self { state: Mutex::new(state) }
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

    /// Takes a permit without waiting. `acquire(blocking=False)`.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`] if none is free: permits do not go to a newcomer while
    /// others wait. [`TryAcquireError::Closed`] if the semaphore was closed.
    pub fn try_acquire(&self) -> Result<Permit<&Self>, TryAcquireError> {
        self.lock().take()?;
        Ok(Permit::of(self))
    }

    /// Gives back `permits` permits that were [forgotten](Permit::forget), each to the first who
    /// waits.
    ///
    /// # Panics
    ///
    /// If fewer are out; none is given back then.
    #[track_caller]
    pub fn release(&self, permits: usize) {
        let mut state = self.lock();
        state.put_back(permits);
        self.hand_out(state);
    }

    /// As [`release`](Self::release), but wakes nobody before the guard is dropped: for those who
    /// hold a lock, which wakers may need. Until then the permits are free, but go to no newcomer
    /// while others wait.
    ///
    /// # Panics
    ///
    /// As [`release`](Self::release).
    #[track_caller]
    pub fn put_back(&self, permits: usize) -> HandOut<'_> {
        let mut state = self.lock();
        state.put_back(permits);
        let concerns_others = state.waiters.len() > 0 || state.idle.is_some();
        HandOut { semaphore: concerns_others.then_some(self) }
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
        refused.for_each(|(_, waiter)| waiter.waker.wake());
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
            let idle = {
                let mut state = self.lock();
                if state.is_idle() {
                    return;
                }
                Arc::clone(state.idle.get_or_insert_default())
            };
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
    /// [`resize`](Self::resize) to fewer.
    pub fn available(&self) -> isize {
        self.lock().available()
    }

    /// As [`available`](Self::available), less one for each who waits: negative if more are
    /// wanted than there are. eventlet's `balance`.
    pub fn balance(&self) -> isize {
        let state = self.lock();
        state.available() - signed(state.waiters.len())
    }

    /// How many wait for a permit.
    pub fn waiting(&self) -> usize {
        self.lock().waiters.len()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Wakes whoever there is a permit for. The lock is let go before anyone is woken: a waker is
    /// somebody else's code.
    fn hand_out<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        while let Some(waker) = state.admit() {
            let more = state.may_admit();
            drop(state);
            waker.wake();
            if !more {
                return;
            }
            state = self.lock();
        }
        let idle = if state.is_idle() { state.idle.take() } else { None };
        drop(state);
        if let Some(idle) = idle {
            idle.set();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Result<(), TryAcquireError> {
        if self.closed {
            return Err(TryAcquireError::Closed);
        }
        if self.out >= self.capacity || self.waiters.len() > 0 {
            return Err(TryAcquireError::WouldBlock);
        }
        self.out += 1;
        Ok(())
    }

    #[track_caller]
    fn put_back(&mut self, permits: usize) {
        assert!(permits <= self.out, "{permits} permits given back, {} are out", self.out);
        self.out -= permits;
    }

    /// Hands a permit to the first in the queue, if there is one for them.
    fn admit(&mut self) -> Option<Waker> {
        let (_, waiter) = if self.may_admit() { self.waiters.pop()? } else { return None };
        self.out += 1;
        Some(waiter.waker)
    }

    fn is_idle(&self) -> bool {
        self.out == 0 && self.waiters.len() == 0
    }

    fn available(&self) -> isize {
        signed(self.capacity) - signed(self.out)
    }

    fn may_admit(&self) -> bool {
        self.out < self.capacity && self.waiters.len() > 0
    }
}

/// Counts beyond this size do not occur, but for the capacity of one without a limit.
fn signed(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
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

/// Permits that are back, and that those who wait have not been told of. Dropping it tells them.
#[derive(Debug)]
#[must_use = "dropping it wakes others: let go of locks first"]
pub struct HandOut<'a> {
    /// None if nobody waits.
    semaphore: Option<&'a Semaphore>,
}

impl Drop for HandOut<'_> {
    fn drop(&mut self) {
        if let Some(semaphore) = self.semaphore {
            semaphore.hand_out(semaphore.lock());
        }
    }
}

/// The future of [`Semaphore::acquire`]; over an `Arc<Semaphore>` it borrows nothing.
///
/// Dropping it gives up its place in the queue, and hands on a permit that it already got.
///
/// # Panics
///
/// If it is polled again after it was done.
#[must_use = "nothing is acquired unless it is awaited"]
pub struct Acquire<S: Deref<Target = Semaphore>> {
    semaphore: Option<S>,
    /// The place in the queue, once it has one.
    ticket: Option<u64>,
    /// Who waits.
    at: &'static Location<'static>,
}

impl<S: Deref<Target = Semaphore>> Acquire<S> {
    /// Takes a permit of `semaphore`, behind those who came before: [`Semaphore::acquire`] for
    /// any kind of pointer to one.
    #[track_caller]
    pub fn of(semaphore: S) -> Self {
        Self { semaphore: Some(semaphore), ticket: None, at: Location::caller() }
    }
}

/// The pointer is not pinned in place.
impl<S: Deref<Target = Semaphore>> Unpin for Acquire<S> {}

impl<S: Deref<Target = Semaphore>> Future for Acquire<S> {
    type Output = Result<Permit<S>, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let semaphore = this.semaphore.as_ref().expect("polled after it was done");
        let mut state = semaphore.lock();
        let admitted = match this.ticket {
            Some(ticket) if state.waiters.is_served(ticket) => Ok(()),
            Some(_) if state.closed => Err(Closed),
            Some(ticket) => {
                let before = state.waiters.update(ticket, cx.waker());
                drop(state);
                drop(before);
                Wait::note("Semaphore::acquire", this.at);
                return Poll::Pending;
            }
            None => match state.take() {
                Ok(()) => Ok(()),
                Err(TryAcquireError::Closed) => Err(Closed),
                Err(TryAcquireError::WouldBlock) => {
                    this.ticket = Some(state.waiters.push(cx.waker().clone(), ()));
                    Wait::note("Semaphore::acquire", this.at);
                    return Poll::Pending;
                }
            },
        };
        drop(state);
        this.ticket = None;
        let semaphore = this.semaphore.take().expect("it was there a moment ago");
        Poll::Ready(admitted.map(|()| Permit::of(semaphore)))
    }
}

impl<S: Deref<Target = Semaphore>> Drop for Acquire<S> {
    fn drop(&mut self) {
        let (Some(semaphore), Some(ticket)) = (&self.semaphore, self.ticket) else { return };
        let mut state = semaphore.lock();
        if state.waiters.is_served(ticket) {
            state.out -= 1;
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
        f.debug_struct("Acquire").field("waiting", &self.ticket.is_some()).finish()
    }
}

/// Leave to be past the point. Dropping it gives it back, to the first who waits.
#[derive(Debug)]
#[must_use = "a permit is given back as soon as it is dropped"]
pub struct Permit<S: Deref<Target = Semaphore>> {
    /// None once it is forgotten.
    semaphore: Option<S>,
}

impl<S: Deref<Target = Semaphore>> Permit<S> {
    fn of(semaphore: S) -> Self {
        Self { semaphore: Some(semaphore) }
    }

    /// Keeps the permit out without a guard, until [`Semaphore::release`] gives it back.
    pub fn forget(mut self) {
        self.semaphore = None;
    }
}

impl<S: Deref<Target = Semaphore>> Drop for Permit<S> {
    fn drop(&mut self) {
        if let Some(semaphore) = &self.semaphore {
            semaphore.release(1);
        }
    }
}
