//! [`Table`]: the jobs that a worker has, by id, and how far each has come.
//!
//! No code of the source runs under its lock: values to drop are returned.

use std::collections::{BTreeMap, HashMap, VecDeque, hash_map};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spinney_greenlet::Handle;

use crate::{Delivery, Source, Terms, WorkerReport};

/// For how long an acknowledgement that went out may still be lost with its connection.
const ACK_WINDOW: Duration = Duration::from_secs(120);

/// The number of acknowledged jobs that are remembered, in case they are delivered again.
const SETTLED: usize = 10_000;

/// The number of revoked ids that are remembered: Celery's.
const REVOKED: usize = 50_000;

/// The stage of a job in its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It is held until its [time](Terms::eta).
    Scheduled,
    /// It waits for a slot, or for the rate of its name.
    Reserved,
    /// It runs.
    Active,
    /// It has finished; its outcome is being stored.
    Settling,
}

/// One job of a worker, as [`WorkerHandle::jobs`](crate::WorkerHandle::jobs) sees it.
#[derive(Debug)]
#[non_exhaustive]
pub struct JobInfo<J> {
    /// The id of the job.
    pub id: Arc<str>,
    /// The kind of the job.
    pub name: Arc<str>,
    /// The number of tries before this one.
    pub attempt: u32,
    /// The stage of the job.
    pub stage: Stage,
    /// When the stage began, on the worker's clock.
    pub since: Instant,
    /// When it may run, and for how long.
    pub terms: Terms,
    /// The payload.
    pub job: Arc<J>,
}

/// The key of an entry. The id may be delivered again; the serial is unique.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    id: Arc<str>,
    serial: u64,
}

struct Entry<S: Source> {
    serial: u64,
    name: Arc<str>,
    attempt: u32,
    terms: Terms,
    job: Arc<S::Job>,
    stage: Stage,
    since: Instant,
    /// The time under which it is in `scheduled` or `throttled`, while it is in one of them.
    wakes: Option<Instant>,
    /// Whether its start was counted by the pace of its name.
    paced: bool,
    /// Empty once the connection was lost, and after an early acknowledgement.
    receipts: Vec<S::Receipt>,
    /// `Some` while it is active.
    greenlet: Option<Handle>,
    /// Whether it was revoked between getting its slot and its first poll.
    revoked: bool,
    /// Deliveries of the same id and another attempt, which wait until this one has left.
    parked: Vec<Delivery<S>>,
}

/// Why a job is settled without having run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Revoked,
    Expired,
    /// It was held for as long as the source allows, and is sent to the end of its queue.
    Held,
}

/// The result of [`Table::admit`].
pub(crate) enum Admitted<S: Source> {
    Kept(Arc<S::Job>),
    /// The table has the job already; the caller drops the copy of the delivery.
    TakenOver(Arc<S::Job>, S::Job),
    /// The job was settled before the connection was lost: the caller only acknowledges it.
    Settled(Arc<S::Job>, S::Receipt),
    Parked,
}

/// A job that is settled without having run.
pub(crate) struct RefusedJob<S: Source> {
    pub(crate) key: Key,
    pub(crate) job: Arc<S::Job>,
    pub(crate) why: Refusal,
}

/// A job that begins.
pub(crate) struct Begun<S: Source> {
    pub(crate) terms: Terms,
    /// The receipts to acknowledge before it runs.
    pub(crate) early: Vec<S::Receipt>,
}

/// The parts of a removed entry, which the caller drops under no lock.
pub(crate) struct Removed<S: Source> {
    pub(crate) receipts: Vec<S::Receipt>,
    #[expect(dead_code, reason = "dropped outside of the lock")]
    job: Arc<S::Job>,
    #[expect(dead_code, reason = "dropped outside of the lock")]
    greenlet: Option<Handle>,
}

pub(crate) struct Table<S: Source> {
    entries: HashMap<Arc<str>, Entry<S>>,
    /// Jobs that want a slot. Some may have been removed.
    ready: VecDeque<Key>,
    /// Jobs that are held for their time.
    scheduled: BTreeMap<(Instant, u64), Arc<str>>,
    /// Jobs that start later because of the pace of their name.
    throttled: BTreeMap<(Instant, u64), Arc<str>>,
    /// For each name with a rate the time between two starts, and the earliest next start.
    paces: HashMap<Arc<str>, (Duration, Instant)>,
    /// Parked deliveries whose predecessor has left.
    released: Vec<Delivery<S>>,
    /// Jobs to settle without running them.
    refused: Vec<RefusedJob<S>>,
    settled: Remembered<(u32, Instant)>,
    revoked: Remembered<()>,
    /// The number of entries in the stage [`Settling`](Stage::Settling).
    settling: usize,
    next_serial: u64,
    pub(crate) report: WorkerReport,
}

impl<S: Source> Table<S> {
    pub(crate) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            ready: VecDeque::new(),
            scheduled: BTreeMap::new(),
            throttled: BTreeMap::new(),
            paces: HashMap::new(),
            released: Vec::new(),
            refused: Vec::new(),
            settled: Remembered::new(SETTLED),
            revoked: Remembered::new(REVOKED),
            settling: 0,
            next_serial: 0,
            report: WorkerReport::default(),
        }
    }

    /// Admits a delivery. A job that waits for its time is held for at most `hold`.
    pub(crate) fn admit(
        &mut self,
        delivery: Delivery<S>,
        now: Instant,
        hold: Duration,
    ) -> Admitted<S> {
        if let Some(entry) = self.entries.get_mut(&delivery.id) {
            if entry.attempt != delivery.attempt {
                entry.parked.push(delivery);
                return Admitted::Parked;
            }
            self.report.taken_over += 1;
            entry.receipts.push(delivery.receipt);
            return Admitted::TakenOver(Arc::clone(&entry.job), delivery.job);
        }
        let Delivery { id, name, attempt, redelivered, terms, job, receipt } = delivery;
        let job = Arc::new(job);
        // It is remembered for one redelivery. A message that is new has an outcome of its own.
        let known = self.settled.remove(&id);
        let is_same = |(known, at)| known == attempt && now < at + ACK_WINDOW;
        if redelivered && known.is_some_and(is_same) {
            self.report.taken_over += 1;
            return Admitted::Settled(job, receipt);
        }
        self.report.received += 1;
        let why = if self.revoked.contains(&id) {
            Some(Refusal::Revoked)
        } else {
            terms.expires.filter(|expires| *expires <= now).map(|_| Refusal::Expired)
        };
        let stage = if why.is_some() { Stage::Settling } else { Stage::Reserved };
        self.settling += usize::from(why.is_some());
        self.next_serial += 1;
        let key = Key { id: Arc::clone(&id), serial: self.next_serial };
        let entry = Entry {
            serial: key.serial,
            name,
            attempt,
            terms,
            job: Arc::clone(&job),
            stage,
            since: now,
            wakes: None,
            paced: false,
            receipts: vec![receipt],
            greenlet: None,
            revoked: false,
            parked: Vec::new(),
        };
        self.entries.insert(id, entry);
        match (why, terms.eta.filter(|eta| *eta > now)) {
            (Some(why), _) => self.refused.push(RefusedJob { key, job: Arc::clone(&job), why }),
            (None, None) => self.ready.push_back(key),
            (None, Some(eta)) => self.wait_until(&key, Stage::Scheduled, eta.min(later(now, hold))),
        }
        Admitted::Kept(job)
    }

    /// Puts an entry into the list of those that wait for a time.
    fn wait_until(&mut self, key: &Key, stage: Stage, wakes: Instant) {
        let Some(entry) = self.entry(key) else { return };
        entry.stage = stage;
        entry.wakes = Some(wakes);
        self.timed(stage).insert((wakes, key.serial), Arc::clone(&key.id));
    }

    fn timed(&mut self, stage: Stage) -> &mut BTreeMap<(Instant, u64), Arc<str>> {
        if stage == Stage::Scheduled { &mut self.scheduled } else { &mut self.throttled }
    }

    fn entry(&mut self, key: &Key) -> Option<&mut Entry<S>> {
        self.entries.get_mut(&key.id).filter(|entry| entry.serial == key.serial)
    }

    /// When the next scheduled or throttled job is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let first = |timed: &BTreeMap<(Instant, u64), _>| timed.keys().next().map(|key| key.0);
        [first(&self.scheduled), first(&self.throttled)].into_iter().flatten().min()
    }

    /// Makes the jobs ready whose time has come.
    pub(crate) fn wake_due(&mut self, now: Instant) {
        for stage in [Stage::Scheduled, Stage::Reserved] {
            while let Some(first) = self.timed(stage).first_entry().filter(|e| e.key().0 <= now) {
                let ((_, serial), id) = first.remove_entry();
                let key = Key { id, serial };
                let Some(entry) = self.entry(&key) else { continue };
                entry.wakes = None;
                if entry.terms.eta.is_some_and(|eta| eta > now) {
                    self.refuse(key, Refusal::Held, now);
                    continue;
                }
                entry.stage = Stage::Reserved;
                entry.since = now;
                self.ready.push_back(key);
            }
        }
    }

    /// Marks an entry whose job is settled without having run.
    fn refuse(&mut self, key: Key, why: Refusal, now: Instant) {
        let entry = self.entries.get_mut(&key.id).expect("the caller has seen it");
        entry.stage = Stage::Settling;
        entry.since = now;
        let (wakes, job) = (entry.wakes.take(), Arc::clone(&entry.job));
        self.settling += 1;
        if let Some(wakes) = wakes {
            self.scheduled.remove(&(wakes, key.serial));
            self.throttled.remove(&(wakes, key.serial));
        }
        self.refused.push(RefusedJob { key, job, why });
    }

    /// Takes the jobs to settle without running them.
    pub(crate) fn take_refused(&mut self) -> Vec<RefusedJob<S>> {
        mem::take(&mut self.refused)
    }

    /// Whether a job wants a slot.
    pub(crate) fn has_ready(&mut self) -> bool {
        while let Some(key) = self.ready.front() {
            let reserved =
                |entry: &Entry<S>| entry.serial == key.serial && entry.stage == Stage::Reserved;
            if self.entries.get(&key.id).is_some_and(reserved) {
                return true;
            }
            self.ready.pop_front();
        }
        false
    }

    /// Takes the next job that may start now, for a slot that is there.
    pub(crate) fn take_ready(&mut self, now: Instant) -> Option<(Key, Arc<S::Job>)> {
        while self.has_ready() {
            let key = self.ready.pop_front()?;
            let entry = self.entry(&key)?;
            if entry.terms.expires.is_some_and(|expires| expires <= now) {
                self.refuse(key, Refusal::Expired, now);
                continue;
            }
            let paced = mem::replace(&mut entry.paced, true);
            let name = Arc::clone(&entry.name);
            let start = if paced { now } else { self.start_of(&name, now) };
            if start <= now {
                let entry = self.entry(&key)?;
                entry.stage = Stage::Active;
                entry.since = now;
                let job = Arc::clone(&entry.job);
                return Some((key, job));
            }
            self.wait_until(&key, Stage::Reserved, start);
        }
        None
    }

    /// Returns when a job of this name may start, and counts the start.
    fn start_of(&mut self, name: &Arc<str>, now: Instant) -> Instant {
        let Some((every, next)) = self.paces.get_mut(name) else { return now };
        let start = now.max(*next);
        *next = later(start, *every);
        start
    }

    /// Changes the pace of a name. Jobs that wait for the old pace are the next to start under the
    /// new one.
    pub(crate) fn set_pace(&mut self, name: &str, every: Option<Duration>, now: Instant) {
        let waiting = self.throttled.values();
        let waiting = waiting.filter(|id| self.entries.get(*id).is_some_and(|e| &*e.name == name));
        let waiting: Vec<Arc<str>> = waiting.cloned().collect();
        for id in waiting.into_iter().rev() {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.paced = false;
            let serial = entry.serial;
            if let Some(wakes) = entry.wakes.take() {
                self.throttled.remove(&(wakes, serial));
            }
            self.ready.push_front(Key { id, serial });
        }
        match every {
            Some(every) => {
                let earliest = later(now, every);
                let next = self.paces.get(name).map_or(now, |(_, next)| (*next).min(earliest));
                self.paces.insert(name.into(), (every, next));
            }
            None => drop(self.paces.remove(name)),
        }
    }

    /// Begins a job that has a slot; `None` if it was revoked meanwhile.
    pub(crate) fn begin(&mut self, key: &Key, greenlet: Option<Handle>) -> Option<Begun<S>> {
        let entry = self.entry(key)?;
        if entry.revoked {
            return None;
        }
        entry.greenlet = greenlet;
        let is_early = entry.terms.ack_early;
        let early = if is_early { mem::take(&mut entry.receipts) } else { Vec::new() };
        Some(Begun { terms: entry.terms, early })
    }

    /// Records that a job has finished, and is being settled. It is not killed from then on.
    pub(crate) fn settling(&mut self, key: &Key, now: Instant) -> Option<Handle> {
        let entry = self.entry(key)?;
        entry.stage = Stage::Settling;
        entry.since = now;
        let greenlet = entry.greenlet.take();
        self.settling += 1;
        greenlet
    }

    pub(crate) fn attempt(&mut self, key: &Key) -> u32 {
        self.entry(key).map_or(0, |entry| entry.attempt)
    }

    /// Removes a job. A job whose outcome was stored is remembered, because it may be delivered
    /// again.
    pub(crate) fn remove(&mut self, key: &Key, settled: Option<Instant>) -> Option<Removed<S>> {
        let hash_map::Entry::Occupied(entry) = self.entries.entry(Arc::clone(&key.id)) else {
            return None;
        };
        if entry.get().serial != key.serial {
            return None;
        }
        let entry = entry.remove();
        self.settling -= usize::from(entry.stage == Stage::Settling);
        if let Some(now) = settled {
            self.settled.insert(&key.id, (entry.attempt, now));
        }
        if let Some(wakes) = entry.wakes {
            self.scheduled.remove(&(wakes, key.serial));
            self.throttled.remove(&(wakes, key.serial));
        }
        self.released.extend(entry.parked);
        Some(Removed { receipts: entry.receipts, job: entry.job, greenlet: entry.greenlet })
    }

    /// Takes the parked deliveries that can be admitted now.
    pub(crate) fn take_released(&mut self) -> Vec<Delivery<S>> {
        mem::take(&mut self.released)
    }

    /// Removes all jobs that have not begun.
    pub(crate) fn take_unstarted(&mut self) -> Vec<Removed<S>> {
        let is_unstarted =
            |entry: &&Entry<S>| matches!(entry.stage, Stage::Scheduled | Stage::Reserved);
        let unstarted = self.entries.iter().filter(|(_, entry)| is_unstarted(entry));
        let keys: Vec<Key> =
            unstarted.map(|(id, entry)| Key { id: Arc::clone(id), serial: entry.serial }).collect();
        keys.iter().filter_map(|key| self.remove(key, None)).collect()
    }

    /// Voids all receipts, and removes the jobs that have not begun: they run where they are
    /// delivered next.
    pub(crate) fn lose_connection(&mut self) -> impl Sized + use<S> {
        let unstarted = self.take_unstarted();
        let mut void = Vec::new();
        let mut parked = self.take_released();
        for entry in self.entries.values_mut() {
            void.append(&mut entry.receipts);
            parked.append(&mut entry.parked);
        }
        (unstarted, void, parked)
    }

    /// Revokes a job that has not begun. With `terminate`, returns the greenlet of a running job,
    /// which the caller kills.
    pub(crate) fn revoke(&mut self, id: &str, terminate: bool, now: Instant) -> Option<Handle> {
        self.revoked.insert(&Arc::from(id), ());
        let (id, entry) = self.entries.get_key_value(id)?;
        let key = Key { id: Arc::clone(id), serial: entry.serial };
        match entry.stage {
            Stage::Scheduled | Stage::Reserved => self.refuse(key, Refusal::Revoked, now),
            Stage::Active if entry.greenlet.is_none() => self.entry(&key)?.revoked = true,
            Stage::Active if terminate => return entry.greenlet.clone(),
            Stage::Active | Stage::Settling => {}
        }
        None
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }

    /// How many jobs are held for their time. They take no part of the credit.
    pub(crate) fn held(&self) -> usize {
        self.scheduled.len()
    }

    /// How many jobs have finished, or will not run, and are not settled.
    pub(crate) fn settling_jobs(&self) -> usize {
        self.settling
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.released.is_empty()
    }

    pub(crate) fn counts(&self) -> WorkerReport {
        let mut report = self.report;
        for entry in self.entries.values() {
            match entry.stage {
                Stage::Scheduled => report.scheduled += 1,
                Stage::Reserved => report.reserved += 1,
                Stage::Active => report.active += 1,
                Stage::Settling => report.settling += 1,
            }
        }
        report
    }

    pub(crate) fn jobs(&self) -> Vec<JobInfo<S::Job>> {
        let info = |(id, entry): (&Arc<str>, &Entry<S>)| JobInfo {
            id: Arc::clone(id),
            name: Arc::clone(&entry.name),
            attempt: entry.attempt,
            stage: entry.stage,
            since: entry.since,
            terms: entry.terms,
            job: Arc::clone(&entry.job),
        };
        let mut jobs: Vec<_> =
            self.entries.iter().map(|entry| (entry.1.serial, info(entry))).collect();
        jobs.sort_by_key(|(serial, _)| *serial);
        jobs.into_iter().map(|(_, info)| info).collect()
    }

    pub(crate) fn revoked(&self) -> Vec<Arc<str>> {
        self.revoked.ids()
    }
}

/// The time `after` from `now`; 136 years from `now` if the clock cannot represent it.
pub(crate) fn later(now: Instant, after: Duration) -> Instant {
    now.checked_add(after).unwrap_or(now + Duration::from_secs(1 << 32))
}

/// The last ids that were inserted, each with a value.
struct Remembered<V> {
    values: HashMap<Arc<str>, (u64, V)>,
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
    most: usize,
}

impl<V> Remembered<V> {
    fn new(most: usize) -> Self {
        Self { values: HashMap::new(), order: BTreeMap::new(), next: 0, most }
    }

    fn insert(&mut self, id: &Arc<str>, value: V) {
        self.next += 1;
        if let Some((before, _)) = self.values.insert(Arc::clone(id), (self.next, value)) {
            self.order.remove(&before);
        }
        self.order.insert(self.next, Arc::clone(id));
        if self.order.len() > self.most {
            if let Some((_, oldest)) = self.order.pop_first() {
                self.values.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, id: &str) -> Option<V> {
        let (place, value) = self.values.remove(id)?;
        self.order.remove(&place);
        Some(value)
    }

    fn contains(&self, id: &str) -> bool {
        self.values.contains_key(id)
    }

    fn ids(&self) -> Vec<Arc<str>> {
        self.order.values().cloned().collect()
    }
}
