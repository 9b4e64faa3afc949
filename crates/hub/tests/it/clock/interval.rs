//! Periodic ticks.

use std::task::Poll;
use std::time::{Duration, Instant};

use spinney_hub::{Clock, Interval, interval};
use spinney_test_support::ByHand;

use super::manual::Manual;

const SECOND: Duration = Duration::from_secs(1);

/// The next tick, which must be due.
fn tick(ticks: &mut Interval) -> Instant {
    let Poll::Ready(due) = ByHand::of(ticks.tick()).poll() else { panic!("the tick is not due") };
    due
}

fn begin(ticks: &mut Interval) {
    drop(ByHand::waiting(ticks.tick()));
}

#[test]
fn interval_ticks_every_period_from_the_first_await() {
    let (clock, _entered) = Manual::enter();
    let mut ticks = interval(SECOND);
    clock.advance(10 * SECOND);
    let start = Clock::current().now();
    begin(&mut ticks);
    for n in 1..=5 {
        clock.advance(SECOND);
        assert_eq!(tick(&mut ticks), start + n * SECOND);
        begin(&mut ticks);
    }
}

#[test]
fn late_tick_does_not_shift_the_next() {
    let (clock, _entered) = Manual::enter();
    let mut ticks = interval(2 * SECOND);
    let start = Clock::current().now();
    begin(&mut ticks);
    clock.advance(3 * SECOND);
    assert_eq!(tick(&mut ticks), start + 2 * SECOND);
    begin(&mut ticks);
    clock.advance(SECOND);
    assert_eq!(tick(&mut ticks), start + 4 * SECOND);
}

#[test]
fn missed_ticks_are_skipped() {
    let (clock, _entered) = Manual::enter();
    let mut ticks = interval(SECOND);
    let start = Clock::current().now();
    begin(&mut ticks);
    clock.advance(5 * SECOND + SECOND / 2);
    assert_eq!(tick(&mut ticks), start + SECOND);
    begin(&mut ticks);
    clock.advance(SECOND / 2);
    assert_eq!(tick(&mut ticks), start + 6 * SECOND);
}

#[test]
fn very_many_missed_ticks_are_skipped() {
    let (clock, _entered) = Manual::enter();
    let period = Duration::from_nanos(1);
    let mut ticks = interval(period);
    let start = Clock::current().now();
    begin(&mut ticks);
    clock.advance(60 * SECOND);
    assert_eq!(tick(&mut ticks), start + period);
    begin(&mut ticks);
    clock.advance(period);
    assert_eq!(tick(&mut ticks), start + 60 * SECOND + period);
}

#[test]
fn dropped_tick_is_not_lost_and_leaves_no_alarm() {
    let (clock, _entered) = Manual::enter();
    let mut ticks = interval(SECOND);
    let start = Clock::current().now();
    begin(&mut ticks);
    assert_eq!(clock.alarms(), 0);
    clock.advance(SECOND);
    assert_eq!(tick(&mut ticks), start + SECOND);
}

#[test]
fn period_of_zero_yields_and_ticks() {
    let (clock, _entered) = Manual::enter();
    let mut ticks = interval(Duration::ZERO);
    for _ in 0..3 {
        let mut next = ByHand::waiting(ticks.tick());
        assert_eq!(next.wakes(), 1);
        assert!(next.poll().is_ready());
    }
    assert_eq!(clock.ever_set(), 0);
}

#[test]
fn largest_period_never_ticks() {
    let (clock, _entered) = Manual::enter();
    let mut ticks = interval(Duration::MAX);
    begin(&mut ticks);
    clock.advance(1_000_000 * SECOND);
    begin(&mut ticks);
}
