//! `shutdown`: time to end for the tasks, then an end for all of them.

use std::future::pending;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use spinney_hub::{Hub, Spawn, sleep, spawn, yield_now};
use spinney_test_support::{DropGuard, Dropped};

use super::stops::spawn_parked;

/// More than any of these tests takes.
const LONG: Duration = Duration::from_secs(3600);

fn hub() -> Hub {
    Hub::builder().threads(2).build().unwrap()
}

#[test]
fn tasks_that_end_in_time_are_waited_for_and_no_longer() {
    let (hub, drops) = (hub(), Dropped::default());
    for _ in 0..100 {
        let guard = drops.guard();
        hub.spawn(async move {
            yield_now().await;
            drop(guard);
        });
    }
    let start = Instant::now();
    let report = hub.shutdown(LONG);
    assert!(start.elapsed() < LONG);
    assert_eq!((report.dropped, drops.count()), (0, 100));
}

#[test]
fn tasks_that_are_left_are_dropped_though_handles_are_left() {
    let (hub, drops) = (hub(), Dropped::default());
    let other = hub.clone();
    (0..10).for_each(|_| spawn_parked(&hub, &drops));
    let report = hub.shutdown(Duration::ZERO);
    assert_eq!((report.ended, report.dropped, drops.count()), (0, 10, 10));
    drop(other);
}

#[test]
fn a_task_with_a_handle_of_its_own_hub_is_dropped_too() {
    let (hub, drops) = (hub(), Dropped::default());
    let (own, guard) = (hub.clone(), drops.guard());
    hub.spawn(async move {
        let _mine = (own, guard);
        pending::<()>().await;
    });
    assert_eq!(hub.shutdown(Duration::ZERO).dropped, 1);
    assert_eq!(drops.count(), 1);
}

#[test]
fn what_is_spawned_afterwards_is_dropped() {
    let (hub, drops) = (hub(), Dropped::default());
    hub.shutdown(Duration::ZERO);
    spawn_parked(&hub, &drops);
    assert_eq!(drops.count(), 1);
    let again = hub.shutdown(LONG);
    assert_eq!((again.ended, again.dropped), (0, 0));
}

#[test]
fn block_on_polls_though_its_hub_was_shut_down() {
    let (hub, drops) = (hub(), Dropped::default());
    hub.shutdown(Duration::ZERO);
    let guard = drops.guard();
    let output = hub.block_on(async {
        spawn(async move { drop(guard) });
        42
    });
    assert_eq!((output, drops.count()), (42, 1), "what is spawned is dropped");
}

#[test]
fn the_global_hub_is_not_stopped() {
    let report = Hub::global().shutdown(LONG);
    assert_eq!((report.ended, report.dropped), (0, 0));
    assert_eq!(Hub::global().block_on(async { 42 }), 42);
}

#[test]
fn one_of_its_own_tasks_may_shut_it_down() {
    let (hub, drops) = (hub(), Dropped::default());
    spawn_parked(&hub, &drops);
    let (send, receive) = channel();
    let own = hub.clone();
    hub.spawn(async move { send.send(own.shutdown(Duration::ZERO)).unwrap() });
    let report = receive.recv().unwrap();
    assert_eq!((report.dropped, report.running), (1, 1), "itself runs");
    assert_eq!(drops.count(), 1);
}

#[test]
fn tasks_are_dropped_though_another_thread_blocks_on_it() {
    let (hub, drops) = (hub(), Dropped::default());
    spawn_parked(&hub, &drops);
    let (inside, is_inside) = channel();
    let (leave, left) = async_channel::bounded::<()>(1);
    let blocking = hub.clone();
    let other = thread::spawn(move || {
        blocking.block_on(async {
            inside.send(()).unwrap();
            left.recv().await.unwrap();
        });
    });
    is_inside.recv().unwrap();
    hub.shutdown(Duration::ZERO);
    let dropped = drops.count();
    leave.send_blocking(()).unwrap();
    other.join().unwrap();
    assert_eq!(dropped, 1, "it was dropped by the time of the return");
}

#[test]
fn a_task_that_shuts_it_down_twice_does_not_wait_for_itself() {
    let hub = hub();
    let (send, receive) = channel();
    let own = hub.clone();
    hub.spawn(async move {
        own.shutdown(Duration::ZERO);
        own.shutdown(Duration::ZERO);
        send.send(()).unwrap();
    });
    receive.recv().unwrap();
}

#[test]
fn tasks_that_shut_it_down_at_once_do_not_wait_for_each_other() {
    let hub = hub();
    let both = Arc::new(Barrier::new(2));
    let (send, receive) = channel();
    for _ in 0..2 {
        let (own, send, both) = (hub.clone(), send.clone(), Arc::clone(&both));
        hub.spawn(async move {
            both.wait();
            own.shutdown(LONG);
            send.send(()).unwrap();
        });
    }
    receive.recv().unwrap();
    receive.recv().unwrap();
}

#[test]
fn what_runs_during_it_finds_its_hub_current() {
    let hub = Hub::builder().threads(1).build().unwrap();
    let (send, receive) = channel();
    hub.spawn(async move {
        yield_now().await;
        send.send(format!("{:?}", Hub::current())).unwrap();
    });
    hub.shutdown(LONG);
    assert!(receive.recv().unwrap().contains("threads: 1"));
}

#[test]
fn a_destructor_of_one_of_its_tasks_may_shut_it_down() {
    struct ShutsDown(Hub);
    impl Drop for ShutsDown {
        fn drop(&mut self) {
            self.0.shutdown(LONG);
        }
    }
    let hub = Hub::builder().threads(1).build().unwrap();
    let guard = ShutsDown(hub.clone());
    hub.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    assert_eq!(hub.shutdown(Duration::ZERO).dropped, 1);
}

/// FAULTS A4.
#[test]
fn shutdown_is_bounded_though_a_task_blocks() {
    let hub = Hub::builder().threads(2).shutdown_limit(Duration::from_millis(20)).build().unwrap();
    let (started, is_started) = channel();
    let (release, released) = channel::<()>();
    let drops = Dropped::default();
    spawn_parked(&hub, &drops);
    let guard = drops.guard();
    hub.spawn(async move {
        started.send(()).unwrap();
        let _gone = released.recv();
        drop(guard);
    });
    is_started.recv().unwrap();
    let report = hub.shutdown(Duration::from_millis(20));
    assert_eq!((report.ended, report.dropped, report.running), (0, 1, 1));
    assert_eq!(drops.count(), 1);
    drop(hub); // This waits for it no more than for a moment, either.
    drop(release);
    while drops.count() < 2 {
        thread::yield_now();
    }
}

#[test]
fn shutdown_counts_tasks_that_end_in_the_grace() {
    let hub = hub();
    hub.spawn(async {
        for _ in 0..9 {
            spawn(async {});
        }
    });
    let report = hub.shutdown(LONG);
    assert_eq!((report.ended, report.dropped, report.running), (10, 0, 0));
}

/// FAULTS A5.
#[test]
fn a_destructor_may_block_while_its_hub_shuts_down() {
    struct Blocks(Hub, #[expect(dead_code, reason = "its drop is counted")] DropGuard);
    impl Drop for Blocks {
        fn drop(&mut self) {
            self.0.block_on(sleep(Duration::from_millis(1)));
            spinney_hub::block_on(sleep(Duration::from_millis(1)));
        }
    }
    let (hub, drops) = (Hub::builder().threads(1).build().unwrap(), Dropped::default());
    for _ in 0..10 {
        let blocks = Blocks(hub.clone(), drops.guard());
        hub.spawn(async move {
            let _blocks = blocks;
            pending::<()>().await;
        });
    }
    let report = hub.shutdown(Duration::ZERO);
    assert_eq!((report.dropped, report.running, drops.count()), (10, 0, 10));
}
