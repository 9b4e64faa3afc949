//! Sleeps for a duration, and until an instant.

use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use spinney_hub::{Clock, Hub, LocalHub, sleep, sleep_until};
use spinney_test_support::ByHand;

use super::manual::Manual;

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn sleep_ends_at_its_time_and_not_before() {
    let (clock, _entered) = Manual::enter();
    let mut asleep = ByHand::waiting(sleep(3 * SECOND));
    clock.advance(2 * SECOND);
    assert_eq!(asleep.wakes(), 0);
    assert!(asleep.poll_again().is_pending(), "the sleep ended early");
    clock.advance(SECOND);
    assert_eq!(asleep.wakes(), 1);
    assert!(asleep.poll().is_ready());
    drop(asleep);
    assert_eq!(clock.alarms(), 0);
}

#[test]
fn time_runs_from_the_first_poll() {
    let (clock, _entered) = Manual::enter();
    let mut asleep = ByHand::of(sleep(2 * SECOND));
    clock.advance(5 * SECOND);
    assert!(asleep.poll_again().is_pending());
    clock.advance(SECOND);
    assert!(asleep.poll_again().is_pending());
    clock.advance(SECOND);
    assert!(asleep.poll().is_ready());
}

#[test]
fn sleep_of_zero_yields_once_and_sets_no_alarm() {
    let (clock, entered) = Manual::enter();
    let gives_way = || {
        let mut asleep = ByHand::waiting(sleep(Duration::ZERO));
        assert_eq!(asleep.wakes(), 1, "the task was not woken");
        assert!(asleep.poll().is_ready());
    };
    gives_way();
    assert_eq!(clock.ever_set(), 0);
    drop(entered);
    gives_way(); // also on the system's clock
}

#[test]
fn sleep_beyond_the_clock_never_ends_and_sets_no_alarm() {
    let (clock, entered) = Manual::enter();
    let mut asleep = ByHand::waiting(sleep(Duration::MAX));
    clock.advance(1_000_000 * SECOND);
    assert!(asleep.poll_again().is_pending());
    assert_eq!(clock.ever_set(), 0);
    drop(entered);
    drop(ByHand::waiting(sleep(Duration::MAX)));
}

#[test]
fn system_clock_accepts_a_sleep_of_a_thousand_years() {
    let mut asleep = ByHand::waiting(sleep(Duration::from_secs(1000 * 365 * 24 * 3600)));
    assert!(asleep.poll_again().is_pending());
    // The reactor must handle such a timer.
    LocalHub::new().block_on(sleep(MOMENT));
    assert_eq!(asleep.wakes(), 0);
}

#[test]
fn sleep_until_a_passed_instant_is_ready() {
    let (clock, entered) = Manual::enter();
    let now = Clock::current().now();
    assert!(ByHand::of(sleep_until(now)).poll().is_ready());
    clock.advance(SECOND);
    assert!(ByHand::of(sleep_until(now)).poll().is_ready());
    assert_eq!(clock.ever_set(), 0);
    drop(entered);
    assert!(ByHand::of(sleep_until(Instant::now())).poll().is_ready());
}

#[test]
fn sleep_until_does_not_depend_on_the_first_poll() {
    let (clock, _entered) = Manual::enter();
    let mut asleep = ByHand::of(sleep_until(Clock::current().now() + 2 * SECOND));
    clock.advance(SECOND);
    assert!(asleep.poll_again().is_pending());
    clock.advance(SECOND);
    assert!(asleep.poll().is_ready());
}

#[test]
fn dropped_sleep_leaves_no_alarm() {
    let (clock, _entered) = Manual::enter();
    let asleep: Vec<_> = (0..10).map(|_| ByHand::waiting(sleep(SECOND))).collect();
    let until = ByHand::waiting(sleep_until(Clock::current().now() + SECOND));
    assert_eq!(clock.alarms(), 11);
    drop(asleep);
    assert_eq!(clock.alarms(), 1);
    drop(until);
    assert_eq!(clock.alarms(), 0);
}

#[test]
fn unpolled_sleep_sets_no_alarm() {
    let (clock, _entered) = Manual::enter();
    drop((sleep(SECOND), sleep_until(Clock::current().now() + SECOND)));
    assert_eq!(clock.ever_set(), 0);
}

#[test]
fn polls_with_one_waker_set_one_alarm() {
    let (clock, _entered) = Manual::enter();
    let mut asleep = ByHand::waiting(sleep(SECOND));
    for _ in 0..10 {
        assert!(asleep.poll_again().is_pending());
    }
    assert_eq!((clock.alarms(), clock.ever_set()), (1, 1));
}

#[test]
fn poll_with_another_waker_moves_the_alarm_to_it() {
    let (clock, _entered) = Manual::enter();
    let mut asleep = Box::pin(sleep(SECOND));
    let first = ByHand::waiting(async { asleep.as_mut().await });
    let before = first.wakes();
    drop(first);
    let second = ByHand::waiting(async { asleep.as_mut().await });
    assert_eq!(clock.alarms(), 1);
    clock.advance(SECOND);
    assert_eq!((before, second.wakes()), (0, 1));
}

#[test]
fn sleep_stays_on_the_clock_of_its_first_poll() {
    let (clock, entered) = Manual::enter();
    let mut asleep = ByHand::waiting(sleep(SECOND));
    drop(entered);
    assert!(asleep.poll_again().is_pending());
    clock.advance(SECOND);
    assert!(asleep.poll().is_ready());
}

#[test]
fn real_time_passes_on_each_hub_and_outside_any() {
    let start = Instant::now();
    block_on(sleep(MOMENT));
    assert!(start.elapsed() >= MOMENT);
    LocalHub::new().block_on(sleep(MOMENT));
    assert!(start.elapsed() >= 2 * MOMENT);
    Hub::global().block_on(sleep(MOMENT));
    assert!(start.elapsed() >= 3 * MOMENT);
    block_on(sleep_until(start + 4 * MOMENT));
    assert!(start.elapsed() >= 4 * MOMENT);
}
