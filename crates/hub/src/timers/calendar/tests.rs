//! What a calendar promises, without a clock.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use fastrand::Rng;

use super::{Calendar, IN_TICK, Moment, Rank};

const TICK: Moment = 1 << IN_TICK;
const ALL: usize = usize::MAX;

/// A calendar, and who was taken out of it.
struct Told {
    calendar: Calendar,
    names: Arc<Mutex<Vec<usize>>>,
}

struct Name(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Name {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

impl Told {
    fn new() -> Self {
        Self { calendar: Calendar::new(), names: Arc::default() }
    }

    fn add(&mut self, at: Moment, name: usize) -> Option<Rank> {
        self.calendar.add(at, &Waker::from(Arc::new(Name(name, Arc::clone(&self.names)))))
    }

    /// The names of those that are due by `now`.
    fn due(&mut self, now: Moment, most: usize) -> Vec<usize> {
        self.calendar.take_due(now, most).into_iter().for_each(Waker::wake);
        std::mem::take(&mut self.names.lock().unwrap())
    }

    /// How many are kept, whether they were removed or not.
    fn kept(&self) -> usize {
        let later = self.calendar.later.values().map(|bucket| bucket.sleepers.len());
        self.calendar.next.len() + later.sum::<usize>()
    }

    /// How many wakers there are.
    fn wakers(&self) -> usize {
        Arc::strong_count(&self.names) - 1
    }
}

#[test]
fn they_come_out_in_the_order_of_their_times() {
    let mut random = Rng::with_seed(1);
    let mut told = Told::new();
    let mut times: Vec<Moment> = (0..3000).map(|_| random.u64(1..10 * TICK)).collect();
    for (name, at) in times.iter().enumerate() {
        told.add(*at, name);
    }
    let names = told.due(10 * TICK, ALL);
    let by_names: Vec<_> = names.iter().map(|name| times[*name]).collect();
    times.sort_unstable();
    assert_eq!(by_names, times);
}

#[test]
fn of_one_time_they_come_out_as_they_came() {
    let mut told = Told::new();
    for name in 0..1000 {
        told.add(TICK + 5, name);
    }
    assert_eq!(told.due(TICK + 4, ALL), []);
    let names: Vec<_> = [300, 300, ALL].iter().flat_map(|n| told.due(TICK + 5, *n)).collect();
    assert_eq!(names, (0..1000).collect::<Vec<_>>());
}

#[test]
fn nobody_comes_out_before_their_time() {
    let mut told = Told::new();
    for at in 1..100 {
        told.add(TICK / 2 * at + at, usize::try_from(at).unwrap());
    }
    for at in 1..100 {
        assert_eq!(told.due(TICK / 2 * at + at - 1, ALL), []);
        assert_eq!(told.due(TICK / 2 * at + at, ALL), [usize::try_from(at).unwrap()]);
    }
}

#[test]
fn the_first_is_named_to_the_nanosecond() {
    let mut told = Told::new();
    assert_eq!(told.calendar.first(), None);
    for at in [9 * TICK + 7, 3 * TICK + 5, 3 * TICK + 9] {
        told.add(at, 0);
    }
    for at in [3 * TICK + 5, 3 * TICK + 9, 9 * TICK + 7] {
        assert_eq!(told.calendar.first(), Some(at));
        told.due(at, ALL);
    }
    assert_eq!(told.calendar.first(), None);
}

#[test]
fn one_that_comes_for_a_tick_that_has_begun_has_its_place() {
    let mut told = Told::new();
    for at in [10, 50, 90] {
        told.add(TICK + at, 0);
    }
    assert_eq!(told.due(TICK + 10, ALL).len(), 1);
    let names = [(70, 3), (30, 1), (50, 2), (95, 4)];
    for (at, name) in names {
        told.add(TICK + at, name);
    }
    assert_eq!(told.calendar.first(), Some(TICK + 30));
    assert_eq!(told.due(TICK + 94, ALL), [1, 0, 2, 3, 0]);
    assert_eq!(told.due(TICK + 95, ALL), [4]);
}

#[test]
fn what_has_passed_is_not_added() {
    let mut told = Told::new();
    assert_eq!(told.due(TICK, ALL), []);
    assert!(told.add(TICK, 0).is_none());
    assert!(told.add(TICK + 1, 0).is_some());
    assert_eq!(told.wakers(), 1);
}

#[test]
fn due_sleeps_come_out_in_batches_and_none_is_missed() {
    let mut told = Told::new();
    for name in 0..100 {
        told.add(TICK / 10 * (1 + name), usize::try_from(name).unwrap());
    }
    let mut names = Vec::new();
    while told.calendar.first().is_some() {
        let due = told.due(10 * TICK, 7);
        assert!(due.len() <= 7);
        names.extend(due);
    }
    assert_eq!(names, (0..100).collect::<Vec<_>>());
}

#[test]
fn moment_is_over_once_its_last_sleep_is_out() {
    let mut told = Told::new();
    for at in [TICK + 1, TICK + 5, TICK + 5, 3 * TICK] {
        told.add(at, 0);
    }
    for (most, over_before) in [(1, TICK + 5), (1, TICK + 5), (1, TICK + 8)] {
        assert_eq!(told.due(TICK + 7, most).len(), 1);
        assert_eq!(told.calendar.over_before(), over_before);
    }
    told.due(5 * TICK, ALL);
    assert_eq!(told.calendar.over_before(), 5 * TICK + 1);
}

#[test]
fn what_is_removed_does_not_come_out_wherever_it_was() {
    let mut random = Rng::with_seed(2);
    let mut told = Told::new();
    let mut ranks: Vec<_> = (0..2000)
        .map(|name| {
            let at = random.u64(TICK..5 * TICK);
            (at, name, told.add(at, name).unwrap())
        })
        .collect();
    let mut expected = Vec::new();
    let mut come = Vec::new();
    for step in 1..=50 {
        let now = TICK + step * TICK / 10;
        random.shuffle(&mut ranks);
        for (at, name, rank) in ranks.split_off(ranks.len() - ranks.len() / 20) {
            // Whoever is out is not removed.
            let is_out = come.contains(&name);
            assert_eq!(told.calendar.remove(at, rank).is_none(), is_out);
            if is_out {
                expected.push(name);
            }
        }
        come.extend(told.due(now, ALL));
    }
    expected.extend(ranks.iter().map(|(_, name, _)| *name));
    expected.sort_unstable();
    come.sort_unstable();
    assert_eq!(come, expected);
    assert_eq!((told.wakers(), told.kept()), (0, 0));
}

#[test]
fn one_that_was_removed_is_gone_with_its_waker() {
    let mut told = Told::new();
    let ranks = [TICK + 1, TICK + 2, TICK + 3].map(|at| (at, told.add(at, 0).unwrap()));
    told.due(TICK + 1, ALL);
    for (at, rank) in ranks {
        drop(told.calendar.remove(at, rank));
        assert!(told.calendar.remove(at, rank).is_none(), "twice is once");
    }
    assert_eq!(told.wakers(), 0);
    assert_eq!(told.due(TICK + 3, ALL), []);
    assert_eq!(told.calendar.first(), None);
}

#[test]
fn the_dead_do_not_pile_up() {
    let mut told = Told::new();
    let at = 1000 * TICK;
    let alive: Vec<_> = (0..10).map(|name| told.add(at + 1, name).unwrap()).collect();
    for many in std::iter::once(10_000).chain(std::iter::repeat_n(10, 10_000)) {
        let ranks: Vec<_> = (0..many).map(|_| told.add(at, 0).unwrap()).collect();
        for rank in ranks {
            drop(told.calendar.remove(at, rank));
        }
        assert!(told.kept() <= 40);
    }
    let room = told.calendar.later.values().map(|bucket| bucket.sleepers.capacity());
    assert!(room.sum::<usize>() <= 80);
    for rank in alive {
        drop(told.calendar.remove(at + 1, rank));
    }
    assert!(told.calendar.later.is_empty());
}
