//! A closed semaphore hands out no permit.

use std::task::Poll;

use spinney_sync::{Acquire, Closed, Semaphore, TryAcquireError};
use spinney_test_support::ByHand;

#[test]
fn close_refuses_all_waiters_and_wakes_each_once() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut waiting: Vec<_> = (0..10).map(|_| ByHand::waiting(semaphore.acquire())).collect();
    semaphore.close();
    assert!(semaphore.is_closed());
    assert_eq!((semaphore.waiting(), semaphore.out()), (0, 1));
    assert!(waiting.iter().all(|waiter| waiter.wakes() == 1));
    for waiter in &mut waiting {
        assert!(matches!(waiter.poll(), Poll::Ready(Err(Closed))));
    }
    drop(held);
    assert_eq!(semaphore.out(), 0);
}

#[test]
fn close_refuses_newcomers_even_if_permits_are_free() {
    let semaphore = Semaphore::new(1);
    semaphore.close();
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    assert!(matches!(ByHand::of(semaphore.acquire()).poll(), Poll::Ready(Err(Closed))));
    semaphore.resize(10);
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
}

#[test]
fn served_waiter_keeps_its_permit_after_the_close() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut served = ByHand::waiting(semaphore.acquire());
    let mut waiting = ByHand::waiting(semaphore.acquire());
    drop(held);
    semaphore.close();
    let Poll::Ready(Ok(permit)) = served.poll() else {
        panic!("the waiter was not served before the close")
    };
    assert!(matches!(waiting.poll(), Poll::Ready(Err(Closed))));
    assert_eq!(semaphore.out(), 1);
    drop(permit);
    assert_eq!(semaphore.out(), 0);
}

#[test]
fn refused_waiters_may_be_dropped_unpolled() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let waiting: Vec<_> = (0..5).map(|_| ByHand::waiting(semaphore.acquire())).collect();
    semaphore.close();
    drop(waiting);
    assert_eq!((semaphore.waiting(), semaphore.out(), semaphore.available()), (0, 1, 0));
    drop(held);
    assert_eq!((semaphore.out(), semaphore.available()), (0, 1));
}

#[test]
fn served_waiter_dropped_after_close_returns_its_permit() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let served = ByHand::waiting(semaphore.acquire());
    drop(held);
    semaphore.close();
    drop(served);
    assert_eq!(semaphore.out(), 0);
}

#[test]
fn second_close_is_a_no_op() {
    let semaphore = Semaphore::new(0);
    let waiter = ByHand::waiting(semaphore.acquire());
    semaphore.close();
    semaphore.close();
    assert_eq!(waiter.wakes(), 1);
}

#[test]
fn forgotten_permits_can_be_released_after_the_close() {
    let semaphore = Semaphore::new(1);
    semaphore.try_acquire().unwrap().forget();
    semaphore.close();
    semaphore.release(1);
    assert_eq!(semaphore.out(), 0);
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(Closed.to_string(), "it was closed");
    assert_eq!(TryAcquireError::Closed.to_string(), "it was closed");
    assert_eq!(TryAcquireError::WouldBlock.to_string(), "not enough permits are free");
}

#[test]
fn wait_despite_close_keeps_its_place_and_is_served() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut first = ByHand::waiting(Acquire::of(&semaphore).despite_close());
    let mut call = ByHand::waiting(semaphore.acquire());
    let mut second = ByHand::waiting(Acquire::of(&semaphore).despite_close());
    semaphore.close();
    assert!(matches!(call.poll(), Poll::Ready(Err(Closed))));
    assert!(first.poll().is_pending() && second.poll().is_pending());
    assert_eq!((semaphore.waiting(), semaphore.balance()), (2, -2));
    drop(held);
    let Poll::Ready(Ok(permit)) = first.poll() else { panic!("the first waiter was not served") };
    assert!(second.poll().is_pending());
    drop(permit);
    let Poll::Ready(Ok(permit)) = second.poll() else { panic!("the next waiter was not served") };
    assert_eq!((semaphore.out(), semaphore.available()), (1, 0));
    drop(permit);
    let Poll::Ready(Ok(permit)) = ByHand::of(Acquire::of(&semaphore).despite_close()).poll() else {
        panic!("no permit is free")
    };
    drop(permit);
    assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
}

/// Tickets are served in order, and a refused one is skipped.
#[test]
fn refused_waiter_gets_no_permit_of_one_behind_it() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let (mut polled, dropped) =
        (ByHand::waiting(semaphore.acquire()), ByHand::waiting(semaphore.acquire()));
    let mut behind = ByHand::waiting(Acquire::of(&semaphore).despite_close());
    assert_eq!(semaphore.close(), 2);
    assert_eq!(semaphore.close(), 0);
    drop(held);
    let Poll::Ready(Ok(permit)) = behind.poll() else { panic!("the last waiter was not served") };
    assert!(matches!(polled.poll(), Poll::Ready(Err(Closed))));
    drop(dropped);
    assert_eq!((semaphore.out(), semaphore.available()), (1, 0));
    drop(permit);
    assert_eq!((semaphore.out(), semaphore.available()), (0, 1));
}
