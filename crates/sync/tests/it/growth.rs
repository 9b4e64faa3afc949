//! The cost of operations, by the number of waiters.

use std::cell::Cell;
use std::hash::{Hash, Hasher};

use spinney_sync::{Event, Queue, RLock, Semaphore};
use spinney_test_support::ByHand;

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// An owner that counts how often owners are compared and hashed.
#[derive(Clone, Debug)]
struct Owner(usize);

fn count() {
    LOOKS.set(LOOKS.get() + 1);
}

impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        count();
        self.0 == other.0
    }
}

impl Eq for Owner {}

impl Hash for Owner {
    fn hash<H: Hasher>(&self, state: &mut H) {
        count();
        self.0.hash(state);
    }
}

#[test]
fn rlock_release_compares_few_owners() {
    const WAITERS: usize = 10_000;
    let lock = RLock::new();
    let held = lock.try_acquire(Owner(0)).unwrap();
    let waiting: Vec<_> =
        (1..=WAITERS).map(|id| ByHand::waiting(lock.acquire(Owner(id)))).collect();
    LOOKS.set(0);
    drop(held);
    for mut waiter in waiting {
        assert_eq!(waiter.wakes(), 1);
        assert!(waiter.poll().is_ready());
    }
    assert!(!lock.is_locked());
    assert!(LOOKS.get() < 20 * WAITERS, "{} looks", LOOKS.get());
}

#[test]
fn rlock_wakes_each_wait_of_an_owner_once_a_poll() {
    const WAITERS: usize = 1000;
    let lock = RLock::new();
    let held = lock.try_acquire(Owner(0)).unwrap();
    let mut waiting: Vec<_> =
        (0..WAITERS).map(|_| ByHand::waiting(lock.acquire(Owner(1)))).collect();
    drop(held);
    for waiter in &mut waiting {
        assert_eq!(waiter.wakes(), 1);
        assert!(waiter.poll().is_ready(), "the next owner did not get the lock");
    }
    assert!(!lock.is_locked());
}

#[test]
fn rlock_wakes_a_wait_again_after_a_vain_poll() {
    let lock = RLock::new();
    let held = lock.try_acquire(0).unwrap();
    let first = ByHand::waiting(lock.acquire(1));
    let between = ByHand::waiting(lock.acquire(2));
    let third = ByHand::waiting(lock.acquire(1));
    let mut second = ByHand::waiting(lock.acquire(1));
    drop(held);
    assert_eq!((third.wakes(), second.wakes()), (1, 1));
    drop(first);
    assert!(second.poll().is_pending(), "the wait got a lock that is taken");
    drop(between);
    assert_eq!((third.wakes(), second.wakes()), (1, 2), "the third was not woken once");
    drop(third);
    assert!(second.poll().is_ready());
}

/// Starts 100,000 waits, and drops all but a few in random order; with quadratic cost it would take
/// minutes.
fn dropped_at_random<F: Future>(wait: impl Fn() -> F, serve: impl FnOnce()) {
    const WAITERS: usize = 100_000;
    let mut waiting: Vec<_> = (0..WAITERS).map(|_| Some(ByHand::waiting(wait()))).collect();
    let mut places: Vec<_> = (0..WAITERS).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut places);
    for place in &places[100..] {
        waiting[*place] = None;
    }
    serve();
    for mut left in waiting.into_iter().flatten() {
        assert_eq!(left.wakes(), 1);
        assert!(left.poll().is_ready());
    }
}

#[test]
fn waits_dropped_at_random_keep_the_line_in_order() {
    let event = Event::new();
    dropped_at_random(|| event.wait(), || event.set());
    let queue = Queue::from_iter([1]);
    dropped_at_random(|| queue.join(), || queue.task_done().unwrap());
    let semaphore = Semaphore::new(0);
    dropped_at_random(|| semaphore.acquire(), || semaphore.resize(100));
    let lock = RLock::new();
    let held = lock.try_acquire(0).unwrap();
    dropped_at_random(|| lock.acquire(1), || drop(held));
}
