//! [`Barrier`] and [`Latch`]: tasks wait for each other, or for a number of events.

use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::primitive::{AtomicUsize, Mutex, lock};
use crate::waiters::{Place, Waiters, wake_all};
use crate::{BudgetedAwait, Event};

/// Makes tasks wait until a number of them wait, then lets all of them go on. It can be used again.
///
/// Dropping it is harmless, because waiters borrow it.
///
/// Python: `threading.Barrier`.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on;
/// #     pub mod sync { pub use spinney_sync::Barrier; }
/// # }
/// use std::thread;
///
/// use spinney::block_on;
/// use spinney::sync::Barrier;
///
/// let start = Barrier::new(2);
/// let leaders = thread::scope(|scope| {
///     let other = scope.spawn(|| block_on(start.wait()));
///     [block_on(start.wait()), other.join().unwrap()]
/// });
/// assert_eq!(leaders.iter().filter(|leads| **leads).count(), 1, "the last to arrive leads");
/// ```
pub struct Barrier {
    size: usize,
    waiters: Mutex<Waiters>,
}

impl Barrier {
    /// Creates a barrier for groups of `size` tasks. With a size of 0 or 1 no task waits.
    pub fn new(size: usize) -> Self {
        Self { size, waiters: Mutex::default() }
    }

    /// Waits until [`size`](Self::size) tasks wait. Returns `true` in one of them, the last to
    /// arrive.
    ///
    /// # Cancel safety
    ///
    /// A waiter that is dropped before the last task has arrived does not count. After that, the
    /// others go on even if one of them is dropped.
    ///
    /// Python: `threading.Barrier.wait`.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = bool> {
        let mut place = Place::new(&self.waiters, "Barrier::wait", Location::caller());
        let mut budgeted = BudgetedAwait::default();
        poll_fn(move |cx| {
            budgeted.poll(cx, |cx| {
                let mut served = None;
                let polled = place.poll(cx, |waiters| {
                    let is_last = waiters.len() + 1 >= self.size;
                    served = is_last.then(|| waiters.serve_all());
                    is_last
                });
                let leads = served.is_some();
                wake_all(served.into_iter().flatten());
                polled.map(|()| leads)
            })
        })
    }

    /// The number of tasks in a group.
    ///
    /// Python: `threading.Barrier.parties`.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The number of waiting tasks.
    ///
    /// Python: `threading.Barrier.n_waiting`.
    pub fn waiting(&self) -> usize {
        lock(&self.waiters).len()
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("size", &self.size)
            .field("waiting", &self.waiting())
            .finish()
    }
}

/// Makes tasks wait until it has been counted down to 0, and stays open then.
///
/// Dropping it is harmless, because waiters borrow it. Java's `CountDownLatch`.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on;
/// #     pub mod sync { pub use spinney_sync::Latch; }
/// # }
/// use spinney::block_on;
/// use spinney::sync::Latch;
///
/// let loaded = Latch::new(2);
/// loaded.count_down();
/// loaded.count_down();
/// block_on(loaded.wait());
/// ```
#[doc(alias("CountDownLatch", "WaitGroup"))]
pub struct Latch {
    count: AtomicUsize,
    open: Event,
}

impl Latch {
    /// Creates a latch that opens after `count` calls of [`count_down`](Self::count_down). With a
    /// count of 0 it is open.
    pub fn new(count: usize) -> Self {
        let open = Event::new();
        if count == 0 {
            open.set();
        }
        Self { count: AtomicUsize::new(count), open }
    }

    /// Counts down by one, and wakes all waiters at 0. A no-op on an open latch. A panic of a waker
    /// is contained.
    pub fn count_down(&self) {
        if self.count.fetch_update(AcqRel, Acquire, |count| count.checked_sub(1)) == Ok(1) {
            self.open.set();
        }
    }

    /// Waits until the latch is open; returns immediately if it is.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = ()> {
        self.open.wait_for("Latch::wait", Location::caller())
    }

    /// How many times it must still be counted down.
    pub fn count(&self) -> usize {
        self.count.load(Acquire)
    }

    /// Whether it has been counted down to 0.
    pub fn is_open(&self) -> bool {
        self.open.is_set()
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch").field("count", &self.count()).finish_non_exhaustive()
    }
}
