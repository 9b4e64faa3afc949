//! Conditions: waits for a signalled change.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use spinney_sync::{Closed, Condition, Permit, Semaphore};
use spinney_test_support::ByHand;

fn take(lock: &Semaphore) -> Permit<&Semaphore> {
    lock.try_acquire().unwrap()
}

#[test]
fn condition_returns_the_permit_during_the_wait() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    let mut waiter = ByHand::of(condition.wait(take(&lock)));
    assert_eq!((lock.out(), condition.waiting()), (1, 0), "an unpolled wait counts");
    assert!(waiter.poll().is_pending());
    assert_eq!((lock.out(), condition.waiting()), (0, 1));
    condition.notify(1);
    assert_eq!((waiter.wakes(), lock.out(), condition.waiting()), (1, 0, 0));
    let Poll::Ready(Ok(permit)) = waiter.poll() else { panic!("the waiter was not notified") };
    assert_eq!((permit.permits(), lock.out()), (1, 1));
}

#[test]
fn notification_right_after_the_return_is_not_missed() {
    struct Notifier(Condition);
    impl Wake for Notifier {
        fn wake(self: Arc<Self>) {
            self.0.notify(1);
        }
    }
    let (lock, notifier) = (Semaphore::new(1), Arc::new(Notifier(Condition::new())));
    let permit = take(&lock);
    let mut next = lock.acquire();
    let waker = Waker::from(Arc::clone(&notifier));
    assert!(Pin::new(&mut next).poll(&mut Context::from_waker(&waker)).is_pending());
    let mut waiter = ByHand::waiting(notifier.0.wait(permit));
    assert_eq!((notifier.0.waiting(), lock.waiting()), (0, 1), "it does not wait for the permit");
    drop(next);
    assert!(matches!(waiter.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn waiter_polled_without_its_turn_keeps_its_place() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    let mut first = ByHand::waiting(condition.wait(take(&lock)));
    let second = ByHand::waiting(condition.wait(take(&lock)));
    assert!(first.poll().is_pending());
    assert_eq!(condition.waiting(), 2);
    condition.notify(1);
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
}

#[test]
fn notify_wakes_the_longest_waiting() {
    let (lock, condition) = (Semaphore::new(1), Condition::default());
    let waiting = [0, 1, 2, 3].map(|_| ByHand::waiting(condition.wait(take(&lock))));
    condition.notify(0);
    assert_eq!(condition.waiting(), 4);
    condition.notify(1);
    assert_eq!(waiting.each_ref().map(ByHand::wakes), [1, 0, 0, 0]);
    condition.notify(2);
    assert_eq!(waiting.each_ref().map(ByHand::wakes), [1, 1, 1, 0]);
    condition.notify(10);
    assert_eq!(waiting.each_ref().map(ByHand::wakes), [1, 1, 1, 1]);
}

#[test]
fn notified_waiters_get_the_permit_one_by_one() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    let mut waiting = [0, 1, 2].map(|_| ByHand::waiting(condition.wait(take(&lock))));
    condition.notify_all();
    let [first, second, third] = &mut waiting;
    let Poll::Ready(Ok(permit)) = first.poll() else { panic!("the permit is not free") };
    assert!(second.poll().is_pending() && third.poll().is_pending());
    drop(permit);
    let Poll::Ready(Ok(permit)) = second.poll() else { panic!("the second waiter was not served") };
    assert!(third.poll().is_pending());
    drop(permit);
    assert!(matches!(third.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn notification_without_waiters_is_not_stored() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    condition.notify(3);
    condition.notify_all();
    let waiter = ByHand::waiting(condition.wait(take(&lock)));
    assert_eq!(waiter.wakes(), 0);
}

#[test]
fn unpolled_wait_returns_its_permit_when_dropped() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    drop(condition.wait(take(&lock)));
    assert_eq!((lock.out(), condition.waiting()), (0, 0));
}

#[test]
fn dropped_waiter_leaves_the_condition() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    let first = ByHand::waiting(condition.wait(take(&lock)));
    let second = ByHand::waiting(condition.wait(take(&lock)));
    drop(first);
    assert_eq!((condition.waiting(), second.wakes()), (1, 0));
    condition.notify(1);
    assert_eq!(second.wakes(), 1);
}

#[test]
fn dropped_notified_waiter_passes_it_on() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    let first = ByHand::waiting(condition.wait(take(&lock)));
    let second = ByHand::waiting(condition.wait(take(&lock)));
    condition.notify(1);
    drop(first);
    assert_eq!((second.wakes(), lock.out()), (1, 0));
    drop(second);
    assert_eq!((condition.waiting(), lock.out()), (0, 0));
}

#[test]
fn notified_waiter_dropped_without_its_permit_passes_it_on() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    let mut first = ByHand::waiting(condition.wait(take(&lock)));
    let mut second = ByHand::waiting(condition.wait(take(&lock)));
    let held = take(&lock);
    condition.notify(1);
    assert!(first.poll().is_pending());
    drop(held);
    assert_eq!((first.wakes(), lock.out()), (2, 1), "it was not handed the permit");
    drop(first);
    assert_eq!((second.wakes(), lock.out()), (1, 0));
    assert!(matches!(second.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn finished_waiter_passes_nothing_on() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    let mut first = ByHand::waiting(condition.wait(take(&lock)));
    let second = ByHand::waiting(condition.wait(take(&lock)));
    condition.notify(1);
    assert!(matches!(first.poll(), Poll::Ready(Ok(_))));
    drop(first);
    assert_eq!((second.wakes(), condition.waiting()), (0, 1));
}

#[test]
fn closed_semaphore_refuses_notified_waiters() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    let mut waiting = [0, 1].map(|_| ByHand::waiting(condition.wait(take(&lock))));
    lock.close();
    assert_eq!(waiting.each_ref().map(ByHand::wakes), [0, 0], "closing alone ended a wait");
    condition.notify(1);
    assert!(matches!(waiting[0].poll(), Poll::Ready(Err(Closed))));
    assert_eq!(waiting[1].wakes(), 1, "the notification was not passed on");
    assert!(matches!(waiting[1].poll(), Poll::Ready(Err(Closed))));
}

#[test]
fn wait_while_a_false_predicate_is_ready() {
    let (lock, condition) = (Semaphore::new(1), Condition::new());
    let mut waiter = ByHand::of(condition.wait_while(take(&lock), || false));
    assert!(matches!(waiter.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn wait_while_checks_with_the_permit_held() {
    let (lock, condition, count) = (Semaphore::new(1), Condition::new(), Cell::new(0));
    let low = || {
        assert_eq!(lock.out(), 1);
        count.get() < 2
    };
    let mut waiter = ByHand::waiting(condition.wait_while(take(&lock), low));
    for woken in 1..=2 {
        count.set(count.get() + 1);
        condition.notify(1);
        assert_eq!(waiter.wakes(), woken);
        assert_eq!(waiter.poll().is_ready(), woken == 2);
    }
}

#[test]
fn wait_takes_as_many_permits_as_it_returned() {
    let (lock, condition) = (Semaphore::new(3), Condition::new());
    let mut waiter = ByHand::waiting(condition.wait(lock.try_acquire_many(3).unwrap()));
    let held = take(&lock);
    condition.notify_all();
    assert!(waiter.poll().is_pending());
    drop(held);
    let Poll::Ready(Ok(permit)) = waiter.poll() else { panic!("the permits are not free") };
    assert_eq!((permit.permits(), lock.out()), (3, 3));
}
