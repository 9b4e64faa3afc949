//! The report of a failure on greenlets, and programs that are refused.

use std::rc::Rc;

use spinney::task::joinall;
use spinney::task::{State, spawn_on};
use spinney::{Event, ThreadPool, unblock};
use spinney_sim::{Counterexample, Explore, ExploreError, SimHub};

/// The writer fails if it runs first.
fn reader_and_writer(sim: &SimHub) {
    let event = Rc::new(Event::new());
    let sets = Rc::clone(&event);
    let reader = spawn_on(sim, async move { event.wait().await }).named("reader");
    let waits = reader.handle().clone();
    let writer = spawn_on(sim, async move {
        sets.set();
        assert_eq!(waits.state(), State::Running, "{waits} has not run");
    });
    sim.block_on(joinall([reader.handle(), writer.handle()]));
}

fn found(scenario: impl Fn(&SimHub)) -> Box<Counterexample> {
    match Explore::delays(2).try_run(scenario) {
        Err(ExploreError::Failed(found)) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn steps_name_greenlets_by_name_and_line() {
    let found = [(); 2].map(|()| found(reader_and_writer).to_string());
    assert_eq!(found[0], found[1], "the ids of greenlets differ between runs");
    let here = file!();
    for told in [
        "failed: greenlet 1 \"reader\" has not run\n".to_owned(),
        format!("1. task 2, before task 1: starts, spawned at {here}:"),
        format!("2. main: starts, spawned at {here}:"),
        format!("; waits for joinall at {here}:"),
        format!("3. task 1: starts, spawned at {here}:"),
        "; wakes main; finishes\n".to_owned(),
        format!("4. main: goes on from joinall at {here}:"),
    ] {
        assert!(found[0].contains(&told), "{told:?} is missing in:\n{}", found[0]);
    }
}

/// Also in a greenlet, which contains the panic.
#[test]
fn thread_pools_are_refused() {
    let pool = |sim: &SimHub| {
        let pool = ThreadPool::new(1);
        spawn_on(sim, async move { pool.apply(|| 1).await }).detach();
    };
    let blocking = |sim: &SimHub| spawn_on(sim, unblock(|| 1)).detach();
    for found in [found(pool), found(blocking)] {
        let text = "a thread pool runs on other threads, whose order cannot be explored";
        assert!(found.message().ends_with(text), "{found}");
    }
}
