//! Programs with a planted bug: each bug is found, shrunk, and replayed by its token.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures_lite::future::or;
use spinney_hub::{Spawn, yield_now};
use spinney_sim::{Counterexample, Explore, ExploreError, SimHub};
use spinney_sync::{Event, Queue, Semaphore};

/// Asserts that each strategy finds a failing order of `scenario`, which passes in FIFO order, and
/// shrinks it to as many deviations as the smallest; the token replays it.
#[track_caller]
fn assert_found(scenario: impl Fn(&SimHub), message: &str, deviations: usize) -> Counterexample {
    Explore::fifo().run(&scenario);
    let random = [Explore::random(0..1000), Explore::pct(3, 0..1000)];
    let found = [Explore::delays(3)].into_iter().chain(random).map(|explore| {
        let name = format!("{explore:?}");
        let Err(ExploreError::Failed(found)) = explore.try_run(&scenario) else {
            panic!("{name} finds nothing");
        };
        assert!(found.message().contains(message), "{name}: {found}");
        assert_eq!(found.deviations(), deviations, "{name}: {found}");
        let replay = AssertUnwindSafe(|| SimHub::replay(found.token(), &scenario));
        let panic = catch_unwind(replay).unwrap_err();
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        assert!(said.unwrap().contains(message), "{name}: {found}");
        *found
    });
    found.last().unwrap()
}

/// A flag whose waiter checks, yields, and then registers its waker without checking again.
#[test]
fn lost_wakeup_is_found() {
    #[derive(Default)]
    struct Flag {
        set: Cell<bool>,
        waiter: RefCell<Option<Waker>>,
    }

    let wait = |flag: Rc<Flag>| async move {
        if !flag.set.get() {
            yield_now().await;
            let mut left = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut left, true) {
                    return Poll::Ready(());
                }
                flag.waiter.replace(Some(cx.waker().clone()));
                Poll::Pending
            })
            .await;
        }
    };
    let scenario = |sim: &SimHub| {
        let flag = Rc::new(Flag::default());
        sim.spawn(wait(Rc::clone(&flag)));
        sim.spawn(async move {
            yield_now().await;
            yield_now().await;
            flag.set.set(true);
            if let Some(waiter) = flag.waiter.take() {
                waiter.wake();
            }
        });
        sim.run_until_idle();
    };
    assert_found(scenario, "have not finished and cannot go on: 1", 1);
}

/// A free list of nodes by index, whose `pop` compares only the head.
#[test]
fn aba_is_found() {
    struct Stack {
        head: Cell<Option<usize>>,
        next: [Cell<Option<usize>>; 2],
    }

    impl Stack {
        async fn pop(&self) -> Option<usize> {
            loop {
                let head = self.head.get()?;
                let next = self.next[head].get();
                yield_now().await;
                if self.head.get() == Some(head) {
                    self.head.set(next);
                    return Some(head);
                }
            }
        }

        fn push(&self, node: usize) {
            self.next[node].set(self.head.get());
            self.head.set(Some(node));
        }
    }

    let scenario = |sim: &SimHub| {
        let next = [Cell::new(Some(1)), Cell::new(None)];
        let stack = Rc::new(Stack { head: Cell::new(Some(0)), next });
        let held = Rc::new(RefCell::new(Vec::new()));
        let (other, others) = (Rc::clone(&stack), Rc::clone(&held));
        sim.spawn(async move {
            let (one, two) = (other.pop().await, other.pop().await);
            others.borrow_mut().extend(two);
            if let Some(node) = one {
                other.push(node);
            }
        });
        let holds = Rc::clone(&held);
        sim.spawn(async move {
            for _ in 0..2 {
                let node = stack.pop().await;
                holds.borrow_mut().extend(node);
            }
        });
        sim.run_until_idle();
        held.borrow_mut().sort_unstable();
        let count = held.borrow().len();
        held.borrow_mut().dedup();
        assert_eq!(held.borrow().len(), count, "a node was popped twice");
    };
    assert_found(scenario, "a node was popped twice", 1);
}

#[test]
fn deadlock_of_two_locks_in_opposite_order_is_found() {
    let scenario = |sim: &SimHub| {
        let locks = Rc::new([Semaphore::new(1), Semaphore::new(1)]);
        for first in 0..2 {
            let locks = Rc::clone(&locks);
            sim.spawn(async move {
                // The second task comes later, usually after the first has finished.
                for _ in 0..3 * first {
                    yield_now().await;
                }
                let _one = locks[first].acquire().await;
                yield_now().await;
                let _two = locks[1 - first].acquire().await;
            });
        }
        sim.run_until_idle();
    };
    let found = assert_found(scenario, "have not finished and cannot go on: 2", 1);
    assert_eq!(found.message().matches("waits for Semaphore::acquire at ").count(), 2, "{found}");
}

#[test]
fn lost_update_behind_an_await_is_found() {
    let scenario = |sim: &SimHub| {
        let balance = Rc::new(Cell::new(100));
        let read = Rc::clone(&balance);
        sim.spawn(async move { balance.set(balance.get() - 10) });
        let seen = Rc::clone(&read);
        sim.spawn(async move {
            let before = read.get();
            yield_now().await;
            read.set(before - 20);
        });
        sim.run_until_idle();
        assert_eq!(seen.get(), 70, "a withdrawal was lost");
    };
    assert_found(scenario, "a withdrawal was lost", 2);
}

/// The dropped branch has taken an item out of the queue, and has not returned it yet.
#[test]
fn cancelled_select_that_drops_an_item_is_found() {
    let scenario = |sim: &SimHub| {
        let (queue, cancel) = (Rc::new(Queue::unbounded()), Rc::new(Event::new()));
        let (putter, canceller) = (Rc::clone(&queue), Rc::clone(&cancel));
        let left = Rc::clone(&queue);
        let got = Rc::new(Cell::new(None));
        let gets = Rc::clone(&got);
        sim.spawn(async move {
            let get = async {
                let item = queue.get().await.ok();
                yield_now().await;
                item
            };
            let give_up = async {
                cancel.wait().await;
                None
            };
            gets.set(or(give_up, get).await);
        });
        sim.spawn(async move { putter.put(7).await.unwrap() });
        sim.spawn(async move {
            for _ in 0..4 {
                yield_now().await;
            }
            canceller.set();
        });
        sim.run_until_idle();
        assert!(got.get().or(left.get_nowait().ok()) == Some(7), "the item was lost");
    };
    assert_found(scenario, "the item was lost", 1);
}

/// A connection is returned at the end of its use, and again when a request fails.
#[test]
fn connection_returned_twice_is_found() {
    let scenario = |sim: &SimHub| {
        let idle = Rc::new(RefCell::new(VecDeque::from([1, 2])));
        let in_use = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..2 {
            let (idle, in_use, sim) = (Rc::clone(&idle), Rc::clone(&in_use), sim.clone());
            sim.clone().spawn(async move {
                for _ in 0..2 {
                    let Some(connection) = idle.borrow_mut().pop_front() else { return };
                    assert!(!in_use.borrow().contains(&connection), "two tasks use one connection");
                    in_use.borrow_mut().push(connection);
                    let fails = sim.choose("the request fails", 2) == 1;
                    if fails {
                        idle.borrow_mut().push_back(connection);
                    }
                    yield_now().await;
                    in_use.borrow_mut().retain(|other| *other != connection);
                    idle.borrow_mut().push_back(connection);
                }
            });
        }
        sim.run_until_idle();
    };
    assert_found(scenario, "two tasks use one connection", 1);
}
