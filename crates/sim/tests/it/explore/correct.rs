//! Correct programs: exploration finishes without a failure.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::or;
use spinney_hub::{Spawn, Within, sleep, yield_now};
use spinney_sim::{Explore, SimHub};
use spinney_sync::{Event, Queue, Semaphore};

/// Explores `scenario` up to `delays`, in at least `orders` orders.
#[track_caller]
fn assert_honest(scenario: impl Fn(&SimHub), delays: usize, orders: u64) {
    let report = Explore::delays(delays).run(scenario);
    assert!(report.complete && report.orders >= orders, "{report}");
}

#[test]
fn updates_behind_a_lock_are_not_lost() {
    let scenario = |sim: &SimHub| {
        let (lock, balance) = (Rc::new(Semaphore::new(1)), Rc::new(Cell::new(100)));
        for _ in 0..3 {
            let (lock, balance) = (Rc::clone(&lock), Rc::clone(&balance));
            sim.spawn(async move {
                let _held = lock.acquire().await;
                let before = balance.get();
                yield_now().await;
                balance.set(before - 10);
            });
        }
        sim.run_until_idle();
        assert_eq!(balance.get(), 70);
    };
    let report = Explore::delays(100).run(scenario);
    assert!(report.complete && report.exhausted && report.orders == 36, "{report}");
}

#[test]
fn locks_taken_in_one_order_do_not_deadlock() {
    let scenario = |sim: &SimHub| {
        let locks = Rc::new([Semaphore::new(1), Semaphore::new(1)]);
        for _ in 0..3 {
            let locks = Rc::clone(&locks);
            sim.spawn(async move {
                let _one = locks[0].acquire().await;
                yield_now().await;
                let _two = locks[1].acquire().await;
                yield_now().await;
            });
        }
        sim.run_until_idle();
    };
    assert_honest(scenario, 3, 30);
}

#[test]
fn waiter_that_checks_again_misses_no_event() {
    let scenario = |sim: &SimHub| {
        let (event, done) = (Rc::new(Event::new()), Rc::new(Cell::new(0)));
        for _ in 0..2 {
            let (event, done) = (Rc::clone(&event), Rc::clone(&done));
            sim.spawn(async move {
                yield_now().await;
                event.wait().await;
                done.set(done.get() + 1);
            });
        }
        sim.spawn(async move { event.set() });
        sim.run_until_idle();
        assert_eq!(done.get(), 2);
    };
    assert_honest(scenario, 3, 20);
}

#[test]
fn cancelled_select_keeps_the_item_in_its_queue() {
    let scenario = |sim: &SimHub| {
        let (queue, cancel) = (Rc::new(Queue::unbounded()), Rc::new(Event::new()));
        let (putter, canceller, left) = (Rc::clone(&queue), Rc::clone(&cancel), Rc::clone(&queue));
        let got = Rc::new(Cell::new(None));
        let gets = Rc::clone(&got);
        sim.spawn(async move {
            let give_up = async {
                cancel.wait().await;
                None
            };
            gets.set(or(give_up, async { queue.get().await.ok() }).await);
        });
        sim.spawn(async move { putter.put(7).await.unwrap() });
        sim.spawn(async move { canceller.set() });
        sim.run_until_idle();
        assert!(got.get().or(left.get_nowait().ok()) == Some(7), "the item was lost");
    };
    assert_honest(scenario, 4, 8);
}

/// A limit and the end of the work are due at the same instant.
#[test]
fn connection_is_returned_once_at_its_time_limit() {
    const SECOND: Duration = Duration::from_secs(1);
    struct Lent(Rc<RefCell<Vec<u32>>>, u32);
    impl Drop for Lent {
        fn drop(&mut self) {
            self.0.borrow_mut().push(self.1);
        }
    }
    let scenario = |sim: &SimHub| {
        let idle = Rc::new(RefCell::new(vec![1, 2]));
        for _ in 0..3 {
            let (idle, hub) = (Rc::clone(&idle), sim.clone());
            sim.spawn(async move {
                let Some(connection) = idle.borrow_mut().pop() else { return };
                let lent = Lent(idle, connection);
                if hub.choose("the request fails", 2) == 1 {
                    return;
                }
                let work = async move {
                    sleep(SECOND).await;
                    drop(lent);
                };
                let _late = work.within(SECOND).await;
            });
        }
        sim.run_until_idle();
        idle.borrow_mut().sort_unstable();
        assert_eq!(*idle.borrow(), [1, 2]);
    };
    assert_honest(scenario, 4, 100);
}
