//! Programs by proptest: a semaphore and a queue in every order up to a bound.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use spinney::{Queue, Semaphore, Spawn, yield_now};
use spinney_sim::{Explore, SimHub};

/// The next action of a task.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Takes permits together, and holds them for some turns.
    Hold {
        permits: usize,
        turns: usize,
    },
    /// Puts an item, and takes one.
    Exchange,
    BudgetedAwait,
}

const PERMITS: usize = 2;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (1..=PERMITS, 0..3_usize).prop_map(|(permits, turns)| Op::Hold { permits, turns }),
        Just(Op::Exchange),
        Just(Op::BudgetedAwait),
    ]
}

/// One task for each list of actions.
fn run(sim: &SimHub, program: &[Vec<Op>]) {
    let (seats, held) = (Rc::new(Semaphore::new(PERMITS)), Rc::new(Cell::new(0)));
    let queue = Rc::new(Queue::bounded(1));
    for ops in program.iter().cloned() {
        let (seats, held, queue) = (Rc::clone(&seats), Rc::clone(&held), Rc::clone(&queue));
        sim.spawn(async move {
            for op in ops {
                match op {
                    Op::BudgetedAwait => yield_now().await,
                    Op::Exchange => {
                        queue.put(()).await.unwrap();
                        queue.get().await.unwrap();
                    }
                    Op::Hold { permits, turns } => {
                        let permit = seats.acquire_many(permits).await;
                        held.set(held.get() + permits);
                        assert!(held.get() <= PERMITS, "the holders exceed the permits");
                        for _ in 0..turns {
                            yield_now().await;
                        }
                        held.set(held.get() - permits);
                        drop(permit);
                    }
                }
            }
        });
    }
    sim.run_until_idle();
    assert_eq!((held.get(), seats.out(), seats.waiting(), queue.len()), (0, 0, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    /// Both shrink: proptest the program, exploration the order in which it fails.
    #[test]
    fn random_programs_finish_in_every_order(
        program in prop::collection::vec(prop::collection::vec(op(), 1..4), 2..4),
    ) {
        let found = Explore::delays(2).try_run(|sim| run(sim, &program));
        found.map_err(|error| TestCaseError::fail(error.to_string()))?;
    }
}
