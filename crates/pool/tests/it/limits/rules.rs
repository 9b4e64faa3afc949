//! The order of requests, rule by rule, and the errors for bad input.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use spinney_greenlet::Failure;
use spinney_hub::{Clock, sleep, yield_now};
use spinney_pool::gevent::GroupExt as _;
use spinney_pool::limits::Order;
use spinney_pool::{Pool, Rate, RateLimiter, Slot, SlotError, SlotRequest};
use spinney_sim::SimHub;

const SECOND: Duration = Duration::from_secs(1);

fn poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn waits(mut request: SlotRequest<'_, SimHub>) -> SlotRequest<'_, SimHub> {
    assert!(poll(&mut request).is_none());
    request
}

fn served(request: &mut SlotRequest<'_, SimHub>) -> Slot<SimHub> {
    poll(request).expect("the request is served").unwrap()
}

/// Why a greenlet was refused.
fn refusal(failure: &Failure) -> Option<SlotError> {
    let Failure::Killed(exit) = failure else { return None };
    exit.reason()?.downcast_ref().copied()
}

/// Starts `count` tasks that end immediately, and returns the seconds at which each started.
async fn starts(pool: &Pool<SimHub>, count: usize) -> Vec<u64> {
    let (begin, starts) = (Clock::current().now(), Rc::new(RefCell::new(Vec::new())));
    for _ in 0..count {
        let starts = Rc::clone(&starts);
        let note = async move {
            starts.borrow_mut().push((Clock::current().now() - begin).as_secs());
        };
        pool.spawn(note).await.detach();
    }
    pool.wait_idle().await.unwrap();
    starts.take()
}

#[test]
fn hour_of_rate_limiting_takes_no_time() {
    let (sim, real) = (SimHub::new(), Instant::now());
    let pool = Pool::builder().rate(Rate::per(1, SECOND)).pool_on(&sim, 5);
    let seconds = sim.block_on(starts(&pool, 3600));
    assert!(seconds.into_iter().eq(0..3600));
    assert!(real.elapsed() < 20 * SECOND);
}

#[test]
fn several_rates_apply_together() {
    let sim = SimHub::new();
    let (fast, slow) = (Rate::per(1, SECOND), Rate::per(1, 10 * SECOND).burst(3));
    let pool = Pool::builder().rate(fast).rate(slow).pool_on(&sim, 5);
    assert_eq!(sim.block_on(starts(&pool, 6)), [0, 1, 2, 10, 20, 30]);
}

#[test]
fn refused_start_uses_up_no_other_limit() {
    let sim = SimHub::new();
    let pool = Pool::builder().rate(Rate::per(1, 10 * SECOND)).per_key(1).pool_on(&sim, 2);
    sim.block_on(async {
        let held = pool.slot().key("a").await.unwrap();
        sleep(15 * SECOND).await;
        assert_eq!(pool.slot().key("a").try_now().unwrap_err(), SlotError::Full);
        let other = pool.slot().key("b").try_now();
        assert!(other.is_ok(), "the rate has a start left");
        drop(held);
    });
}

#[test]
fn queue_goes_on_if_its_first_waiter_is_not_polled() {
    let sim = SimHub::new();
    let pool = Pool::builder().rate(Rate::per(1, SECOND)).pool_on(&sim, 5);
    sim.block_on(async {
        drop(pool.slot().await);
        let mut first = waits(pool.slot());
        // The request behind `first` is served, although nothing polls `first`.
        let second = pool.slot().await.unwrap();
        assert_eq!(sim.elapsed(), 2 * SECOND);
        drop((second, served(&mut first)));
    });
}

#[test]
fn dropped_head_lets_the_next_start_at_its_time() {
    let sim = SimHub::new();
    let pool = Pool::builder().rate(Rate::per(1, SECOND)).pool_on(&sim, 5);
    sim.block_on(async {
        drop(pool.slot().await);
        let head = waits(pool.slot());
        let mut next = waits(pool.slot());
        drop(head);
        sleep(SECOND).await;
        drop(served(&mut next));
    });
}

#[test]
fn full_key_is_skipped_and_stays_fifo() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).pool_on(&sim, 9);
    sim.block_on(async {
        let held = pool.slot().key("a").await.unwrap();
        let mut first = waits(pool.slot().key("a"));
        let mut second = waits(pool.slot().key("a"));
        drop(pool.slot().key("b").await.unwrap());
        drop(pool.slot().await.unwrap());
        drop(held);
        assert!(poll(&mut second).is_none());
        let held = served(&mut first);
        assert!(poll(&mut second).is_none());
        drop(held);
        drop(served(&mut second));
    });
}

#[test]
fn key_rate_holds_up_its_key_alone() {
    let sim = SimHub::new();
    let pool = Pool::builder().key_rate(Rate::per(1, SECOND)).pool_on(&sim, 9);
    sim.block_on(async {
        drop(pool.slot().key("a").await.unwrap());
        let mut late = waits(pool.slot().key("a"));
        drop(pool.slot().key("b").await.unwrap());
        assert_eq!(sim.elapsed(), Duration::ZERO);
        drop((&mut late).await.unwrap());
        assert_eq!(sim.elapsed(), SECOND);
    });
}

#[test]
fn head_that_does_not_fit_holds_up_all_behind_it() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 3);
    sim.block_on(async {
        let held = pool.slot().weight(2).await.unwrap();
        let mut heavy = waits(pool.slot().weight(2));
        assert_eq!(pool.try_slot().unwrap_err(), SlotError::Full);
        let mut light = waits(pool.slot());
        drop(held);
        let (heavy, light) = (served(&mut heavy), served(&mut light));
        assert_eq!((pool.len(), pool.available()), (3, 0));
        drop((heavy, light));
        assert_eq!((pool.len(), pool.available()), (0, 3));
    });
}

#[test]
fn weight_above_the_capacity_is_refused_or_skipped() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 2);
    sim.block_on(async {
        assert_eq!(pool.slot().weight(3).await.unwrap_err(), SlotError::TooHeavy);
        assert_eq!(pool.slot().weight(3).try_now().unwrap_err(), SlotError::TooHeavy);
        let refused = pool.slot().weight(3).spawn(async {}).await.await.unwrap_err();
        assert_eq!(refusal(&refused), Some(SlotError::TooHeavy));
        let mut patient = waits(pool.slot().weight(3).key("a").await_resize());
        let mut behind = waits(pool.slot().key("a"));
        drop(pool.slot().key("b").await.unwrap());
        pool.resize(3);
        drop(served(&mut patient));
        drop(served(&mut behind));
    });
}

#[test]
fn order_is_by_priority_and_newest_first_if_set() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    sim.block_on(async {
        for (order, expected) in [
            (Order::Oldest, [1, 3, 0, 2]),
            (Order::Newest, [1, 3, 2, 0]),
            (Order::Aging(2), [1, 0, 3, 2]),
        ] {
            pool.set_order(order);
            let mut held = Some(pool.slot().await.unwrap());
            let mut waiting: Vec<_> = [0, 2, 0, 1]
                .into_iter()
                .map(|priority| Some(waits(pool.slot().priority(priority))))
                .collect();
            for next in expected {
                drop(held.take());
                held = Some(served(waiting[next].as_mut().unwrap()));
                waiting[next] = None;
            }
        }
    });
}

#[test]
fn aging_lets_no_low_priority_starve() {
    let sim = SimHub::new();
    let pool = Pool::builder().order(Order::Aging(10)).pool_on(&sim, 1);
    sim.block_on(async {
        let mut held = pool.slot().await.unwrap();
        let mut low = waits(pool.slot());
        let mut overtaken = 0;
        // There are always one or two urgent waiters.
        let mut urgent = vec![waits(pool.slot().priority(3))];
        loop {
            urgent.push(waits(pool.slot().priority(3)));
            drop(held);
            if let Some(slot) = poll(&mut low) {
                drop(slot);
                break;
            }
            held = served(&mut urgent.remove(0));
            overtaken += 1;
            yield_now().await;
        }
        assert_eq!(overtaken, 29, "fewer than three steps of ten places");
    });
}

#[test]
fn strict_priorities_may_starve_a_low_one() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    sim.block_on(async {
        let mut held = pool.slot().await.unwrap();
        let mut low = waits(pool.slot());
        for _ in 0..1000 {
            let mut urgent = waits(pool.slot().priority(1));
            drop(held);
            held = served(&mut urgent);
            assert!(poll(&mut low).is_none());
            yield_now().await; // the budget of one poll has 128 ready awaits
        }
    });
}

#[test]
fn too_many_waiters_are_refused_immediately() {
    let sim = SimHub::new();
    let pool = Pool::builder().max_waiting(1).pool_on(&sim, 1);
    sim.block_on(async {
        let held = pool.slot().await.unwrap();
        let mut waiting = waits(pool.slot());
        assert_eq!(pool.slot().priority(9).await.unwrap_err(), SlotError::TooManyWaiting);
        let full = pool.spawn_within(SECOND, async {}).await.unwrap_err();
        assert_eq!(full.error(), SlotError::TooManyWaiting);
        assert_eq!(pool.try_spawn(async {}).unwrap_err().error(), SlotError::Full);
        for refused in [pool.spawn(async {}).await, pool.apply_async(async {})] {
            let failure = refused.await.unwrap_err();
            assert_eq!(refusal(&failure), Some(SlotError::TooManyWaiting));
        }
        assert_eq!((pool.stats().shed, pool.waiting()), (4, 1));
        drop(held);
        drop(served(&mut waiting));
        assert_eq!((pool.stats().shed, pool.available()), (4, 1));
    });
}

#[test]
fn paused_pool_starts_nothing_and_counts_the_time() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 2);
    sim.block_on(async {
        let mut plain = pool.slot().await.unwrap();
        pool.pause();
        assert_eq!(pool.try_slot().unwrap_err(), SlotError::Full);
        let mut waiting = waits(pool.slot());
        sleep(3 * SECOND).await;
        assert_eq!(pool.stats().paused, 3 * SECOND);
        pool.resume();
        drop(std::mem::replace(&mut plain, served(&mut waiting)));
        pool.pause_for(5 * SECOND);
        assert!(pool.is_paused());
        pool.slot().await.unwrap().spawn(async {}).await.unwrap();
        assert_eq!((sim.elapsed(), pool.stats().paused), (8 * SECOND, 8 * SECOND));
        assert!(!pool.is_paused());
    });
}

#[test]
fn pause_applies_to_waiters_of_a_plain_pool() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    sim.block_on(async {
        let held = pool.slot().await.unwrap();
        let mut first = waits(pool.slot());
        let mut second = waits(pool.slot());
        pool.pause();
        drop(held);
        assert!(poll(&mut first).is_none());
        pool.resume();
        let held = served(&mut first);
        assert!(poll(&mut second).is_none());
        drop(held);
        drop(served(&mut second));
    });
}

#[test]
fn change_of_rate_grants_no_burst() {
    let sim = SimHub::new();
    let (slow, fast) = (Rate::per(1, 10 * SECOND).burst(2), Rate::per(1, SECOND).burst(2));
    let pool = Pool::builder().rate(slow).pool_on(&sim, 9);
    sim.block_on(async {
        drop((pool.slot().await, pool.slot().await));
        for round in 0..10 {
            pool.set_rates([if round % 2 == 0 { fast } else { slow }]);
            assert_eq!(pool.try_slot().unwrap_err(), SlotError::Full);
        }
        pool.set_rates([fast]);
        sleep(SECOND).await;
        drop(pool.try_slot().unwrap());
        assert_eq!(pool.try_slot().unwrap_err(), SlotError::Full);
        pool.set_rates([]);
        drop(pool.try_slot().unwrap());
    });
}

#[test]
fn start_under_another_clock_is_an_error() {
    let (one, two) = (SimHub::new(), SimHub::new());
    let pool = Pool::builder().rate(Rate::per(1, SECOND)).pool_on(&one, 9);
    drop(one.block_on(pool.slot()).unwrap());
    assert_eq!(two.block_on(pool.slot()).unwrap_err(), SlotError::OtherClock);
    assert_eq!(pool.try_slot().unwrap_err(), SlotError::OtherClock);
    drop(one.block_on(pool.slot()).unwrap());
}

#[test]
fn closed_pool_refuses_requests_of_every_kind() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).rate(Rate::per(1, SECOND)).pool_on(&sim, 1);
    sim.block_on(async {
        let _held = pool.slot().key("a").await.unwrap();
        let mut waiting = [
            waits(pool.slot()),
            waits(pool.slot().key("a")),
            waits(pool.slot().weight(7).await_resize()),
        ];
        assert_eq!(pool.close().refused, 3);
        for request in &mut waiting {
            assert_eq!(poll(request).unwrap().unwrap_err(), SlotError::Closed);
        }
        assert_eq!(pool.waiting(), 0);
    });
}

#[test]
fn waiter_refused_by_a_plain_pool_stays_refused_under_limits() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    sim.block_on(async {
        let held = pool.slot().await.unwrap();
        let mut waiting = waits(pool.slot());
        pool.close();
        pool.set_per_key(Some(1));
        drop(held);
        assert_eq!(poll(&mut waiting).unwrap().unwrap_err(), SlotError::Closed);
        assert_eq!(pool.len(), 0);
    });
}

/// A key whose hash panics.
struct BadKey;

impl Hash for BadKey {
    fn hash<H: Hasher>(&self, _: &mut H) {
        panic!("no hash");
    }
}

#[test]
fn panicking_hash_of_a_key_loses_nothing() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).pool_on(&sim, 1);
    sim.block_on(async {
        let request = AssertUnwindSafe(|| drop(pool.slot().key(&BadKey)));
        assert!(catch_unwind(request).is_err());
        assert_eq!((pool.len(), pool.waiting()), (0, 0));
        drop(pool.slot().key("a").await.unwrap());
    });
}

#[test]
fn absurd_rates_are_refused_with_a_clear_text() {
    for (bad, text) in [
        (Box::new(|| Rate::per(0, SECOND)) as Box<dyn Fn() -> Rate>, "at least one start"),
        (Box::new(|| Rate::per(1, Duration::ZERO)), "longer than zero"),
        (Box::new(|| Rate::per(1, SECOND).burst(0)), "at least one start"),
    ] {
        let panic = catch_unwind(AssertUnwindSafe(bad)).unwrap_err();
        assert!(panic.downcast_ref::<&str>().unwrap().contains(text));
    }
}

#[test]
fn finished_task_lets_the_next_of_its_key_start() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).pool_on(&sim, 9);
    sim.block_on(async {
        for end in 0..3 {
            let task = pool.slot().key("a").spawn(async move {
                if end == 1 {
                    std::future::pending::<()>().await;
                }
                assert!(end != 2, "no luck");
            });
            let task = task.await;
            let mut next = waits(pool.slot().key("a"));
            task.kill_now();
            let _ = task.await;
            drop(served(&mut next));
        }
        assert_eq!((pool.len(), pool.waiting()), (0, 0));
    });
}

#[test]
fn limiter_spaces_a_section_of_code() {
    let sim = SimHub::new();
    let limiter = RateLimiter::new(Rate::per(2, SECOND).burst(2));
    sim.block_on(async {
        for _ in 0..6 {
            limiter.ready().await.unwrap();
        }
        assert_eq!(sim.elapsed(), 2 * SECOND);
        assert_eq!(limiter.try_ready(), Err(SlotError::Full));
        limiter.set_rate(Rate::per(1, 10 * SECOND));
        limiter.ready().await.unwrap();
        assert_eq!(sim.elapsed(), 12 * SECOND);
    });
}

#[test]
fn group_with_limits_is_refused() {
    let build = || Pool::builder().per_key(1).group();
    assert!(catch_unwind(build).is_err());
}
