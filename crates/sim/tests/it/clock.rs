//! The promises of virtual time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use spinney_hub::{Clock, Spawn, Within, sleep, sleep_until, yield_now};
use spinney_sim::SimHub;

const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The events, and their times.
type Log = Rc<RefCell<Vec<(u32, Duration)>>>;

/// Spawns a task that sleeps for `length` and then logs an event.
fn spawn_sleeper(sim: &SimHub, log: &Log, name: u32, length: Duration) {
    let (log, own) = (Rc::clone(log), sim.clone());
    sim.spawn(async move {
        sleep(length).await;
        log.borrow_mut().push((name, own.elapsed()));
    });
}

#[test]
fn sleep_takes_its_time_and_no_real_time() {
    let (sim, real) = (SimHub::new(), Instant::now());
    sim.block_on(sleep(100 * YEAR));
    assert_eq!(sim.elapsed(), 100 * YEAR);
    assert!(real.elapsed() < YEAR);
}

#[test]
fn clock_inside_is_the_clock_of_the_hub() {
    let sim = SimHub::new();
    let start = sim.now();
    sim.block_on(async {
        assert_eq!(Clock::current().now(), start);
        sleep_until(start + 3 * SECOND).await;
        assert_eq!(Clock::current().now(), start + 3 * SECOND);
    });
    assert_eq!((sim.now() - start, sim.elapsed()), (3 * SECOND, 3 * SECOND));
}

#[test]
fn time_stands_still_while_a_task_is_ready() {
    let sim = SimHub::new();
    sim.spawn(sleep(SECOND));
    sim.block_on(async {
        for _ in 0..1000 {
            yield_now().await;
        }
    });
    assert_eq!(sim.elapsed(), Duration::ZERO);
}

#[test]
fn timers_ring_in_the_order_of_their_times() {
    let (sim, log) = (SimHub::new(), Log::default());
    for name in [3, 1, 2] {
        spawn_sleeper(&sim, &log, name, name * SECOND);
    }
    sim.run_until_idle();
    assert_eq!(*log.borrow(), [1, 2, 3].map(|name| (name, name * SECOND)));
}

#[test]
fn timers_due_together_ring_in_the_order_of_setting() {
    let (sim, log) = (SimHub::new(), Log::default());
    for name in 0..100 {
        spawn_sleeper(&sim, &log, name, SECOND);
    }
    sim.run_until_idle();
    assert!(log.take().into_iter().eq((0..100).map(|name| (name, SECOND))));
}

#[test]
fn time_limit_expires_in_virtual_time() {
    let sim = SimHub::new();
    let late = sim.block_on(sleep(YEAR).within(SECOND));
    assert_eq!(late.unwrap_err().limit(), SECOND);
    assert_eq!(sim.elapsed(), SECOND);
}

#[test]
fn dropped_timer_does_not_move_the_clock() {
    let sim = SimHub::new();
    sim.block_on(sleep(SECOND).within(YEAR)).unwrap();
    sim.run_until_idle();
    assert_eq!(sim.elapsed(), SECOND);
}

#[test]
fn advance_wakes_the_due_tasks() {
    let (sim, log) = (SimHub::new(), Log::default());
    for name in 1..=3 {
        spawn_sleeper(&sim, &log, name, name * SECOND);
    }
    sim.block_on(yield_now());
    sim.advance(2 * SECOND);
    assert_eq!(sim.elapsed(), 2 * SECOND);
    assert!(log.borrow().is_empty(), "a task ran before the next `block_on`");
    sim.block_on(yield_now());
    assert_eq!(*log.borrow(), [(1, 2 * SECOND), (2, 2 * SECOND)]);
    sim.run_until_idle();
    assert_eq!(log.borrow()[2], (3, 3 * SECOND));
}

#[test]
fn advance_inside_wakes_when_the_caller_yields() {
    let (sim, log) = (SimHub::new(), Log::default());
    spawn_sleeper(&sim, &log, 1, SECOND);
    sim.block_on(async {
        yield_now().await;
        sim.advance(5 * SECOND);
        assert!(log.borrow().is_empty());
        yield_now().await;
        assert_eq!(*log.borrow(), [(1, 5 * SECOND)]);
    });
}

#[test]
fn sleep_of_zero_yields_and_sleep_until_the_past_does_not() {
    let sim = SimHub::new();
    let start = sim.now();
    sim.advance(SECOND);
    let turns = Rc::new(RefCell::new(0));
    let count = Rc::clone(&turns);
    sim.spawn(async move {
        *count.borrow_mut() += 1;
    });
    // The task runs before the main future.
    sim.block_on(async {
        let other = Rc::clone(&turns);
        sim.spawn(async move { *other.borrow_mut() += 1 });
        sleep_until(start).await;
        assert_eq!(*turns.borrow(), 1);
        sleep(Duration::ZERO).await;
        assert_eq!(*turns.borrow(), 2);
    });
    assert_eq!(sim.elapsed(), SECOND);
}

#[test]
fn sleep_beyond_the_range_of_the_clock_never_ends() {
    let sim = SimHub::new();
    sim.try_block_on(sleep(Duration::MAX)).unwrap_err();
    assert_eq!(sim.block_on(sleep(SECOND).within(Duration::MAX)), Ok(()));
    assert_eq!(sim.elapsed(), SECOND);
}

#[test]
fn first_of_nested_limits_to_expire_is_reported() {
    let sim = SimHub::new();
    let inner = sim.block_on(sleep(YEAR).within(SECOND).within(2 * SECOND));
    assert_eq!(inner.unwrap().unwrap_err().limit(), SECOND);
    let outer = sim.block_on(sleep(YEAR).within(2 * SECOND).within(SECOND));
    assert_eq!(outer.unwrap_err().limit(), SECOND);
    assert_eq!(sim.elapsed(), 2 * SECOND);
}

#[test]
fn each_hub_has_its_own_clock() {
    let [one, two] = [SimHub::new(), SimHub::new()];
    one.advance(YEAR);
    assert_eq!((one.elapsed(), two.elapsed()), (YEAR, Duration::ZERO));
}
