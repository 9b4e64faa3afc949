//! Starting, finishing and dropping tasks.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use spinney_hub::{Executor, Hub, Spawn, sleep, yield_now};
use spinney_sim::SimHub;
use spinney_test_support::{Dropped, stuck_and_panics_on_drop};

#[test]
fn output_need_not_be_send_and_the_future_may_borrow() {
    let text = String::from("here");
    assert_eq!(**SimHub::new().block_on(async { Rc::new(&text) }), "here");
}

#[test]
fn pending_counts_the_unfinished_tasks() {
    let sim = SimHub::new();
    assert_eq!(sim.pending(), 0);
    sim.spawn(pending());
    sim.spawn(async {});
    assert_eq!(sim.pending(), 2);
    sim.run_until_idle();
    assert_eq!(sim.pending(), 1);
    assert_eq!(format!("{sim:?}"), "SimHub { pending: 1, elapsed: 0ns }");
}

#[test]
fn remaining_tasks_resume_at_the_next_block_on() {
    let sim = SimHub::new();
    let shared = Rc::new(());
    let mine = Rc::clone(&shared);
    sim.clone().spawn(async move {
        yield_now().await;
        drop(mine);
    });
    assert_eq!(Rc::strong_count(&shared), 2);
    sim.block_on(async {});
    assert_eq!(Rc::strong_count(&shared), 2);
    sim.block_on(yield_now());
    assert_eq!(Rc::strong_count(&shared), 1);
}

#[test]
fn dropped_last_handle_drops_the_tasks() {
    let (sim, drops) = (SimHub::new(), Dropped::default());
    for _ in 0..10 {
        let (parked, ready) = (drops.guard(), drops.guard());
        sim.spawn(async move {
            let _guard = parked;
            sleep(Duration::from_secs(1)).await;
            pending::<()>().await;
        });
        sim.spawn(async move { drop(ready) });
    }
    sim.block_on(async {});
    let other = sim.clone();
    drop(sim);
    assert_eq!(drops.count(), 10, "a finished task was not dropped");
    drop(other);
    assert_eq!(drops.count(), 20);
}

#[test]
fn task_releases_its_hub_when_it_finishes() {
    let (sim, drops) = (SimHub::new(), Dropped::default());
    let (own, guard) = (sim.clone(), drops.guard());
    sim.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    sim.spawn(async move { drop(own) });
    sim.run_until_idle();
    drop(sim);
    assert_eq!(drops.count(), 1);
}

#[test]
fn panic_of_a_task_propagates_and_leaves_the_hub_usable() {
    let (sim, drops) = (SimHub::new(), Dropped::default());
    let guard = drops.guard();
    sim.spawn(async move {
        let _guard = guard;
        panic!("of a task");
    });
    sim.spawn(async {});
    let run = || sim.block_on(pending::<()>());
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"of a task"));
    assert_eq!((drops.count(), sim.pending()), (1, 1));
    sim.run_until_idle();
    assert_eq!(sim.pending(), 0);
    assert_eq!(sim.block_on(async { 42 }), 42);
}

#[test]
fn nested_simulation_has_its_own_time() {
    let (outer, inner) = (SimHub::new(), SimHub::new());
    outer.block_on(async {
        inner.block_on(sleep(Duration::from_secs(7)));
        assert_eq!(outer.elapsed(), Duration::ZERO);
        sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(outer.elapsed(), Duration::from_secs(1));
    assert_eq!(inner.elapsed(), Duration::from_secs(7));
}

#[test]
fn nested_simulation_takes_no_turn_of_the_outer_one() {
    let sim = SimHub::new();
    let own = sim.clone();
    sim.spawn(async move {
        // Refused or run, but not at the expense of the main future.
        let _ = catch_unwind(AssertUnwindSafe(|| own.block_on(yield_now())));
    });
    assert_eq!(sim.try_block_on(async { 42 }), Ok(42));
}

#[test]
#[should_panic(expected = "await the future instead")]
fn block_on_of_another_hub_inside_panics() {
    let hub = Hub::builder().threads(1).build().unwrap();
    SimHub::new().block_on(async { hub.block_on(async {}) });
}

#[test]
fn handle_spawns_in_call_order() {
    let sim = SimHub::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    let add = |n: u32| {
        let log = Arc::clone(&log);
        async move { log.lock().unwrap().push(n) }
    };
    sim.block_on(async {
        let (handle, here) = (Hub::from(&sim), Hub::current());
        sim.spawn(add(0));
        handle.spawn(add(1));
        spinney_hub::spawn(add(2));
        sim.spawn(add(3));
        here.spawn(add(4));
        thread::scope(|scope| scope.spawn(|| handle.spawn(add(5))).join().unwrap());
        sim.spawn(add(6));
        yield_now().await;
    });
    assert_eq!(*log.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn handle_to_a_dropped_hub_drops_the_future() {
    let sim = SimHub::new();
    let handle = Hub::from(&sim);
    drop(sim);
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    handle.spawn(async move { drop(held) });
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn sim_hub_is_local() {
    let sim = SimHub::seeded(1);
    assert!(sim.is_local() && Rc::new(sim).is_local());
}

#[test]
fn tasks_whose_destructors_panic_are_dropped() {
    let (sim, drops) = (SimHub::new(), Dropped::default());
    for _ in 0..3 {
        sim.spawn(stuck_and_panics_on_drop(drops.guard()));
    }
    sim.block_on(yield_now());
    drop(sim);
    assert_eq!(drops.count(), 3);
}
