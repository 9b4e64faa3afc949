//! `shutdown`: gives the tasks time to finish, then drops them.

use std::future::pending;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use spinney_hub::{Hub, Spawn, sleep, spawn, yield_now};
use spinney_test_support::{DropGuard, Dropped};

use super::stops::spawn_parked;

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(3600);

fn hub() -> Hub {
    Hub::builder().threads(2).build().unwrap()
}

#[test]
fn shutdown_waits_for_tasks_within_the_grace() {
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
fn shutdown_drops_tasks_although_handles_remain() {
    let (hub, drops) = (hub(), Dropped::default());
    let other = hub.clone();
    (0..10).for_each(|_| spawn_parked(&hub, &drops));
    let report = hub.shutdown(Duration::ZERO);
    assert_eq!((report.ended, report.dropped, drops.count()), (0, 10, 10));
    drop(other);
}

#[test]
fn shutdown_drops_a_task_with_a_handle_of_its_hub() {
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
fn spawn_after_shutdown_drops_the_future() {
    let (hub, drops) = (hub(), Dropped::default());
    hub.shutdown(Duration::ZERO);
    spawn_parked(&hub, &drops);
    assert_eq!(drops.count(), 1);
    let again = hub.shutdown(LONG);
    assert_eq!((again.ended, again.dropped), (0, 0));
}

#[test]
fn block_on_polls_after_shutdown() {
    let (hub, drops) = (hub(), Dropped::default());
    hub.shutdown(Duration::ZERO);
    let guard = drops.guard();
    let output = hub.block_on(async {
        spawn(async move { drop(guard) });
        42
    });
    assert_eq!((output, drops.count()), (42, 1), "the future was not dropped");
}

#[test]
fn shutdown_of_the_global_hub_is_a_no_op() {
    let report = Hub::global().shutdown(LONG);
    assert_eq!((report.ended, report.dropped), (0, 0));
    assert_eq!(Hub::global().block_on(async { 42 }), 42);
}

#[test]
fn task_may_shut_its_hub_down() {
    let (hub, drops) = (hub(), Dropped::default());
    spawn_parked(&hub, &drops);
    let (send, receive) = channel();
    let own = hub.clone();
    hub.spawn(async move { send.send(own.shutdown(Duration::ZERO)).unwrap() });
    let report = receive.recv().unwrap();
    assert_eq!(
        (report.dropped, report.running),
        (1, 1),
        "the calling task is not reported as running"
    );
    assert_eq!(drops.count(), 1);
}

#[test]
fn shutdown_drops_tasks_during_a_block_on() {
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
    assert_eq!(dropped, 1, "the task was not dropped before the return");
}

#[test]
fn second_shutdown_in_a_task_does_not_wait_for_itself() {
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
fn concurrent_shutdowns_do_not_wait_for_each_other() {
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
fn hub_is_current_during_its_shutdown() {
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
fn destructor_of_a_task_may_shut_its_hub_down() {
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
fn shutdown_is_bounded_while_a_task_blocks() {
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
    drop(hub); // The drop does not wait longer either.
    drop(release);
    while drops.count() < 2 {
        thread::yield_now();
    }
}

#[test]
fn shutdown_counts_tasks_that_finish_in_the_grace() {
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
fn destructor_may_block_while_its_hub_shuts_down() {
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
