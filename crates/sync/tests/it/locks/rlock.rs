//! Re-entrant locks.

use std::task::Poll;

use futures_lite::future::{block_on, zip};
use spinney_sync::{NotOwner, RLock, RLockGuard};
use spinney_test_support::ByHand;

/// The state of a lock: its depth, its owner, the number of waiters.
fn state(lock: &RLock<u32>) -> (usize, Option<u32>, usize) {
    assert_eq!(lock.is_locked(), lock.owner().is_some());
    (lock.depth(), lock.owner(), lock.waiting())
}

/// Takes a lock that is free.
#[track_caller]
fn take(lock: &RLock<u32>, owner: u32) -> RLockGuard<'_, u32> {
    let Poll::Ready(guard) = ByHand::of(lock.acquire(owner)).poll() else { panic!("{lock:?}") };
    guard
}

#[test]
fn free_lock_is_taken_and_released() {
    let lock = RLock::new();
    assert_eq!(state(&lock), (0, None, 0));
    let guard = take(&lock, 1);
    assert_eq!(state(&lock), (1, Some(1), 0));
    drop(guard);
    assert_eq!(state(&lock), (0, None, 0));
}

#[test]
fn owner_takes_the_lock_again_and_each_guard_releases() {
    let lock = RLock::default();
    let guards = [take(&lock, 1), lock.try_acquire(1).unwrap(), take(&lock, 1)];
    assert_eq!(state(&lock), (3, Some(1), 0));
    for (left, guard) in [2, 1, 0].into_iter().zip(guards) {
        assert!(lock.try_acquire(2).is_none());
        drop(guard);
        assert_eq!(lock.depth(), left);
    }
    assert!(lock.try_acquire(2).is_some());
}

#[test]
fn other_owners_are_served_in_fifo_order() {
    let lock = RLock::new();
    let mut held = take(&lock, 0);
    let mut waiting: Vec<_> = (1..=10).map(|owner| ByHand::waiting(lock.acquire(owner))).collect();
    for (owner, waiter) in (1..).zip(&mut waiting) {
        assert_eq!(waiter.wakes(), 0);
        drop(held);
        assert_eq!((lock.owner(), waiter.wakes()), (Some(owner), 1));
        let Poll::Ready(guard) = waiter.poll() else { panic!("the lock was not handed over") };
        held = guard;
    }
    drop(held);
    assert_eq!(state(&lock), (0, None, 0));
}

#[test]
fn waiter_polled_without_its_turn_keeps_its_place() {
    let lock = RLock::new();
    let held = take(&lock, 1);
    let mut first = ByHand::waiting(lock.acquire(2));
    let second = ByHand::waiting(lock.acquire(3));
    assert!(first.poll().is_pending());
    assert_eq!(lock.waiting(), 2);
    drop(held);
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
}

#[test]
fn owner_overtakes_waiters() {
    let lock = RLock::new();
    let outer = take(&lock, 1);
    let waiter = ByHand::waiting(lock.acquire(2));
    let inner = take(&lock, 1);
    drop(outer);
    assert_eq!((state(&lock), waiter.wakes()), ((1, Some(1), 1), 0));
    drop(inner);
    assert_eq!((state(&lock), waiter.wakes()), ((1, Some(2), 0), 1));
}

#[test]
fn lock_handed_to_a_waiter_is_owned_by_it() {
    let lock = RLock::new();
    let held = take(&lock, 1);
    let mut waiter = ByHand::waiting(lock.acquire(2));
    drop(held);
    assert!(lock.try_acquire(1).is_none());
    let inner = take(&lock, 2);
    let Poll::Ready(outer) = waiter.poll() else { panic!("the lock was not handed over") };
    assert_eq!(state(&lock), (2, Some(2), 0));
    drop((outer, inner));
    assert_eq!(state(&lock), (0, None, 0));
}

#[test]
fn waiter_dropped_before_its_turn_leaves_the_line() {
    let lock = RLock::new();
    let held = take(&lock, 1);
    let first = ByHand::waiting(lock.acquire(2));
    let second = ByHand::waiting(lock.acquire(3));
    drop(first);
    assert_eq!(state(&lock), (1, Some(1), 1));
    drop(held);
    assert_eq!((lock.owner(), second.wakes()), (Some(3), 1));
}

#[test]
fn waiter_dropped_with_the_lock_passes_it_on() {
    let lock = RLock::new();
    let held = take(&lock, 1);
    let first = ByHand::waiting(lock.acquire(2));
    let second = ByHand::waiting(lock.acquire(3));
    drop(held);
    drop(first);
    assert_eq!((state(&lock), second.wakes()), ((1, Some(3), 0), 1));
    drop(second);
    assert_eq!(state(&lock), (0, None, 0));
}

#[test]
fn owner_with_two_waits_gets_the_lock_in_both() {
    let lock = RLock::new();
    let held = take(&lock, 0);
    let mut first = ByHand::waiting(lock.acquire(1));
    let between = ByHand::waiting(lock.acquire(2));
    let mut second = ByHand::waiting(lock.acquire(1));
    drop(held);
    assert_eq!((first.wakes(), between.wakes(), second.wakes()), (1, 0, 1));
    // In any order; neither guard is dropped before both are acquired.
    let Poll::Ready(inner) = second.poll() else { panic!("the owner did not get its own lock") };
    let Poll::Ready(outer) = first.poll() else { panic!("the first wait was not served") };
    assert_eq!(state(&lock), (2, Some(1), 1));
    drop((outer, inner));
    assert_eq!((state(&lock), between.wakes()), ((1, Some(2), 0), 1));
}

#[test]
fn second_wait_keeps_its_place_if_the_lock_is_taken() {
    let lock = RLock::new();
    let held = take(&lock, 0);
    let first = ByHand::waiting(lock.acquire(1));
    let between = ByHand::waiting(lock.acquire(2));
    let mut second = ByHand::waiting(lock.acquire(1));
    drop(held);
    drop(first);
    assert!(second.poll().is_pending());
    drop(between);
    assert_eq!((state(&lock), second.wakes()), ((1, Some(1), 0), 2));
    assert!(second.poll().is_ready());
}

#[test]
fn forgotten_guard_is_released_by_its_owner() {
    let lock = RLock::new();
    take(&lock, 1).forget();
    let guard = take(&lock, 1);
    let waiter = ByHand::waiting(lock.acquire(2));
    drop(guard);
    assert_eq!((state(&lock), waiter.wakes()), ((1, Some(1), 1), 0));
    assert_eq!(lock.release(&1), Ok(()));
    assert_eq!((state(&lock), waiter.wakes()), ((1, Some(2), 0), 1));
}

#[test]
fn release_by_another_owner_fails() {
    let lock = RLock::new();
    assert_eq!(lock.release(&1), Err(NotOwner));
    let guard = take(&lock, 1);
    assert_eq!(lock.release(&2), Err(NotOwner));
    assert_eq!(state(&lock), (1, Some(1), 0));
    drop(guard);
    assert_eq!(NotOwner.to_string(), "the lock is not held by this owner");
}

#[test]
fn guard_after_release_takes_nothing_from_the_next() {
    let lock = RLock::new();
    let guard = take(&lock, 1);
    let waiter = ByHand::waiting(lock.acquire(2));
    assert_eq!(lock.release(&1), Ok(()));
    drop(guard);
    assert_eq!((state(&lock), waiter.wakes()), ((1, Some(2), 0), 1));
}

#[test]
fn any_type_of_id_can_own_a_lock() {
    let lock = RLock::new();
    let names = [String::from("Ann"), String::from("Bob")];
    let take = |name: &String| lock.acquire(name.clone());
    let both = zip(async { drop(take(&names[0]).await) }, async { drop(take(&names[1]).await) });
    block_on(both);
    assert_eq!(lock.owner(), None);
}
