//! [`Waiters`]: who waits, in the order they came.
//!
//! Each waiter has a ticket, and tickets are served in order: so whether one has been served is
//! a comparison, and needs nothing shared between the queue and the waiter. One that gives up
//! leaves an empty place, which is skipped when its turn comes; when more than half are empty the
//! queue closes its ranks, so that giving up costs a constant on average.

use std::collections::VecDeque;
use std::task::Waker;

#[derive(Default)]
pub(crate) struct Waiters {
    queue: VecDeque<Waiter>,
    next_ticket: u64,
    /// Tickets below this one have been served.
    served_below: u64,
    /// How many in the queue have given up.
    gone: usize,
}

struct Waiter {
    ticket: u64,
    /// None once it has given up.
    waker: Option<Waker>,
}

impl Waiters {
    /// Queues up at the end.
    pub(crate) fn push(&mut self, waker: Waker) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.queue.push_back(Waiter { ticket, waker: Some(waker) });
        ticket
    }

    /// Serves the first in the queue.
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        while let Some(waiter) = self.queue.pop_front() {
            match waiter.waker {
                Some(waker) => {
                    self.served_below = waiter.ticket + 1;
                    return Some(waker);
                }
                None => self.gone -= 1,
            }
        }
        None
    }

    /// Whether `ticket`, which has not given up, has been served.
    pub(crate) fn is_served(&self, ticket: u64) -> bool {
        ticket < self.served_below
    }

    /// Lets `waker` be the one that is woken when `ticket`, which still waits, is served. Returns
    /// the one before, if that was another.
    #[must_use = "a waker is dropped when the lock has been let go"]
    pub(crate) fn update(&mut self, ticket: u64, waker: &Waker) -> Option<Waker> {
        let waiting = self.waker_of(ticket)?.as_mut()?;
        let same = waiting.will_wake(waker);
        if same { None } else { Some(std::mem::replace(waiting, waker.clone())) }
    }

    /// Gives up: `ticket`, which still waits, will not be served.
    pub(crate) fn remove(&mut self, ticket: u64) -> Option<Waker> {
        let waker = self.waker_of(ticket)?.take();
        self.gone += 1;
        if self.gone > self.queue.len() / 2 {
            self.queue.retain(|waiter| waiter.waker.is_some());
            self.gone = 0;
        }
        waker
    }

    /// Empties the queue and serves nobody.
    pub(crate) fn dismiss(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.gone = 0;
        std::mem::take(&mut self.queue).into_iter().filter_map(|waiter| waiter.waker)
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len() - self.gone
    }

    fn waker_of(&mut self, ticket: u64) -> Option<&mut Option<Waker>> {
        let place = self.queue.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()?;
        Some(&mut self.queue[place].waker)
    }
}
