//! The places of requests in a [`Limited`] queue: their ranks, the queues of keys, and which requests
//! are skipped.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, KINDS, Limited, Stage};
use crate::arena::forget;
use crate::limits::rate::{Gcra, Rate};
use crate::limits::{Key, Kind, Order, Request};

/// The rank of a request among all requests: smaller is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(i64, i64, u64);

/// The requests and the tasks with the same key. Small, because most keys have a running task and
/// no more.
#[derive(Default)]
pub(super) struct KeyQueue {
    /// How many tasks run.
    pub(super) running: usize,
    /// `None` if it has no rates.
    rates: Option<Box<KeyRates>>,
    /// `None` if it has no requests.
    waiting: Option<Box<KeyRequests>>,
}

/// The rates of a key.
struct KeyRates {
    rates: Vec<Gcra>,
    due: Option<u128>,
    expiring: Option<u128>,
}

/// The requests with the same key.
#[derive(Default)]
struct KeyRequests {
    /// The requests of each kind.
    waiting: [BTreeMap<Rank, u64>; 3],
    /// The first request of each kind, if it is offered or skipped for its weight.
    first: [Option<u64>; 3],
}

impl KeyQueue {
    /// Whether a request of this kind may start.
    pub(super) fn allows(&self, kind: Kind, per_key: Option<usize>, now: u128) -> bool {
        let is_full = per_key.is_some_and(|most| self.running >= most);
        self.latest(Gcra::ready_at) <= now && (kind == Kind::InPlaceOfKey || !is_full)
    }

    /// Whether it has neither requests nor tasks nor rates.
    pub(super) fn is_unused(&self) -> bool {
        self.running == 0 && self.rates.is_none() && self.waiting.is_none()
    }

    /// Counts the start of a task of this kind.
    pub(super) fn start(&mut self, kind: Kind, rates: &[Rate], now: u128) {
        if !rates.is_empty() {
            let key = self.rates.get_or_insert_with(|| Box::new(KeyRates::new(rates)));
            key.rates.iter_mut().for_each(|rate| rate.start(now));
        }
        self.running += usize::from(kind != Kind::InPlaceOfKey);
    }

    /// Replaces the rates, as [`Gcra::replace`] does.
    pub(super) fn replace_rates(&mut self, rates: &[Rate], now: u128) {
        let before = self.rates.take().map_or_else(Vec::new, |rates| rates.rates);
        self.rates = (!rates.is_empty()).then(|| {
            let rates = Gcra::replace(&before, rates, now);
            Box::new(KeyRates { rates, due: None, expiring: None })
        });
    }

    /// The latest of the times that `at` has for each rate.
    fn latest(&self, at: impl FnMut(&Gcra) -> u128) -> u128 {
        self.rates.as_ref().and_then(|rates| rates.rates.iter().map(at).max()).unwrap_or(0)
    }
}

impl KeyRates {
    fn new(rates: &[Rate]) -> Self {
        let rates = rates.iter().map(|rate| Gcra::new(*rate)).collect();
        Self { rates, due: None, expiring: None }
    }
}

impl KeyRequests {
    fn are_none(&self) -> bool {
        self.waiting.iter().all(BTreeMap::is_empty)
    }
}

/// The places of requests.
impl Limited {
    pub(super) fn rank(&self, ticket: u64, request: &Request) -> Rank {
        let arrival = i64::try_from(ticket).unwrap_or(i64::MAX);
        let priority = i64::from(request.priority);
        let own = match self.limits.order {
            Order::Oldest => Rank(-priority, arrival, 0),
            Order::Newest => Rank(-priority, -arrival, 0),
            Order::Aging(places) => {
                Rank(arrival.saturating_sub(priority.saturating_mul(places.into())), arrival, 0)
            }
        };
        let before = request.behind.and_then(|before| self.entries.get(&before));
        // Right behind that one, and behind earlier requests with the same place.
        before.map_or(own, |Entry { rank: Rank(first, second, _), .. }| {
            own.max(Rank(*first, *second, ticket))
        })
    }

    /// Adds a waiting request to the queue of its key, or to the offered requests.
    pub(super) fn enlist(&mut self, ticket: u64) {
        let Some(entry) = self.entries.get(&ticket) else { return };
        let (rank, kind) = (entry.rank, entry.request.kind);
        match entry.request.key {
            Some(key) => {
                let queue = self.keys.entry(key).or_default();
                queue.waiting.get_or_insert_default().waiting[kind.index()].insert(rank, ticket);
                self.refresh(key);
            }
            None => {
                self.offered[kind.offer()].insert(rank, ticket);
            }
        }
    }

    /// Removes a request from its places. The caller refreshes its key.
    pub(super) fn delist(&mut self, ticket: u64) {
        let Some(entry) = self.entries.get_mut(&ticket) else { return };
        let (rank, kind, permits) = (entry.rank, entry.request.kind, entry.permits);
        if entry.stage == Stage::Heavy {
            entry.stage = Stage::Waits;
            self.heavy.remove(&(permits, ticket));
        }
        self.offered[kind.offer()].remove(&rank);
        let queue = entry.request.key.and_then(|key| self.keys.get_mut(&key));
        if let Some(requests) = queue.and_then(|queue| queue.waiting.as_mut()) {
            requests.waiting[kind.index()].remove(&rank);
            requests.first[kind.index()].take_if(|first| *first == ticket);
        }
    }

    /// Offers the first requests of a key, as far as the key allows, and forgets an unused key.
    pub(super) fn refresh(&mut self, key: Key) {
        self.offer(key);
        let Some(queue) = self.keys.get_mut(&key) else { return };
        queue.waiting.take_if(|requests| requests.are_none());
        let has_requests = queue.waiting.is_some();
        let (due, rested) = (queue.latest(Gcra::ready_at), queue.latest(Gcra::rested_at));
        let is_unused = !has_requests && queue.running == 0;
        if let Some(rates) = &mut queue.rates {
            let is_later = |at: &u128| *at > self.time.now;
            let due = Some(due).filter(|_| has_requests).filter(is_later);
            let expiring = Some(rested).filter(|_| is_unused).filter(is_later);
            rates.due = move_to(due, rates.due, key, &mut self.due);
            rates.expiring = move_to(expiring, rates.expiring, key, &mut self.expiring);
        }
        if is_unused && rested <= self.time.now {
            forget(&mut self.keys, &key);
        }
    }

    fn offer(&mut self, key: Key) {
        let Some(queue) = self.keys.get_mut(&key) else { return };
        let allowed = KINDS.map(|kind| queue.allows(kind, self.limits.per_key, self.time.now));
        let Some(requests) = &mut queue.waiting else { return };
        for kind in KINDS {
            let first = requests.waiting[kind.index()].first_key_value();
            let first = first.map(|(_, ticket)| *ticket).filter(|_| allowed[kind.index()]);
            let before = std::mem::replace(&mut requests.first[kind.index()], first);
            if before == first {
                continue;
            }
            let offered = &mut self.offered[kind.offer()];
            for (ticket, is_offered) in [(before, false), (first, true)] {
                let Some(ticket) = ticket else { continue };
                let Some(entry) = self.entries.get_mut(&ticket) else { continue };
                if is_offered {
                    offered.insert(entry.rank, ticket);
                    continue;
                }
                offered.remove(&entry.rank);
                if entry.stage == Stage::Heavy {
                    entry.stage = Stage::Waits;
                    self.heavy.remove(&(entry.permits, ticket));
                }
            }
        }
    }

    /// Skips an offered request for its weight. It stays the first of its key.
    pub(super) fn skip_heavy(&mut self, ticket: u64) {
        let Some(entry) = self.entries.get_mut(&ticket) else { return };
        self.offered[entry.request.kind.offer()].remove(&entry.rank);
        if entry.stage == Stage::Waits {
            entry.stage = Stage::Heavy;
        }
        self.heavy.insert((entry.permits, ticket));
    }

    /// Offers the requests again whose weight is now within the capacity.
    pub(super) fn lift_weights(&mut self, capacity: usize) {
        while let Some((permits, ticket)) =
            self.heavy.first().copied().filter(|(permits, _)| *permits <= capacity)
        {
            self.heavy.remove(&(permits, ticket));
            let Some(entry) = self.entries.get_mut(&ticket) else { continue };
            if entry.stage == Stage::Heavy {
                entry.stage = Stage::Waits;
            }
            self.offered[entry.request.kind.offer()].insert(entry.rank, ticket);
        }
    }

    pub(super) fn rank_again(&mut self) {
        let tickets: Vec<u64> = self.entries.keys().copied().collect();
        for ticket in tickets {
            let entry = &self.entries[&ticket];
            if matches!(entry.stage, Stage::Refused(_)) {
                continue;
            }
            let (rank, key) = (self.rank(ticket, &entry.request), entry.request.key);
            self.delist(ticket);
            if let Some(entry) = self.entries.get_mut(&ticket) {
                entry.rank = rank;
            }
            self.enlist(ticket);
            if let Some(key) = key {
                self.refresh(key);
            }
        }
    }
}

/// Moves the time of a key in a list of times from `before` to `at`, and returns `at`.
fn move_to(
    at: Option<u128>,
    before: Option<u128>,
    key: Key,
    times: &mut BTreeSet<(u128, Key)>,
) -> Option<u128> {
    if at != before {
        before.map(|before| times.remove(&(before, key)));
        at.map(|at| times.insert((at, key)));
    }
    at
}
