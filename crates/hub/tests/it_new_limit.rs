//! Limits that move, and limits of futures that are put off.

#[path = "by_hand/mod.rs"]
mod by_hand;
#[path = "clock/manual.rs"]
mod manual;

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::channel;
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney_hub::{
    Clock, Hub, Limit, LocalHub, Spawn, Timeout, Within, block_on, interval, sleep, sleep_until,
    yield_now,
};
use spinney_sync::{Budget, GiveWay};

use by_hand::ByHand;
use manual::Manual;

const SECOND: Duration = Duration::from_secs(1);

/// A future that is ready, unless the budget is used up.
fn ready() -> impl Future<Output = u32> {
    let mut give_way = GiveWay::default();
    poll_fn(move |cx| give_way.poll(cx, |_| Poll::Ready(42)))
}

/// Uses up the budget of the current poll.
fn use_up_the_budget() {
    let spent = async {
        loop {
            ready().await;
        }
    };
    drop(ByHand::waiting(spent));
}

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
    assert!(limited.poll().is_pending(), "it would have run out now");
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
    assert_eq!(clock.alarms(), 1, "the alarm of before is gone");
    clock.advance(SECOND);
    assert_eq!(limited.wakes(), 2);
    assert!(timed_out(&limited.poll(), &limit));
}

#[test]
fn reset_before_the_start_changes_the_length_alone() {
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
fn lifted_limit_never_runs_out_unless_it_is_reset() {
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
fn limited_future_extends_its_own_limit_as_it_runs_out() {
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
    assert!(timed_out(&late.poll(), &limit), "it has run out");
    assert_eq!(ByHand::of(ready().within_limit(&limit)).poll(), Poll::Ready(Ok(42)));
}

#[test]
fn of_nested_limits_only_the_first_to_run_out_is_reported() {
    let (clock, _entered) = Manual::enter();
    let [inner, outer] = [Limit::new(2 * SECOND), Limit::new(SECOND)];
    let nested = pending::<()>().within_limit(&inner).within_limit(&outer);
    let mut limited = ByHand::waiting(nested);
    clock.advance(3 * SECOND);
    assert!(timed_out(&limited.poll(), &outer));

    // The order is that of the times to which they were moved.
    let [inner, outer] = [Limit::new(2 * SECOND), Limit::new(SECOND)];
    let nested = pending::<()>().within_limit(&inner).within_limit(&outer);
    let mut limited = ByHand::waiting(nested);
    outer.reset(60 * SECOND);
    clock.advance(3 * SECOND);
    let polled = limited.poll();
    assert!(matches!(polled, Poll::Ready(Ok(Err(timeout))) if timeout.is(&inner)));
}

#[test]
fn timeout_of_a_duration_is_that_of_no_limit() {
    let (_clock, _entered) = Manual::enter();
    let limit = Limit::new(Duration::ZERO);
    let Poll::Ready(Err(timeout)) = ByHand::of(pending::<()>().within(Duration::ZERO)).poll()
    else {
        panic!("it has run out")
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
fn waker_that_panics_strands_no_other_future_of_the_limit() {
    let (_clock, _entered) = Manual::enter();
    let limit = Limit::new(SECOND);
    let mut bad = Box::pin(pending::<()>().within_limit(&limit));
    let waker = Waker::from(Arc::new(Bad));
    assert!(bad.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
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
    limit.reset(SECOND); // from outside of any hub
    assert_eq!(limit.deadline(), Some(now + SECOND));
    drop(limited);
}

#[test]
fn future_under_a_limit_is_put_off_before_its_time_starts() {
    let (clock, _entered) = Manual::enter();
    let (limit, polls) = (Limit::new(Duration::ZERO), AtomicUsize::new(0));
    let counted = poll_fn(|_| {
        polls.fetch_add(1, Relaxed);
        Poll::<()>::Pending
    });
    let mut limited = ByHand::of(counted.within_limit(&limit));
    {
        let _budget = Budget::open();
        use_up_the_budget();
        assert!(limited.poll().is_pending());
        assert_eq!((limited.wakes(), polls.load(Relaxed), limit.deadline()), (1, 0, None));
        clock.advance(5 * SECOND);
    }
    assert!(timed_out(&limited.poll(), &limit));
    assert_eq!(limit.deadline(), Some(Clock::current().now()));
}

#[test]
fn ready_future_wins_over_zero_though_the_budget_is_used_up() {
    let (_clock, _entered) = Manual::enter();
    let _budget = Budget::open();
    use_up_the_budget();
    let mut limited = ByHand::of(ready().within(Duration::ZERO).within(Duration::ZERO));
    assert!(limited.poll().is_pending());
    assert_eq!(limited.poll(), Poll::Ready(Ok(Ok(42))));
}

#[test]
fn limit_and_timer_are_never_put_off() {
    let (clock, _entered) = Manual::enter();
    let _budget = Budget::open();
    let mut limited = ByHand::waiting(pending::<()>().within(SECOND));
    let mut asleep = ByHand::waiting(sleep(SECOND));
    use_up_the_budget();
    clock.advance(SECOND);
    assert!(asleep.poll().is_ready());
    assert!(matches!(limited.poll(), Poll::Ready(Err(_))));
}

#[test]
fn sleep_until_the_past_counts_against_the_budget() {
    let (_clock, _entered) = Manual::enter();
    let past = Clock::current().now();
    assert!(ByHand::of(sleep_until(past)).poll().is_ready());
    let _budget = Budget::open();
    let mut sleeps = 0;
    let endless = async {
        loop {
            sleep_until(past).await;
            sleeps += 1;
        }
    };
    drop(ByHand::waiting(endless));
    assert_eq!(sleeps, 128);
    let mut put_off = ByHand::waiting(sleep_until(past));
    assert_eq!(put_off.wakes(), 1);
    assert!(put_off.poll().is_ready(), "it is put off once");
}

#[test]
fn interval_of_zero_gives_way_at_each_tick() {
    let (_clock, _entered) = Manual::enter();
    let mut ticks = interval(Duration::ZERO);
    for _ in 0..3 {
        let mut tick = ByHand::waiting(ticks.tick());
        assert_eq!(tick.wakes(), 1);
        assert!(tick.poll().is_ready());
    }
}

#[test]
fn yield_is_the_same_as_a_sleep_of_zero() {
    let (_clock, _entered) = Manual::enter();
    let mut yielded = ByHand::waiting(yield_now());
    assert_eq!(yielded.wakes(), 1);
    assert!(yielded.poll().is_ready());
}

#[test]
fn tasks_of_a_hub_inside_of_a_poll_do_not_see_its_budget() {
    let _budget = Budget::open();
    use_up_the_budget();
    let hub = LocalHub::new();
    let (tell, told) = channel();
    hub.spawn(async move { tell.send(poll_once(ready()).await).unwrap() });
    let main = hub.block_on(async {
        yield_now().await;
        poll_once(ready()).await
    });
    assert_eq!(told.recv(), Ok(Some(42)), "the task was put off");
    assert_eq!(main, Some(42), "the main future has a budget of its own");
    drop(ByHand::waiting(ready())); // that of the poll around is still used up
}

#[test]
fn main_futures_have_a_budget_for_each_poll() {
    async fn rounds() -> usize {
        let mut rounds = 0;
        let endless = async {
            loop {
                ready().await;
                rounds += 1;
            }
        };
        let _pending: Option<()> = poll_once(endless).await;
        rounds
    }
    assert_eq!(block_on(rounds()), 128);
    assert_eq!(LocalHub::new().block_on(rounds()), 128);
    let hub = Hub::builder().threads(1).build().unwrap();
    assert_eq!(hub.block_on(rounds()), 128);
    let twice = async { (rounds().await, yield_now().await, rounds().await) };
    assert_eq!(hub.block_on(twice), (128, (), 128));
}

#[cfg(feature = "tokio")]
#[test]
fn scoped_future_has_a_budget_unless_it_is_inside_of_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let hub = spinney_hub::TokioHub::new(runtime.handle().clone()).with_system_clock();
    let mut rounds = 0;
    let endless = async {
        loop {
            ready().await;
            rounds += 1;
        }
    };
    drop(ByHand::waiting(hub.scope(endless)));
    assert_eq!(rounds, 128);
    let _budget = Budget::open();
    use_up_the_budget();
    drop(ByHand::waiting(hub.scope(ready())));
}
