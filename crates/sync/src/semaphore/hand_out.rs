//! [`HandOut`]: the moment between a permit's return and the wake of whom it goes to.

use super::Semaphore;

/// Permits that are back, and that those who wait have not been told of. Dropping it tells them.
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
/// // Nobody sees her off the list and her seat taken; and nobody is woken under the lock.
/// drop(list);
/// drop(seat);
/// ```
#[derive(Debug)]
#[must_use = "dropping it wakes others: let go of locks first"]
pub struct HandOut<'a> {
    /// None if nobody waits.
    pub(super) semaphore: Option<&'a Semaphore>,
}

impl Drop for HandOut<'_> {
    fn drop(&mut self) {
        if let Some(semaphore) = self.semaphore {
            semaphore.hand_out(semaphore.lock());
        }
    }
}
