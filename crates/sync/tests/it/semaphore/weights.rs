//! Several permits that are acquired together.

use std::sync::Arc;
use std::task::Poll;

use spinney_sync::{Acquire, Closed, Semaphore, TryAcquireError};
use spinney_test_support::ByHand;

#[test]
fn permit_of_many_returns_them_all() {
    let semaphore = Semaphore::new(5);
    let Poll::Ready(Ok(permit)) = ByHand::of(semaphore.acquire_many(3)).poll() else {
        panic!("too few permits were free")
    };
    assert_eq!((permit.permits(), semaphore.out(), semaphore.available()), (3, 3, 2));
    drop(permit);
    assert_eq!((semaphore.out(), semaphore.available()), (0, 5));
    assert_eq!(semaphore.try_acquire().unwrap().permits(), 1);
}

#[test]
fn try_acquire_many_takes_all_or_nothing() {
    let semaphore = Semaphore::new(3);
    assert_eq!(semaphore.try_acquire_many(4).unwrap_err(), TryAcquireError::WouldBlock);
    let permit = semaphore.try_acquire_many(2).unwrap();
    assert_eq!(semaphore.try_acquire_many(2).unwrap_err(), TryAcquireError::WouldBlock);
    assert_eq!((semaphore.out(), semaphore.waiting()), (2, 0));
    drop(permit);
    assert!(semaphore.try_acquire_many(3).is_ok());
}

#[test]
fn heavy_waiter_is_overtaken_by_no_light_one() {
    let semaphore = Semaphore::new(3);
    let held = [0, 1, 2].map(|_| semaphore.try_acquire().unwrap());
    let mut heavy = ByHand::waiting(semaphore.acquire_many(3));
    let mut light = ByHand::waiting(semaphore.acquire());
    let [one, two, three] = held;
    drop((one, two));
    assert_eq!((semaphore.available(), heavy.wakes(), light.wakes()), (2, 0, 0));
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::WouldBlock);
    assert!(light.poll().is_pending());
    drop(three);
    assert_eq!((semaphore.available(), heavy.wakes(), light.wakes()), (0, 1, 0));
    let Poll::Ready(Ok(permit)) = heavy.poll() else { panic!("the heavy waiter was not served") };
    drop(permit);
    assert_eq!(light.wakes(), 1);
}

#[test]
fn permits_returned_together_serve_as_many_waiters_as_fit() {
    let semaphore = Semaphore::new(6);
    semaphore.try_acquire_many(6).unwrap().forget();
    let waiting = [2, 1, 3, 1].map(|want| ByHand::waiting(semaphore.acquire_many(want)));
    semaphore.release(5);
    assert_eq!(waiting.each_ref().map(ByHand::wakes), [1, 1, 0, 0]);
    assert_eq!((semaphore.out(), semaphore.waiting()), (4, 2));
    semaphore.release(2);
    assert_eq!(waiting.each_ref().map(ByHand::wakes), [1, 1, 1, 1]);
    assert_eq!((semaphore.out(), semaphore.waiting()), (6, 0));
}

#[test]
fn dropped_heavy_waiter_admits_those_behind() {
    let semaphore = Semaphore::new(2);
    let _held = semaphore.try_acquire().unwrap();
    let heavy = ByHand::waiting(semaphore.acquire_many(2));
    let light = [0, 1].map(|_| ByHand::waiting(semaphore.acquire()));
    drop(heavy);
    assert_eq!(light.each_ref().map(ByHand::wakes), [1, 0]);
    assert_eq!((semaphore.out(), semaphore.waiting()), (2, 1));
}

#[test]
fn served_heavy_waiter_passes_all_permits_on_when_dropped() {
    let semaphore = Semaphore::new(3);
    let held = semaphore.try_acquire_many(3).unwrap();
    let heavy = ByHand::waiting(semaphore.acquire_many(3));
    let light = [0, 1, 2, 3].map(|_| ByHand::waiting(semaphore.acquire()));
    drop(held);
    assert_eq!((heavy.wakes(), semaphore.waiting()), (1, 4));
    drop(heavy);
    assert_eq!(light.each_ref().map(ByHand::wakes), [1, 1, 1, 0]);
    assert_eq!((semaphore.out(), semaphore.waiting()), (3, 1));
}

#[test]
fn acquire_beyond_the_capacity_waits_for_a_resize() {
    let semaphore = Semaphore::new(2);
    let mut heavy = ByHand::waiting(semaphore.acquire_many(4));
    let behind = ByHand::waiting(semaphore.acquire());
    assert_eq!((semaphore.available(), semaphore.waiting()), (2, 2));
    semaphore.resize(3);
    assert_eq!((heavy.wakes(), behind.wakes()), (0, 0));
    semaphore.add(1);
    assert_eq!((heavy.wakes(), behind.wakes()), (1, 0));
    assert!(matches!(heavy.poll(), Poll::Ready(Ok(_))));
    assert_eq!(behind.wakes(), 1);
}

#[test]
fn acquire_of_zero_permits_waits_and_takes_nothing() {
    let semaphore = Semaphore::new(0);
    let Poll::Ready(Ok(nothing)) = ByHand::of(semaphore.acquire_many(0)).poll() else {
        panic!("the acquire had to wait")
    };
    assert_eq!((nothing.permits(), semaphore.out(), semaphore.waiting()), (0, 0, 0));
    drop(nothing);
    let one = ByHand::waiting(semaphore.acquire());
    let mut none = ByHand::waiting(semaphore.acquire_many(0));
    assert_eq!(semaphore.try_acquire_many(0).unwrap_err(), TryAcquireError::WouldBlock);
    semaphore.add(1);
    assert_eq!((one.wakes(), none.wakes(), semaphore.out()), (1, 1, 1));
    assert!(matches!(none.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn acquire_of_zero_permits_leaves_it_idle() {
    let semaphore = Semaphore::new(0);
    let one = ByHand::waiting(semaphore.acquire());
    let none = ByHand::waiting(semaphore.acquire_many(0));
    let idle = ByHand::waiting(semaphore.wait_idle());
    drop(one);
    assert_eq!((none.wakes(), idle.wakes()), (1, 1));
}

#[test]
fn acquire_of_the_largest_number_waits() {
    let semaphore = Semaphore::new(usize::MAX);
    let one = semaphore.try_acquire().unwrap();
    let mut all = ByHand::waiting(semaphore.acquire_many(usize::MAX));
    drop(one);
    let Poll::Ready(Ok(permit)) = all.poll() else { panic!("the permits are not free") };
    assert_eq!((semaphore.out(), semaphore.available()), (usize::MAX, 0));
    drop(permit);
    assert_eq!(semaphore.out(), 0);
}

#[test]
fn forgotten_heavy_permit_is_released_in_parts() {
    let semaphore = Semaphore::new(3);
    semaphore.try_acquire_many(3).unwrap().forget();
    semaphore.release(1);
    assert_eq!(semaphore.out(), 2);
    semaphore.release(2);
    assert_eq!((semaphore.out(), semaphore.capacity()), (0, 3));
}

#[test]
fn close_refuses_heavy_and_light_waiters() {
    let semaphore = Semaphore::new(1);
    let mut waiting = [3, 1].map(|want| ByHand::waiting(semaphore.acquire_many(want)));
    semaphore.close();
    assert!(waiting.iter_mut().all(|waiter| matches!(waiter.poll(), Poll::Ready(Err(Closed)))));
    assert_eq!(semaphore.try_acquire_many(0).unwrap_err(), TryAcquireError::Closed);
    assert_eq!((semaphore.out(), semaphore.available()), (0, 1));
}

#[test]
fn balance_counts_waiters_and_not_weights() {
    let semaphore = Semaphore::new(1);
    let _waiting = [5, 5].map(|want| ByHand::waiting(semaphore.acquire_many(want)));
    assert_eq!((semaphore.waiting(), semaphore.balance()), (2, -1));
}

#[test]
fn many_can_be_acquired_without_a_borrow() {
    let semaphore = Arc::new(Semaphore::new(2));
    let mut acquire = ByHand::of(Acquire::many(Arc::clone(&semaphore), 2));
    let Poll::Ready(Ok(permit)) = acquire.poll() else { panic!("two permits were not free") };
    assert_eq!((permit.permits(), semaphore.out()), (2, 2));
}
