//! Limits that are changed while they run.

use std::future::{pending, ready};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use spinney_hub::{Clock, Limit, Timeout, Within, block_on, sleep};
use spinney_test_support::ByHand;

use super::manual::Manual;

const SECOND: Duration = Duration::from_secs(1);

fn timed_out<T>(polled: &Poll<Result<T, Timeout>>, limit: &Limit) -> bool {
    matches!(polled, Poll::Ready(Err(timeout)) if timeout.is(limit))
}

#[test]
fn limit_starts_at_the_first_poll_of_its_future() {
    let (clock, _entered) = Manual::enter();
    let limit = Limit::new(SECOND);
    let mut limited = ByHand::of(pending::<()>().within_limit(&limit));
    clock.advance(5 * SECOND);
    assert_eq!(limit.deadline(), None);
    assert!(limited.poll().is_pending());
    assert_eq!(limit.deadline(), Some(Clock::current().now() + SECOND));
    clock.advance(SECOND);
    assert_eq!(limited.wakes(), 1);
    let polled = limited.poll();
    assert!(timed_out(&polled, &limit));
    assert!(matches!(polled, Poll::Ready(Err(timeout)) if timeout.limit() == SECOND));
}

#[test]
fn reset_extends_a_limit_that_runs() {
    let (clock, _entered) = Manual::enter();
    let limit = Limit::new(2 * SECOND);
    let mut limited = ByHand::waiting(pending::<()>().within_limit(&limit));
    clock.advance(SECOND);
    limit.reset(2 * SECOND);
    assert!(limited.poll().is_pending());
    clock.advance(SECOND);
    assert!(limited.poll().is_pending(), "the limit expired at its old deadline");
    clock.advance(SECOND);
    assert!(timed_out(&limited.poll(), &limit));
}

#[test]
fn reset_to_an_earlier_time_wakes_the_future() {
    let (clock, _entered) = Manual::enter();
    let limit = Limit::new(60 * SECOND);
    let mut limited = ByHand::waiting(pending::<()>().within_limit(&limit));
    limit.reset(SECOND);
    assert_eq!(limited.wakes(), 1);
    assert!(limited.poll().is_pending());
    assert_eq!(clock.alarms(), 1, "the old alarm remains");
    clock.advance(SECOND);
    assert_eq!(limited.wakes(), 2);
    assert!(timed_out(&limited.poll(), &limit));
}

#[test]
fn reset_before_the_start_changes_only_the_length() {
    let (clock, _entered) = Manual::enter();
    let limit = Limit::new(60 * SECOND);
    limit.reset(SECOND);
    clock.advance(5 * SECOND);
    let mut limited = ByHand::waiting(pending::<()>().within_limit(&limit));
    clock.advance(SECOND);
    let polled = limited.poll();
    assert!(matches!(polled, Poll::Ready(Err(timeout)) if timeout.limit() == SECOND));
}

#[test]
fn lifted_limit_never_expires_unless_it_is_reset() {
    let (clock, _entered) = Manual::enter();
    let limit = Limit::new(SECOND);
    let mut limited = ByHand::waiting(pending::<()>().within_limit(&limit));
    limit.lift();
    assert!(limited.poll().is_pending());
    assert_eq!((clock.alarms(), limit.deadline()), (0, None));
    clock.advance(60 * SECOND);
    assert!(limited.poll().is_pending());
    limit.reset(SECOND);
    assert!(limited.poll().is_pending());
    clock.advance(SECOND);
    assert!(timed_out(&limited.poll(), &limit));
}

#[test]
fn limit_lifted_before_the_start_never_starts() {
    let (clock, _entered) = Manual::enter();
    let limit = Limit::new(SECOND);
    limit.lift();
    let mut limited = ByHand::waiting(pending::<()>().within_limit(&limit));
    assert_eq!(clock.ever_set(), 0);
    limit.reset(SECOND);
    assert!(limited.poll().is_pending());
    clock.advance(SECOND);
    assert!(timed_out(&limited.poll(), &limit));
}

#[test]
fn limited_future_extends_its_own_limit_as_it_expires() {
    let (clock, _entered) = Manual::enter();
    let limit = Limit::new(SECOND);
    let steps = async {
        for _ in 0..3 {
            sleep(SECOND).await;
            limit.reset(SECOND);
        }
        pending::<()>().await;
    };
    let mut limited = ByHand::waiting(steps.within_limit(&limit));
    for _ in 0..3 {
        clock.advance(SECOND);
        assert!(limited.poll().is_pending());
    }
    clock.advance(SECOND);
    assert!(timed_out(&limited.poll(), &limit));
}

#[test]
fn futures_under_one_limit_share_its_time() {
    let (clock, _entered) = Manual::enter();
    let limit = Limit::new(3 * SECOND);
    let mut first = ByHand::waiting(pending::<()>().within_limit(&limit));
    clock.advance(2 * SECOND);
    let mut second = ByHand::waiting(pending::<()>().within_limit(&limit));
    clock.advance(SECOND);
    assert!(timed_out(&first.poll(), &limit) && timed_out(&second.poll(), &limit));
    let mut late = ByHand::of(pending::<()>().within_limit(&limit));
    assert!(timed_out(&late.poll(), &limit), "the limit has not expired");
    assert_eq!(ByHand::of(ready(42).within_limit(&limit)).poll(), Poll::Ready(Ok(42)));
}

#[test]
fn first_of_nested_shared_limits_to_expire_is_reported() {
    let (clock, _entered) = Manual::enter();
    let [inner, outer] = [Limit::new(2 * SECOND), Limit::new(SECOND)];
    let nested = pending::<()>().within_limit(&inner).within_limit(&outer);
    let mut limited = ByHand::waiting(nested);
    clock.advance(3 * SECOND);
    assert!(timed_out(&limited.poll(), &outer));

    // The order is that of the new deadlines.
    let [inner, outer] = [Limit::new(2 * SECOND), Limit::new(SECOND)];
    let nested = pending::<()>().within_limit(&inner).within_limit(&outer);
    let mut limited = ByHand::waiting(nested);
    outer.reset(60 * SECOND);
    clock.advance(3 * SECOND);
    let polled = limited.poll();
    assert!(matches!(polled, Poll::Ready(Ok(Err(timeout))) if timeout.is(&inner)));
}

#[test]
fn timeout_of_a_duration_matches_no_limit() {
    let (_clock, _entered) = Manual::enter();
    let limit = Limit::new(Duration::ZERO);
    let Poll::Ready(Err(timeout)) = ByHand::of(pending::<()>().within(Duration::ZERO)).poll()
    else {
        panic!("the limit has not expired")
    };
    assert!(!timeout.is(&limit));
}

#[test]
fn dropped_future_leaves_neither_alarm_nor_waker() {
    let (clock, _entered) = Manual::enter();
    let limit = Limit::new(SECOND);
    let limited = ByHand::waiting(pending::<()>().within_limit(&limit));
    let other = ByHand::waiting(pending::<()>().within_limit(&limit));
    drop(limited);
    assert_eq!(clock.alarms(), 1);
    limit.lift();
    assert_eq!(other.wakes(), 1);
}

/// Panics when it is woken.
struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[test]
fn panicking_waker_strands_no_other_future_of_the_limit() {
    let (_clock, _entered) = Manual::enter();
    let limit = Limit::new(SECOND);
    let mut bad = Box::pin(pending::<()>().within_limit(&limit));
    let waker = Waker::from(Arc::new(Bad));
    assert!(bad.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let good = ByHand::waiting(pending::<()>().within_limit(&limit));
    limit.reset(2 * SECOND);
    assert_eq!(good.wakes(), 1);
}

#[test]
fn another_thread_ends_a_future_by_its_limit() {
    let limit = Limit::new(Duration::MAX);
    let moved = limit.clone();
    let late = block_on(async {
        let started = async {
            thread::spawn(move || moved.reset(Duration::ZERO));
            pending::<()>().await;
        };
        started.within_limit(&limit).await.unwrap_err()
    });
    assert!(late.is(&limit));
}

#[test]
fn limit_keeps_the_clock_on_which_it_started() {
    let (clock, entered) = Manual::enter();
    let limit = Limit::new(SECOND);
    let limited = ByHand::waiting(pending::<()>().within_limit(&limit));
    clock.advance(1_000_000 * SECOND);
    let now = Clock::current().now();
    drop(entered);
    limit.reset(SECOND); // outside any hub
    assert_eq!(limit.deadline(), Some(now + SECOND));
    drop(limited);
}
