//! [`Barrier`]: a line that tasks cross together.

use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::task::{Context, Poll, Waker};

use crate::place::Place;
use crate::primitive::{Mutex, lock};
use crate::waiters::Waiters;

/// Holds tasks up until a number of them have come, again and again. `threading.Barrier`.
///
/// Dropping it is harmless; whoever waits borrows it.
///
/// ```
/// use futures_lite::future::{block_on, zip};
///
/// let start = spinney_sync::Barrier::new(2);
/// let leaders = block_on(zip(start.wait(), start.wait()));
/// assert_eq!(leaders, (false, true), "the last to come leads");
/// ```
pub struct Barrier {
    size: usize,
    queue: Mutex<Waiters>,
}

impl Barrier {
    /// A barrier that lets `size` tasks through at a time. With a size of 0 or 1 nobody waits.
    pub fn new(size: usize) -> Self {
        Self { size, queue: Mutex::default() }
    }

    /// Waits until as many have come as the barrier lets through. True for one of them, the last
    /// to come.
    ///
    /// # Cancel safety
    ///
    /// Whoever is dropped before the last has come has not come. Once the last has, the others go
    /// through though one be dropped.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = bool> {
        let at = Location::caller();
        async move {
            match poll_fn(|cx| Poll::Ready(self.come(cx))).await {
                Some(arrival) => {
                    poll_fn(|cx| arrival.0.poll_served(cx, "Barrier::wait", at)).await;
                    false
                }
                None => true,
            }
        }
    }

    /// How many tasks it lets through at a time. `parties`.
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many have come and wait. `n_waiting`.
    pub fn waiting(&self) -> usize {
        lock(&self.queue).len()
    }

    /// The last to come lets all through; the others get a place to wait.
    fn come(&self, cx: &Context<'_>) -> Option<Arrival<'_>> {
        let mut queue = lock(&self.queue);
        if queue.len() + 1 < self.size {
            let ticket = queue.push(cx.waker().clone(), ());
            return Some(Arrival(Place::new(&self.queue, ticket)));
        }
        let all = queue.serve(usize::MAX);
        drop(queue);
        all.into_iter().for_each(Waker::wake);
        None
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

/// One who has come, and counts until they are dropped.
struct Arrival<'a>(Place<'a>);

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
