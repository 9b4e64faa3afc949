//! [`Event`]: a flag that tasks wait for.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Context, Poll};

use crate::BudgetedAwait;
use crate::primitive::{AtomicBool, Mutex, constructor, lock};
use crate::waiters::{Place, Waiters, wake_all};

/// A flag: waiting tasks go on once it is set.
///
/// Dropping it is harmless, because waiters borrow it. An [`AsyncResult`](crate::AsyncResult)
/// carries a value as well; a [`Latch`](crate::Latch) waits for a number of events.
///
/// Python: `gevent.event.Event`.
///
/// ```
/// # mod spinney { pub use futures_lite::future::block_on; pub use spinney_sync::Event; }
/// use spinney::{Event, block_on};
///
/// let ready = Event::new();
/// ready.set();
/// block_on(ready.wait());
/// ready.clear();
/// assert!(!ready.is_set());
/// ```
#[doc(alias = "Notify")]
#[derive(Default)]
pub struct Event {
    /// Set under the lock of the waiters: a task that holds the lock and finds the flag clear
    /// misses no set.
    set: AtomicBool,
    waiters: Mutex<Waiters>,
}

impl Event {
    constructor! {
        /// Creates an event that is not set.
        pub fn new() -> Self {
            Self { set: AtomicBool::new(false), waiters: Mutex::new(Waiters::new()) }
        }
    }

    /// Sets the flag and wakes all waiters. A no-op while the flag is set.
    ///
    /// Wakers run outside all locks, so they may use the event. A panic of a waker is contained,
    /// and the other waiters are woken.
    ///
    /// Python: `gevent.event.Event.set`.
    pub fn set(&self) {
        if self.is_set() {
            return;
        }
        let mut waiters = lock(&self.waiters);
        self.set.store(true, Release);
        let served = waiters.serve_all();
        drop(waiters);
        wake_all(served);
    }

    /// Clears the flag: later tasks wait. Waiters that were woken before go on.
    ///
    /// Python: `gevent.event.Event.clear`.
    pub fn clear(&self) {
        self.set.store(false, Release);
    }

    /// Whether the flag is set.
    ///
    /// Python: `gevent.event.Event.is_set`, `ready`.
    pub fn is_set(&self) -> bool {
        self.set.load(Acquire)
    }

    /// Waits until the flag is set; returns immediately if it is. A waiter goes on if the flag was
    /// set while it waited, even if the flag has been cleared since.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// Python: `gevent.event.Event.wait`.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = ()> {
        self.wait_for("Event::wait", Location::caller())
    }

    /// Like [`wait`](Self::wait), for callers that build their own wait: it is
    /// [recorded](crate::Wait::note) as a wait for `what` at the line `at`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub fn wait_for(
        &self,
        what: &'static str,
        at: &'static Location<'static>,
    ) -> impl Future<Output = ()> {
        let place = Place::new(&self.waiters, what, at);
        Waiting { event: self, place, budgeted: BudgetedAwait::default() }
    }
}

/// Written by hand, because every waiting task has one: an async block would be twice the size.
struct Waiting<'a> {
    event: &'a Event,
    place: Place<'a>,
    budgeted: BudgetedAwait,
}

impl Future for Waiting<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.budgeted.poll(cx, |cx| this.place.poll(cx, |_| this.event.is_set()))
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.is_set())
            .field("waiting", &lock(&self.waiters).len())
            .finish()
    }
}
