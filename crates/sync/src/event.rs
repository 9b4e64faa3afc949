//! [`Event`]: a flag that tasks can wait for.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::task::{Context, Poll};

use crate::Wait;
use crate::primitive::{AtomicUsize, Listener, Listeners, constructor};

/// A flag: while it is set nobody waits, and setting it wakes all who do. `gevent.event.Event`.
///
/// Dropping it is harmless; whoever waits for it borrows it. To hand a value over with the news,
/// take an [`AsyncResult`](crate::AsyncResult); for things that have to happen several times, a
/// [`Latch`](crate::Latch).
///
/// ```
/// use spinney_sync::Event;
///
/// let ready = Event::new();
/// ready.set();
/// futures_lite::future::block_on(ready.wait());
/// ready.clear();
/// assert!(!ready.is_set());
/// ```
#[derive(Default)]
pub struct Event {
    /// Counts up at each change: odd while it is set. So whoever waits can tell a set that came
    /// since from one before, whose wake is merely late.
    changes: AtomicUsize,
    waiters: Listeners,
}

impl Event {
    constructor! {
        /// An event that is not set.
        pub fn new() -> Self {
            Self { changes: AtomicUsize::new(0), waiters: Listeners::new() }
        }
    }

    /// Sets the flag and wakes all who wait. Setting it again is of no effect.
    pub fn set(&self) {
        if self.change(false) {
            self.waiters.notify(usize::MAX);
        }
    }

    /// Takes the flag back: whoever comes now waits. Those already woken go on.
    pub fn clear(&self) {
        self.change(true);
    }

    /// Whether the flag is set. `is_set`, `ready`.
    pub fn is_set(&self) -> bool {
        is_set(self.changes.load(Acquire))
    }

    /// Waits until the flag is set; at once if it is. Whoever was waiting when it was set goes
    /// on even if it has been cleared since.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = ()> {
        self.wait_for("Event::wait", Location::caller())
    }

    /// As [`wait`](Self::wait), for those who make something else of it: the wait is
    /// [noted](Wait::note) as one for `what`, by the line `at`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    pub fn wait_for(
        &self,
        what: &'static str,
        at: &'static Location<'static>,
    ) -> impl Future<Output = ()> {
        Waiting { event: self, what, at, before: NOT_LOOKED, woken: None }
    }

    /// Sets the flag if it is not, or clears it if it is; false if it was not as expected.
    fn change(&self, set: bool) -> bool {
        let next = |changes| (is_set(changes) == set).then(|| changes.wrapping_add(1));
        self.changes.fetch_update(AcqRel, Acquire, next).is_ok()
    }
}

fn is_set(changes: usize) -> bool {
    changes % 2 == 1
}

/// Written out, since every task that waits has one: an async block would be twice the size.
struct Waiting<'a> {
    event: &'a Event,
    what: &'static str,
    at: &'static Location<'static>,
    /// The changes that there were when this was first polled, and the flag was not set.
    before: usize,
    woken: Option<Listener>,
}

/// No number of changes after which somebody waits.
const NOT_LOOKED: usize = 1;

impl Future for Waiting<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let changes = || this.event.changes.load(Acquire);
        if this.before == NOT_LOOKED {
            this.before = changes();
            if is_set(this.before) {
                return Poll::Ready(());
            }
        }
        loop {
            // Listening first and looking again second: a `set` between the two is not missed.
            let woken = this.woken.get_or_insert_with(|| this.event.waiters.listen());
            if changes() != this.before {
                return Poll::Ready(());
            }
            if Pin::new(woken).poll(cx).is_pending() {
                Wait::note(this.what, this.at);
                return Poll::Pending;
            }
            this.woken = None;
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.is_set())
            .field("waiting", &self.waiters.total_listeners())
            .finish()
    }
}
