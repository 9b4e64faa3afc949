//! [`Waiters`]: a FIFO line of waiters; [`Place`]: a wait in a line with a lock of its own.
//!
//! Each waiter has a ticket, and tickets are served in order. Whether a ticket was served is a
//! comparison, so the line and the waiter share nothing else. A waiter stores its `want` with its
//! ticket: a number of permits, an item to put. A dropped waiter leaves an empty place, which is
//! skipped; the line is compacted when more than half of its places are empty, so that a drop costs
//! a search and, on average, a constant.

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::task::{Context, Poll, Waker};

use crate::Wait;
use crate::primitive::{Mutex, lock};

/// Wakes all of `wakers`, in order. For containers: the caller holds no lock, because a waker is
/// foreign code.
///
/// A panic of a waker is contained: the panic hook reports it, and the other wakers are woken.
///
/// ```
/// use std::task::Waker;
///
/// spinney_sync::wake_all([Waker::noop().clone(), Waker::noop().clone()]);
/// ```
pub fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) else { continue };
        // The payload's destructor may panic as well. The second payload is leaked.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(second);
        }
    }
}

pub(crate) struct Waiters<W = ()> {
    line: VecDeque<(u64, Option<Waiter<W>>)>,
    next_ticket: u64,
    /// Tickets below this one were served.
    served_below: u64,
    /// The number of empty places in the line.
    gone: usize,
}

/// A waiter's waker, and what it waits for.
pub(crate) struct Waiter<W> {
    pub(crate) waker: Waker,
    pub(crate) want: W,
}

impl<W> Waiters<W> {
    pub(crate) const fn new() -> Self {
        Self { line: VecDeque::new(), next_ticket: 0, served_below: 0, gone: 0 }
    }

    /// An empty line whose tickets begin at `ticket`: those below count as served.
    pub(crate) fn starting_at(ticket: u64) -> Self {
        Self { next_ticket: ticket, served_below: ticket, ..Self::new() }
    }

    /// The ticket of the next waiter.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.next_ticket
    }

    /// Adds a waiter at the end, and returns its ticket.
    pub(crate) fn push(&mut self, waker: Waker, want: W) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.line.push_back((ticket, Some(Waiter { waker, want })));
        ticket
    }

    /// Puts a [popped](Self::pop) waiter back into its old place.
    pub(crate) fn put_back(&mut self, ticket: u64, waiter: Waiter<W>) {
        let place = self.line.partition_point(|(other, _)| *other < ticket);
        self.line.insert(place, (ticket, Some(waiter)));
    }

    /// The `want` of the first waiter.
    pub(crate) fn first(&mut self) -> Option<&mut W> {
        if self.gone > 0 {
            self.skip_gone();
        }
        let (_, waiter) = self.line.front_mut()?;
        waiter.as_mut().map(|waiter| &mut waiter.want)
    }

    #[cold]
    fn skip_gone(&mut self) {
        while let Some((_, None)) = self.line.front() {
            self.line.pop_front();
            self.gone -= 1;
        }
        self.shrink();
    }

    /// Serves the first waiter.
    pub(crate) fn pop(&mut self) -> Option<(u64, Waiter<W>)> {
        while let Some((ticket, waiter)) = self.line.pop_front() {
            match waiter {
                Some(waiter) => {
                    self.served_below = ticket + 1;
                    self.shrink();
                    return Some((ticket, waiter));
                }
                None => self.gone -= 1,
            }
        }
        None
    }

    /// Serves the first waiter if `may` allows its `want`.
    pub(crate) fn pop_if(&mut self, may: impl FnOnce(&W) -> bool) -> Option<Waiter<W>> {
        if !may(self.first()?) {
            return None;
        }
        let (ticket, waiter) = self.line.pop_front()?;
        self.served_below = ticket + 1;
        self.shrink();
        waiter
    }

    /// Serves the first `most` waiters. The caller wakes them after it has released the lock.
    pub(crate) fn serve(&mut self, most: usize) -> Vec<Waker> {
        let served = std::iter::from_fn(|| self.pop()).take(most);
        served.map(|(_, waiter)| waiter.waker).collect()
    }

    /// Serves all waiters, in constant time. The caller wakes them after it has released the lock.
    pub(crate) fn serve_all(&mut self) -> impl Iterator<Item = Waker> + use<W> {
        self.served_below = self.next_ticket;
        self.dismiss().map(|(_, waiter)| waiter.waker)
    }

    /// Whether `ticket`, which was not removed, was served.
    pub(crate) fn is_served(&self, ticket: u64) -> bool {
        ticket < self.served_below
    }

    /// The first ticket that was not served.
    pub(crate) fn served_below(&self) -> u64 {
        self.served_below
    }

    /// Replaces the waker of `ticket` by `waker`, unless both wake the same task. Returns the old
    /// one.
    #[must_use = "the old waker is dropped after the lock is released"]
    pub(crate) fn update(&mut self, ticket: u64, waker: &Waker) -> Option<Waker> {
        replace(self.waker(ticket)?, waker)
    }

    /// The waker of `ticket`; `None` unless it waits.
    pub(crate) fn waker(&mut self, ticket: u64) -> Option<&mut Waker> {
        self.place(ticket)?.as_mut().map(|waiter| &mut waiter.waker)
    }

    /// Removes the waiter of `ticket`; `None` unless it waits.
    pub(crate) fn remove(&mut self, ticket: u64) -> Option<Waiter<W>> {
        let waiter = self.place(ticket)?.take()?;
        self.gone += 1;
        if self.gone > self.line.len() / 2 {
            self.line.retain(|(_, waiter)| waiter.is_some());
            self.gone = 0;
            self.shrink();
        }
        Some(waiter)
    }

    /// Empties the line without serving any waiter.
    pub(crate) fn dismiss(&mut self) -> impl Iterator<Item = (u64, Waiter<W>)> + use<W> {
        self.gone = 0;
        let line = mem::take(&mut self.line).into_iter();
        line.filter_map(|(ticket, waiter)| Some((ticket, waiter?)))
    }

    /// Removes the waiters for whose `want` `leaves` returns `true`, without serving them.
    pub(crate) fn dismiss_if(&mut self, leaves: impl Fn(&W) -> bool) -> Vec<Waiter<W>> {
        let (leaving, staying): (Vec<_>, Vec<_>) =
            self.dismiss().partition(|(_, waiter)| leaves(&waiter.want));
        self.line.extend(staying.into_iter().map(|(ticket, waiter)| (ticket, Some(waiter))));
        leaving.into_iter().map(|(_, waiter)| waiter).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.line.len() - self.gone
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the memory of a peak: on average in constant time, because a quarter of the places
    /// were left since the last time.
    fn shrink(&mut self) {
        let capacity = self.line.capacity();
        if capacity > 64 && self.line.len() < capacity / 4 {
            self.line.shrink_to(capacity / 2);
        }
    }

    fn place(&mut self, ticket: u64) -> Option<&mut Option<Waiter<W>>> {
        let place = self.line.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        Some(&mut self.line[place].1)
    }
}

impl<W> Default for Waiters<W> {
    fn default() -> Self {
        Self::new()
    }
}

/// Replaces `old` by `waker`, unless both wake the same task. Returns the replaced waker.
#[must_use = "the old waker is dropped after the lock is released"]
pub(crate) fn replace(old: &mut Waker, waker: &Waker) -> Option<Waker> {
    let same = old.will_wake(waker);
    if same { None } else { Some(mem::replace(old, waker.clone())) }
}

/// A wait in a line with a lock of its own. Dropping it leaves the line.
pub(crate) struct Place<'a> {
    line: &'a Mutex<Waiters>,
    /// `None` before the first poll, and after the wait has finished.
    ticket: Option<u64>,
    /// The subject of the wait, and the line of the program that waits.
    what: &'static str,
    at: &'static Location<'static>,
}

impl<'a> Place<'a> {
    pub(crate) fn new(
        line: &'a Mutex<Waiters>,
        what: &'static str,
        at: &'static Location<'static>,
    ) -> Self {
        Self { line, ticket: None, what, at }
    }

    /// Ready when the waiter was served. At the first poll it is ready if `may_pass` returns
    /// `true`, and gets a place in the line otherwise.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        may_pass: impl FnOnce(&mut Waiters) -> bool,
    ) -> Poll<()> {
        let mut line = lock(self.line);
        let stale = match self.ticket {
            Some(ticket) if line.is_served(ticket) => {
                self.ticket = None;
                return Poll::Ready(());
            }
            Some(ticket) => line.update(ticket, cx.waker()),
            None if may_pass(&mut line) => return Poll::Ready(()),
            None => {
                self.ticket = Some(line.push(cx.waker().clone(), ()));
                None
            }
        };
        drop(line);
        drop(stale);
        Wait::note(self.what, self.at);
        Poll::Pending
    }

    /// Leaves the line. Returns whether the waiter was served and has not noticed yet.
    pub(crate) fn leave(&mut self) -> bool {
        let Some(ticket) = self.ticket.take() else { return false };
        let mut line = lock(self.line);
        let served = line.is_served(ticket);
        let waiter = line.remove(ticket);
        drop(line);
        drop(waiter);
        served
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(all(test, not(spinney_loom)))]
mod tests {
    use std::task::Waker;

    use super::Waiters;

    #[test]
    fn line_releases_memory_after_a_peak() {
        let leave: [fn(&mut Waiters, u64); 4] = [
            |waiters, _| assert!(waiters.pop().is_some()),
            |waiters, _| assert!(waiters.pop_if(|()| true).is_some()),
            |waiters, ticket| assert!(waiters.remove(ticket).is_some()),
            |waiters, ticket| {
                assert!(waiters.remove(ticket).is_some());
                waiters.first();
            },
        ];
        for leave in leave {
            let mut waiters = Waiters::new();
            let push = |_| waiters.push(Waker::noop().clone(), ());
            let tickets: Vec<u64> = (0..10_000).map(push).collect();
            for ticket in tickets {
                leave(&mut waiters, ticket);
            }
            assert!(waiters.line.capacity() <= 64, "{}", waiters.line.capacity());
        }
    }
}
