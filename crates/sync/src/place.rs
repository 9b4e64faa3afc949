//! [`Place`]: one's place in a queue that has a lock to itself.

use std::panic::Location;
use std::task::{Context, Poll};

use crate::Wait;
use crate::primitive::{Mutex, lock};
use crate::waiters::Waiters;

/// Whoever has one leaves it before they drop it.
pub(crate) struct Place<'a> {
    queue: &'a Mutex<Waiters>,
    ticket: u64,
}

impl<'a> Place<'a> {
    /// The place of the ticket that `queue` gave out.
    pub(crate) fn new(queue: &'a Mutex<Waiters>, ticket: u64) -> Self {
        Self { queue, ticket }
    }

    /// Ready once it is served; until then it is a wait for `what` on behalf of the line `at`.
    pub(crate) fn poll_served(
        &self,
        cx: &mut Context<'_>,
        what: &'static str,
        at: &'static Location<'static>,
    ) -> Poll<()> {
        let mut queue = lock(self.queue);
        if queue.is_served(self.ticket) {
            return Poll::Ready(());
        }
        let before = queue.update(self.ticket, cx.waker());
        drop(queue);
        drop(before);
        Wait::note(what, at);
        Poll::Pending
    }

    /// Gives the place up, if it still waits. Says whether it had been served.
    pub(crate) fn leave(&self) -> bool {
        let mut queue = lock(self.queue);
        let served = queue.is_served(self.ticket);
        let waiter = if served { None } else { queue.remove(self.ticket) };
        drop(queue);
        drop(waiter);
        served
    }
}
