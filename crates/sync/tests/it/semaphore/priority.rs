//! Priorities: one queue, FIFO among equals.

use std::cmp::Reverse;
use std::sync::Arc;
use std::task::Poll;

use spinney_sync::{Acquire, Closed, Permit, Semaphore};
use spinney_test_support::ByHand;

type Waiting<'a> = ByHand<Acquire<&'a Semaphore>>;

fn served<'a>(waiting: &mut Waiting<'a>) -> Option<Permit<&'a Semaphore>> {
    match waiting.poll() {
        Poll::Ready(permit) => Some(permit.unwrap()),
        Poll::Pending => None,
    }
}

#[test]
fn waiters_are_served_by_priority_then_fifo() {
    let semaphore = Semaphore::new(1);
    let mut held = semaphore.try_acquire().unwrap();
    let priorities = [0, 1, -1, 1, 0, 7, -1, i32::MAX, i32::MIN, 0];
    let wait = |priority| ByHand::waiting(semaphore.acquire().priority(priority));
    let mut waiting: Vec<_> = priorities.map(wait).into_iter().map(Some).collect();
    let mut order: Vec<_> = (0..priorities.len()).collect();
    order.sort_by_key(|index| (Reverse(priorities[*index]), *index));
    for next in order {
        drop(held);
        let mut own = waiting[next].take().unwrap();
        held = served(&mut own).unwrap();
        for other in waiting.iter_mut().flatten() {
            assert!(served(other).is_none());
        }
    }
    assert_eq!(semaphore.waiting(), 0);
}

#[test]
fn urgent_newcomer_passes_a_heavy_waiter_if_it_fits() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire().unwrap();
    let mut heavy = ByHand::waiting(semaphore.acquire_many(2));
    assert!(semaphore.try_acquire().is_err(), "none is overtaken by an equal");
    let mut urgent = ByHand::of(semaphore.acquire().priority(1));
    let urgent = served(&mut urgent).unwrap();
    drop((held, urgent));
    assert_eq!(served(&mut heavy).unwrap().permits(), 2);
}

#[test]
fn dropped_urgent_waiter_passes_its_permit_on() {
    let semaphore = Semaphore::new(1);
    for notice in [false, true] {
        let held = semaphore.try_acquire().unwrap();
        let mut usual = ByHand::waiting(semaphore.acquire());
        let urgent = ByHand::waiting(semaphore.acquire().priority(3));
        if notice {
            drop(held);
            assert!(served(&mut usual).is_none());
            drop(urgent);
        } else {
            drop(urgent);
            drop(held);
        }
        drop(served(&mut usual).unwrap());
        assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
    }
}

#[test]
fn served_waiter_keeps_its_permit_when_its_class_was_empty() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire_many(2).unwrap();
    let mut first = ByHand::waiting(semaphore.acquire().priority(1));
    drop(held);
    // The class of priority 1 is gone. The next of its waiters is another one.
    let held = semaphore.try_acquire().unwrap();
    let mut second = ByHand::waiting(semaphore.acquire().priority(1));
    let first = served(&mut first).unwrap();
    assert!(served(&mut second).is_none());
    drop((first, held));
    assert!(served(&mut second).is_some());
    assert_eq!(semaphore.out(), 0);
}

#[test]
fn close_refuses_every_priority_that_was_not_served() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut urgent = ByHand::waiting(semaphore.acquire().priority(2));
    let mut late = ByHand::waiting(semaphore.acquire().priority(2));
    let mut despite = ByHand::waiting(semaphore.acquire().priority(2).despite_close());
    drop(held);
    assert_eq!(semaphore.close(), 1);
    assert!(matches!(late.poll(), Poll::Ready(Err(Closed))));
    drop(served(&mut urgent).unwrap());
    drop(served(&mut despite).unwrap());
    let mut newcomer = ByHand::of(semaphore.acquire().priority(9));
    assert!(matches!(newcomer.poll(), Poll::Ready(Err(Closed))));
    assert_eq!((semaphore.out(), semaphore.waiting()), (0, 0));
}

#[test]
fn owned_permits_keep_the_semaphore_alive() {
    let semaphore = Arc::new(Semaphore::new(3));
    let first = semaphore.try_acquire_owned().unwrap();
    let both = semaphore.try_acquire_many_owned(2).unwrap();
    assert!(semaphore.try_acquire_owned().is_err());
    let mut one = ByHand::waiting(semaphore.acquire_owned());
    let mut two = ByHand::waiting(semaphore.acquire_many_owned(2));
    drop(first);
    let Poll::Ready(Ok(one)) = one.poll() else { panic!("a permit was free") };
    drop(both);
    let Poll::Ready(Ok(two)) = two.poll() else { panic!("two were free") };
    assert_eq!((one.permits(), two.permits(), semaphore.out()), (1, 2, 3));
    let left = Arc::downgrade(&semaphore);
    drop((semaphore, one));
    assert!(left.upgrade().is_some());
    drop(two);
    assert!(left.upgrade().is_none());
}
