//! Greenlets that finish while other threads start to wait, link, collect and cancel their waits.

use std::sync::Arc;

use futures_lite::future;
use loom::future::block_on;
use spinney_greenlet::{Failure, Greenlet, Iwait, pair};
use spinney_hub::{BoxTask, Clock, Context, Spawn};

use crate::{Count, model, model_within, poll_once, spawn};

/// Runs late callbacks immediately.
pub(crate) struct Here;

impl Spawn<BoxTask> for Here {
    fn spawn(&self, task: BoxTask) {
        block_on(task);
    }
}

#[test]
fn waiters_are_woken_after_the_guard_is_dropped() {
    model(|| {
        let left = Count::new();
        let (task, greenlet) = pair(async { 42 }, left.guard());
        let runs = poll_once(task);
        assert_eq!(block_on(joined(greenlet, &left)).unwrap(), 42);
        assert!(runs.join().unwrap().is_ready());
    });
}

/// Waits for the result and for the end on one thread: a third thread and a second executor would
/// take a hundred times as many orders. Waits on two threads are modelled where one of them is
/// dropped.
async fn joined<T>(greenlet: Greenlet<T>, left: &Count) -> Result<T, Failure> {
    let handle = greenlet.handle().clone();
    let ends = async {
        handle.join().await;
        assert_eq!(left.get(), 1);
    };
    let result = async {
        let result = greenlet.await;
        assert_eq!(left.get(), 1);
        result
    };
    future::zip(ends, result).await.1
}

#[test]
fn link_is_called_once_after_the_guard_is_dropped() {
    model(|| {
        let _entered = Context::new(Clock::default(), Arc::new(Here)).enter();
        let (left, called) = (Count::new(), Count::new());
        let (task, greenlet) = pair(async { 42 }, left.guard());
        let runs = spawn(task);
        let callback = {
            let (left, called) = (left.clone(), called.clone());
            move |handle: &spinney_greenlet::Handle| {
                assert!(handle.is_successful());
                assert_eq!(left.get(), 1);
                called.add();
            }
        };
        _ = greenlet.link(callback);
        runs.join().unwrap();
        assert_eq!(called.get(), 1);
    });
}

#[test]
fn removed_link_is_not_called_and_the_others_are() {
    model(|| {
        let _entered = Context::new(Clock::default(), Arc::new(Here)).enter();
        let called = Count::new();
        let (task, greenlet) = pair(async { 42 }, ());
        let link = {
            let called = called.clone();
            greenlet.link(move |_| called.add())
        };
        let runs = spawn(task);
        let taken_back = greenlet.unlink(link);
        runs.join().unwrap();
        assert_eq!(called.get(), usize::from(!taken_back));
    });
}

#[test]
fn links_are_called_in_order_even_if_the_last_comes_late() {
    model(|| {
        let _entered = Context::new(Clock::default(), Arc::new(Here)).enter();
        let called = Count::new();
        let (task, greenlet) = pair(async {}, ());
        let nth = |n| {
            let called = called.clone();
            move |_: &spinney_greenlet::Handle| {
                assert_eq!(called.get(), n);
                called.add();
            }
        };
        _ = greenlet.link(nth(0));
        let runs = spawn(task);
        _ = greenlet.link(nth(1));
        runs.join().unwrap();
        assert_eq!(called.get(), 2);
    });
}

#[test]
fn dropped_wait_loses_no_wake_up_of_another_waiter() {
    // Three threads, whose pairs have three preemptions in the other models. More preemptions take
    // minutes.
    model_within(2, || {
        let (task, greenlet) = pair(async { 42 }, ());
        let fickle = poll_once(greenlet.join());
        let runs = poll_once(task);
        assert_eq!(block_on(greenlet).unwrap(), 42);
        let _news = fickle.join().unwrap();
        assert!(runs.join().unwrap().is_ready());
    });
}

#[test]
fn set_yields_each_greenlet_once_after_its_guard() {
    // More preemptions take minutes.
    model_within(2, || {
        let left = Count::new();
        let [one, two] = [(); 2].map(|()| pair(async {}, left.guard()));
        let mut set = Iwait::new();
        let runs = [spawn(one.0), spawn(two.0)];
        set.push(one.1);
        set.push(two.1);
        for taken in 1..=2 {
            assert!(block_on(set.next()).unwrap().is_successful());
            assert!(left.get() >= taken);
        }
        assert!(set.try_next().is_none() && set.is_empty());
        for thread in runs {
            thread.join().unwrap();
        }
    });
}

#[test]
fn set_dropped_at_an_end_leaves_the_result() {
    model(|| {
        let (task, greenlet) = pair(async { 42 }, ());
        let mut set = Iwait::new();
        set.push(greenlet.handle().clone());
        let runs = spawn(task);
        drop(set);
        assert_eq!(block_on(greenlet).unwrap(), 42);
        runs.join().unwrap();
    });
}

#[test]
fn late_guard_is_dropped_before_links_or_returned() {
    model(|| {
        let left = Count::new();
        let (task, greenlet) = pair(async {}, ());
        let runs = spawn(task);
        match greenlet.guard(1, left.guard()) {
            Ok(()) => {
                block_on(greenlet.join());
                assert_eq!(left.get(), 1);
            }
            Err(guard) => {
                assert!(greenlet.is_ready());
                assert_eq!(left.get(), 0);
                drop(guard);
            }
        }
        runs.join().unwrap();
        assert_eq!(left.get(), 1);
    });
}

#[test]
fn kill_of_an_unstarted_greenlet_wakes_after_its_guard() {
    model(|| {
        let left = Count::new();
        let (task, greenlet) = pair(async {}, left.guard());
        greenlet.kill_now();
        assert_eq!(left.get(), 0, "it left before its task was polled");
        let runs = poll_once(task);
        assert!(block_on(joined(greenlet, &left)).unwrap_err().is_killed());
        assert!(runs.join().unwrap().is_ready());
    });
}

#[test]
fn greenlet_killed_unstarted_leaves_a_set_once() {
    model(|| {
        let left = Count::new();
        let (task, greenlet) = pair(async {}, left.guard());
        let (_stays, idle) = pair(async {}, ());
        let mut set = Iwait::new();
        set.push(idle.handle().clone());
        idle.kill_now();
        greenlet.kill_now();
        let runs = spawn(task);
        // Its task may have reached any of the steps.
        set.push(greenlet.handle().clone());
        assert_eq!(block_on(set.next()).as_ref(), Some(greenlet.handle()));
        assert_eq!(left.get(), 1);
        assert!(set.try_next().is_none() && set.len() == 1);
        runs.join().unwrap();
    });
}
