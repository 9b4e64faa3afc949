//! Guards that a container stores with a greenlet until that has finished or the container removes
//! them.

use std::future::pending;

use spinney_greenlet::{pair, spawn_on};
use spinney_hub::LocalHub;
use spinney_test_support::{ByHand, Dropped};

#[test]
fn guard_is_dropped_before_a_waiter_is_woken() {
    let dropped = Dropped::default();
    let (task, greenlet) = pair(async {}, ());
    greenlet.guard(1, dropped.guard()).unwrap();
    let (count, seen) = (dropped.clone(), Dropped::default());
    let guard = seen.guard();
    greenlet.link(move |_| {
        assert_eq!(count.count(), 1);
        drop(guard);
    });
    assert_eq!(dropped.count(), 0);
    assert!(ByHand::of(task).poll().is_ready());
    assert_eq!((dropped.count(), seen.count()), (1, 1));
}

#[test]
fn removed_guard_leaves_nothing_behind() {
    let dropped = Dropped::default();
    let (task, greenlet) = pair(pending::<()>(), ());
    let mut task = ByHand::waiting(task);
    for round in 1..=10_000 {
        let key = round % 3;
        greenlet.guard(key, dropped.guard()).unwrap();
        assert_eq!(dropped.count(), round - 1);
        greenlet.unguard(key);
        assert_eq!(dropped.count(), round);
        greenlet.unguard(key);
    }
    greenlet.kill_now();
    assert!(task.poll().is_ready());
    assert_eq!(dropped.count(), 10_000);
}

#[test]
fn guards_of_several_keys_are_kept_apart() {
    let (first, second) = (Dropped::default(), Dropped::default());
    let (task, greenlet) = pair(pending::<()>(), ());
    greenlet.guard(1, first.guard()).unwrap();
    greenlet.guard(2, second.guard()).unwrap();
    greenlet.unguard(2);
    assert_eq!((first.count(), second.count()), (0, 1));
    drop(task);
    assert_eq!((first.count(), second.count()), (1, 1));
}

#[test]
fn replaced_guard_is_dropped() {
    let dropped = Dropped::default();
    let (_task, greenlet) = pair(pending::<()>(), ());
    greenlet.guard(1, dropped.guard()).unwrap();
    greenlet.guard(1, dropped.guard()).unwrap();
    assert_eq!(dropped.count(), 1);
}

#[test]
fn guard_after_the_end_is_returned() {
    let hub = LocalHub::new();
    let greenlet = spawn_on(&hub, async {});
    hub.block_on(greenlet.join());
    assert_eq!(greenlet.guard(1, 42), Err(42));
    greenlet.unguard(1);
}
