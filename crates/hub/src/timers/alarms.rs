//! [`Alarms`]: the timers of async-io that ring for a calendar.
//!
//! Setting a timer interrupts the thread that waits in the reactor, or that is about to: its next
//! wait ends immediately. So when an alarm has to be set, those of the following sleeps are set
//! with it.

use std::collections::BTreeMap;
use std::iter;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use async_io::Timer;

use super::calendar::Moment;
use super::instant;

/// The most alarms of a calendar. Each is a place in the reactor's list, and rings in vain if its
/// sleeps were dropped.
const AHEAD: usize = 32;

/// The most sleeps that are looked at to find those alarms.
const LOOKED: usize = 512;

/// The alarms of a calendar, and what is left of earlier ones.
pub(super) struct Alarms {
    set: BTreeMap<Moment, Timer>,
    /// Timers that have rung, or ring in vain, to be set again.
    spare: Vec<Timer>,
}

impl Alarms {
    pub(super) const fn new() -> Self {
        Self { set: BTreeMap::new(), spare: Vec::new() }
    }

    /// The time of the first alarm.
    pub(super) fn first(&self) -> Option<Moment> {
        self.set.first_key_value().map(|(at, _)| *at)
    }

    /// Chooses which of the `upcoming` alarms are set together with the `first`. It looks at few of
    /// them: a million sleeps may have the same alarm.
    pub(super) fn choose(first: Moment, upcoming: impl Iterator<Item = Moment>) -> Vec<Moment> {
        let later = upcoming.take(LOOKED).skip_while(|at| *at <= first);
        let mut chosen: Vec<_> = iter::once(first).chain(later).collect();
        chosen.dedup();
        chosen.truncate(AHEAD);
        chosen
    }

    /// Sets an alarm that wakes `ring`, in place of the last one if there are too many.
    pub(super) fn set(&mut self, at: Moment, ring: impl FnOnce() -> Waker) {
        let spare = &mut self.spare;
        self.set.entry(at).or_insert_with(|| {
            let mut alarm = spare.pop().unwrap_or_else(|| timer(&ring()));
            alarm.set_at(instant(at));
            alarm
        });
        if self.set.len() > AHEAD {
            self.spare.extend(self.set.pop_last().map(|(_, last)| last));
        }
    }

    /// Forgets the alarms up to `now`, which have rung or are about to.
    pub(super) fn forget_until(&mut self, now: Moment) {
        while let Some(first) = self.set.first_entry().filter(|first| *first.key() <= now) {
            self.spare.push(first.remove());
        }
    }
}

/// A timer that wakes `ring` once it is set.
fn timer(ring: &Waker) -> Timer {
    // It registers its waker only if it is polled before its time.
    let mut timer = Timer::after(Duration::from_secs(3600));
    let _pending = Pin::new(&mut timer).poll(&mut Context::from_waker(ring));
    timer
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;
    use std::task::Waker;

    use super::{AHEAD, Alarms};

    #[test]
    fn sleeps_with_the_same_alarm_share_it_up_to_a_limit() {
        assert_eq!(Alarms::choose(3, [3, 3, 5, 5, 5, 9].into_iter()), [3, 5, 9]);
        assert!(Alarms::choose(0, 0..).into_iter().eq(0..AHEAD as u64));
        assert_eq!(Alarms::choose(7, iter::repeat(7)), [7], "an endless look at one moment");
    }

    #[test]
    fn too_many_alarms_replace_the_last_ones() {
        let mut alarms = Alarms::new();
        let hour = 3_600_000_000_000;
        for at in (0..1000).rev() {
            alarms.set(hour + at, || Waker::noop().clone());
            assert_eq!(alarms.first(), Some(hour + at));
        }
        assert_eq!((alarms.set.len(), alarms.spare.len()), (AHEAD, 1));
    }

    #[test]
    fn timers_that_have_rung_are_set_again() {
        let (mut alarms, made) = (Alarms::new(), AtomicUsize::new(0));
        let ring = || {
            made.fetch_add(1, Relaxed);
            Waker::noop().clone()
        };
        let hour = 3_600_000_000_000;
        for round in 0..100 {
            let at = hour + 10 * round;
            for at in [at + 2, at + 1, at + 2] {
                alarms.set(at, ring);
            }
            assert_eq!(alarms.first(), Some(at + 1));
            alarms.forget_until(at + 1);
            assert_eq!(alarms.first(), Some(at + 2));
            alarms.forget_until(at + 9);
            assert_eq!(alarms.first(), None);
        }
        assert_eq!(made.load(Relaxed), 2);
    }
}
