//! A waiter may be dropped at any time.

use std::task::Poll;

use spinney_sync::Semaphore;
use spinney_test_support::ByHand;

#[test]
fn waiter_dropped_before_its_turn_leaves_the_line() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let first = ByHand::waiting(semaphore.acquire());
    let mut second = ByHand::waiting(semaphore.acquire());
    drop(first);
    assert_eq!((semaphore.out(), semaphore.waiting(), second.wakes()), (1, 1, 0));
    drop(held);
    assert_eq!(second.wakes(), 1);
    assert!(matches!(second.poll(), Poll::Ready(Ok(_))));
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn dropped_waiter_passes_its_permit_on() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let first = ByHand::waiting(semaphore.acquire());
    let mut second = ByHand::waiting(semaphore.acquire());
    drop(held);
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first);
    assert_eq!(second.wakes(), 1);
    assert!(matches!(second.poll(), Poll::Ready(Ok(_))));
    assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
}

#[test]
fn last_waiter_dropped_with_a_permit_puts_it_back() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let only = ByHand::waiting(semaphore.acquire());
    drop(held);
    drop(only);
    assert_eq!((semaphore.out(), semaphore.available()), (0, 1));
    assert!(semaphore.try_acquire().is_ok());
}

#[test]
fn permit_passes_along_a_line_of_dropped_waiters() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let waiting: Vec<_> = (0..100).map(|_| ByHand::waiting(semaphore.acquire())).collect();
    let mut last = ByHand::waiting(semaphore.acquire());
    drop(held);
    // In FIFO order: each is handed the permit and dropped with it.
    for waiter in waiting {
        assert_eq!(waiter.wakes(), 1);
    }
    assert!(matches!(last.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn finished_acquire_returns_nothing_when_it_is_dropped() {
    let semaphore = Semaphore::new(1);
    let mut done = ByHand::of(semaphore.acquire());
    let Poll::Ready(Ok(permit)) = done.poll() else { panic!("no permit was free") };
    drop(done);
    assert_eq!(semaphore.out(), 1, "the future returned the permit");
    drop(permit);
    assert_eq!(semaphore.out(), 0);
}

#[test]
fn each_state_of_a_queue_survives_each_drop() {
    // Five waiters, two of them served; dropped in every order.
    for first in 0..5 {
        for second in (0..5).filter(|n| *n != first) {
            let semaphore = Semaphore::new(2);
            let held = [semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap()];
            let mut waiting: Vec<_> =
                (0..5).map(|_| Some(ByHand::waiting(semaphore.acquire()))).collect();
            drop(held);
            waiting[first] = None;
            waiting[second] = None;
            let woken: Vec<_> = waiting.iter().flatten().map(ByHand::wakes).collect();
            assert_eq!(woken, [1, 1, 0], "{first} and {second} are gone");
            assert_eq!((semaphore.out(), semaphore.waiting()), (2, 1));
        }
    }
}

#[test]
fn many_dropped_waiters_keep_the_others_in_order() {
    const WAITERS: usize = 100_000;
    let semaphore = Semaphore::new(1);
    let mut held = semaphore.try_acquire().unwrap();
    let mut waiting: Vec<_> =
        (0..WAITERS).map(|_| Some(ByHand::waiting(semaphore.acquire()))).collect();
    let mut places: Vec<_> = (0..WAITERS).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut places);
    for (gone, place) in places[100..].iter().enumerate() {
        waiting[*place] = None;
        assert_eq!(semaphore.waiting(), WAITERS - gone - 1);
    }
    let mut late = ByHand::waiting(semaphore.acquire());
    for waiter in waiting.iter_mut().flatten() {
        drop(held);
        assert_eq!(waiter.wakes(), 1);
        let Poll::Ready(Ok(permit)) = waiter.poll() else {
            panic!("the waiter was not served in its turn")
        };
        held = permit;
    }
    assert_eq!(late.wakes(), 0);
    drop(held);
    assert!(matches!(late.poll(), Poll::Ready(Ok(_))));
}
