//! `block_on`, repeated and nested.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Waker;

use spinney_hub::{Hub, LocalHub, Spawn, yield_now};

#[test]
fn output_need_not_be_send_and_the_future_may_borrow() {
    let text = String::from("here");
    let output = LocalHub::new().block_on(async { Rc::new(&text) });
    assert_eq!(**output, "here");
}

#[test]
fn remaining_tasks_go_on_at_the_next_block_on() {
    let hub = LocalHub::new();
    let rounds = Rc::new(Cell::new(0));
    let seen = Rc::clone(&rounds);
    hub.spawn(async move {
        loop {
            seen.set(seen.get() + 1);
            yield_now().await;
        }
    });
    assert_eq!(rounds.get(), 0);
    for expected in 1..=5 {
        hub.block_on(async {});
        assert_eq!(rounds.get(), expected);
    }
}

#[test]
fn clone_is_the_same_hub() {
    let hub = LocalHub::new();
    let ran = Rc::new(Cell::new(false));
    let seen = Rc::clone(&ran);
    hub.clone().spawn(async move { seen.set(true) });
    hub.block_on(async {});
    assert!(ran.get());
}

#[test]
fn nested_local_hub_panics_and_leaves_the_outer_usable() {
    let hub = LocalHub::new();
    hub.block_on(async {
        for inner in [hub.clone(), LocalHub::new()] {
            let nested = catch_unwind(AssertUnwindSafe(|| inner.block_on(async {})));
            assert_eq!(
                nested.unwrap_err().downcast_ref::<&str>().unwrap(),
                &"a LocalHub already runs on this thread: await the future instead of `block_on`"
            );
            let ran = Rc::new(Cell::new(false));
            let seen = Rc::clone(&ran);
            hub.spawn(async move { seen.set(true) });
            yield_now().await;
            assert!(ran.get(), "the outer hub did not go on");
        }
    });
    assert_eq!(hub.block_on(async { 1 }), 1);
}

#[test]
#[should_panic(expected = "`block_on` inside a LocalHub would block the only thread")]
fn block_on_of_another_hub_inside_panics() {
    let inner = Hub::builder().threads(1).build().unwrap();
    LocalHub::new().block_on(async { inner.block_on(async {}) });
}

#[test]
fn panicking_task_does_not_end_the_local_hub() {
    let hub = LocalHub::new();
    let ran = Rc::new(Cell::new(0));
    for n in 0..10 {
        let ran = Rc::clone(&ran);
        hub.spawn(async move {
            yield_now().await;
            assert!(n % 2 == 0, "an expected panic");
            ran.set(ran.get() + 1);
        });
    }
    hub.block_on(async {
        yield_now().await;
        yield_now().await;
    });
    assert_eq!(ran.get(), 5);
}

#[test]
fn panic_of_main_propagates_and_leaves_the_hub_usable() {
    let hub = LocalHub::new();
    let ran = Rc::new(Cell::new(false));
    let seen = Rc::clone(&ran);
    hub.spawn(async move {
        yield_now().await;
        seen.set(true);
    });
    let main = async { panic!("of main") };
    let panic = catch_unwind(AssertUnwindSafe(|| hub.block_on(main))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"of main"));
    hub.block_on(yield_now());
    assert!(ran.get());
}

#[test]
fn waker_of_a_finished_main_is_harmless() {
    let hub = LocalHub::new();
    let old: Waker = hub.block_on(poll_fn(|cx| cx.waker().clone().into()));
    old.wake_by_ref();
    hub.block_on(async {
        for _ in 0..10 {
            old.wake_by_ref();
            yield_now().await;
        }
    });
    let elsewhere = old.clone();
    std::thread::spawn(move || elsewhere.wake()).join().unwrap();
    assert_eq!(hub.block_on(async { 42 }), 42);
    drop(hub);
    old.wake();
}

#[test]
fn main_future_is_dropped_before_block_on_returns() {
    let hub = LocalHub::new();
    let held = Rc::new(());
    let mine = Rc::clone(&held);
    let mut main = Box::pin(async move { Rc::strong_count(&mine) });
    assert_eq!(hub.block_on(poll_fn(move |cx| main.as_mut().poll(cx))), 2);
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn each_thread_may_run_a_local_hub() {
    let threads: Vec<_> = (0..4)
        .map(|n| std::thread::spawn(move || LocalHub::new().block_on(async move { n })))
        .collect();
    let outputs: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(outputs, [0, 1, 2, 3]);
}

#[test]
fn debug_counts_the_tasks() {
    let hub = LocalHub::default();
    assert_eq!(format!("{hub:?}"), "LocalHub { tasks: 0, ready: 0 }");
    hub.spawn(pending());
    hub.spawn(async {});
    assert_eq!(format!("{hub:?}"), "LocalHub { tasks: 2, ready: 2 }");
    hub.block_on(async {});
    assert_eq!(format!("{hub:?}"), "LocalHub { tasks: 1, ready: 0 }");
}
