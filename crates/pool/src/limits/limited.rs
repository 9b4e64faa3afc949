//! [`Limited`]: the queue of a pool with limits, and the order of its requests.
//!
//! Requests are ordered by rank. A request is skipped if its key is full, if a rate of its key is
//! used up, or if its weight is above the capacity; so are all requests with the same key behind
//! it. The first request that is not skipped is the head: if it does not fit, no request starts
//! before it. A start in place of a member needs no slot, so a head that only waits for slots does
//! not hold it up.
//!
//! Each step costs the logarithm of the number of waiters: of each key only the first request is
//! *offered*, that is, ranked among all requests, and only while its key allows a start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use spinney_greenlet::ContainerLimits;
use spinney_hub::Clock;
use spinney_sync::{Closed, Fate, Room, Want};

use super::alarm::{Alarm, Setting};
use super::line::Stats;
use super::rate::{Gcra, Rate};
use super::{Key, Kind, Limits, Order, Request, SlotError};

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
    keys: BTreeMap<Key, KeyQueue>,
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

/// The last known time of the queue.
#[derive(Default)]
struct Time {
    /// The clock of the last request under limits that need one.
    clock: Option<Clock>,
    /// The first known time.
    start: Option<Instant>,
    /// In nanoseconds since `start`. It never goes back.
    now: u128,
    /// Whether a rate has counted a start, or a pause has an end: the clock must not change.
    is_in_use: bool,
}

struct Pause {
    since: Instant,
    clock: Clock,
    /// In nanoseconds of the queue's time.
    until: Option<u128>,
}

/// The rank of a request among all requests: smaller is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(i64, i64);

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

/// The requests and the tasks with the same key.
#[derive(Default)]
struct KeyQueue {
    /// The tickets of the running tasks.
    running: BTreeSet<u64>,
    rates: Vec<Gcra>,
    /// The requests of each kind.
    waiting: [BTreeMap<Rank, u64>; 3],
    /// The first request of each kind, if it is offered or skipped for its weight.
    first: [Option<u64>; 3],
    due: Option<u128>,
    expiring: Option<u128>,
}

impl KeyQueue {
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
            keys: BTreeMap::new(),
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
        is_unlimited && self.entries.is_empty() && self.keys.is_empty()
    }

    pub(super) fn contains(&self, ticket: u64) -> bool {
        self.entries.contains_key(&ticket)
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
        let (rank, stage) = (self.rank(ticket, request.priority), Stage::Waits);
        self.entries.insert(ticket, Entry { waker, permits, despite_close, request, rank, stage });
        self.waiting += usize::from(request.kind == Kind::Slot);
        self.enlist(ticket);
    }

    /// The state of the request `ticket`. A refused request is removed.
    pub(super) fn fate(&mut self, ticket: u64, newcomer: bool) -> Fate<SlotError> {
        let Some(entry) = self.entries.get(&ticket) else { return Fate::Served };
        if let Stage::Refused(error) = entry.stage {
            self.entries.remove(&ticket);
            return Fate::Refused(error);
        }
        let is_counted = entry.request.kind == Kind::Slot && !entry.despite_close;
        let is_full = self.limits.max_waiting.is_some_and(|most| self.waiting > most);
        if newcomer && is_counted && is_full {
            self.remove(ticket);
            self.stats.shed += 1;
            return Fate::Refused(SlotError::TooManyWaiting);
        }
        Fate::Waits
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
    pub(super) fn serve(&mut self, room: Room) -> Option<(usize, Waker)> {
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
            self.start(ticket);
        }
        let permits = self.entries[&ticket].permits;
        self.remove(ticket).map(|waker| (permits, waker))
    }

    pub(super) fn may_serve(&self) -> bool {
        !self.entries.is_empty()
    }

    /// The first request that is not skipped. If that one waits for slots alone, the first of the
    /// requests that need none.
    fn head(&mut self, room: Room) -> Option<u64> {
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

    /// Counts the start of a request that all limits allow.
    fn start(&mut self, ticket: u64) {
        let now = self.time.now;
        self.rates.iter_mut().for_each(|rate| rate.start(now));
        self.time.is_in_use |= self.needs_time();
        let request = self.entries[&ticket].request;
        let Some(queue) = request.key.and_then(|key| self.keys.get_mut(&key)) else { return };
        if queue.rates.is_empty() {
            queue.rates.extend(self.limits.key_rates.iter().map(|rate| Gcra::new(*rate)));
        }
        queue.rates.iter_mut().for_each(|rate| rate.start(now));
        if request.kind != Kind::InPlaceOfKey {
            queue.running.insert(ticket);
        }
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

    pub(super) fn return_key(&mut self, key: Key, ticket: u64) {
        let Some(queue) = self.keys.get_mut(&key) else { return };
        if queue.running.remove(&ticket) {
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

/// The places of requests.
impl Limited {
    fn rank(&self, ticket: u64, priority: i32) -> Rank {
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
    fn enlist(&mut self, ticket: u64) {
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
    fn delist(&mut self, ticket: u64) {
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
    fn refresh(&mut self, key: Key) {
        let Some(queue) = self.keys.get_mut(&key) else { return };
        queue.due.take().map(|due| self.due.remove(&(due, key)));
        queue.expiring.take().map(|at| self.expiring.remove(&(at, key)));
        let is_full = self.limits.per_key.is_some_and(|most| queue.running.len() >= most);
        let may_start = queue.ready_at() <= self.time.now;
        for kind in KINDS {
            let allowed = may_start && (kind == Kind::InPlaceOfKey || !is_full);
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
            if !may_start {
                let due = queue.ready_at();
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
    fn skip_heavy(&mut self, ticket: u64) {
        let Some(entry) = self.entries.get_mut(&ticket) else { return };
        self.offered[entry.request.kind.offer()].remove(&entry.rank);
        if entry.stage == Stage::Waits {
            entry.stage = Stage::Heavy;
        }
        self.heavy.insert((entry.permits, ticket));
    }

    /// Offers the requests again whose weight is now within the capacity.
    fn lift_weights(&mut self, capacity: usize) {
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
}

/// The time of the queue.
impl Limited {
    fn needs_time(&self) -> bool {
        let has_rates = !self.limits.rates.is_empty() || !self.limits.key_rates.is_empty();
        has_rates || self.pause.as_ref().is_some_and(|pause| pause.until.is_some())
    }

    pub(super) fn source(&self) -> Option<Clock> {
        if self.needs_time() { self.time.clock.clone() } else { None }
    }

    pub(super) fn see(&mut self, now: Instant) {
        self.set_now(now);
        let is_over = |pause: &mut Pause| pause.until.is_some_and(|until| until <= self.time.now);
        if let Some(pause) = self.pause.take_if(is_over) {
            let end = self.time.instant(pause.until.unwrap_or(0));
            self.stats.paused +=
                end.map_or(Duration::ZERO, |end| end.saturating_duration_since(pause.since));
        }
        while let Some((at, key)) =
            self.expiring.first().copied().filter(|(at, _)| *at <= self.time.now)
        {
            self.expiring.remove(&(at, key));
            self.refresh(key);
        }
    }

    fn set_now(&mut self, now: Instant) {
        let start = *self.time.start.get_or_insert(now);
        self.time.now = self.time.now.max(now.saturating_duration_since(start).as_nanos());
    }

    /// Checks the caller's clock for a request under rates: once a start was counted, it must tell
    /// the same time.
    fn check_clock(&mut self, ticket: u64) {
        let clock = Clock::shared();
        match &self.time.clock {
            Some(other) if *other == clock => {}
            Some(other) if clock.tells_time_of(other) => {
                self.time.clock = Some(clock);
                // The clock of the alarm may be gone.
                self.armed = None;
            }
            Some(_) if self.time.is_in_use => {
                self.refuse(ticket, SlotError::OtherClock);
            }
            _ => self.time = Time { clock: Some(clock), ..Time::default() },
        }
    }

    /// When the rates of the pool allow the next start.
    fn ready_at(&self) -> u128 {
        self.rates.iter().map(Gcra::ready_at).max().unwrap_or(0)
    }

    /// The new setting of the alarm, if it has changed.
    pub(super) fn setting(&mut self) -> Option<Setting> {
        let alarm = self.alarm.as_ref()?;
        let pause = self.pause.as_ref();
        let any = self.offered.iter().any(|offered| !offered.is_empty());
        let rates = Some(self.ready_at()).filter(|at| any && *at > self.time.now);
        let start = match pause {
            // A pause without an end: no request starts, whatever the rates allow.
            Some(pause) => pause.until,
            None => rates.into_iter().chain(self.due.first().map(|(due, _)| *due)).min(),
        };
        if start == self.armed {
            return None;
        }
        self.armed = start;
        self.version += 1;
        let at = start.and_then(|at| self.time.instant(at)).zip(self.time.clock.clone());
        let at = at.map(|(at, clock)| (clock, at));
        Some(Setting { alarm: Arc::clone(alarm), version: self.version, at })
    }
}

impl Time {
    /// The time that is `nanos` after the first known time; `None` if no clock can represent it.
    fn instant(&self, nanos: u128) -> Option<Instant> {
        let nanos = u64::try_from(nanos).ok()?;
        self.start?.checked_add(Duration::from_nanos(nanos))
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
        self.rates = Gcra::replace(&self.rates, &self.limits.rates, self.time.now);
        if before.key_rates != self.limits.key_rates {
            self.keys.values_mut().for_each(|queue| {
                queue.rates = Gcra::replace(&queue.rates, &self.limits.key_rates, self.time.now);
            });
        }
        if before.order != self.limits.order {
            self.rank_again();
        }
        for key in self.keys.keys().copied().collect::<Vec<_>>() {
            self.refresh(key);
        }
    }

    fn rank_again(&mut self) {
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

    /// Pauses for `duration` from `now` on `clock`; without an end if `duration` is `None`.
    pub(super) fn pause(&mut self, clock: Clock, now: Instant, duration: Option<Duration>) {
        let has_end = duration.is_some();
        if has_end && !self.time.is_in_use {
            self.time = Time { clock: Some(clock.clone()), is_in_use: true, ..Time::default() };
        }
        if self.time.clock.as_ref().is_some_and(|own| own.tells_time_of(&clock)) {
            self.set_now(now);
        }
        let until = duration.map(|duration| self.time.now.saturating_add(duration.as_nanos()));
        match &mut self.pause {
            Some(pause) => pause.until = until,
            None => self.pause = Some(Pause { since: now, clock, until }),
        }
    }

    /// Ends a pause at `now` on the clock of that pause.
    pub(super) fn resume(&mut self, now: Instant) {
        if let Some(pause) = self.pause.take() {
            self.stats.paused += now.saturating_duration_since(pause.since);
        }
    }

    /// The clock of the pause, if there is one.
    pub(super) fn pause_clock(&self) -> Option<Clock> {
        self.pause.as_ref().map(|pause| pause.clock.clone())
    }

    /// The effects of the limits until `now` on the clock of the pause.
    pub(super) fn stats(&self, now: Option<Instant>) -> Stats {
        let mut stats = self.stats;
        if let Some((pause, now)) = self.pause.as_ref().zip(now) {
            let end = pause.until.and_then(|until| self.time.instant(until));
            let end = end.map_or(now, |end| end.min(now));
            stats.paused += end.saturating_duration_since(pause.since);
        }
        stats
    }
}
