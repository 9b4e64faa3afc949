//! `block_on`, one after the other and one inside the other.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Waker;

use spinney_hub::{Hub, LocalHub, Spawn, yield_now};

#[test]
fn the_output_need_not_be_send_and_the_future_may_borrow() {
    let text = String::from("here");
    let output = LocalHub::new().block_on(async { Rc::new(&text) });
    assert_eq!(**output, "here");
}

#[test]
fn tasks_that_are_left_go_on_at_the_next_one() {
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
fn a_clone_is_the_same_hub() {
    let hub = LocalHub::new();
    let ran = Rc::new(Cell::new(false));
    let seen = Rc::clone(&ran);
    hub.clone().spawn(async move { seen.set(true) });
    hub.block_on(async {});
    assert!(ran.get());
}

#[test]
fn one_inside_another_panics_and_leaves_the_outer_one_usable() {
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
            assert!(ran.get(), "the outer one goes on");
        }
    });
    assert_eq!(hub.block_on(async { 1 }), 1);
}

#[test]
fn a_hub_with_threads_may_run_inside() {
    let inner = Hub::builder().threads(1).build().unwrap();
    let hub = LocalHub::new();
    assert_eq!(hub.block_on(async { inner.block_on(async { 42 }) }), 42);
}

#[test]
fn a_task_s_panic_does_not_end_it() {
    let hub = LocalHub::new();
    let ran = Rc::new(Cell::new(0));
    for n in 0..10 {
        let ran = Rc::clone(&ran);
        hub.spawn(async move {
            yield_now().await;
            assert!(n % 2 == 0, "a panic that the test asked for");
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
fn a_panic_of_main_comes_out_and_leaves_the_hub_usable() {
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
fn wakers_of_a_main_that_is_over_are_harmless() {
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
fn the_main_future_is_dropped_before_it_returns() {
    let hub = LocalHub::new();
    let held = Rc::new(());
    let mine = Rc::clone(&held);
    let mut main = Box::pin(async move { Rc::strong_count(&mine) });
    assert_eq!(hub.block_on(poll_fn(move |cx| main.as_mut().poll(cx))), 2);
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn each_thread_may_run_its_own() {
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
