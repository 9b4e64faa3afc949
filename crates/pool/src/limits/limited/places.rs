//! The places of requests in a [`Limited`] queue: their ranks, the queues of keys, and which requests
//! are skipped.

use std::collections::{BTreeMap, BTreeSet};

use super::{KINDS, Limited, Stage};
use crate::limits::rate::Gcra;
use crate::limits::{Key, Kind, Order};

/// The rank of a request among all requests: smaller is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(i64, i64);

/// The requests and the tasks with the same key.
#[derive(Default)]
pub(super) struct KeyQueue {
    /// The tickets of the running tasks.
    pub(super) running: BTreeSet<u64>,
    pub(super) rates: Vec<Gcra>,
    /// The requests of each kind.
    pub(super) waiting: [BTreeMap<Rank, u64>; 3],
    /// The first request of each kind, if it is offered or skipped for its weight.
    pub(super) first: [Option<u64>; 3],
    pub(super) due: Option<u128>,
    pub(super) expiring: Option<u128>,
}

impl KeyQueue {
    /// Whether a request of this kind may start.
    pub(super) fn allows(&self, kind: Kind, per_key: Option<usize>, now: u128) -> bool {
        let is_full = per_key.is_some_and(|most| self.running.len() >= most);
        self.ready_at() <= now && (kind == Kind::InPlaceOfKey || !is_full)
    }

    fn ready_at(&self) -> u128 {
        self.rates.iter().map(Gcra::ready_at).max().unwrap_or(0)
    }

    fn rested_at(&self) -> u128 {
        self.rates.iter().map(Gcra::rested_at).max().unwrap_or(0)
    }

    fn is_empty(&self) -> bool {
        self.waiting.iter().all(BTreeMap::is_empty)
    }
}

/// The places of requests.
impl Limited {
    pub(super) fn rank(&self, ticket: u64, priority: i32) -> Rank {
        let (arrival, priority) = (i64::try_from(ticket).unwrap_or(i64::MAX), i64::from(priority));
        match self.limits.order {
            Order::Oldest => Rank(-priority, arrival),
            Order::Newest => Rank(-priority, -arrival),
            Order::Aging(places) => {
                Rank(arrival.saturating_sub(priority.saturating_mul(places.into())), arrival)
            }
        }
    }

    /// Adds a waiting request to the queue of its key, or to the offered requests.
    pub(super) fn enlist(&mut self, ticket: u64) {
        let Some(entry) = self.entries.get(&ticket) else { return };
        let (rank, kind) = (entry.rank, entry.request.kind);
        match entry.request.key {
            Some(key) => {
                self.keys.entry(key).or_default().waiting[kind.index()].insert(rank, ticket);
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
        if let Some(queue) = entry.request.key.and_then(|key| self.keys.get_mut(&key)) {
            queue.waiting[kind.index()].remove(&rank);
            queue.first[kind.index()].take_if(|first| *first == ticket);
        }
    }

    /// Offers the first requests of a key, as far as the key allows, and forgets an unused key.
    pub(super) fn refresh(&mut self, key: Key) {
        let Some(queue) = self.keys.get_mut(&key) else { return };
        queue.due.take().map(|due| self.due.remove(&(due, key)));
        queue.expiring.take().map(|at| self.expiring.remove(&(at, key)));
        for kind in KINDS {
            let allowed = queue.allows(kind, self.limits.per_key, self.time.now);
            let first = queue.waiting[kind.index()].first_key_value();
            let first = first.map(|(_, ticket)| *ticket).filter(|_| allowed);
            let before = std::mem::replace(&mut queue.first[kind.index()], first);
            if before == first {
                continue;
            }
            for (ticket, is_offered) in [(before, false), (first, true)] {
                let Some(ticket) = ticket else { continue };
                let Some(entry) = self.entries.get_mut(&ticket) else { continue };
                let offered = &mut self.offered[kind.offer()];
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
        if !queue.is_empty() {
            let due = queue.ready_at();
            if due > self.time.now {
                queue.due = Some(due);
                self.due.insert((due, key));
            }
        } else if queue.running.is_empty() {
            let rested = queue.rested_at();
            if rested <= self.time.now {
                self.keys.remove(&key);
            } else {
                queue.expiring = Some(rested);
                self.expiring.insert((rested, key));
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
            let (rank, key) = (self.rank(ticket, entry.request.priority), entry.request.key);
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
