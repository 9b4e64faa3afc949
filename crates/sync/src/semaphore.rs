//! [`Semaphore`]: a fair counting semaphore.
//!
//! A released permit is handed to the first waiter, rather than put back for any task to take. It
//! counts as out from then on, even before its new holder runs: no newcomer overtakes, and a holder
//! that is dropped before it runs passes the permit on.
//!
//! While there are no waiters, taking and releasing a permit is one step of an atomic count; see
//! [`Shared`].

mod acquire;
mod line;
mod state;

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

pub use self::acquire::Acquire;
pub use self::line::{Line, PermitCounts, Place, PriorityLine, WaiterState, Want};
use self::state::{Locked, Shared, State};
use crate::waiters::{replace, wake_all};
use crate::{Closed, TryAcquireError, budget};

/// A fair counting semaphore: permits are handed to waiters by [priority](Acquire::priority), in
/// FIFO order among equals.
///
/// The number of permits may change while permits are out. Dropping the semaphore is harmless,
/// because permits and waiters keep a pointer to it.
///
/// The waiters are stored in a [`Line`]; a container may use one with a rule of its own.
///
/// A semaphore limits how many tasks run a section of their code. To limit how many tasks run, and
/// to join and kill them, use `spinney_pool::Pool`.
///
/// Python: `gevent.lock.Semaphore`, which is not fair.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on; pub use spinney_sync::Semaphore;
/// #     pub mod sync { pub use spinney_sync::Closed; }
/// # }
/// use spinney::{Semaphore, block_on};
/// use spinney::sync::Closed;
///
/// block_on(async {
///     let seats = Semaphore::new(1);
///     let seat = seats.acquire().await?;
///     assert!(seats.try_acquire().is_err());
///     drop(seat);
///     assert!(seats.try_acquire().is_ok());
///     Ok::<(), Closed>(())
/// }).unwrap();
/// ```
pub struct Semaphore<L: Line = PriorityLine> {
    shared: Shared<L>,
}

impl Semaphore {
    /// Creates a semaphore with `permits` permits, none of them out.
    ///
    /// Python: `gevent.lock.Semaphore`.
    pub fn new(permits: usize) -> Self {
        Self::with_line(permits, PriorityLine::default())
    }

    /// Creates a semaphore whose capacity stays the same when more permits are released than are
    /// out.
    pub(crate) fn fixed(permits: usize) -> Self {
        Self { shared: Shared::new(State::new(permits, true, PriorityLine::default())) }
    }

    /// Waits for a permit, behind the earlier waiters. [`Acquire::priority`] is for urgent
    /// requests.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the semaphore is closed before a permit is free.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue; a permit that it was already handed goes to the next
    /// waiter.
    ///
    /// Python: `gevent.lock.Semaphore.acquire`.
    #[track_caller]
    pub fn acquire(&self) -> Acquire<&Self> {
        Acquire::of(self)
    }

    /// Waits for `permits` permits together, behind the earlier waiters. Later waiters wait until
    /// all of them are free, even if there are enough permits for one of those. A request for more
    /// permits than the capacity holds up the queue until [`resize`](Self::resize) or
    /// [`add`](Self::add) makes the capacity large enough. A request for 0 permits waits for its
    /// turn and takes nothing.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the semaphore is closed before the permits are free.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue; permits that it was already handed go to the next
    /// waiters.
    #[track_caller]
    pub fn acquire_many(&self, permits: usize) -> Acquire<&Self> {
        Acquire::many(self, permits)
    }

    /// Waits for a permit like [`acquire`](Self::acquire), but borrows nothing: the permit keeps
    /// the semaphore alive.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the semaphore is closed before a permit is free.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue; a permit that it was already handed goes to the next
    /// waiter.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use futures_lite::future::block_on; pub use spinney_sync::Semaphore;
    /// #     pub mod sync { pub use spinney_sync::Closed; }
    /// # }
    /// use spinney::{Semaphore, block_on};
    /// use spinney::sync::Closed;
    ///
    /// block_on(async {
    ///     use std::sync::Arc;
    ///
    ///     let seats = Arc::new(Semaphore::new(1));
    ///     let seat = seats.acquire_owned().await?;
    ///     let guest = std::thread::spawn(move || drop(seat));
    ///     guest.join().unwrap();
    ///     assert_eq!(seats.available(), 1);
    ///     Ok::<(), Closed>(())
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn acquire_owned(self: &Arc<Self>) -> Acquire<Arc<Self>> {
        Acquire::of(Arc::clone(self))
    }

    /// Waits for `permits` permits together like [`acquire_many`](Self::acquire_many), but borrows
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the semaphore is closed before the permits are free.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue; permits that it was already handed go to the next
    /// waiters.
    #[track_caller]
    pub fn acquire_many_owned(self: &Arc<Self>, permits: usize) -> Acquire<Arc<Self>> {
        Acquire::many(Arc::clone(self), permits)
    }

    /// Takes a permit without waiting.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`] if no permit is free, or if there are waiters, which it does
    /// not overtake. [`TryAcquireError::Closed`] if the semaphore was closed.
    ///
    /// Python: `gevent.lock.Semaphore.acquire(blocking=False)`.
    pub fn try_acquire(&self) -> Result<Permit<&Self>, TryAcquireError> {
        Permit::try_many(self, 1)
    }

    /// Takes `permits` permits together without waiting, or none.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`] if too few permits are free, or if there are waiters.
    /// [`TryAcquireError::Closed`] if the semaphore was closed.
    pub fn try_acquire_many(&self, permits: usize) -> Result<Permit<&Self>, TryAcquireError> {
        Permit::try_many(self, permits)
    }

    /// Takes a permit without waiting like [`try_acquire`](Self::try_acquire), but borrows nothing.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`] if no permit is free, or if there are waiters.
    /// [`TryAcquireError::Closed`] if the semaphore was closed.
    pub fn try_acquire_owned(self: &Arc<Self>) -> Result<Permit<Arc<Self>>, TryAcquireError> {
        Permit::try_many(Arc::clone(self), 1)
    }

    /// Takes `permits` permits together without waiting, or none, like
    /// [`try_acquire_many`](Self::try_acquire_many), but borrows nothing.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`] if too few permits are free, or if there are waiters.
    /// [`TryAcquireError::Closed`] if the semaphore was closed.
    pub fn try_acquire_many_owned(
        self: &Arc<Self>,
        permits: usize,
    ) -> Result<Permit<Arc<Self>>, TryAcquireError> {
        Permit::try_many(Arc::clone(self), permits)
    }
}

impl<L: Line> Semaphore<L> {
    /// Creates a semaphore with `permits` permits whose waiters are stored in `line`: for
    /// containers.
    pub fn with_line(permits: usize, line: L) -> Self {
        Self { shared: Shared::new(State::new(permits, false, line)) }
    }

    /// Changes the line under the lock, and then serves the waiters that may be served. A panic of
    /// a waker is contained.
    pub fn change_line<T>(&self, change: impl FnOnce(&mut L) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state.line);
        self.hand_out(state);
        changed
    }

    /// Reads the line under the lock.
    pub fn look_at_line<T>(&self, look: impl FnOnce(&L) -> T) -> T {
        look(&self.lock().line)
    }

    /// Takes what `want` requests without waiting, and returns its ticket if it got one. A request
    /// that would have to wait has left the line.
    fn try_take(&self, want: &Want<L::Request>) -> (WaiterState<L::Refusal>, Option<u64>)
    where
        L::Request: Clone,
    {
        if self.shared.try_take(want.permits) {
            return (WaiterState::Served, None);
        }
        let mut state = self.lock_for_newcomer();
        if state.refuses(want) {
            return (WaiterState::Refused(Closed.into()), None);
        }
        let mut ticket = None;
        if state.admit(want, &mut ticket) {
            return (WaiterState::Served, ticket);
        }
        if state.line.is_open() {
            return (WaiterState::Waits, None);
        }
        let (ticket, may_be_next) = state.line.push(Waker::noop().clone(), want.clone());
        let place = || Place { ticket, want };
        if may_be_next {
            self.hand_out(state);
            state = self.lock();
        }
        let now = state.line.state_of(place(), false);
        if !matches!(now, WaiterState::Served) {
            // Waiters that were behind it for a moment may go on.
            let own = state.line.remove(place());
            self.hand_out(state);
            drop(own);
        }
        (now, Some(ticket))
    }

    /// Releases `permits` permits that were [forgotten](Permit::forget), to the waiters in FIFO
    /// order. Permits beyond those that are out add to the capacity, up to [`usize::MAX`]; a
    /// [`BoundedSemaphore`](crate::BoundedSemaphore) refuses them. A panic of a waker is contained.
    ///
    /// Python: `gevent.lock.Semaphore.release`.
    pub fn release(&self, permits: usize) {
        if !self.shared.try_give_back(permits) {
            let mut state = self.lock();
            state.give_back(permits);
            if state.concerns_others() {
                self.hand_out(state);
            }
        }
    }

    /// Releases what a served request was granted besides permits: for containers. A panic of a
    /// waker is contained.
    pub fn give_back(&self, give_back: impl FnOnce(&mut L)) {
        let mut state = self.lock();
        give_back(&mut state.line);
        if state.concerns_others() {
            self.hand_out(state);
        }
    }

    /// Releases `permits` permits that were [forgotten](Permit::forget), but wakes no waiter before
    /// the guard is dropped: for callers that hold a lock which wakers may need. Until then the
    /// permits are free, but go to no newcomer while there are waiters.
    ///
    /// # Panics
    ///
    /// Panics if fewer permits are out; none is released then.
    #[track_caller]
    pub fn put_back(&self, permits: usize) -> HandOut<'_, L> {
        if self.shared.try_give_back(permits) {
            return HandOut { semaphore: None };
        }
        self.put_back_with(permits, |_| ())
    }

    /// Releases `permits` permits like [`put_back`](Self::put_back), and what a served request was
    /// granted besides: for containers.
    ///
    /// # Panics
    ///
    /// Panics if fewer permits are out; none is released then.
    #[track_caller]
    pub fn put_back_with(&self, permits: usize, give_back: impl FnOnce(&mut L)) -> HandOut<'_, L> {
        let mut state = self.lock();
        state.put_back(permits);
        give_back(&mut state.line);
        HandOut { semaphore: state.concerns_others().then_some(self) }
    }

    /// Releases `permits` permits if that many are out. Returns whether they were.
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

    /// Adds `permits` permits to the capacity, and hands them to waiters. A panic of a waker is
    /// contained.
    ///
    /// # Panics
    ///
    /// Panics if the capacity would exceed [`usize::MAX`]; it is unchanged then.
    #[track_caller]
    pub fn add(&self, permits: usize) {
        let mut state = self.lock();
        let capacity = state.capacity.checked_add(permits);
        state.capacity = capacity.expect("that many permits cannot be counted");
        self.hand_out(state);
    }

    /// Changes the capacity. A larger capacity admits as many waiters as fit; a smaller one admits
    /// none until enough permits have been released. A panic of a waker is contained.
    pub fn resize(&self, capacity: usize) {
        let mut state = self.lock();
        state.capacity = capacity;
        self.hand_out(state);
    }

    /// Closes the semaphore: all waiters and newcomers are refused, except those that wait [despite
    /// a close](Acquire::despite_close). Permits that are out stay out. Returns the number of
    /// refused waiters. Closing again is a no-op. A panic of a waker is contained.
    pub fn close(&self) -> usize {
        let mut state = self.lock();
        state.closed = true;
        let refused = state.line.close();
        let count = refused.len();
        self.hand_out(state);
        wake_all(refused);
        count
    }

    /// Waits until no permit is out and there are no waiters; returns immediately if that is so.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    #[track_caller]
    pub fn wait_idle(&self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let idle = self.lock().idle();
            let Some(idle) = idle else { return budget::ready().await };
            idle.wait_for("Semaphore::wait_idle", at).await;
        }
    }

    /// The number of permits, out or not. Takes no lock.
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    /// The number of permits that are out: held, or handed to a waiter that has not run yet.
    pub fn out(&self) -> usize {
        self.lock().out
    }

    /// How many more permits can be out; negative while more are out than the capacity, after a
    /// [`resize`](Self::resize). A capacity or a number of permits above [`isize::MAX`] counts as
    /// [`isize::MAX`].
    ///
    /// Python: `gevent.lock.Semaphore.counter`.
    pub fn available(&self) -> isize {
        self.lock().available()
    }

    /// [`available`](Self::available) minus the number of waiters, however many permits they
    /// request. Takes no lock, unless the capacity or the number of permits that are out is huge.
    ///
    /// Python: `eventlet.semaphore.Semaphore.balance`.
    pub fn balance(&self) -> isize {
        self.shared.balance()
    }

    /// The number of waiters; a waiter for several permits counts once.
    ///
    /// Python: `gevent.lock.Semaphore.linkcount`.
    pub fn waiting(&self) -> usize {
        self.lock().line.len()
    }

    /// Whether the semaphore was closed. Takes no lock.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// [`available`](Self::available), or 0 if that is negative.
    pub(crate) fn free(&self) -> usize {
        self.lock().free()
    }

    /// Ready if the `ticket` or the newcomer was served or refused; otherwise a newcomer gets a
    /// ticket.
    fn poll_turn(
        &self,
        cx: &Context<'_>,
        ticket: &mut Option<u64>,
        want: &mut Want<L::Request>,
    ) -> Poll<Result<(), L::Refusal>>
    where
        L::Request: Clone,
    {
        let is_new = ticket.is_none();
        if is_new {
            L::complete(self, want);
        }
        let mut state = if is_new { self.lock_for_newcomer() } else { self.lock() };
        if is_new {
            if state.refuses(want) {
                return Poll::Ready(Err(Closed.into()));
            }
            if state.admit(want, ticket) {
                return Poll::Ready(Ok(()));
            }
            let was_open = state.line.is_open();
            let (own, may_be_next) = state.line.push(cx.waker().clone(), want.clone());
            *ticket = Some(own);
            if was_open || !may_be_next {
                return Poll::Pending;
            }
            self.hand_out(state);
            state = self.lock();
        }
        let Some(ticket) = *ticket else { return Poll::Pending };
        let place = || Place { ticket, want };
        match state.line.state_of(place(), is_new) {
            WaiterState::Served => Poll::Ready(Ok(())),
            WaiterState::Refused(refusal) => {
                // It may have held up other waiters.
                self.hand_out(state);
                Poll::Ready(Err(refusal))
            }
            WaiterState::Waits => {
                let waker = state.line.waker(place());
                let before = waker.and_then(|waker| replace(waker, cx.waker()));
                drop(state);
                drop(before);
                Poll::Pending
            }
        }
    }

    /// Hands free permits to waiters, and wakes them and the waiters for idleness. The lock is
    /// released before a waker runs, because wakers are foreign code.
    fn hand_out<'a>(&'a self, mut state: Locked<'a, L>) {
        state = self.read_source(state);
        loop {
            let served = state.serve();
            // After a close, tickets are compared under the lock, where refusals are recorded.
            if served.is_some() && !state.closed {
                self.shared.set_served_below(state.line.served_below());
            }
            let more = served.is_some() && state.may_serve();
            let idle = if state.is_idle() { state.idle.take() } else { None };
            let action = if more { None } else { state.line.action() };
            drop(state);
            wake_all(served);
            if let Some(idle) = idle {
                idle.set();
            }
            if let Some(action) = action {
                L::run(action);
            }
            if !more {
                return;
            }
            state = self.lock();
        }
    }

    /// Locks the state for a newcomer that may be served immediately.
    fn lock_for_newcomer(&self) -> Locked<'_, L> {
        let mut state = self.lock();
        // Behind other waiters it waits in any case.
        if state.may_serve() { state } else { self.read_source(state) }
    }

    /// Reads the source of the line, if it has one, without the lock.
    fn read_source<'a>(&'a self, mut state: Locked<'a, L>) -> Locked<'a, L> {
        let Some(source) = state.line.source() else { return state };
        drop(state);
        let reading = L::read(&source);
        drop(source);
        let mut state = self.lock();
        state.line.set_reading(reading);
        state
    }

    fn lock(&self) -> Locked<'_, L> {
        self.shared.lock()
    }
}

impl<L: Line> fmt::Debug for Semaphore<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Semaphore")
            .field("capacity", &state.capacity)
            .field("out", &state.out)
            .field("waiting", &state.line.len())
            .field("closed", &state.closed)
            .finish()
    }
}

/// A permit of a [`Semaphore`]. Dropping it hands the permit to the first waiter.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_sync::Semaphore;
/// #     pub mod sync { pub use spinney_sync::TryAcquireError; }
/// # }
/// use spinney::Semaphore;
/// use spinney::sync::TryAcquireError;
///
/// let seats = Semaphore::new(3);
/// let row = seats.try_acquire_many(2)?;
/// assert_eq!(row.permits(), 2);
/// drop(row);
/// assert_eq!(seats.available(), 3);
/// Ok::<(), TryAcquireError>(())
/// ```
#[must_use = "a permit is released as soon as it is dropped"]
pub struct Permit<S: Deref<Target = Semaphore<L>>, L: Line = PriorityLine> {
    /// `None` once it is forgotten.
    semaphore: Option<S>,
    permits: usize,
}

const UNTIL_DROP: &str = "forgetting a permit consumes it";

impl<S: Deref<Target = Semaphore>> Permit<S> {
    /// Takes a permit of `semaphore`, which is any kind of pointer to one, without waiting; see
    /// [`Semaphore::try_acquire`].
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`] if no permit is free, or if there are waiters.
    /// [`TryAcquireError::Closed`] if the semaphore was closed.
    pub fn try_of(semaphore: S) -> Result<Self, TryAcquireError> {
        Self::try_many(semaphore, 1)
    }

    /// Takes `permits` permits together, or none.
    fn try_many(semaphore: S, permits: usize) -> Result<Self, TryAcquireError> {
        let want = Want { permits, ..Want::default() };
        let (permit, _) = Self::try_wanted(semaphore, &want).map_err(|refusal| match refusal {
            None => TryAcquireError::WouldBlock,
            Some(Closed) => TryAcquireError::Closed,
        })?;
        Ok(permit)
    }
}

impl<S: Deref<Target = Semaphore<L>>, L: Line> Permit<S, L> {
    fn of(semaphore: S, permits: usize) -> Self {
        Self { semaphore: Some(semaphore), permits }
    }

    /// Takes what `want` requests without waiting, by the rule of the semaphore's line: for
    /// containers. Also returns the ticket, if the request had a place in the line for a moment.
    ///
    /// # Errors
    ///
    /// The refusal of the line; `None` if the request would have to wait.
    pub fn try_wanted(
        semaphore: S,
        want: &Want<L::Request>,
    ) -> Result<(Self, Option<u64>), Option<L::Refusal>>
    where
        L::Request: Clone,
    {
        match semaphore.try_take(want) {
            (WaiterState::Served, ticket) => Ok((Self::of(semaphore, want.permits), ticket)),
            (WaiterState::Waits, _) => Err(None),
            (WaiterState::Refused(refusal), _) => Err(Some(refusal)),
        }
    }

    /// The semaphore of the permit.
    ///
    /// # Panics
    ///
    /// Never: only a permit that is being dropped has none.
    pub fn semaphore(&self) -> &S {
        self.semaphore.as_ref().expect(UNTIL_DROP)
    }

    /// The number of permits that were acquired together.
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Keeps the permit out without a guard, until [`Semaphore::release`] or
    /// [`Semaphore::put_back`] releases it.
    pub fn forget(mut self) {
        drop(self.semaphore.take());
        // Cheaper than a drop that finds no semaphore.
        std::mem::forget(self);
    }

    /// Releases the permit. Returns the semaphore and the number of permits, to acquire the same
    /// again.
    pub(crate) fn give_back(mut self) -> (S, usize) {
        let semaphore = self.semaphore.take().expect(UNTIL_DROP);
        semaphore.release(self.permits);
        (semaphore, self.permits)
    }
}

impl<S: Deref<Target = Semaphore<L>>, L: Line> Drop for Permit<S, L> {
    #[inline]
    fn drop(&mut self) {
        if let Some(semaphore) = &self.semaphore {
            semaphore.release(self.permits);
        }
    }
}

impl<S: Deref<Target = Semaphore<L>> + fmt::Debug, L: Line> fmt::Debug for Permit<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("semaphore", &self.semaphore)
            .field("permits", &self.permits)
            .finish()
    }
}

/// Released permits that were not handed out yet. Dropping it hands them to waiters, and wakes
/// those.
///
/// ```
/// # use spinney_sync as spinney;
/// use spinney::Semaphore;
///
/// let (seats, guests) = (Semaphore::new(1), std::sync::Mutex::new(vec!["Ann"]));
/// seats.try_acquire().unwrap().forget();
///
/// let mut list = guests.lock().unwrap();
/// list.pop();
/// let seat = seats.put_back(1);
/// // No task sees the guest gone and the seat taken, and none is woken under the lock.
/// drop(list);
/// drop(seat);
/// ```
#[derive(Debug)]
#[must_use = "dropping it wakes waiters: release locks first"]
pub struct HandOut<'a, L: Line = PriorityLine> {
    /// `None` if there are no waiters.
    semaphore: Option<&'a Semaphore<L>>,
}

impl<L: Line> Drop for HandOut<'_, L> {
    fn drop(&mut self) {
        if let Some(semaphore) = self.semaphore {
            semaphore.hand_out(semaphore.lock());
        }
    }
}
