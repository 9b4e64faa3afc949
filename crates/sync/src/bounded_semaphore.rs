//! [`BoundedSemaphore`]: a semaphore that notices when more comes back than was taken.

use crate::{Acquire, OverRelease, Permit, Semaphore, TryAcquireError};

/// A [`Semaphore`] whose number of permits is fixed: giving back more than are out is an error,
/// where a semaphore would grow. `gevent.lock.BoundedSemaphore`, but fair.
///
/// Dropping it is harmless, as with a semaphore.
///
/// ```
/// use spinney_sync::{BoundedSemaphore, OverRelease};
///
/// let seats = BoundedSemaphore::new(1);
/// seats.try_acquire().unwrap().forget();
/// assert_eq!(seats.release(1), Ok(()));
/// assert_eq!(seats.release(1), Err(OverRelease));
/// ```
#[derive(Debug)]
pub struct BoundedSemaphore {
    semaphore: Semaphore,
}

impl BoundedSemaphore {
    /// A semaphore with `permits` permits for good, none of them out.
    pub fn new(permits: usize) -> Self {
        Self { semaphore: Semaphore::fixed(permits) }
    }

    /// Takes a permit, behind those who came before: [`Semaphore::acquire`].
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if the semaphore was closed before a permit was free.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place in the queue; a permit that it had already been
    /// handed goes to the next.
    #[track_caller]
    pub fn acquire(&self) -> Acquire<&Semaphore> {
        self.semaphore.acquire()
    }

    /// As [`acquire`](Self::acquire), `permits` permits together:
    /// [`Semaphore::acquire_many`]. More than there are never come.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many(&self, permits: usize) -> Acquire<&Semaphore> {
        self.semaphore.acquire_many(permits)
    }

    /// Takes a permit without waiting. `acquire(blocking=False)`.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::try_acquire`].
    pub fn try_acquire(&self) -> Result<Permit<&Semaphore>, TryAcquireError> {
        self.semaphore.try_acquire()
    }

    /// As [`try_acquire`](Self::try_acquire), `permits` permits together or none.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::try_acquire`].
    pub fn try_acquire_many(&self, permits: usize) -> Result<Permit<&Semaphore>, TryAcquireError> {
        self.semaphore.try_acquire_many(permits)
    }

    /// Gives back `permits` permits that were [forgotten](Permit::forget), to those who wait, in
    /// their order.
    ///
    /// It cannot tell a forgotten permit from one that somebody holds: what is given back in a
    /// holder's place does not come back a second time when the holder's is dropped.
    ///
    /// # Errors
    ///
    /// [`OverRelease`] if fewer are out; none is given back then.
    pub fn release(&self, permits: usize) -> Result<(), OverRelease> {
        if self.semaphore.try_put_back(permits) { Ok(()) } else { Err(OverRelease) }
    }

    /// Refuses all who wait, and all who come: [`Semaphore::close`].
    pub fn close(&self) {
        self.semaphore.close();
    }

    /// How many permits there are, out or not.
    pub fn capacity(&self) -> usize {
        self.semaphore.capacity()
    }

    /// How many permits are not out. gevent's `counter`.
    pub fn available(&self) -> usize {
        self.semaphore.free()
    }

    /// How many wait, for one permit or for many.
    pub fn waiting(&self) -> usize {
        self.semaphore.waiting()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.semaphore.is_closed()
    }
}
