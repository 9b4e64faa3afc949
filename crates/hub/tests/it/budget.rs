//! The budget of ready awaits: pollers open one for each poll; sleeps and limits respect it.

use std::future::{pending, poll_fn};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney_hub::{
    Clock, Hub, Limit, LocalHub, Spawn, Within, block_on, interval, sleep, sleep_until, yield_now,
};
use spinney_sync::{Budget, BudgetedAwait};
use spinney_test_support::ByHand;

use crate::clock::manual::Manual;

const SECOND: Duration = Duration::from_secs(1);

/// A future that is ready, unless the budget is used up.
fn ready() -> impl Future<Output = u32> {
    let mut budgeted = BudgetedAwait::default();
    poll_fn(move |cx| budgeted.poll(cx, |_| Poll::Ready(42)))
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

#[test]
fn future_under_a_limit_is_deferred_before_its_time_starts() {
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
    assert!(matches!(limited.poll(), Poll::Ready(Err(timeout)) if timeout.is(&limit)));
    assert_eq!(limit.deadline(), Some(Clock::current().now()));
}

#[test]
fn ready_future_wins_over_zero_without_budget() {
    let (_clock, _entered) = Manual::enter();
    let _budget = Budget::open();
    use_up_the_budget();
    let mut limited = ByHand::of(ready().within(Duration::ZERO).within(Duration::ZERO));
    assert!(limited.poll().is_pending());
    assert_eq!(limited.poll(), Poll::Ready(Ok(Ok(42))));
}

#[test]
fn limit_and_timer_are_never_deferred() {
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
    assert!(put_off.poll().is_ready(), "it was deferred twice");
}

#[test]
fn interval_of_zero_yields_at_each_tick() {
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
fn tasks_of_an_inner_hub_have_their_own_budget() {
    let _budget = Budget::open();
    use_up_the_budget();
    let hub = LocalHub::new();
    let (tell, told) = channel();
    hub.spawn(async move { tell.send(poll_once(ready()).await).unwrap() });
    let main = hub.block_on(async {
        yield_now().await;
        poll_once(ready()).await
    });
    assert_eq!(told.recv(), Ok(Some(42)), "the task was deferred");
    assert_eq!(main, Some(42), "the main future had no budget of its own");
    drop(ByHand::waiting(ready())); // that of the poll around is still used up
}

#[test]
fn main_future_has_a_budget_for_each_poll() {
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
fn scoped_future_has_a_budget_unless_inside_another() {
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
