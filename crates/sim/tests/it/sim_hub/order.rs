//! The order of tasks, and its reproduction.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use spinney_hub::{Spawn, sleep, spawn, yield_now};
use spinney_sim::SimHub;
use spinney_test_support::OnDrop;

/// The order in which ten tasks have three turns each.
fn order(sim: &SimHub) -> Vec<u32> {
    let log = Rc::new(RefCell::new(Vec::new()));
    for n in 0..10 {
        let log = Rc::clone(&log);
        sim.spawn(async move {
            for _ in 0..3 {
                log.borrow_mut().push(n);
                yield_now().await;
            }
        });
    }
    sim.run_until_idle();
    log.take()
}

#[test]
fn unseeded_hub_runs_tasks_in_fifo_order() {
    let expected: Vec<_> = (0..3).flat_map(|_| 0..10).collect();
    assert_eq!(order(&SimHub::new()), expected);
    assert_eq!(order(&SimHub::default()), expected);
}

#[test]
fn main_future_has_its_turn_like_a_task() {
    let (sim, log) = (SimHub::new(), RefCell::new(Vec::new()));
    let log = Rc::new(log);
    let early = Rc::clone(&log);
    sim.spawn(async move { early.borrow_mut().push("early") });
    sim.block_on(async {
        log.borrow_mut().push("main");
        let late = Rc::clone(&log);
        sim.spawn(async move { late.borrow_mut().push("late") });
        yield_now().await;
        log.borrow_mut().push("main again");
    });
    assert_eq!(*log.borrow(), ["early", "main", "late", "main again"]);
}

#[test]
fn one_seed_gives_one_order() {
    for seed in 0..20 {
        assert_eq!(order(&SimHub::seeded(seed)), order(&SimHub::seeded(seed)), "seed {seed}");
    }
}

#[test]
fn different_seeds_give_different_orders() {
    let orders: BTreeSet<_> = (0..50).map(|seed| order(&SimHub::seeded(seed))).collect();
    assert!(orders.len() > 40, "{} of 50 are different", orders.len());
}

#[test]
fn each_task_comes_first_under_some_seed() {
    let firsts: BTreeSet<_> = (0..500).map(|seed| order(&SimHub::seeded(seed))[0]).collect();
    assert!(firsts.into_iter().eq(0..10));
}

#[test]
fn one_seed_gives_one_order_of_tasks_and_timers() {
    let order = |seed| {
        let (sim, log) = (SimHub::seeded(seed), Rc::new(RefCell::new(Vec::new())));
        for n in 0..10 {
            let log = Rc::clone(&log);
            sim.spawn(async move {
                sleep(Duration::from_secs(1)).await;
                log.borrow_mut().push(n);
            });
        }
        sim.run_until_idle();
        log.take()
    };
    let orders: BTreeSet<Vec<i32>> = (0..20).map(order).collect();
    assert!(orders.len() > 10);
    assert!((0..20).all(|seed| order(seed) == order(seed)));
}

#[test]
fn task_woken_twice_runs_once() {
    for sim in [SimHub::new(), SimHub::seeded(3)] {
        let turns = Rc::new(Cell::new(0));
        let seen = Rc::clone(&turns);
        sim.spawn(poll_fn(move |cx| {
            seen.set(seen.get() + 1);
            if seen.get() == 1 {
                (0..10).for_each(|_| cx.waker().wake_by_ref());
            }
            Poll::Pending
        }));
        sim.run_until_idle();
        assert_eq!(turns.get(), 2);
    }
}

#[test]
fn wake_after_the_end_is_harmless() {
    let (sim, kept) = (SimHub::new(), Rc::new(RefCell::new(None::<Waker>)));
    let keep = Rc::clone(&kept);
    sim.spawn(poll_fn(move |cx| {
        keep.replace(Some(cx.waker().clone()));
        cx.waker().wake_by_ref();
        Poll::Ready(())
    }));
    sim.run_until_idle();
    assert_eq!(sim.pending(), 0);
    kept.take().unwrap().wake();
    sim.run_until_idle();
}

#[test]
fn wake_from_another_thread_queues_a_turn() {
    let (sim, kept) = (SimHub::new(), Rc::new(RefCell::new(None::<Waker>)));
    let keep = Rc::clone(&kept);
    let mut parked = false;
    sim.spawn(poll_fn(move |cx| {
        keep.replace(Some(cx.waker().clone()));
        if std::mem::replace(&mut parked, true) { Poll::Ready(()) } else { Poll::Pending }
    }));
    sim.run_until_idle();
    assert_eq!(sim.pending(), 1);
    let waker = kept.take().unwrap();
    thread::spawn(move || waker.wake()).join().unwrap();
    sim.run_until_idle();
    assert_eq!(sim.pending(), 0);
}

#[test]
fn free_spawn_goes_to_the_simulated_hub() {
    let sim = SimHub::new();
    sim.block_on(async {
        spawn(async {});
        assert_eq!(sim.pending(), 1);
        yield_now().await;
        assert_eq!(sim.pending(), 0);
    });
    sim.spawn(async { spawn(std::future::pending()) });
    sim.run_until_idle();
    assert_eq!(sim.pending(), 1, "a spawn from a task went elsewhere");
}

#[test]
fn concurrent_foreign_wake_is_not_a_deadlock() {
    let done = &AtomicBool::new(false);
    let sim = SimHub::new();
    thread::scope(|scope| {
        sim.block_on(async {
            let _stop = OnDrop::new(|| done.store(true, SeqCst));
            let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    waker.wake_by_ref();
                }
            });
            for _ in 0..100_000 {
                yield_now().await;
            }
        });
    });
}
