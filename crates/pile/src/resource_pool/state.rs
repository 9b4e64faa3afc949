//! [`State`]: the idle items of a pool, its counts, and the callers that wait for an item.
//!
//! Nothing here runs code of others: what is to be dropped, woken or called is handed out, for the
//! caller to do so when it has released the lock.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::{Duration, Instant};

use spinney_hub::drop_contained;

use super::ResourceError;
use super::item::Resource;
use super::making::Job;
use super::stats::{Discarded, WaitTimes};
use super::upkeep::Tasks;

pub(super) struct State<T, E> {
    /// Those that have been idle longest are in front.
    pub(super) idle: VecDeque<Resource<T>>,
    /// How many resources are alive, or may become so: the sum of `idle`, `lent` and `creating`.
    pub(super) size: usize,
    /// How many are with a holder, or in the pool's own hands: handed over, checked or recycled.
    pub(super) lent: usize,
    /// How many of those have no item: they were got, to be put back.
    pub(super) loose: usize,
    /// How many are being created.
    pub(super) creating: usize,
    /// What its caller left unfinished outside of any hub: counted, and at a stand.
    pub(super) orphans: Vec<Job<T, E>>,
    pub(super) line: Line<T, E>,
    pub(super) failures: Failures,
    pub(super) generation: u64,
    pub(super) is_closed: bool,
    pub(super) tasks: Tasks,
    pub(super) figures: Figures,
}

/// What is counted from the beginning.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) created: u64,
    pub(super) failed: u64,
    pub(super) discarded: Discarded,
    pub(super) waits: WaitTimes,
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
            line: Line::new(),
            failures: Failures::default(),
            generation: 0,
            is_closed: false,
            tasks: Tasks::default(),
            figures: Figures::default(),
        }
    }

    /// Lends the next idle resource.
    pub(super) fn lend_idle(&mut self, as_stack: bool) -> Option<Resource<T>> {
        let next = if as_stack { self.idle.pop_back() } else { self.idle.pop_front() };
        let resource = next?;
        self.lent += 1;
        Some(resource)
    }

    /// Gives a lent resource to the first caller that waits, and returns its waker; otherwise it is
    /// idle.
    pub(super) fn give(&mut self, resource: Resource<T>) -> Option<Waker> {
        match self.line.give(Ok(resource)) {
            Ok(waker) => waker,
            Err(back) => {
                self.lent -= usize::from(back.is_ok());
                self.idle.extend(back);
                None
            }
        }
    }

    /// Lends up to `count` of those that have been idle longest, to be discarded.
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

/// The failures of `create` in a row, and when the next try may begin.
#[derive(Default)]
pub(super) struct Failures {
    pub(super) in_a_row: u32,
    last: Option<(Instant, Duration)>,
}

impl Failures {
    pub(super) fn delay_next(&mut self, now: Instant, delay: Duration) {
        self.last = Some((now, delay));
    }

    /// When the next try may begin; None if that is `now`. A failure that the clock has not reached
    /// is another hub's, and delays nothing.
    pub(super) fn delayed_until(&self, now: Instant) -> Option<Instant> {
        let (since, delay) = self.last?;
        let until = since.checked_add(delay);
        // A delay that no clock can name never ends.
        let until = until.unwrap_or_else(|| now + Duration::from_secs(3600));
        (since <= now && now < until).then_some(until)
    }
}

/// What a caller in the line is given: a resource, or a failure of `create`.
pub(super) type Given<T, E> = Result<Resource<T>, ResourceError<E>>;

/// The callers that hold a slot and wait for an item, in FIFO order; and those that wait for a
/// change.
pub(super) struct Line<T, E> {
    places: VecDeque<Place<T, E>>,
    next_ticket: u64,
    /// How many wait for an item and were not given one.
    unserved: usize,
}

struct Place<T, E> {
    ticket: u64,
    /// None while it has been woken and has not looked.
    waker: Option<Waker>,
    /// Whether it is to be given an item.
    takes: bool,
    given: Option<Given<T, E>>,
}

impl<T, E> Line<T, E> {
    fn new() -> Self {
        Self { places: VecDeque::new(), next_ticket: 0, unserved: 0 }
    }

    /// How many wait for an item and were not given one.
    pub(super) fn unserved(&self) -> usize {
        self.unserved
    }

    /// How many wait for an item, or were given one that they have not fetched.
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

    /// Has `waker` woken. Returns the one before.
    #[must_use = "a waker is dropped when the lock has been released"]
    pub(super) fn update(&mut self, ticket: u64, waker: Waker) -> Option<Waker> {
        self.place(ticket)?.waker.replace(waker)
    }

    /// Takes what the waiter was given; it leaves the line with it.
    pub(super) fn fetch(&mut self, ticket: u64) -> Option<Given<T, E>> {
        self.place(ticket)?.given.is_some().then(|| self.leave(ticket))?.1
    }

    /// The waiter leaves. Returns its waker, and what it was given and has not fetched.
    pub(super) fn leave(&mut self, ticket: u64) -> (Option<Waker>, Option<Given<T, E>>) {
        let Some(index) = self.index(ticket) else { return (None, None) };
        let Some(place) = self.places.remove(index) else { return (None, None) };
        self.unserved -= usize::from(place.takes && place.given.is_none());
        (place.waker, place.given)
    }

    /// Gives to the first that waits for an item, and returns its waker.
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

    /// The wakers of all that wait for a change, and of those that wait for an item if it may let
    /// them create one.
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
