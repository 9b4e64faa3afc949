//! [`Semaphore`]: a fair counting semaphore.
//!
//! A permit that comes back is handed to the first waiter, not put back for any task to take. It
//! counts as out from that moment, though its new holder has yet to run: no newcomer barges in, and
//! a holder that is dropped before it runs passes the permit on.
//!
//! While there are no waiters, taking a permit and giving it back is one step of an atomic count;
//! see [`Shared`].

mod state;

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use self::state::{Locked, Shared, State, Want};
use crate::waiters::wake_all;
use crate::{Closed, GiveWay, TryAcquireError, Wait, budget};

/// A fair counting semaphore: permits are handed to waiters in FIFO order.
///
/// The number of permits can be changed while permits are out. Dropping the semaphore is harmless,
/// as permits and waiters point to it.
///
/// It limits how many tasks run a part of their code. To limit how many tasks run, and to wait for
/// them and kill them, there is `spinney_pool::Pool`.
///
/// Python: `gevent.lock.Semaphore`, which is not fair.
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

    /// A semaphore that does not grow when more permits come back than are out.
    pub(crate) fn fixed(permits: usize) -> Self {
        Self { shared: Shared::new(State::new(permits, true)) }
    }

    /// Takes a permit, behind the waiters that came before.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the semaphore was closed before a permit was free.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place in the queue; a permit that it had been handed goes to
    /// the next waiter.
    #[track_caller]
    pub fn acquire(&self) -> Acquire<&Self> {
        Acquire::of(self)
    }

    /// Takes `permits` permits together, behind the waiters that came before. Waiters behind it wait
    /// until all of them are free, even if there are enough for one of those; a waiter that wants
    /// more permits than there are holds up the queue until a [`resize`](Self::resize) or
    /// [`add`](Self::add) makes room. With 0 permits it waits for its turn and takes nothing.
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

    /// Takes a permit without waiting.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`] if no permit is free, or if there are waiters, as none is
    /// overtaken. [`TryAcquireError::Closed`] if the semaphore was closed.
    ///
    /// Python: `acquire(blocking=False)`.
    pub fn try_acquire(&self) -> Result<Permit<&Self>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `permits` permits together without waiting, or none.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_many(&self, permits: usize) -> Result<Permit<&Self>, TryAcquireError> {
        self.take(permits)?;
        Ok(Permit::of(self, permits))
    }

    fn take(&self, permits: usize) -> Result<(), TryAcquireError> {
        if self.shared.try_take(permits) { Ok(()) } else { self.lock().take(Want::of(permits)) }
    }

    /// Gives back `permits` permits that were [forgotten](Permit::forget), to the waiters in FIFO
    /// order. More permits than are out add to the number of permits, up to [`usize::MAX`]; a
    /// [`BoundedSemaphore`](crate::BoundedSemaphore) refuses them. A panic of a waker is contained.
    pub fn release(&self, permits: usize) {
        if !self.shared.try_give_back(permits) {
            let mut state = self.lock();
            state.give_back(permits);
            self.hand_out(state);
        }
    }

    /// Gives back `permits` permits that were [forgotten](Permit::forget), but wakes no waiter
    /// before the guard is dropped: for callers that hold a lock, which wakers may need. Until then
    /// the permits are free, but go to no newcomer while there are waiters.
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

    /// Gives back `permit`, which is of this semaphore, but wakes no waiter before the guard is
    /// dropped, as [`put_back`](Self::put_back) does.
    ///
    /// # Panics
    ///
    /// If `permit` is of another semaphore.
    #[track_caller]
    pub fn take_back<S: Deref<Target = Self>>(&self, mut permit: Permit<S>) -> HandOut<'_> {
        let of = permit.semaphore.take().expect(UNTIL_DROP);
        assert!(std::ptr::eq(&raw const *of, self), "the permit is of another semaphore");
        self.put_back(permit.permits)
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

    /// Adds `permits` permits, and hands them to waiters. A panic of a waker is contained.
    ///
    /// # Panics
    ///
    /// Panics if there were more than [`usize::MAX`] of them; none is added then.
    #[track_caller]
    pub fn add(&self, permits: usize) {
        let mut state = self.lock();
        let capacity = state.capacity.checked_add(permits);
        state.capacity = capacity.expect("that many permits cannot be counted");
        self.hand_out(state);
    }

    /// Changes the number of permits to `capacity`. A larger number admits as many waiters as fit;
    /// a smaller one admits none until enough permits have come back. A panic of a waker is
    /// contained.
    pub fn resize(&self, capacity: usize) {
        let mut state = self.lock();
        state.capacity = capacity;
        self.hand_out(state);
    }

    /// Hands out no more permits: all waiters and all newcomers are refused, except those that wait
    /// [despite it](Acquire::despite_close). Permits that are out stay out. Returns the number of
    /// waiters that were refused. Closing again is a no-op. A panic of a waker is contained.
    pub fn close(&self) -> usize {
        let mut state = self.lock();
        state.close();
        let refused = state.waiters.dismiss_if(|want| !want.despite_close);
        let count = refused.len();
        self.hand_out(state);
        wake_all(refused.into_iter().map(|waiter| waiter.waker));
        count
    }

    /// Waits until no permit is out and there are no waiters; returns immediately if that is so.
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

    /// The number of permits, out or not.
    pub fn capacity(&self) -> usize {
        self.lock().capacity
    }

    /// The number of permits that are out: held, or handed to a waiter that has yet to run.
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

    /// The number of waiters, for one permit or for several.
    pub fn waiting(&self) -> usize {
        self.lock().waiters.len()
    }

    /// Whether it was closed. It takes no lock.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// [`available`](Self::available), or 0 if that is negative.
    pub(crate) fn free(&self) -> usize {
        self.lock().free()
    }

    /// Ready if the `ticket` was served, or if a newcomer is admitted; otherwise the newcomer gets a
    /// ticket.
    fn poll_turn(
        &self,
        cx: &Context<'_>,
        ticket: &mut Option<u64>,
        want: Want,
    ) -> Poll<Result<(), Closed>> {
        let mut state = self.lock();
        match *ticket {
            Some(ticket) if state.is_served(ticket, want) => Poll::Ready(Ok(())),
            Some(_) if state.is_closed() && !want.despite_close => Poll::Ready(Err(Closed)),
            Some(ticket) => {
                let before = state.waiters.update(ticket, cx.waker());
                drop(state);
                drop(before);
                Poll::Pending
            }
            None => match state.take(want) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TryAcquireError::Closed) => Poll::Ready(Err(Closed)),
                Err(TryAcquireError::WouldBlock) => {
                    *ticket = Some(state.waiters.push(cx.waker().clone(), want));
                    Poll::Pending
                }
            },
        }
    }

    /// Hands free permits to waiters and wakes them, and those that wait for idleness. The lock is
    /// released before a waker runs, as that is other people's code.
    fn hand_out<'a>(&'a self, mut state: Locked<'a>) {
        loop {
            let admitted = state.admit();
            // Once it is closed, a ticket is compared under the lock, which knows who was refused.
            if admitted.is_some() && !state.is_closed() {
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
            .field("closed", &state.is_closed())
            .finish()
    }
}

/// A permit of a [`Semaphore`]. Dropping it hands it to the first waiter.
///
/// ```
/// let seats = spinney_sync::Semaphore::new(3);
/// let row = seats.try_acquire_many(2)?;
/// assert_eq!(row.permits(), 2);
/// drop(row);
/// assert_eq!(seats.available(), 3);
/// # Ok::<(), spinney_sync::TryAcquireError>(())
/// ```
#[derive(Debug)]
#[must_use = "a permit is given back as soon as it is dropped"]
pub struct Permit<S: Deref<Target = Semaphore>> {
    /// None once it is forgotten.
    semaphore: Option<S>,
    permits: usize,
}

const UNTIL_DROP: &str = "forgetting a permit consumes it";

impl<S: Deref<Target = Semaphore>> Permit<S> {
    fn of(semaphore: S, permits: usize) -> Self {
        Self { semaphore: Some(semaphore), permits }
    }

    /// Takes a permit of `semaphore`, which is any kind of pointer to one, without waiting:
    /// [`Semaphore::try_acquire`].
    ///
    /// # Errors
    ///
    /// As [`Semaphore::try_acquire`].
    pub fn try_of(semaphore: S) -> Result<Self, TryAcquireError> {
        semaphore.take(1)?;
        Ok(Self::of(semaphore, 1))
    }

    /// How many permits it stands for: those that were acquired together.
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Keeps the permit out without a guard, until [`Semaphore::release`] gives it back.
    pub fn forget(mut self) {
        self.semaphore = None;
    }

    /// Gives it back, and returns what to acquire to have the same again.
    pub(crate) fn give_back(mut self) -> (S, usize) {
        let semaphore = self.semaphore.take().expect(UNTIL_DROP);
        semaphore.release(self.permits);
        (semaphore, self.permits)
    }
}

impl<S: Deref<Target = Semaphore>> Drop for Permit<S> {
    fn drop(&mut self) {
        if let Some(semaphore) = &self.semaphore {
            semaphore.release(self.permits);
        }
    }
}

/// Permits that came back and were not handed out yet. Dropping it hands them to waiters and wakes
/// those.
///
/// ```
/// use spinney_sync::Semaphore;
///
/// let (seats, guests) = (Semaphore::new(1), std::sync::Mutex::new(vec!["Ann"]));
/// seats.try_acquire().unwrap().forget();
///
/// let mut list = guests.lock().unwrap();
/// list.pop();
/// let seat = seats.put_back(1);
/// // No task sees her off the list and her seat taken, and none is woken under the lock.
/// drop(list);
/// drop(seat);
/// ```
#[derive(Debug)]
#[must_use = "dropping it wakes waiters: release locks first"]
pub struct HandOut<'a> {
    /// None if there are no waiters.
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
    want: Want,
    /// The place in the queue, once it has one.
    ticket: Option<u64>,
    /// The line of the program that waits.
    at: &'static Location<'static>,
    give_way: GiveWay,
}

impl<S: Deref<Target = Semaphore>> Acquire<S> {
    /// Takes a permit of `semaphore`, which is any kind of pointer to one: [`Semaphore::acquire`].
    #[track_caller]
    pub fn of(semaphore: S) -> Self {
        Self::many(semaphore, 1)
    }

    /// Takes several permits together: [`Semaphore::acquire_many`].
    #[track_caller]
    pub fn many(semaphore: S, permits: usize) -> Self {
        Self::on_behalf_of(Location::caller(), semaphore, permits)
    }

    pub(crate) fn on_behalf_of(
        at: &'static Location<'static>,
        semaphore: S,
        permits: usize,
    ) -> Self {
        let (want, give_way) = (Want::of(permits), GiveWay::default());
        Self { semaphore: Some(semaphore), want, ticket: None, at, give_way }
    }

    /// The same wait, which a close of the semaphore does not end: for work that was admitted before
    /// the close and needs further permits to finish.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use spinney_sync::{Acquire, Semaphore};
    ///
    /// let seats = Semaphore::new(1);
    /// seats.close();
    /// assert!(seats.acquire().await.is_err());
    /// assert!(Acquire::of(&seats).despite_close().await.is_ok());
    /// # });
    /// ```
    pub fn despite_close(mut self) -> Self {
        self.want.despite_close = true;
        self
    }
}

/// The pointer is not pinned in place.
impl<S: Deref<Target = Semaphore>> Unpin for Acquire<S> {}

impl<S: Deref<Target = Semaphore>> Future for Acquire<S> {
    type Output = Result<Permit<S>, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { semaphore, want, ticket, at, give_way } = &mut *self;
        give_way.poll(cx, |cx| {
            let asked = semaphore.as_ref().expect("polled after it had finished");
            let immediately = match *ticket {
                Some(ticket) => asked.shared.is_served(ticket),
                None => asked.shared.try_take(want.permits),
            };
            let admitted = if immediately {
                Ok(())
            } else {
                let Poll::Ready(admitted) = asked.poll_turn(cx, ticket, *want) else {
                    Wait::note("Semaphore::acquire", at);
                    return Poll::Pending;
                };
                admitted
            };
            *ticket = None;
            let semaphore = semaphore.take().expect("it was there a moment ago");
            Poll::Ready(admitted.map(|()| Permit::of(semaphore, want.permits)))
        })
    }
}

impl<S: Deref<Target = Semaphore>> Drop for Acquire<S> {
    fn drop(&mut self) {
        let (Some(semaphore), Some(ticket)) = (&self.semaphore, self.ticket) else { return };
        let mut state = semaphore.lock();
        if state.is_served(ticket, self.want) {
            state.give_back(self.want.permits);
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
            .field("permits", &self.want.permits)
            .field("waiting", &self.ticket.is_some())
            .finish()
    }
}
