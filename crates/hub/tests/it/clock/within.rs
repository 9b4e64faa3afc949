//! Time limits.

use std::cell::Cell;
use std::error::Error;
use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::{Duration, Instant};

use spinney_hub::{LocalHub, Timeout, Within, sleep, timeout, yield_now};
use spinney_test_support::ByHand;

use super::manual::Manual;

const SECOND: Duration = Duration::from_secs(1);

/// The length of the expired limit.
fn limit<T>(result: &Poll<Result<T, Timeout>>) -> Option<Duration> {
    match result {
        Poll::Ready(Err(timeout)) => Some(timeout.limit()),
        _ => None,
    }
}

#[test]
fn future_within_its_limit_returns_its_output() {
    let (clock, _entered) = Manual::enter();
    let mut limited = ByHand::waiting(yield_now().within(SECOND));
    assert_eq!(clock.alarms(), 1);
    assert_eq!(limited.poll(), Poll::Ready(Ok(())));
    drop(limited);
    assert_eq!(clock.alarms(), 0);
}

#[test]
fn future_beyond_its_limit_is_timed_out() {
    let (clock, _entered) = Manual::enter();
    let mut limited = ByHand::waiting(pending::<()>().within(2 * SECOND));
    clock.advance(SECOND);
    assert!(limited.poll_again().is_pending());
    clock.advance(SECOND);
    assert_eq!(limited.wakes(), 1);
    assert_eq!(limit(&limited.poll()), Some(2 * SECOND));
}

#[test]
fn ready_future_wins_over_a_limit_of_zero() {
    let (clock, _entered) = Manual::enter();
    assert_eq!(ByHand::of(async { 42 }.within(Duration::ZERO)).poll(), Poll::Ready(Ok(42)));
    assert_eq!(clock.ever_set(), 0);
}

#[test]
fn pending_future_loses_to_a_limit_of_zero() {
    let (_clock, _entered) = Manual::enter();
    assert_eq!(limit(&ByHand::of(yield_now().within(Duration::ZERO)).poll()), Some(Duration::ZERO));
}

#[test]
fn future_ready_at_its_limit_wins() {
    let (clock, _entered) = Manual::enter();
    let mut limited = ByHand::waiting(sleep(SECOND).within(SECOND));
    clock.advance(SECOND);
    assert_eq!(limited.poll(), Poll::Ready(Ok(())));
}

#[test]
fn largest_limit_never_expires() {
    let (clock, _entered) = Manual::enter();
    let mut limited = ByHand::waiting(sleep(SECOND).within(Duration::MAX));
    assert_eq!(clock.alarms(), 1, "the limit set an alarm");
    clock.advance(SECOND);
    assert_eq!(limited.poll(), Poll::Ready(Ok(())));
}

#[test]
fn time_runs_from_the_first_poll() {
    let (clock, _entered) = Manual::enter();
    let mut limited = ByHand::of(pending::<()>().within(SECOND));
    clock.advance(5 * SECOND);
    assert!(limited.poll_again().is_pending());
    clock.advance(SECOND);
    assert_eq!(limit(&limited.poll()), Some(SECOND));
}

#[test]
fn first_of_nested_limits_to_expire_is_reported() {
    let (clock, _entered) = Manual::enter();
    let short = pending::<()>().within(SECOND);
    let mut inner = ByHand::waiting(short.within(2 * SECOND));
    clock.advance(SECOND);
    let Poll::Ready(Ok(inside)) = inner.poll() else { panic!("the inner limit expired") };
    assert_eq!(inside.unwrap_err().limit(), SECOND);

    let long = pending::<()>().within(2 * SECOND);
    let mut outer = ByHand::waiting(long.within(SECOND));
    clock.advance(SECOND);
    assert_eq!(limit(&outer.poll()), Some(SECOND));
}

#[test]
fn nested_limits_report_the_first_to_expire() {
    let (clock, _entered) = Manual::enter();
    let mut nested = ByHand::waiting(pending::<()>().within(2 * SECOND).within(SECOND));
    // The hub was busy: it polled no future in between.
    clock.advance(3 * SECOND);
    assert_eq!(limit(&nested.poll()), Some(SECOND));
}

#[test]
fn borrowed_future_goes_on_after_its_limit() {
    let (clock, _entered) = Manual::enter();
    let mut future = Box::pin(sleep(3 * SECOND));
    let mut limited = ByHand::waiting((&mut future).within(SECOND));
    clock.advance(SECOND);
    assert_eq!(limit(&limited.poll()), Some(SECOND));
    drop(limited);
    clock.advance(2 * SECOND);
    assert!(ByHand::of(future).poll().is_ready());
}

#[test]
fn dropped_limit_drops_the_future_and_the_alarm() {
    struct Told<'a>(&'a Cell<bool>);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let (clock, _entered) = Manual::enter();
    let dropped = Cell::new(false);
    let told = Told(&dropped);
    let future = poll_fn(move |_| {
        let _held = &told;
        Poll::<()>::Pending
    });
    let limited = ByHand::waiting(future.within(SECOND));
    assert!(!dropped.get());
    drop(limited);
    assert!(dropped.get());
    assert_eq!(clock.alarms(), 0);
}

#[test]
fn limit_may_come_first() {
    let (clock, _entered) = Manual::enter();
    let mut limited = ByHand::waiting(timeout(SECOND, pending::<()>()));
    clock.advance(SECOND);
    assert_eq!(limit(&limited.poll()), Some(SECOND));
}

#[test]
fn timeout_names_the_length_of_its_limit() {
    let (clock, _entered) = Manual::enter();
    for (limit, text) in [(5, "timed out after 5ms"), (1500, "timed out after 1.5s")] {
        let limit = Duration::from_millis(limit);
        let mut limited = ByHand::waiting(pending::<()>().within(limit));
        clock.advance(limit);
        let Poll::Ready(Err(timeout)) = limited.poll() else { panic!("the limit has not expired") };
        let error: Box<dyn Error + Send + Sync> = Box::new(timeout);
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn limit_expires_in_real_time() {
    let limit = Duration::from_millis(1);
    let start = Instant::now();
    let late = LocalHub::new().block_on(pending::<()>().within(limit));
    assert_eq!(late.unwrap_err().limit(), limit);
    assert!(start.elapsed() >= limit);
}

#[test]
fn inner_limit_that_outlives_the_outer_is_woken_again() {
    let (clock, _entered) = Manual::enter();
    let mut inner = Box::pin(pending::<()>().within(SECOND));
    let mut outer = ByHand::waiting((&mut inner).within(SECOND));
    clock.advance(SECOND);
    let wakes = outer.wakes();
    assert_eq!(limit(&outer.poll_again()), Some(SECOND));
    assert!(outer.wakes() > wakes, "the inner limit lost its wake-up");
    drop(outer);
    assert_eq!(limit(&ByHand::of(inner).poll()), Some(SECOND));
}

#[test]
fn expired_limit_does_not_affect_an_inner_hub() {
    let (clock, _entered) = Manual::enter();
    let run_inside = async {
        yield_now().await;
        LocalHub::new().block_on(pending::<()>().within(Duration::from_millis(1))).is_err()
    };
    // The inner limit expires first.
    let outer = Duration::from_nanos(1);
    let mut limited = ByHand::waiting(run_inside.within(outer));
    clock.advance(outer);
    assert_eq!(limited.poll(), Poll::Ready(Ok(true)));
}
