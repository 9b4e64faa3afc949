//! [`Latch`]: opens when it has been counted down.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::Event;
use crate::primitive::AtomicUsize;

/// Holds tasks up until a number of things have happened, and stays open then.
/// `java.util.concurrent.CountDownLatch`.
///
/// Dropping it is harmless; whoever waits borrows it.
///
/// ```
/// use futures_lite::future::block_on;
///
/// let loaded = spinney_sync::Latch::new(2);
/// loaded.count_down();
/// loaded.count_down();
/// block_on(loaded.wait());
/// ```
pub struct Latch {
    count: AtomicUsize,
    open: Event,
}

impl Latch {
    /// A latch that opens when it has been counted down `count` times; at once for 0.
    pub fn new(count: usize) -> Self {
        let open = Event::new();
        if count == 0 {
            open.set();
        }
        Self { count: AtomicUsize::new(count), open }
    }

    /// Counts one down, and wakes all who wait if that was the last. Of no effect on an open
    /// latch.
    pub fn count_down(&self) {
        if self.count.fetch_update(AcqRel, Acquire, |count| count.checked_sub(1)) == Ok(1) {
            self.open.set();
        }
    }

    /// Waits until the latch is open; at once if it is.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = ()> {
        self.open.wait_for("Latch::wait", Location::caller())
    }

    /// How many are left to be counted down.
    pub fn count(&self) -> usize {
        self.count.load(Acquire)
    }

    /// Whether all have been counted down.
    pub fn is_open(&self) -> bool {
        self.open.is_set()
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch").field("count", &self.count()).finish_non_exhaustive()
    }
}
