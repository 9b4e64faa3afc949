//! Idle: no permit is out and no task waits for one.

use std::task::Poll;

use spinney_sync::Semaphore;
use spinney_test_support::ByHand;

#[test]
fn wait_idle_of_an_idle_semaphore_is_ready() {
    let semaphore = Semaphore::new(1);
    assert!(ByHand::of(semaphore.wait_idle()).poll().is_ready());
    drop(semaphore.try_acquire().unwrap());
    assert!(ByHand::of(semaphore.wait_idle()).poll().is_ready());
}

#[test]
fn last_returned_permit_ends_the_idle_wait() {
    let semaphore = Semaphore::new(2);
    let [one, two] = [semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap()];
    let mut idle = ByHand::waiting(semaphore.wait_idle());
    drop(one);
    assert_eq!(idle.wakes(), 0);
    drop(two);
    assert_eq!(idle.wakes(), 1);
    assert!(idle.poll().is_ready());
}

#[test]
fn last_permit_put_back_ends_the_idle_wait_when_handed_out() {
    let semaphore = Semaphore::new(1);
    semaphore.try_acquire().unwrap().forget();
    let mut idle = ByHand::waiting(semaphore.wait_idle());
    let hand_out = semaphore.put_back(1);
    assert_eq!(idle.wakes(), 0);
    drop(hand_out);
    assert_eq!(idle.wakes(), 1);
    assert!(idle.poll().is_ready());
}

#[test]
fn permit_for_a_waiter_does_not_end_the_idle_wait() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut waiter = ByHand::waiting(semaphore.acquire());
    let mut idle = ByHand::waiting(semaphore.wait_idle());
    drop(held);
    assert!(idle.poll().is_pending());
    assert_eq!(idle.wakes(), 0);
    let Poll::Ready(Ok(permit)) = waiter.poll() else { panic!("the waiter was not served") };
    drop(permit);
    assert!(idle.poll().is_ready());
}

#[test]
fn last_dropped_waiter_ends_the_idle_wait() {
    let semaphore = Semaphore::new(0);
    let waiter = ByHand::waiting(semaphore.acquire());
    let mut idle = ByHand::waiting(semaphore.wait_idle());
    drop(waiter);
    assert_eq!(idle.wakes(), 1);
    assert!(idle.poll().is_ready());
}

#[test]
fn dropped_served_waiter_ends_the_idle_wait() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let waiter = ByHand::waiting(semaphore.acquire());
    let mut idle = ByHand::waiting(semaphore.wait_idle());
    drop(held);
    drop(waiter);
    assert!(idle.poll().is_ready());
}

#[test]
fn close_ends_the_idle_wait_if_no_permit_is_out() {
    let semaphore = Semaphore::new(0);
    let _waiter = ByHand::waiting(semaphore.acquire());
    let mut idle = ByHand::waiting(semaphore.wait_idle());
    semaphore.close();
    assert_eq!(idle.wakes(), 1);
    assert!(idle.poll().is_ready());
}

#[test]
fn close_does_not_end_the_idle_wait_with_permits_out() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut idle = ByHand::waiting(semaphore.wait_idle());
    semaphore.close();
    assert!(idle.poll().is_pending());
    drop(held);
    assert!(idle.poll().is_ready());
}

#[test]
fn idle_wait_ends_even_if_busy_again() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut idle = ByHand::waiting(semaphore.wait_idle());
    drop(held);
    let _again = semaphore.try_acquire().unwrap();
    assert!(idle.poll().is_ready());
}

#[test]
fn earlier_idleness_ends_no_later_idle_wait() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut early = ByHand::waiting(semaphore.wait_idle());
    drop(held);
    let held = semaphore.try_acquire().unwrap();
    let mut late = ByHand::waiting(semaphore.wait_idle());
    assert!(early.poll().is_ready());
    assert!(late.poll().is_pending());
    drop(held);
    assert_eq!(late.wakes(), 1);
    assert!(late.poll().is_ready());
}

#[test]
fn all_idle_waits_end_and_a_dropped_one_affects_none() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut asked: Vec<_> = (0..5).map(|_| ByHand::waiting(semaphore.wait_idle())).collect();
    asked.remove(2);
    drop(held);
    assert!(asked.iter_mut().all(|idle| idle.wakes() == 1 && idle.poll().is_ready()));
}
