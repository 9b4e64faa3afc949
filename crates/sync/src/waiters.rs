//! [`Waiters`]: who waits, in the order they came.
//!
//! Each waiter has a ticket, and tickets are served in order: so whether one has been served is
//! a comparison, and needs nothing shared between the queue and the waiter. Each leaves its `want`
//! with its ticket: how many permits, or the item to put. One that gives up leaves an empty place,
//! which is skipped when its turn comes; when more than half are empty the queue closes its ranks,
//! so that giving up costs a constant on average.

use std::collections::VecDeque;
use std::task::Waker;

pub(crate) struct Waiters<W = ()> {
    queue: VecDeque<(u64, Option<Waiter<W>>)>,
    next_ticket: u64,
    /// Tickets below this one have been served.
    served_below: u64,
    /// How many in the queue have given up.
    gone: usize,
}

/// Who waits, and what for.
pub(crate) struct Waiter<W> {
    pub(crate) waker: Waker,
    pub(crate) want: W,
}

impl<W> Waiters<W> {
    /// Queues up at the end.
    pub(crate) fn push(&mut self, waker: Waker, want: W) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.queue.push_back((ticket, Some(Waiter { waker, want })));
        ticket
    }

    /// What the first in the queue wants.
    pub(crate) fn first(&mut self) -> Option<&mut W> {
        while let Some((_, None)) = self.queue.front() {
            self.queue.pop_front();
            self.gone -= 1;
        }
        let (_, waiter) = self.queue.front_mut()?;
        waiter.as_mut().map(|waiter| &mut waiter.want)
    }

    /// Serves the first in the queue.
    pub(crate) fn pop(&mut self) -> Option<(u64, Waiter<W>)> {
        while let Some((ticket, waiter)) = self.queue.pop_front() {
            match waiter {
                Some(waiter) => {
                    self.served_below = ticket + 1;
                    return Some((ticket, waiter));
                }
                None => self.gone -= 1,
            }
        }
        None
    }

    /// Serves the first in the queue if they want what `may` allows.
    pub(crate) fn pop_if(&mut self, may: impl FnOnce(&W) -> bool) -> Option<Waiter<W>> {
        if !may(self.first()?) {
            return None;
        }
        let (ticket, waiter) = self.queue.pop_front()?;
        self.served_below = ticket + 1;
        waiter
    }

    /// Serves the first `most` in the queue. They are woken when the lock has been let go.
    pub(crate) fn serve(&mut self, most: usize) -> Vec<Waker> {
        let served = std::iter::from_fn(|| self.pop()).take(most);
        served.map(|(_, waiter)| waiter.waker).collect()
    }

    /// Whether `ticket`, which has not given up, has been served.
    pub(crate) fn is_served(&self, ticket: u64) -> bool {
        ticket < self.served_below
    }

    /// The first ticket that has not been served, nor any after it.
    pub(crate) fn served_below(&self) -> u64 {
        self.served_below
    }

    /// Lets `waker` be the one that is woken when `ticket`, which still waits, is served. Returns
    /// the one before, if that was another.
    #[must_use = "a waker is dropped when the lock has been let go"]
    pub(crate) fn update(&mut self, ticket: u64, waker: &Waker) -> Option<Waker> {
        let waiting = &mut self.place(ticket)?.as_mut()?.waker;
        let same = waiting.will_wake(waker);
        if same { None } else { Some(std::mem::replace(waiting, waker.clone())) }
    }

    /// Gives up: `ticket`, which still waits, will not be served.
    pub(crate) fn remove(&mut self, ticket: u64) -> Option<Waiter<W>> {
        let waiter = self.place(ticket)?.take();
        self.gone += 1;
        if self.gone > self.queue.len() / 2 {
            self.queue.retain(|(_, waiter)| waiter.is_some());
            self.gone = 0;
        }
        waiter
    }

    /// Empties the queue and serves nobody.
    pub(crate) fn dismiss(&mut self) -> impl Iterator<Item = (u64, Waiter<W>)> + use<W> {
        self.gone = 0;
        let queue = std::mem::take(&mut self.queue).into_iter();
        queue.filter_map(|(ticket, waiter)| Some((ticket, waiter?)))
    }

    /// All who wait, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiter<W>> {
        self.queue.iter().filter_map(|(_, waiter)| waiter.as_ref())
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len() - self.gone
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn place(&mut self, ticket: u64) -> Option<&mut Option<Waiter<W>>> {
        let place = self.queue.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        Some(&mut self.queue[place].1)
    }
}

impl<W> Default for Waiters<W> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), next_ticket: 0, served_below: 0, gone: 0 }
    }
}
