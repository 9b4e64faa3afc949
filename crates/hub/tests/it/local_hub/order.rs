//! First in, first out.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;

use spinney_hub::{LocalHub, Spawn, yield_now};

/// The events, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn add(&self, entry: impl Into<String>) {
        self.0.borrow_mut().push(entry.into());
    }

    fn entries(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

#[test]
fn tasks_run_in_spawn_order_with_main_in_its_turn() {
    let (hub, log) = (LocalHub::new(), Log::default());
    for n in 0..3 {
        let log = log.clone();
        hub.spawn(async move { log.add(format!("task {n}")) });
    }
    assert!(log.entries().is_empty(), "a task ran outside `block_on`");
    hub.block_on(async {
        log.add("main");
        let late = log.clone();
        hub.spawn(async move { late.add("late") });
        yield_now().await;
        log.add("main again");
    });
    assert_eq!(log.entries(), ["task 0", "task 1", "task 2", "main", "late", "main again"]);
}

#[test]
fn thousand_tasks_take_turns() {
    let (hub, log) = (LocalHub::new(), Rc::new(RefCell::new(Vec::new())));
    for n in 0..1000 {
        let log = Rc::clone(&log);
        hub.spawn(async move {
            for round in 0..3 {
                log.borrow_mut().push((round, n));
                yield_now().await;
            }
        });
    }
    hub.block_on(async {
        for _ in 0..4 {
            yield_now().await;
        }
    });
    let expected: Vec<_> = (0..3).flat_map(|round| (0..1000).map(move |n| (round, n))).collect();
    assert_eq!(*log.borrow(), expected);
}

#[test]
fn tasks_run_in_wake_order() {
    assert_eq!(order_of_turns(&[3, 0, 4, 1, 2], Waker::wake), [3, 0, 4, 1, 2]);
}

#[test]
fn wake_from_another_thread_keeps_the_order() {
    let elsewhere = Cell::new(false);
    let turns = order_of_turns(&[3, 0, 4, 1, 2], |waker| {
        elsewhere.set(!elsewhere.get());
        if elsewhere.get() {
            thread::spawn(|| waker.wake()).join().unwrap();
        } else {
            waker.wake();
        }
    });
    assert_eq!(turns, [3, 0, 4, 1, 2]);
}

/// The order in which tasks run that `wake` wakes in the order `woken`.
fn order_of_turns(woken: &[usize], wake: impl Fn(Waker)) -> Vec<usize> {
    let (hub, turns) = (LocalHub::new(), Rc::new(RefCell::new(Vec::new())));
    let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
    for n in 0..woken.len() {
        let (turns, wakers) = (Rc::clone(&turns), Rc::clone(&wakers));
        let mut parked = false;
        hub.spawn(async move {
            poll_fn(|cx| {
                if parked {
                    return Poll::Ready(());
                }
                parked = true;
                wakers.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            })
            .await;
            turns.borrow_mut().push(n);
        });
    }
    hub.block_on(async {
        yield_now().await;
        for &n in woken {
            let waker = wakers.borrow()[n].clone();
            wake(waker);
        }
        yield_now().await;
    });
    turns.take()
}

#[test]
fn task_woken_many_times_has_one_turn() {
    let hub = LocalHub::new();
    let turns = Rc::new(Cell::new(0));
    let seen = Rc::clone(&turns);
    hub.spawn(poll_fn(move |cx| {
        seen.set(seen.get() + 1);
        if seen.get() == 1 {
            (0..100).for_each(|_| cx.waker().wake_by_ref());
        }
        Poll::Pending
    }));
    hub.block_on(async {
        for _ in 0..10 {
            yield_now().await;
        }
    });
    assert_eq!(turns.get(), 2);
}

#[test]
fn main_future_woken_many_times_has_one_turn() {
    let hub = LocalHub::new();
    let (mut turns, mut first) = (0, true);
    let last = Rc::new(RefCell::new(None::<Waker>));
    let waker = Rc::clone(&last);
    hub.spawn(async move {
        for _ in 0..200 {
            yield_now().await;
        }
        waker.take().unwrap().wake();
    });
    let done = Rc::downgrade(&last);
    hub.block_on(poll_fn(|cx| {
        turns += 1;
        if std::mem::take(&mut first) {
            (0..100).for_each(|_| cx.waker().wake_by_ref());
        }
        // The task has finished when it has dropped its half.
        if done.strong_count() == 1 && last.borrow().is_none() {
            return Poll::Ready(());
        }
        last.replace(Some(cx.waker().clone()));
        Poll::Pending
    }));
    assert_eq!(turns, 3);
}

#[test]
fn tasks_may_spawn_tasks() {
    fn spawn_chain(hub: &LocalHub, left: u32, ended: Rc<Cell<bool>>) {
        let inner = hub.clone();
        hub.spawn(async move {
            if left == 0 {
                ended.set(true);
            } else {
                spawn_chain(&inner, left - 1, ended);
            }
        });
    }
    let (hub, ended) = (LocalHub::new(), Rc::new(Cell::new(false)));
    spawn_chain(&hub, 100, Rc::clone(&ended));
    hub.block_on(async {
        while !ended.get() {
            yield_now().await;
        }
    });
}
