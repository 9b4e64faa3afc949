//! First in, first out.

use std::sync::Arc;
use std::task::Poll;

use spinney_sync::{Acquire, Semaphore, TryAcquireError};
use spinney_test_support::ByHand;

#[test]
fn free_permit_is_acquired_immediately() {
    let semaphore = Semaphore::new(2);
    let mut acquire = ByHand::of(semaphore.acquire());
    let Poll::Ready(Ok(permit)) = acquire.poll() else { panic!("no permit was free") };
    assert_eq!((semaphore.out(), semaphore.available()), (1, 1));
    drop(permit);
    assert_eq!((semaphore.out(), semaphore.available()), (0, 2));
}

#[test]
fn unpolled_acquire_has_no_place_in_the_queue() {
    let semaphore = Semaphore::new(1);
    let unpolled = semaphore.acquire();
    assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
    assert!(semaphore.try_acquire().is_ok());
    drop(unpolled);
    assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
}

#[test]
fn thousand_waiters_are_served_in_fifo_order() {
    let semaphore = Semaphore::new(1);
    let mut held = semaphore.try_acquire().unwrap();
    let mut waiting: Vec<_> = (0..1000).map(|_| ByHand::waiting(semaphore.acquire())).collect();
    for first in 0..waiting.len() {
        drop(held);
        let woken: Vec<_> = waiting.iter().map(ByHand::wakes).collect();
        let expected: Vec<_> = (0..1000).map(|n| usize::from(n <= first)).collect();
        assert_eq!(woken, expected, "a waiter was woken out of turn or twice");
        let Poll::Ready(Ok(permit)) = waiting[first].poll() else {
            panic!("{first} was not served")
        };
        held = permit;
    }
}

#[test]
fn served_waiters_may_run_in_any_order() {
    let semaphore = Semaphore::new(3);
    let held: Vec<_> = (0..3).map(|_| semaphore.try_acquire().unwrap()).collect();
    let mut waiting: Vec<_> = (0..4).map(|_| ByHand::waiting(semaphore.acquire())).collect();
    drop(held);
    for late in [2, 0, 1] {
        let Poll::Ready(Ok(permit)) = waiting[late].poll() else { panic!("{late} was not served") };
        permit.forget();
    }
    assert!(waiting[3].poll().is_pending());
    assert_eq!((semaphore.out(), semaphore.waiting()), (3, 1));
}

#[test]
fn permit_of_a_woken_waiter_is_not_free_to_a_newcomer() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut first = ByHand::waiting(semaphore.acquire());
    drop(held);
    assert_eq!((semaphore.out(), semaphore.available(), semaphore.waiting()), (1, 0, 0));
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::WouldBlock);
    let mut newcomer = ByHand::waiting(semaphore.acquire());
    assert!(matches!(first.poll(), Poll::Ready(Ok(_))));
    assert_eq!(newcomer.wakes(), 1, "the permit of the first was not returned");
    assert!(matches!(newcomer.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn waiter_polled_without_its_turn_keeps_its_place() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut first = ByHand::waiting(semaphore.acquire());
    let second = ByHand::waiting(semaphore.acquire());
    for _ in 0..10 {
        assert!(first.poll().is_pending());
    }
    assert_eq!(semaphore.waiting(), 2);
    drop(held);
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
}

#[test]
fn failed_try_acquire_leaves_nothing_behind() {
    let semaphore = Semaphore::new(0);
    for _ in 0..10 {
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::WouldBlock);
    }
    assert_eq!((semaphore.out(), semaphore.waiting(), semaphore.balance()), (0, 0, 0));
}

#[test]
fn acquire_over_an_arc_borrows_nothing() {
    fn is_static<T: Send + 'static>(value: T) -> T {
        value
    }
    let semaphore = Arc::new(Semaphore::new(1));
    let mut one = is_static(ByHand::of(Acquire::of(Arc::clone(&semaphore))));
    let Poll::Ready(Ok(permit)) = one.poll() else { panic!("no permit was free") };
    let mut two = ByHand::waiting(Acquire::of(Arc::clone(&semaphore)));
    drop(semaphore);
    drop(is_static(permit));
    assert_eq!(two.wakes(), 1);
    assert!(matches!(two.poll(), Poll::Ready(Ok(_))), "the semaphore is gone");
}
