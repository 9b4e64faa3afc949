//! `shutdown`: time to end for the tasks, then an end for all of them.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use spinney_hub::{Hub, Spawn, yield_now};
use spinney_test_support::Dropped;

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
fn a_hub_that_was_shut_down_blocks_on_nothing() {
    let hub = hub();
    hub.shutdown(Duration::ZERO);
    let panic = catch_unwind(AssertUnwindSafe(|| hub.block_on(async {}))).unwrap_err();
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
    assert_eq!(said, Some("a hub that was shut down runs nothing"));
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
    // Itself is one of those that are left.
    assert_eq!(receive.recv().unwrap().dropped, 2);
    while drops.count() < 1 {
        thread::yield_now();
    }
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
fn a_task_that_a_blocked_thread_runs_may_shut_it_down() {
    let hub = Hub::builder().threads(1).build().unwrap();
    let (busy, is_busy) = channel();
    let (release, released) = channel::<()>();
    // Its only thread is held up, so that the one that blocks runs what comes next.
    hub.spawn(async move {
        busy.send(()).unwrap();
        let _gone = released.recv();
    });
    is_busy.recv().unwrap();
    let (done, is_done) = async_channel::bounded(1);
    let own = hub.clone();
    hub.spawn(async move {
        own.shutdown(Duration::ZERO);
        drop(release);
        done.try_send(()).unwrap();
    });
    hub.block_on(is_done.recv()).unwrap();
}

#[test]
fn what_runs_during_it_finds_its_hub_current() {
    let hub = Hub::builder().threads(1).build().unwrap();
    let (release, released) = channel::<()>();
    hub.spawn(async move {
        let _gone = released.recv();
    });
    let (send, receive) = channel();
    hub.spawn(async move {
        send.send(format!("{:?}", Hub::current())).unwrap();
        drop(release);
    });
    hub.shutdown(Duration::from_secs(20));
    assert!(!receive.recv().unwrap().contains("global"));
}

#[test]
fn a_destructor_of_one_of_its_tasks_may_shut_it_down() {
    struct ShutsDown(Hub);
    impl Drop for ShutsDown {
        fn drop(&mut self) {
            // When the one that had this dropped waits for the threads.
            while !format!("{:?}", self.0).contains("threads: 0") {
                thread::yield_now();
            }
            self.0.shutdown(Duration::ZERO);
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
