//! [`Places`]: how much may be running or in the queue, first come, first served.
//!
//! Those who take places and those who free them would fight for one count. So what is freed is
//! counted apart, and put back when somebody finds no place, or while anybody waits for one.

use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, MutexGuard, PoisonError};

use spinney_hub::contain;
use spinney_sync::{HandOut, Permit, Semaphore, TryAcquireError, Wait};

use crate::apart::Apart;

pub(crate) struct Places {
    /// Counts a place as out while it is taken, and after that until it is put back.
    semaphore: Apart<Semaphore>,
    /// Places that are free and have to be put back.
    freed: Apart<AtomicUsize>,
    /// How many wait for a place.
    ///
    /// Who frees one counts that, then looks here; who is to wait says so here, then puts back what
    /// was freed. So, all in one order, one of them sees the other.
    waiting: AtomicUsize,
    /// For one at a time to put back: what was freed is never out of the sight of others.
    putting_back: Mutex<()>,
}

impl Places {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            semaphore: Apart(Semaphore::new(places)),
            freed: Apart(AtomicUsize::new(0)),
            waiting: AtomicUsize::new(0),
            putting_back: Mutex::new(()),
        }
    }

    /// Takes one; none is free while others wait.
    pub(crate) fn try_take(&self) -> Result<(), TryAcquireError> {
        let try_acquire = || self.semaphore.0.try_acquire().map(Permit::forget);
        let mut taken = try_acquire();
        while taken == Err(TryAcquireError::WouldBlock) {
            // While nobody else puts any back: none, and none freed by then, is none at all.
            let alone = self.alone();
            taken = try_acquire();
            if taken.is_ok() || self.freed.0.load(SeqCst) == 0 {
                break;
            }
            contain(|| drop(self.put_back(alone)));
        }
        taken
    }

    /// Waits for one, on behalf of the line `at`; false if the pool is closed.
    pub(crate) async fn take(&self, at: &'static Location<'static>) -> bool {
        let _waiting = Waiting::of(&self.waiting);
        contain(|| drop(self.put_back(self.alone())));
        let mut place = self.semaphore.0.acquire();
        let taken = poll_fn(|cx| {
            let polled = Pin::new(&mut place).poll(cx);
            if polled.is_pending() {
                Wait::note("a place in a thread pool", at);
            }
            polled
        });
        taken.await.map(Permit::forget).is_ok()
    }

    /// One is free. Whoever waits is woken when what this returns is dropped.
    pub(crate) fn free(&self) -> Option<HandOut<'_>> {
        self.freed.0.fetch_add(1, SeqCst);
        (self.waiting.load(SeqCst) > 0).then(|| self.put_back(self.alone()))
    }

    /// How many are free, less one for each who waits.
    pub(crate) fn balance(&self) -> isize {
        let freed = self.freed.0.load(SeqCst).try_into().unwrap_or(isize::MAX);
        self.semaphore.0.balance().saturating_add(freed)
    }

    pub(crate) fn resize(&self, places: usize) {
        contain(|| self.semaphore.0.resize(places));
    }

    /// Refuses those who wait, and all who come.
    pub(crate) fn close(&self) {
        self.semaphore.0.close();
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.putting_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts back what was freed. Whoever waits is woken when what this returns is dropped.
    fn put_back(&self, _alone: MutexGuard<'_, ()>) -> HandOut<'_> {
        self.semaphore.0.put_back(self.freed.0.swap(0, SeqCst))
    }
}

/// Counts one who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::pin::pin;
    use std::thread;

    use futures_lite::future::{block_on, poll_once};

    use super::Places;

    /// Of `places` places, all of which are taken.
    fn taken(places: usize) -> Places {
        let all = Places::new(places);
        assert!((0..places).all(|_| all.try_take().is_ok()));
        all
    }

    #[test]
    fn what_was_freed_can_be_taken() {
        let places = taken(2);
        assert!(places.try_take().is_err());
        drop(places.free());
        assert_eq!(places.balance(), 1);
        assert!(places.try_take().is_ok());
        assert!(places.try_take().is_err());
        assert_eq!(places.balance(), 0);
    }

    #[test]
    fn what_is_freed_goes_to_the_first_who_waits() {
        block_on(async {
            let places = taken(1);
            let take = || places.take(Location::caller());
            let (mut first, mut second) = (pin!(take()), pin!(take()));
            assert!(poll_once(first.as_mut()).await.is_none());
            assert!(poll_once(second.as_mut()).await.is_none());
            drop(places.free());
            assert!(places.try_take().is_err());
            assert!(poll_once(second.as_mut()).await.is_none());
            assert!(first.await);
            drop(places.free());
            assert!(second.await);
        });
    }

    #[test]
    fn whoever_begins_to_wait_while_one_is_freed_gets_it() {
        for _ in 0..1000 {
            let places = taken(1);
            thread::scope(|scope| {
                scope.spawn(|| drop(places.free()));
                assert!(block_on(places.take(Location::caller())));
            });
        }
    }

    #[test]
    fn nobody_is_refused_while_there_are_places_for_all() {
        let places = Places::new(2);
        let take_and_free = || {
            for _ in 0..100_000 {
                places.try_take().unwrap();
                drop(places.free());
            }
        };
        thread::scope(|scope| {
            scope.spawn(take_and_free);
            take_and_free();
        });
    }
}
