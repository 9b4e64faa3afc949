//! [`Permit`]: leave to be past the point.

use std::ops::Deref;

use super::Semaphore;

/// Leave to be past the point. Dropping it gives it back, to the first who waits.
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

impl<S: Deref<Target = Semaphore>> Permit<S> {
    pub(super) fn of(semaphore: S, permits: usize) -> Self {
        Self { semaphore: Some(semaphore), permits }
    }

    /// How many permits it stands for: as many as were acquired together.
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Keeps the permit out without a guard, until [`Semaphore::release`] gives it back.
    pub fn forget(mut self) {
        self.semaphore = None;
    }

    /// Gives it back, and says what to acquire to have the same again.
    pub(crate) fn give_back(mut self) -> (S, usize) {
        let semaphore = self.semaphore.take().expect("whoever forgets it has it no more");
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
