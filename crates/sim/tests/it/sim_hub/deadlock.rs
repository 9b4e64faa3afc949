//! A program that would hang fails instead.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use spinney_hub::{Spawn, sleep, yield_now};
use spinney_sim::SimHub;
use spinney_sync::{Event, Semaphore};
use spinney_test_support::Dropped;

#[test]
fn main_future_that_waits_for_ever_is_a_deadlock() {
    for sim in [SimHub::new(), SimHub::seeded(1)] {
        let deadlock = sim.try_block_on(pending::<()>()).unwrap_err();
        assert_eq!(deadlock.tasks(), 0);
    }
}

#[test]
fn deadlock_counts_the_stuck_tasks() {
    let sim = SimHub::new();
    (0..3).for_each(|_| sim.spawn(pending()));
    sim.spawn(async {});
    let deadlock = sim.try_block_on(pending::<()>()).unwrap_err();
    assert_eq!((deadlock.tasks(), sim.pending()), (3, 3));
}

#[test]
fn set_timer_is_not_a_deadlock() {
    let sim = SimHub::new();
    let output = sim.try_block_on(async {
        sleep(Duration::from_secs(10)).await;
        42
    });
    assert_eq!(output, Ok(42));
    sim.spawn(sleep(Duration::from_secs(5)));
    sim.try_block_on(pending::<()>()).unwrap_err();
    assert_eq!(sim.elapsed(), Duration::from_secs(15), "a timer did not fire");
}

#[test]
fn deadlock_drops_the_main_future_and_keeps_the_tasks() {
    let (sim, drops) = (SimHub::new(), Dropped::default());
    let [main, task] = [drops.guard(), drops.guard()];
    sim.spawn(async move {
        let _guard = task;
        pending::<()>().await;
    });
    let deadlock = sim.try_block_on(async move {
        let _guard = main;
        pending::<()>().await;
    });
    assert!(deadlock.is_err());
    assert_eq!((drops.count(), sim.pending()), (1, 1));
    assert_eq!(sim.block_on(async { 42 }), 42, "the hub cannot be used any more");
}

#[test]
fn block_on_panics_with_the_deadlock_as_message() {
    let sim = SimHub::new();
    let text = sim.try_block_on(pending::<()>()).unwrap_err().to_string();
    let panic = catch_unwind(AssertUnwindSafe(|| sim.block_on(pending::<()>()))).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>(), Some(&text));
    assert!(text.starts_with("deadlock: nothing is ready to run and no timer is set"), "{text}");
}

#[test]
fn deadlock_names_each_wait_and_its_line() {
    let (sim, event) = (SimHub::new(), Event::new());
    let line = line!() + 3;
    sim.spawn(async {
        let none = Semaphore::new(0);
        let _never = none.acquire().await;
    });
    sim.spawn(pending());
    let deadlock = sim.try_block_on(event.wait()).unwrap_err();
    let file = file!();
    let expected = format!(
        "deadlock: nothing is ready to run and no timer is set
  the main future waits for Event::wait at {file}:{}:{}
  a task waits for Semaphore::acquire at {file}:{line}:{}
  a task waits for an unknown event",
        line + 3,
        43,
        27
    );
    assert_eq!(deadlock.to_string(), expected);
}

#[test]
fn tasks_that_wait_for_each_other_are_a_deadlock() {
    let sim = SimHub::new();
    let deadlock = sim.try_block_on(async {
        let forks = [Semaphore::new(1), Semaphore::new(1)];
        let eat = |first: usize| {
            let forks = &forks;
            async move {
                let _one = forks[first].acquire().await;
                yield_now().await;
                let _two = forks[1 - first].acquire().await;
            }
        };
        futures_lite::future::zip(eat(0), eat(1)).await
    });
    assert!(deadlock.is_err());
}
