//! [`Limited`]: the queue of a pool with limits, and the order of its requests.
//!
//! Requests are ordered by rank. A request is skipped if its key is full, if a rate of its key is
//! used up, or if its weight is above the capacity; so are all requests with the same key behind
//! it. The first request that is not skipped is the head: if it does not fit, no request starts
//! before it. A start in place of a member needs no slot, so a head that only waits for slots does
//! not hold it up.
//!
//! A request that finds no other starts immediately if all limits allow it, without a place in any
//! list. Otherwise each step costs the logarithm of the number of waiters (the table of keys grows
//! and shrinks as a whole, at most once in as many steps as it has keys): of each key only the first
//! request is *offered*, that is, ranked among all requests, and only while its key allows a start.

mod places;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use spinney_greenlet::ContainerLimits;
use spinney_hub::Clock;
use spinney_sync::{Closed, PermitCounts, WaiterState, Want};

use self::places::{KeyQueue, Rank};
use self::time::{Pause, Time};
use super::alarm::Alarm;
use super::key::KeyMap;
use super::line::Stats;
use super::rate::{Gcra, Rate};
use super::{Key, Kind, Limits, Request, SlotError};
use crate::arena::forget;

/// The queue of a pool with limits.
pub(crate) struct Limited {
    limits: Limits,
    rates: Vec<Gcra>,
    pause: Option<Pause>,
    /// The counts of finished pauses and refused requests.
    stats: Stats,
    next_ticket: u64,
    entries: BTreeMap<u64, Entry>,
    /// How many requests for slots wait.
    waiting: usize,
    /// Requests that are not skipped: for slots, and for starts in place.
    offered: [BTreeMap<Rank, u64>; 2],
    /// Requests that are skipped for their weight, the lightest first.
    heavy: BTreeSet<(usize, u64)>,
    keys: KeyMap<KeyQueue>,
    /// When rates allow the next start of each key with requests.
    due: BTreeSet<(u128, Key)>,
    /// When rates forget each key without requests.
    expiring: BTreeSet<(u128, Key)>,
    time: Time,
    alarm: Option<Arc<Alarm>>,
    version: u64,
    /// When the alarm rings.
    pub(super) armed: Option<u128>,
}

struct Entry {
    waker: Waker,
    permits: usize,
    despite_close: bool,
    request: Request,
    rank: Rank,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In the queue of its key, or offered.
    Waits,
    /// Skipped: its weight is above the capacity.
    Heavy,
    /// Started in place: it waits for a slot alone.
    Started,
    Refused(SlotError),
}

const KINDS: [Kind; 3] = [Kind::Slot, Kind::InPlace, Kind::InPlaceOfKey];

impl Kind {
    fn index(self) -> usize {
        self as usize
    }

    /// The index among the offered requests.
    fn offer(self) -> usize {
        usize::from(self != Self::Slot)
    }
}

impl Limited {
    pub(super) fn new(next_ticket: u64) -> Self {
        Self {
            limits: Limits::default(),
            rates: Vec::new(),
            pause: None,
            stats: Stats::default(),
            next_ticket,
            entries: BTreeMap::new(),
            waiting: 0,
            offered: Default::default(),
            heavy: BTreeSet::new(),
            keys: KeyMap::default(),
            due: BTreeSet::new(),
            expiring: BTreeSet::new(),
            time: Time::default(),
            alarm: None,
            version: 0,
            armed: None,
        }
    }

    pub(super) fn next_ticket(&self) -> u64 {
        self.next_ticket
    }

    /// How many requests for slots wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Whether a plain queue would do the same.
    pub(super) fn is_plain(&self) -> bool {
        let is_unlimited = self.limits.are_none() && self.pause.is_none();
        is_unlimited && !self.may_serve() && self.keys.is_empty()
    }

    pub(super) fn contains(&self, ticket: u64) -> bool {
        self.entries.contains_key(&ticket)
    }

    /// Starts a request if no other waits and all limits allow it.
    pub(super) fn admit(
        &mut self,
        want: &Want<Request>,
        room: PermitCounts,
        ticket: &mut Option<u64>,
    ) -> bool {
        let Want { permits, request: Request { kind, key, .. }, .. } = *want;
        let fits = permits <= room.free.min(room.capacity);
        let is_first = self.entries.is_empty() && fits && self.pause.is_none();
        let is_allowed = is_first && self.ready_at() <= self.time.now && self.has_callers_clock();
        if !is_allowed || key.is_some_and(|key| !self.start_of_key(key, kind)) {
            return false;
        }
        self.count_start();
        *ticket = Some(self.next_ticket);
        self.next_ticket += 1;
        true
    }

    pub(super) fn push(&mut self, waker: Waker, want: &Want<Request>) -> u64 {
        let ticket = self.next_ticket;
        self.insert(ticket, waker, want);
        if self.needs_time() {
            self.check_clock(ticket);
        }
        ticket
    }

    /// Adds a request with its ticket.
    pub(super) fn insert(&mut self, ticket: u64, waker: Waker, want: &Want<Request>) {
        self.next_ticket = self.next_ticket.max(ticket + 1);
        let Want { permits, despite_close, request } = *want;
        let (rank, stage) = (self.rank(ticket, &request), Stage::Waits);
        let entry = Entry { waker, permits, despite_close, request, rank, stage };
        self.waiting += usize::from(request.kind == Kind::Slot);
        self.entries.insert(ticket, entry);
        self.enlist(ticket);
    }

    /// The state of the request `ticket`. A refused request is removed.
    pub(super) fn state_of(&mut self, ticket: u64, newcomer: bool) -> WaiterState<SlotError> {
        let Some(entry) = self.entries.get(&ticket) else { return WaiterState::Served };
        if let Stage::Refused(error) = entry.stage {
            self.entries.remove(&ticket);
            return WaiterState::Refused(error);
        }
        let is_counted = entry.request.kind == Kind::Slot && !entry.despite_close;
        let is_full = self.limits.max_waiting.is_some_and(|most| self.waiting > most);
        if newcomer && is_counted && is_full {
            self.remove(ticket);
            self.stats.shed += 1;
            return WaiterState::Refused(SlotError::TooManyWaiting);
        }
        WaiterState::Waits
    }

    pub(super) fn waker(&mut self, ticket: u64) -> Option<&mut Waker> {
        self.entries.get_mut(&ticket).map(|entry| &mut entry.waker)
    }

    /// Removes the request `ticket`.
    pub(super) fn remove(&mut self, ticket: u64) -> Option<Waker> {
        self.delist(ticket);
        let entry = self.entries.remove(&ticket)?;
        let waits = !matches!(entry.stage, Stage::Refused(_));
        self.waiting -= usize::from(waits && entry.request.kind == Kind::Slot);
        if let Some(key) = entry.request.key {
            self.refresh(key);
        }
        Some(entry.waker)
    }

    /// Removes the next request, if it may start.
    pub(super) fn serve(&mut self, room: PermitCounts) -> Option<(usize, Waker)> {
        self.lift_weights(room.capacity);
        while let Some((due, key)) =
            self.due.first().copied().filter(|(due, _)| *due <= self.time.now)
        {
            self.due.remove(&(due, key));
            self.refresh(key);
        }
        let ticket = self.head(room)?;
        if self.entries[&ticket].stage != Stage::Started {
            if self.pause.is_some() || self.ready_at() > self.time.now {
                return None;
            }
            let Request { kind, key, .. } = self.entries[&ticket].request;
            if key.is_some_and(|key| !self.start_of_key(key, kind)) {
                return None;
            }
            self.count_start();
        }
        let permits = self.entries[&ticket].permits;
        self.remove(ticket).map(|waker| (permits, waker))
    }

    pub(super) fn may_serve(&self) -> bool {
        !self.entries.is_empty()
    }

    /// The first request that is not skipped. If that one waits for slots alone, the first of the
    /// requests that need none.
    fn head(&mut self, room: PermitCounts) -> Option<u64> {
        let [slot, in_place] = [Kind::Slot, Kind::InPlace].map(Kind::offer);
        loop {
            let member = self.offered[in_place].first_key_value().map(|(rank, own)| (*rank, *own));
            let Some((rank, ticket)) =
                self.offered[slot].first_key_value().map(|(rank, own)| (*rank, *own))
            else {
                return member.map(|(_, ticket)| ticket);
            };
            let permits = self.entries[&ticket].permits;
            if permits > room.capacity {
                self.skip_heavy(ticket);
                continue;
            }
            let is_first = member.is_none_or(|(other, _)| rank < other);
            let fits = permits <= room.free;
            return match member {
                Some((_, member)) if !fits || !is_first => Some(member),
                _ => fits.then_some(ticket),
            };
        }
    }

    /// Counts a start that all limits allow.
    fn count_start(&mut self) {
        let now = self.time.now;
        self.rates.iter_mut().for_each(|rate| rate.start(now));
        self.time.is_in_use |= self.limits.have_rates();
    }

    /// Counts a start with this key, if the key allows it. Returns whether it does.
    fn start_of_key(&mut self, key: Key, kind: Kind) -> bool {
        let now = self.time.now;
        let queue = self.keys.entry(key).or_default();
        let is_allowed = queue.allows(kind, self.limits.per_key, now);
        if is_allowed {
            queue.start(kind, &self.limits.key_rates, now);
        }
        is_allowed
    }

    pub(super) fn has_started(&mut self, ticket: u64) {
        self.delist(ticket);
        let Some(entry) = self.entries.get_mut(&ticket) else { return };
        if matches!(entry.stage, Stage::Refused(_)) {
            return;
        }
        entry.stage = Stage::Started;
        let key = entry.request.key.take();
        self.enlist(ticket);
        if let Some(key) = key {
            self.refresh(key);
        }
    }

    pub(super) fn return_key(&mut self, key: Key) {
        let Some(queue) = self.keys.get_mut(&key) else { return };
        queue.running -= 1;
        if queue.is_unused() {
            forget(&mut self.keys, &key);
        } else {
            self.refresh(key);
        }
    }

    /// Refuses all requests, except those that wait despite a close.
    pub(super) fn close(&mut self) -> Vec<Waker> {
        let is_refused = |entry: &Entry| !entry.despite_close;
        let refused = self.entries.iter().filter(|(_, entry)| is_refused(entry));
        let refused: Vec<u64> = refused.map(|(ticket, _)| *ticket).collect();
        let refuse = |ticket| self.refuse(ticket, Closed.into());
        refused.into_iter().filter_map(refuse).collect()
    }

    /// Refuses a waiting request, and returns its waker.
    fn refuse(&mut self, ticket: u64, error: SlotError) -> Option<Waker> {
        self.delist(ticket);
        let entry = self.entries.get_mut(&ticket)?;
        if matches!(entry.stage, Stage::Refused(_)) {
            return None;
        }
        entry.stage = Stage::Refused(error);
        let (waker, key) = (entry.waker.clone(), entry.request.key);
        self.waiting -= usize::from(entry.request.kind == Kind::Slot);
        if let Some(key) = key {
            self.refresh(key);
        }
        Some(waker)
    }
}

/// The settings, and their effects.
impl Limited {
    pub(super) fn set_alarm(&mut self, alarm: impl FnOnce() -> Arc<Alarm>) {
        self.alarm.get_or_insert_with(alarm);
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Changes the limits. The caller serves the queue afterwards.
    pub(super) fn set_limits(&mut self, limits: Limits, clock: Clock) {
        let before = std::mem::replace(&mut self.limits, limits);
        if !self.needs_time() {
            self.time = Time::default();
        } else if !self.entries.is_empty() {
            self.time.clock.get_or_insert(clock);
        }
        self.time.is_in_use &= self.limits.have_rates();
        self.rates = Gcra::replace(&self.rates, &self.limits.rates, self.time.now);
        if before.key_rates != self.limits.key_rates {
            let (rates, now) = (&self.limits.key_rates, self.time.now);
            self.keys.values_mut().for_each(|queue| queue.replace_rates(rates, now));
            (self.due, self.expiring) = (BTreeSet::new(), BTreeSet::new());
        }
        if before.order != self.limits.order {
            self.rank_again();
        }
        for key in self.keys.keys().copied().collect::<Vec<_>>() {
            self.refresh(key);
        }
    }
}

/// The limits for reports.
impl Limited {
    /// The limits and the waiting requests, at `now` on the clock of the pause.
    pub(super) fn describe(&self, now: Option<Instant>) -> ContainerLimits {
        let texts = |rates: &[Rate]| rates.iter().map(ToString::to_string).collect();
        let until = self.pause.as_ref().and_then(|pause| Some((pause.until?, self.time.start?)));
        let left = until.zip(now).map(|((until, start), now)| {
            let passed = now.saturating_duration_since(start).as_nanos();
            Duration::from_nanos(u64::try_from(until.saturating_sub(passed)).unwrap_or(u64::MAX))
        });
        let mut waiting: BTreeMap<i32, usize> = BTreeMap::new();
        let waits = |entry: &&Entry| !matches!(entry.stage, Stage::Refused(_));
        for entry in self.entries.values().filter(waits) {
            *waiting.entry(entry.request.priority).or_default() += 1;
        }
        let has_priorities = waiting.keys().any(|priority| *priority != 0);
        ContainerLimits {
            rates: texts(&self.limits.rates),
            key_rates: texts(&self.limits.key_rates),
            per_key: self.limits.per_key,
            keys: self.keys.len(),
            max_waiting: self.limits.max_waiting,
            waiting: waiting.into_iter().rev().filter(|_| has_priorities).collect(),
            is_paused: self.pause.is_some(),
            pause_left: left,
        }
    }
}
