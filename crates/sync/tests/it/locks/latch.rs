//! Latches: tasks wait until a count reaches 0.

use spinney_sync::Latch;
use spinney_test_support::ByHand;

#[test]
fn last_count_wakes_all_waiters() {
    let latch = Latch::new(2);
    let mut waiting = [0, 1].map(|_| ByHand::waiting(latch.wait()));
    latch.count_down();
    assert_eq!((latch.count(), latch.is_open()), (1, false));
    assert_eq!(waiting.each_ref().map(ByHand::wakes), [0, 0]);
    latch.count_down();
    assert_eq!((latch.count(), latch.is_open()), (0, true));
    assert!(waiting.iter_mut().all(|waiter| waiter.wakes() == 1 && waiter.poll().is_ready()));
}

#[test]
fn open_latch_stays_open() {
    let latch = Latch::new(1);
    latch.count_down();
    latch.count_down();
    assert_eq!((latch.count(), latch.is_open()), (0, true));
    assert!(ByHand::of(latch.wait()).poll().is_ready());
}

#[test]
fn latch_of_count_zero_is_open() {
    let latch = Latch::new(0);
    assert!(latch.is_open() && ByHand::of(latch.wait()).poll().is_ready());
}

#[test]
fn dropped_waiter_of_a_latch_affects_no_other() {
    let latch = Latch::new(1);
    let dropped = ByHand::waiting(latch.wait());
    let mut other = ByHand::waiting(latch.wait());
    drop(dropped);
    latch.count_down();
    assert!(other.poll().is_ready());
}
