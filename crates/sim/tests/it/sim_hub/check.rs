//! `check`: one scenario under many seeds.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use spinney_hub::{Spawn, yield_now};
use spinney_sim::SimHub;

/// Two tasks increment a number, and sometimes lose an increment.
fn additions(sim: &SimHub) -> u32 {
    let number = Rc::new(Cell::new(0));
    for _ in 0..2 {
        let number = Rc::clone(&number);
        sim.spawn(async move {
            let read = number.get();
            yield_now().await;
            number.set(read + 1);
        });
    }
    sim.run_until_idle();
    number.get()
}

#[test]
fn check_reports_the_first_failing_seed_and_its_replay() {
    let first = (0..1000).find(|seed| additions(&SimHub::seeded(*seed)) != 2).unwrap();
    let run =
        || SimHub::check(0..1000, |sim| assert_eq!(additions(sim), 2, "an increment was lost"));
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    let expected =
        format!("failed with seed {first}, replay it with SimHub::seeded({first}): assertion");
    assert!(said.starts_with(&expected) && said.contains("an increment was lost"), "{said}");
}

#[test]
fn check_runs_a_passing_scenario_once_for_each_seed() {
    let orders = RefCell::new(Vec::new());
    SimHub::check([3, 1, 2], |sim| orders.borrow_mut().push(additions(sim)));
    let expected: Vec<_> = [3, 1, 2].map(|seed| additions(&SimHub::seeded(seed))).into();
    assert_eq!(*orders.borrow(), expected);
}
