//! [`State`]: the idle items of a pool, its counts, and the callers that wait for an item.
//!
//! No foreign code runs here: values to drop, wakers and callbacks are returned, for the caller to
//! use once it has released the lock.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::{Duration, Instant};

use spinney_hub::drop_contained;

use super::ResourceError;
use super::item::Resource;
use super::preparation::Job;
use super::stats::Discarded;
use super::upkeep::Tasks;

pub(super) struct State<T, E> {
    /// The items that have been idle longest are in front.
    pub(super) idle: VecDeque<Resource<T>>,
    /// How many resources exist or are being created: the sum of `idle`, `lent` and `creating`.
    pub(super) size: usize,
    /// How many resources have a holder, or are handed over, checked or recycled by the pool.
    pub(super) lent: usize,
    /// How many lent resources have no guard: they were taken with `get`.
    pub(super) loose: usize,
    /// How many are being created.
    pub(super) creating: usize,
    /// Jobs that their callers left unfinished outside of any hub: counted, and not polled.
    pub(super) orphans: Vec<Job<T, E>>,
    pub(super) waiters: WaitList<T, E>,
    pub(super) failures: Failures,
    pub(super) generation: u64,
    pub(super) is_closed: bool,
    pub(super) tasks: Tasks,
    pub(super) counters: Counters,
}

/// The total counts since the pool was created.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) created: u64,
    pub(super) failed: u64,
    pub(super) discarded: Discarded,
}

impl<T, E> State<T, E> {
    pub(super) fn new() -> Self {
        Self {
            idle: VecDeque::new(),
            size: 0,
            lent: 0,
            loose: 0,
            creating: 0,
            orphans: Vec::new(),
            waiters: WaitList::new(),
            failures: Failures::default(),
            generation: 0,
            is_closed: false,
            tasks: Tasks::default(),
            counters: Counters::default(),
        }
    }

    /// Lends the next idle resource.
    pub(super) fn lend_idle(&mut self, as_stack: bool) -> Option<Resource<T>> {
        let next = if as_stack { self.idle.pop_back() } else { self.idle.pop_front() };
        let resource = next?;
        self.lent += 1;
        Some(resource)
    }

    /// Gives a lent resource to the first waiting caller, and returns its waker; otherwise the
    /// resource becomes idle.
    pub(super) fn give(&mut self, resource: Resource<T>) -> Option<Waker> {
        match self.waiters.give(Ok(resource)) {
            Ok(waker) => waker,
            Err(back) => {
                self.lent -= usize::from(back.is_ok());
                self.idle.extend(back);
                None
            }
        }
    }

    /// Lends up to `count` of the items that have been idle longest, to discard them.
    pub(super) fn lend_oldest(&mut self, count: usize) -> Vec<Resource<T>> {
        let count = count.min(self.idle.len());
        self.lent += count;
        self.idle.drain(..count).collect()
    }
}

impl<T, E> Drop for State<T, E> {
    fn drop(&mut self) {
        self.orphans.drain(..).for_each(drop_contained);
    }
}

/// The failures of `create` in a row, and the delay of the next try.
#[derive(Default)]
pub(super) struct Failures {
    pub(super) in_a_row: u32,
    last: Option<(Instant, Duration)>,
}

impl Failures {
    pub(super) fn delay_next(&mut self, now: Instant, delay: Duration) {
        self.last = Some((now, delay));
    }

    /// When the next try may begin; `None` if that is `now`. A failure at a time that the clock has
    /// not reached belongs to another hub, and delays nothing.
    pub(super) fn delayed_until(&self, now: Instant) -> Option<Instant> {
        let (since, delay) = self.last?;
        let until = since.checked_add(delay);
        // A delay whose end no clock can represent never ends.
        let until = until.unwrap_or_else(|| now + Duration::from_secs(3600));
        (since <= now && now < until).then_some(until)
    }
}

/// What a waiting caller is given: a resource, or a failure of `create`.
pub(super) type Given<T, E> = Result<Resource<T>, ResourceError<E>>;

/// The callers that hold a slot and wait for an item, in FIFO order; and those that wait for a
/// change.
pub(super) struct WaitList<T, E> {
    places: VecDeque<Place<T, E>>,
    next_ticket: u64,
    /// How many callers wait for an item and were not given one.
    unserved: usize,
}

struct Place<T, E> {
    ticket: u64,
    /// `None` after a wake-up, until the next poll.
    waker: Option<Waker>,
    /// Whether the caller waits for an item.
    takes: bool,
    given: Option<Given<T, E>>,
}

impl<T, E> WaitList<T, E> {
    fn new() -> Self {
        Self { places: VecDeque::new(), next_ticket: 0, unserved: 0 }
    }

    /// How many callers wait for an item and were not given one.
    pub(super) fn unserved(&self) -> usize {
        self.unserved
    }

    /// How many callers wait for an item, or were given one that they have not fetched.
    pub(super) fn takers(&self) -> usize {
        self.places.iter().filter(|place| place.takes).count()
    }

    pub(super) fn join(&mut self, waker: Waker, takes: bool) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.unserved += usize::from(takes);
        self.places.push_back(Place { ticket, waker: Some(waker), takes, given: None });
        ticket
    }

    /// Replaces the waker of a caller. Returns the previous one.
    #[must_use = "a waker is dropped when the lock has been released"]
    pub(super) fn update(&mut self, ticket: u64, waker: Waker) -> Option<Waker> {
        self.place(ticket)?.waker.replace(waker)
    }

    /// Removes a caller that was given something, and returns that.
    pub(super) fn fetch(&mut self, ticket: u64) -> Option<Given<T, E>> {
        self.place(ticket)?.given.is_some().then(|| self.leave(ticket))?.1
    }

    /// Removes a caller. Returns its waker, and what it was given and has not fetched.
    pub(super) fn leave(&mut self, ticket: u64) -> (Option<Waker>, Option<Given<T, E>>) {
        let Some(index) = self.index(ticket) else { return (None, None) };
        let Some(place) = self.places.remove(index) else { return (None, None) };
        self.unserved -= usize::from(place.takes && place.given.is_none());
        (place.waker, place.given)
    }

    /// Gives to the first caller that waits for an item, and returns its waker.
    pub(super) fn give(&mut self, given: Given<T, E>) -> Result<Option<Waker>, Given<T, E>> {
        if self.unserved == 0 {
            return Err(given);
        }
        let first = self.places.iter_mut().find(|place| place.takes && place.given.is_none());
        let Some(first) = first else { return Err(given) };
        self.unserved -= 1;
        first.given = Some(given);
        Ok(first.waker.take())
    }

    /// The wakers of all callers that wait for a change; with `takers`, also of those that wait for
    /// an item and may now create one.
    pub(super) fn wake(&mut self, takers: bool) -> Vec<Waker> {
        let concerned = self.places.iter_mut().filter(|place| takers || !place.takes);
        concerned.filter_map(|place| place.waker.take()).collect()
    }

    fn place(&mut self, ticket: u64) -> Option<&mut Place<T, E>> {
        let index = self.index(ticket)?;
        self.places.get_mut(index)
    }

    fn index(&self, ticket: u64) -> Option<usize> {
        self.places.binary_search_by_key(&ticket, |place| place.ticket).ok()
    }
}
