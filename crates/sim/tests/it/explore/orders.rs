//! The orders that are tried.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use spinney_hub::{Spawn, sleep, yield_now};
use spinney_sim::{Explore, ExploreError, Report, SimHub};
use spinney_sync::{Event, Semaphore};

const SECOND: Duration = Duration::from_secs(1);

type Log = Rc<RefCell<Vec<u32>>>;

/// The logs of `scenario` in the orders that `explore` tries, which must all differ.
fn logs(explore: Explore, scenario: impl Fn(&SimHub, &Log)) -> (BTreeSet<Vec<u32>>, Report) {
    let seen = RefCell::new(BTreeSet::new());
    let report = explore.run(|sim| {
        let log = Log::default();
        scenario(sim, &log);
        sim.run_until_idle();
        seen.borrow_mut().insert(log.take());
    });
    (seen.into_inner(), report)
}

/// `tasks` tasks with `turns` turns each.
fn turns(tasks: u32, turns: usize) -> impl Fn(&SimHub, &Log) {
    move |sim, log| {
        for task in 0..tasks {
            let log = Rc::clone(log);
            sim.spawn(async move {
                for turn in 0..turns {
                    if turn > 0 {
                        yield_now().await;
                    }
                    log.borrow_mut().push(task);
                }
            });
        }
    }
}

#[test]
fn every_order_is_tried_once() {
    for (tasks, count, orders) in [(1, 3, 1), (2, 2, 6), (2, 3, 20), (3, 2, 90)] {
        let (seen, report) = logs(Explore::delays(100), turns(tasks, count));
        assert_eq!((seen.len() as u64, report.orders), (orders, orders), "{report}");
        assert!(report.complete && report.exhausted, "{report}");
    }
}

#[test]
fn bound_excludes_orders_with_more_delays() {
    let sets = [0, 1, 2].map(|delays| logs(Explore::delays(delays), turns(3, 2)));
    assert!(sets.iter().is_sorted_by(|(less, _), (more, _)| less.is_subset(more)));
    for (delays, (seen, report)) in sets.iter().enumerate() {
        assert_eq!(report.orders, seen.len() as u64);
        assert_eq!((report.delays, report.complete, report.exhausted), (Some(delays), true, false));
    }
    let counts = sets.map(|(seen, _)| seen.len());
    assert_eq!(counts[0], 1);
    assert!(counts[0] < counts[1] && counts[1] < counts[2] && counts[2] < 90, "{counts:?}");
}

#[test]
fn each_skipped_task_costs_a_delay() {
    let seen = [0, 1, 2].map(|delays| logs(Explore::delays(delays), turns(3, 1)).0);
    let sets: [&[[u32; 3]]; 3] = [
        &[[0, 1, 2]],
        &[[0, 1, 2], [0, 2, 1], [1, 2, 0]],
        &[[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1]],
    ];
    for (seen, set) in seen.iter().zip(sets) {
        assert!(seen.iter().eq(set), "{seen:?}");
    }
}

#[test]
fn one_delay_holds_a_task_while_the_others_finish() {
    let (seen, _) = logs(Explore::delays(1), turns(2, 5));
    assert!(seen.contains(&vec![0, 1, 1, 1, 1, 1, 0, 0, 0, 0]), "{seen:?}");
}

/// A task that waits by yielding keeps waiting while the other one is held, but not for ever.
#[test]
fn delay_ends_even_if_another_task_is_always_ready() {
    let scenario = |sim: &SimHub, _: &Log| {
        let flag = Rc::new(Cell::new(false));
        let sets = Rc::clone(&flag);
        sim.spawn(async move { sets.set(true) });
        sim.spawn(async move {
            while !flag.get() {
                yield_now().await;
            }
        });
    };
    let (_, report) = logs(Explore::delays(1), scenario);
    assert_eq!((report.orders, report.deepest), (2, 66), "{report}");
}

#[test]
fn order_without_delays_is_fifo() {
    let scenario = |sim: &SimHub, log: &Log| {
        turns(3, 4)(sim, log);
        for n in 10..13_u32 {
            let log = Rc::clone(log);
            sim.spawn(async move {
                sleep(SECOND * (n % 2)).await;
                log.borrow_mut().push(n);
                sleep(SECOND).await;
                log.borrow_mut().push(n);
            });
        }
    };
    let (sim, log) = (SimHub::new(), Log::default());
    scenario(&sim, &log);
    sim.run_until_idle();
    let (seen, _) = logs(Explore::fifo(), scenario);
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [log.take()]);
}

#[test]
fn timers_due_at_one_instant_fire_in_every_order() {
    let scenario = |sim: &SimHub, log: &Log| {
        for n in 0..3 {
            let log = Rc::clone(log);
            sim.spawn(async move {
                sleep(SECOND).await;
                log.borrow_mut().push(n);
            });
        }
    };
    let (seen, report) = logs(Explore::delays(4), scenario);
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert_eq!(report.deepest, 9, "a timer fired without a step of its own");
}

/// A task may run between two timers, and clear the second one.
#[test]
fn task_runs_between_timers_of_one_instant() {
    let scenario = |sim: &SimHub, log: &Log| {
        let (event, late) = (Rc::new(Event::new()), Rc::new(Cell::new(false)));
        let (sets, seen, log) = (Rc::clone(&event), Rc::clone(&late), Rc::clone(log));
        sim.spawn(async move {
            sleep(SECOND).await;
            sets.set();
        });
        sim.spawn(async move {
            let timer = async {
                sleep(SECOND).await;
                seen.set(true);
            };
            futures_lite::future::or(event.wait(), timer).await;
            yield_now().await;
            log.borrow_mut().push(u32::from(late.get()));
        });
    };
    let (seen, report) = logs(Explore::delays(9), scenario);
    assert_eq!(seen, BTreeSet::from([vec![0], vec![1]]));
    // A cleared timer is not an option.
    assert_eq!((report.orders, report.exhausted), (22, true), "{report}");
}

#[test]
fn each_choice_of_the_program_is_tried() {
    let scenario = |sim: &SimHub, log: &Log| {
        let choices = [sim.choose("three", 3), sim.choose("one", 1), sim.choose("two", 2)];
        log.borrow_mut().extend(choices.map(|choice| u32::try_from(choice).unwrap()));
    };
    let (seen, report) = logs(Explore::delays(2), scenario);
    assert_eq!((seen.len(), report.orders, report.exhausted), (6, 6, true));
    let (seen, _) = logs(Explore::delays(1), scenario);
    assert_eq!(seen.len(), 4, "a choice does not cost one");
    let seeded = (0..99).map(|seed| SimHub::seeded(seed).choose("three", 3));
    assert_eq!(seeded.collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(SimHub::new().choose("three", 3), 0);
}

#[test]
fn random_orders_are_those_of_their_seeds() {
    let deep = Explore::pct(usize::MAX, 0..200);
    for explore in [Explore::random(0..200), Explore::pct(3, 0..200), deep] {
        let once = logs(explore.clone(), turns(3, 3));
        let again = logs(explore, turns(3, 3));
        assert_eq!(once.0, again.0);
        assert!(once.0.len() > 50, "{}", once.0.len());
        assert_eq!((once.1.orders, once.1.complete, once.1.exhausted), (201, true, false));
    }
}

/// Ready awaits yield as often as on any other hub.
#[test]
fn budget_of_ready_awaits_counts() {
    let scenario = |sim: &SimHub, log: &Log| {
        let (seats, stop) = (Rc::new(Semaphore::new(1)), Rc::new(Cell::new(false)));
        let awaits = sim.block_on(async {
            let stops = Rc::clone(&stop);
            sim.spawn(async move { stops.set(true) });
            let mut awaits = 0;
            while !stop.get() {
                drop(seats.acquire().await);
                awaits += 1;
            }
            awaits
        });
        log.borrow_mut().push(awaits);
    };
    let (seen, _) = logs(Explore::fifo(), scenario);
    assert_eq!(seen, BTreeSet::from([vec![129]]));
}

#[test]
fn time_limit_reports_the_coverage_so_far() {
    let report = Explore::delays(100).time_limit(Duration::ZERO).run(|sim| {
        turns(3, 5)(sim, &Log::default());
    });
    assert!(!report.complete && !report.exhausted && report.deepest == 15, "{report:?}");
}

/// In random programs of dependent and independent tasks, each outcome of the dependent ones is
/// found although the independent ones are not interleaved.
#[test]
fn independent_tasks_lose_no_outcome() {
    let (mut fewer, mut programs) = (0, 0);
    for seed in 0..5 {
        let scenario = |declared: bool| {
            move |sim: &SimHub, log: &Log| {
                let mut rng = Rng::with_seed(seed);
                for task in 0..2 {
                    dependent(sim, log, task, rng.u32(1..3));
                }
                let wait = rng.bool();
                let alone = async move {
                    yield_now().await;
                    if wait {
                        sleep(SECOND).await;
                    }
                };
                if declared {
                    sim.independent().spawn(alone);
                } else {
                    sim.spawn(alone);
                }
            }
        };
        let (all, tried) = logs(Explore::delays(100), scenario(false));
        let (reduced, needed) = logs(Explore::delays(100), scenario(true));
        assert!(tried.exhausted && needed.exhausted, "{tried}, {needed}");
        assert_eq!(all, reduced, "program {seed}");
        assert!(needed.orders <= tried.orders);
        fewer += usize::from(needed.orders * 3 <= tried.orders);
        programs += 1;
    }
    assert!(fewer > programs / 2, "{fewer} of {programs} programs need a third of the orders");
}

/// Logs what it reads of the others' logs, and sleeps as long as the independent one.
fn dependent(sim: &SimHub, log: &Log, task: u32, turns: u32) {
    let log = Rc::clone(log);
    sim.spawn(async move {
        for turn in 0..turns {
            log.borrow_mut().push(task);
            if turn % 2 == 0 {
                yield_now().await;
            } else {
                sleep(SECOND).await;
            }
        }
        log.borrow_mut().push(task);
    });
}

/// The failing orders are not lost either.
#[test]
fn independent_tasks_need_fewer_orders_to_find_a_failure() {
    let scenario = |declared: bool| {
        move |sim: &SimHub| {
            let number = Rc::new(Cell::new(0));
            for _ in 0..2 {
                let alone = async {
                    yield_now().await;
                    yield_now().await;
                };
                if declared {
                    sim.independent().spawn(alone);
                } else {
                    sim.spawn(alone);
                }
                let number = Rc::clone(&number);
                sim.spawn(async move {
                    let read = number.get();
                    yield_now().await;
                    number.set(read + 1);
                });
            }
            sim.run_until_idle();
            assert_eq!(number.get(), 2);
        }
    };
    let found = [false, true].map(|declared| {
        let Err(ExploreError::Failed(found)) = Explore::delays(4).try_run(scenario(declared))
        else {
            panic!("nothing found")
        };
        assert!(found.message().contains("left: 1"), "{found}");
        found
    });
    assert_eq!(found.map(|found| found.deviations()), [0, 0]);
}
