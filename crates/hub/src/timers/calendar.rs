//! [`Calendar`]: who is to be woken when, in order.
//!
//! Sleeps stand in the bucket of their tick, about a millisecond long, as they come. A bucket is
//! put in order only when its time has come; until then it takes a push to add a sleep and a
//! search of one bucket to remove one.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::task::Waker;

/// Nanoseconds since the timers were first used.
pub(super) type Moment = u64;

/// How many bits of a moment are not in the number of its tick.
const IN_TICK: u32 = 20;

/// How many bits of a rank are its number.
const IN_RANK: u32 = u64::BITS - IN_TICK;

/// A bucket is not swept for less.
const FEW: usize = 8;

/// The order among the sleeps of one tick: first by the moment, whose rest is in the upper bits,
/// then as they came. No two sleeps have the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(u64);

impl Rank {
    fn new(at: Moment, number: u64) -> Self {
        Self((at << IN_RANK) | (number & (u64::MAX >> IN_TICK)))
    }

    fn moment(self, tick: u64) -> Moment {
        (tick << IN_TICK) | (self.0 >> IN_RANK)
    }

    /// How many came before it.
    fn number(self) -> u64 {
        self.0 << IN_TICK
    }
}

fn tick(at: Moment) -> u64 {
    at >> IN_TICK
}

/// The sleeps of one clock.
#[derive(Default)]
pub(super) struct Calendar {
    /// The tick that has begun and what is left of it, the next one last.
    begun: u64,
    next: Vec<Sleeper>,
    /// By their ticks: those that have not begun, and what has come late for the one that has.
    later: BTreeMap<u64, Bucket>,
    /// How many ever came.
    came: u64,
    /// The tick and the rank of the last one that was taken out.
    last: (u64, Rank),
    /// What time it was said to be; nothing is added that is due by then.
    passed: Moment,
    alive: usize,
}

struct Sleeper {
    rank: Rank,
    /// None once it was removed.
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
            alive: 0,
        }
    }

    /// Has `waker` come up when `at` has come; None if it has.
    pub(super) fn add(&mut self, at: Moment, waker: &Waker) -> Option<Rank> {
        if at <= self.passed {
            return None;
        }
        self.came += 1;
        self.alive += 1;
        let rank = Rank::new(at, self.came);
        let bucket = self.later.entry(tick(at)).or_insert_with(Bucket::new);
        bucket.add(at, Sleeper { rank, waker: Some(waker.clone()) });
        Some(rank)
    }

    /// Forgets a sleep; None if it has come up.
    pub(super) fn remove(&mut self, at: Moment, rank: Rank) -> Option<Waker> {
        let tick = tick(at);
        if (tick, rank) <= self.last {
            return None;
        }
        let waker = self.remove_next(tick, rank).or_else(|| self.remove_later(tick, rank))?;
        self.alive -= 1;
        Some(waker)
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

    /// When the last one was due that was taken out.
    pub(super) fn woken(&self) -> Moment {
        let (tick, rank) = self.last;
        rank.moment(tick)
    }

    /// No later than the first one is due; None if there is none.
    pub(super) fn first(&self) -> Option<Moment> {
        let next = self.next.last().map(|sleeper| sleeper.rank.moment(self.begun));
        let later = self.later.values().next().map(|bucket| bucket.first);
        next.into_iter().chain(later).min()
    }

    /// Takes those that are due by `now` out, in their order, but no more than `most`.
    pub(super) fn take_due(&mut self, now: Moment, most: usize) -> Vec<Waker> {
        self.passed = self.passed.max(now);
        let mut due = Vec::new();
        while due.len() < most && self.has_next(now) {
            let Some(Sleeper { rank, waker }) = self.next.pop() else { break };
            self.last = (self.begun, rank);
            due.extend(waker);
        }
        if self.next.is_empty() {
            self.next = Vec::new();
        }
        self.alive -= due.len();
        due
    }

    /// Whether the last of `next` is due, or has been removed.
    fn has_next(&mut self, now: Moment) -> bool {
        while let Some(bucket) = self.later.first_entry() {
            let fits = self.next.is_empty() || *bucket.key() == self.begun;
            if !fits || bucket.get().first > now {
                break;
            }
            let (tick, bucket) = bucket.remove_entry();
            self.begun = tick;
            self.begin(bucket);
        }
        self.next.last().is_some_and(|sleeper| sleeper.rank.moment(self.begun) <= now)
    }

    fn begin(&mut self, bucket: Bucket) {
        if self.next.is_empty() {
            self.next = bucket.sleepers;
        } else {
            self.next.extend(bucket.sleepers);
        }
        self.next.retain(|sleeper| sleeper.waker.is_some());
        // Stable for its speed: what was in order already is left as it is.
        self.next.sort_by_key(|sleeper| Reverse(sleeper.rank));
    }
}

/// The sleeps of one tick, as they came.
struct Bucket {
    sleepers: Vec<Sleeper>,
    /// How many were not removed.
    alive: usize,
    /// None of them is due before.
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
