//! Barriers: tasks that go on together.

use std::task::Poll;

use spinney_sync::Barrier;
use spinney_test_support::ByHand;

#[test]
fn barrier_opens_for_the_last_task_which_leads() {
    let barrier = Barrier::new(3);
    let mut waiting = [0, 1].map(|_| ByHand::waiting(barrier.wait()));
    assert_eq!((barrier.size(), barrier.waiting()), (3, 2));
    assert_eq!(ByHand::of(barrier.wait()).poll(), Poll::Ready(true));
    assert_eq!(barrier.waiting(), 0);
    for waiter in &mut waiting {
        assert_eq!((waiter.wakes(), waiter.poll()), (1, Poll::Ready(false)));
    }
}

#[test]
fn barrier_can_be_used_again() {
    let barrier = Barrier::new(2);
    for _ in 0..10 {
        let mut waiter = ByHand::waiting(barrier.wait());
        assert_eq!(ByHand::of(barrier.wait()).poll(), Poll::Ready(true));
        assert_eq!(waiter.poll(), Poll::Ready(false));
    }
}

#[test]
fn next_round_does_not_delay_the_previous_one() {
    let barrier = Barrier::new(2);
    let mut slow = ByHand::waiting(barrier.wait());
    assert_eq!(ByHand::of(barrier.wait()).poll(), Poll::Ready(true));
    let mut fast = ByHand::waiting(barrier.wait());
    assert_eq!((slow.poll(), fast.poll()), (Poll::Ready(false), Poll::Pending));
}

#[test]
fn waiter_polled_repeatedly_counts_once() {
    let barrier = Barrier::new(3);
    let mut waiter = ByHand::waiting(barrier.wait());
    assert!(waiter.poll().is_pending());
    let _other = ByHand::waiting(barrier.wait());
    assert_eq!((barrier.waiting(), waiter.wakes()), (2, 0));
    assert_eq!(ByHand::of(barrier.wait()).poll(), Poll::Ready(true));
    assert_eq!(waiter.wakes(), 1);
}

#[test]
fn dropped_waiter_does_not_count() {
    let barrier = Barrier::new(2);
    drop(barrier.wait());
    drop(ByHand::waiting(barrier.wait()));
    assert_eq!(barrier.waiting(), 0);
    let waiter = ByHand::waiting(barrier.wait());
    assert_eq!(ByHand::of(barrier.wait()).poll(), Poll::Ready(true));
    assert_eq!(waiter.wakes(), 1);
}

#[test]
fn waiter_dropped_after_the_last_delays_no_other() {
    let barrier = Barrier::new(3);
    let mut waiting = Vec::from([0, 1].map(|_| ByHand::waiting(barrier.wait())));
    assert_eq!(ByHand::of(barrier.wait()).poll(), Poll::Ready(true));
    drop(waiting.remove(0));
    assert_eq!((waiting[0].poll(), barrier.waiting()), (Poll::Ready(false), 0));
}

#[test]
fn barrier_of_size_zero_or_one_never_waits() {
    for barrier in [Barrier::new(0), Barrier::new(1)] {
        assert_eq!(ByHand::of(barrier.wait()).poll(), Poll::Ready(true));
    }
}
