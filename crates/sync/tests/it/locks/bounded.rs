//! A semaphore with a fixed number of permits.

use std::task::Poll;

use spinney_sync::{BoundedSemaphore, Closed, OverRelease, TryAcquireError};
use spinney_test_support::ByHand;

#[test]
fn forgotten_permits_are_released_to_waiters() {
    let semaphore = BoundedSemaphore::new(2);
    semaphore.try_acquire_many(2).unwrap().forget();
    let mut waiter = ByHand::waiting(semaphore.acquire());
    assert_eq!(semaphore.release(1), Ok(()));
    assert_eq!((waiter.wakes(), semaphore.available(), semaphore.waiting()), (1, 0, 0));
    assert!(matches!(waiter.poll(), Poll::Ready(Ok(_))));
    assert_eq!((semaphore.available(), semaphore.capacity()), (1, 2));
}

#[test]
fn release_of_more_than_are_out_is_refused() {
    let semaphore = BoundedSemaphore::new(3);
    assert_eq!(semaphore.release(1), Err(OverRelease));
    semaphore.try_acquire_many(2).unwrap().forget();
    let heavy = ByHand::waiting(semaphore.acquire_many(2));
    assert_eq!(semaphore.release(3), Err(OverRelease));
    assert_eq!((semaphore.available(), semaphore.waiting(), heavy.wakes()), (1, 1, 0));
    assert_eq!(semaphore.release(0), Ok(()));
    assert_eq!(semaphore.release(2), Ok(()));
    assert_eq!((semaphore.capacity(), heavy.wakes()), (3, 1));
}

#[test]
fn permit_released_for_its_holder_returns_once() {
    let semaphore = BoundedSemaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    assert_eq!(semaphore.release(1), Ok(()));
    drop(held);
    assert_eq!((semaphore.capacity(), semaphore.available()), (1, 1));
    assert_eq!(semaphore.release(1), Err(OverRelease));
}

#[test]
fn waiters_are_served_in_the_order_they_came() {
    let semaphore = BoundedSemaphore::new(2);
    let held = semaphore.try_acquire().unwrap();
    let heavy = ByHand::waiting(semaphore.acquire_many(2));
    let light = ByHand::waiting(semaphore.acquire());
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::WouldBlock);
    drop(held);
    assert_eq!((heavy.wakes(), light.wakes()), (1, 0));
    drop(heavy);
    assert_eq!(light.wakes(), 1);
}

#[test]
fn close_refuses_waiters_and_newcomers() {
    let semaphore = BoundedSemaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut waiter = ByHand::waiting(semaphore.acquire());
    assert!(!semaphore.is_closed());
    semaphore.close();
    assert!(semaphore.is_closed());
    assert!(matches!(waiter.poll(), Poll::Ready(Err(Closed))));
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    drop(held);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn error_says_what_is_wrong() {
    assert_eq!(OverRelease.to_string(), "more permits were returned than are out");
}
