//! The promises of a calendar, without a clock.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use fastrand::Rng;

use super::{Calendar, IN_TICK, Moment, Rank};

const TICK: Moment = 1 << IN_TICK;
const ALL: usize = usize::MAX;

/// A calendar, and the names that were taken out of it.
struct Recorder {
    calendar: Calendar,
    names: Arc<Mutex<Vec<usize>>>,
}

struct Name(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Name {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

impl Recorder {
    fn new() -> Self {
        Self { calendar: Calendar::new(), names: Arc::default() }
    }

    fn add(&mut self, at: Moment, name: usize) -> Option<Rank> {
        self.calendar.add(at, &Waker::from(Arc::new(Name(name, Arc::clone(&self.names)))))
    }

    /// The names of the sleeps that are due by `now`.
    fn due(&mut self, now: Moment, most: usize) -> Vec<usize> {
        self.calendar.take_due(now, most).into_iter().for_each(Waker::wake);
        std::mem::take(&mut self.names.lock().unwrap())
    }

    /// How many entries are stored, removed or not.
    fn kept(&self) -> usize {
        let later = self.calendar.later.values().map(|bucket| bucket.sleepers.len());
        self.calendar.next.len() + later.sum::<usize>()
    }

    /// How many wakers exist.
    fn wakers(&self) -> usize {
        Arc::strong_count(&self.names) - 1
    }
}

#[test]
fn sleeps_come_out_in_the_order_of_their_times() {
    let mut random = Rng::with_seed(1);
    let mut recorder = Recorder::new();
    let mut times: Vec<Moment> = (0..3000).map(|_| random.u64(1..10 * TICK)).collect();
    for (name, at) in times.iter().enumerate() {
        recorder.add(*at, name);
    }
    let names = recorder.due(10 * TICK, ALL);
    let by_names: Vec<_> = names.iter().map(|name| times[*name]).collect();
    times.sort_unstable();
    assert_eq!(by_names, times);
}

#[test]
fn sleeps_of_one_time_come_out_in_insertion_order() {
    let mut recorder = Recorder::new();
    for name in 0..1000 {
        recorder.add(TICK + 5, name);
    }
    assert_eq!(recorder.due(TICK + 4, ALL), []);
    let names: Vec<_> = [300, 300, ALL].iter().flat_map(|n| recorder.due(TICK + 5, *n)).collect();
    assert_eq!(names, (0..1000).collect::<Vec<_>>());
}

#[test]
fn sleep_does_not_come_out_before_its_time() {
    let mut recorder = Recorder::new();
    for at in 1..100 {
        recorder.add(TICK / 2 * at + at, usize::try_from(at).unwrap());
    }
    for at in 1..100 {
        assert_eq!(recorder.due(TICK / 2 * at + at - 1, ALL), []);
        assert_eq!(recorder.due(TICK / 2 * at + at, ALL), [usize::try_from(at).unwrap()]);
    }
}

#[test]
fn first_sleep_is_exact_to_the_nanosecond() {
    let mut recorder = Recorder::new();
    assert_eq!(recorder.calendar.first(), None);
    for at in [9 * TICK + 7, 3 * TICK + 5, 3 * TICK + 9] {
        recorder.add(at, 0);
    }
    for at in [3 * TICK + 5, 3 * TICK + 9, 9 * TICK + 7] {
        assert_eq!(recorder.calendar.first(), Some(at));
        recorder.due(at, ALL);
    }
    assert_eq!(recorder.calendar.first(), None);
}

#[test]
fn sleep_added_to_a_begun_tick_is_in_order() {
    let mut recorder = Recorder::new();
    for at in [10, 50, 90] {
        recorder.add(TICK + at, 0);
    }
    assert_eq!(recorder.due(TICK + 10, ALL).len(), 1);
    let names = [(70, 3), (30, 1), (50, 2), (95, 4)];
    for (at, name) in names {
        recorder.add(TICK + at, name);
    }
    assert_eq!(recorder.calendar.first(), Some(TICK + 30));
    assert_eq!(recorder.due(TICK + 94, ALL), [1, 0, 2, 3, 0]);
    assert_eq!(recorder.due(TICK + 95, ALL), [4]);
}

#[test]
fn sleep_in_the_past_is_not_added() {
    let mut recorder = Recorder::new();
    assert_eq!(recorder.due(TICK, ALL), []);
    assert!(recorder.add(TICK, 0).is_none());
    assert!(recorder.add(TICK + 1, 0).is_some());
    assert_eq!(recorder.wakers(), 1);
}

#[test]
fn due_sleeps_come_out_in_batches_and_none_is_missed() {
    let mut recorder = Recorder::new();
    for name in 0..100 {
        recorder.add(TICK / 10 * (1 + name), usize::try_from(name).unwrap());
    }
    let mut names = Vec::new();
    while recorder.calendar.first().is_some() {
        let due = recorder.due(10 * TICK, 7);
        assert!(due.len() <= 7);
        names.extend(due);
    }
    assert_eq!(names, (0..100).collect::<Vec<_>>());
}

#[test]
fn moment_has_passed_once_its_last_sleep_is_out() {
    let mut recorder = Recorder::new();
    for at in [TICK + 1, TICK + 5, TICK + 5, 3 * TICK] {
        recorder.add(at, 0);
    }
    for (most, over_before) in [(1, TICK + 5), (1, TICK + 5), (1, TICK + 8)] {
        assert_eq!(recorder.due(TICK + 7, most).len(), 1);
        assert_eq!(recorder.calendar.over_before(), over_before);
    }
    recorder.due(5 * TICK, ALL);
    assert_eq!(recorder.calendar.over_before(), 5 * TICK + 1);
}

#[test]
fn removed_sleep_does_not_come_out() {
    let mut random = Rng::with_seed(2);
    let mut recorder = Recorder::new();
    let mut ranks: Vec<_> = (0..2000)
        .map(|name| {
            let at = random.u64(TICK..5 * TICK);
            (at, name, recorder.add(at, name).unwrap())
        })
        .collect();
    let mut expected = Vec::new();
    let mut come = Vec::new();
    for step in 1..=50 {
        let now = TICK + step * TICK / 10;
        random.shuffle(&mut ranks);
        for (at, name, rank) in ranks.split_off(ranks.len() - ranks.len() / 20) {
            // A sleep that was taken out cannot be removed.
            let is_out = come.contains(&name);
            assert_eq!(recorder.calendar.remove(at, rank).is_none(), is_out);
            if is_out {
                expected.push(name);
            }
        }
        come.extend(recorder.due(now, ALL));
    }
    expected.extend(ranks.iter().map(|(_, name, _)| *name));
    expected.sort_unstable();
    come.sort_unstable();
    assert_eq!(come, expected);
    assert_eq!((recorder.wakers(), recorder.kept()), (0, 0));
}

#[test]
fn removed_sleep_leaves_no_waker() {
    let mut recorder = Recorder::new();
    let ranks = [TICK + 1, TICK + 2, TICK + 3].map(|at| (at, recorder.add(at, 0).unwrap()));
    recorder.due(TICK + 1, ALL);
    for (at, rank) in ranks {
        drop(recorder.calendar.remove(at, rank));
        assert!(recorder.calendar.remove(at, rank).is_none(), "a sleep was removed twice");
    }
    assert_eq!(recorder.wakers(), 0);
    assert_eq!(recorder.due(TICK + 3, ALL), []);
    assert_eq!(recorder.calendar.first(), None);
}

#[test]
fn removed_sleeps_do_not_accumulate() {
    let mut recorder = Recorder::new();
    let at = 1000 * TICK;
    let alive: Vec<_> = (0..10).map(|name| recorder.add(at + 1, name).unwrap()).collect();
    for many in std::iter::once(10_000).chain(std::iter::repeat_n(10, 10_000)) {
        let ranks: Vec<_> = (0..many).map(|_| recorder.add(at, 0).unwrap()).collect();
        for rank in ranks {
            drop(recorder.calendar.remove(at, rank));
        }
        assert!(recorder.kept() <= 40);
    }
    let room = recorder.calendar.later.values().map(|bucket| bucket.sleepers.capacity());
    assert!(room.sum::<usize>() <= 80);
    for rank in alive {
        drop(recorder.calendar.remove(at + 1, rank));
    }
    assert!(recorder.calendar.later.is_empty());
}
