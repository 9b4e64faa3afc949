//! [`Calendar`]: the wakers of all sleeps, ordered by time.
//!
//! Sleeps are in the bucket of their tick, about a millisecond long, in insertion order. A bucket
//! is sorted only when its time has come; until then adding a sleep is a push, and removing one is
//! a search in one bucket.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::task::Waker;

/// Nanoseconds since the timers were first used.
pub(super) type Moment = u64;

/// How many bits of a moment lie below its tick number.
const IN_TICK: u32 = 20;

/// How many bits of a rank are its sequence number. It wraps around after some 10^13 sleeps, which
/// at worst causes a spurious wake-up.
const IN_RANK: u32 = u64::BITS - IN_TICK;

/// A bucket with fewer removed sleeps is not compacted.
const FEW: usize = 8;

/// The order of the sleeps of one tick: by the moment, whose lower part is in the upper bits, then
/// by insertion. Ranks are unique.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(u64);

impl Rank {
    fn new(at: Moment, number: u64) -> Self {
        Self((at << IN_RANK) | (number & (u64::MAX >> IN_TICK)))
    }

    fn moment(self, tick: u64) -> Moment {
        (tick << IN_TICK) | (self.0 >> IN_RANK)
    }

    /// The sequence number of the sleep.
    fn number(self) -> u64 {
        self.0 << IN_TICK
    }
}

fn tick(at: Moment) -> u64 {
    at >> IN_TICK
}

/// The wakers of all sleeps.
pub(super) struct Calendar {
    /// The tick that has begun.
    begun: u64,
    /// The rest of this tick, the next sleep last.
    next: Vec<Sleeper>,
    /// The buckets by tick: ticks that have not begun, and sleeps that were added to the current
    /// tick after it began.
    later: BTreeMap<u64, Bucket>,
    /// How many sleeps were ever added.
    came: u64,
    /// The tick and the rank of the last sleep that was taken out.
    last: (u64, Rank),
    /// The latest time that was reported; a sleep that is due by then is not added.
    passed: Moment,
}

struct Sleeper {
    rank: Rank,
    /// `None` once it was removed.
    waker: Option<Waker>,
}

impl Calendar {
    pub(super) const fn new() -> Self {
        Self {
            begun: 0,
            next: Vec::new(),
            later: BTreeMap::new(),
            came: 0,
            last: (0, Rank(0)),
            passed: 0,
        }
    }

    /// Adds `waker`, to be taken out at `at`; `None` if that time has passed.
    pub(super) fn add(&mut self, at: Moment, waker: &Waker) -> Option<Rank> {
        if at <= self.passed {
            return None;
        }
        let waker = Some(waker.clone());
        self.came += 1;
        let rank = Rank::new(at, self.came);
        let bucket = self.later.entry(tick(at)).or_insert_with(Bucket::new);
        bucket.add(at, Sleeper { rank, waker });
        Some(rank)
    }

    /// Removes a waker before its time; `None` if it was taken out already.
    pub(super) fn remove(&mut self, at: Moment, rank: Rank) -> Option<Waker> {
        let tick = tick(at);
        if (tick, rank) <= self.last {
            return None;
        }
        self.remove_next(tick, rank).or_else(|| self.remove_later(tick, rank))
    }

    fn remove_next(&mut self, tick: u64, rank: Rank) -> Option<Waker> {
        if tick != self.begun {
            return None;
        }
        let found = self.next.binary_search_by(|sleeper| rank.cmp(&sleeper.rank)).ok()?;
        self.next[found].waker.take()
    }

    fn remove_later(&mut self, tick: u64, rank: Rank) -> Option<Waker> {
        let bucket = self.later.get_mut(&tick)?;
        let waker = bucket.remove(rank);
        if bucket.alive == 0 {
            self.later.remove(&tick);
        }
        waker
    }

    /// A time no later than the first sleep; `None` without sleeps.
    pub(super) fn first(&self) -> Option<Moment> {
        self.upcoming().next()
    }

    /// The times of the next sleeps, in order, as far as they are sorted; the last one may be too
    /// early.
    pub(super) fn upcoming(&self) -> impl Iterator<Item = Moment> {
        let next = self.next.iter().rev().map(|sleeper| sleeper.rank.moment(self.begun));
        let later = self.later.values().next().map(|bucket| bucket.first);
        next.take_while(move |at| later.is_none_or(|later| *at < later)).chain(later)
    }

    /// All sleeps due before this time have been taken out, and none will be added.
    pub(super) fn over_before(&self) -> Moment {
        let passed = self.passed.saturating_add(1);
        self.first().map_or(passed, |first| first.min(passed))
    }

    /// Takes out the sleeps that are due by `now`, in their order, but at most `most`.
    pub(super) fn take_due(&mut self, now: Moment, most: usize) -> Vec<Waker> {
        self.passed = self.passed.max(now);
        let mut due = Vec::new();
        while due.len() < most {
            self.begin_due(now);
            let later = self.next.partition_point(|sleeper| sleeper.rank.moment(self.begun) > now);
            let left = later.max(self.next.len().saturating_sub(most - due.len()));
            let Some(last) = self.next.get(left) else { break };
            self.last = (self.begun, last.rank);
            due.extend(self.next.drain(left..).rev().filter_map(|sleeper| sleeper.waker));
        }
        if self.next.is_empty() {
            self.next = Vec::new();
        }
        due
    }

    /// Moves the sleeps that are due by `now` to `next`, one tick at a time.
    fn begin_due(&mut self, now: Moment) {
        while let Some(bucket) = self.later.first_entry() {
            let fits = self.next.is_empty() || *bucket.key() == self.begun;
            if !fits || bucket.get().first > now {
                break;
            }
            let (tick, bucket) = bucket.remove_entry();
            self.begun = tick;
            self.begin(bucket);
        }
    }

    fn begin(&mut self, bucket: Bucket) {
        if self.next.is_empty() {
            self.next = bucket.sleepers;
        } else {
            self.next.extend(bucket.sleepers);
        }
        self.next.retain(|sleeper| sleeper.waker.is_some());
        // A stable sort is faster here: sorted runs are left as they are.
        self.next.sort_by_key(|sleeper| Reverse(sleeper.rank));
    }
}

/// The sleeps of one tick, in insertion order.
struct Bucket {
    sleepers: Vec<Sleeper>,
    /// How many were not removed.
    alive: usize,
    /// No sleep of the bucket is due before this.
    first: Moment,
}

impl Bucket {
    fn new() -> Self {
        Self { sleepers: Vec::new(), alive: 0, first: Moment::MAX }
    }

    fn add(&mut self, at: Moment, sleeper: Sleeper) {
        self.sleepers.push(sleeper);
        self.alive += 1;
        self.first = self.first.min(at);
    }

    fn remove(&mut self, rank: Rank) -> Option<Waker> {
        let number = |sleeper: &Sleeper| sleeper.rank.number();
        let found = self.sleepers.binary_search_by_key(&rank.number(), number).ok()?;
        let waker = self.sleepers[found].waker.take()?;
        self.alive -= 1;
        if self.sleepers.len() > FEW.max(2 * self.alive) {
            self.sleepers.retain(|sleeper| sleeper.waker.is_some());
            self.sleepers.shrink_to(2 * self.alive);
        }
        Some(waker)
    }
}

#[cfg(test)]
mod tests;
