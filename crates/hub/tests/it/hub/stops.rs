//! Dropping the last handle of a built hub stops it.

use std::cell::RefCell;
use std::future::pending;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use spinney_hub::{Hub, Spawn, spawn, yield_now};
use spinney_test_support::{Dropped, send_waker, stuck_and_panics_on_drop};

/// Spawns a task that waits for ever.
pub(super) fn spawn_parked(hub: &Hub, drops: &Dropped) {
    let guard = drops.guard();
    hub.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
}

/// A hub whose threads count in `ends` when they exit.
fn watched_hub(threads: usize, ends: &Dropped) -> Hub {
    let ends = ends.clone();
    let builder = Hub::builder().threads(threads).shutdown_limit(Duration::from_secs(60));
    builder.on_stop(move |_| drop(ends.guard())).build().unwrap()
}

#[test]
fn last_handle_waits_for_the_threads() {
    let ends = Dropped::default();
    let hub = watched_hub(4, &ends);
    let other = hub.clone();
    drop(hub);
    assert_eq!(ends.count(), 0, "a thread exited while a handle remained");
    drop(other);
    assert_eq!(ends.count(), 4);
}

#[test]
fn last_handle_drops_each_task_once() {
    let (ends, drops) = (Dropped::default(), Dropped::default());
    let hub = watched_hub(2, &ends);
    for _ in 0..100 {
        spawn_parked(&hub, &drops);
        let guard = drops.guard();
        hub.spawn(async move {
            let _guard = guard;
            loop {
                yield_now().await;
            }
        });
    }
    hub.block_on(yield_now());
    drop(hub);
    assert_eq!((drops.count(), ends.count()), (200, 2));
}

#[test]
fn thread_finishes_its_poll_before_it_exits() {
    for _ in 0..20 {
        let hub = watched_hub(1, &Dropped::default());
        let (started, is_started) = channel();
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        hub.spawn(async move {
            started.send(()).unwrap();
            (0..1000).for_each(|_| thread::yield_now());
            end.store(true, SeqCst);
        });
        is_started.recv().unwrap();
        drop(hub);
        assert!(ended.load(SeqCst));
    }
}

#[test]
fn task_may_drop_the_last_handle() {
    for threads in [1, 2] {
        let (ends, drops) = (Dropped::default(), Dropped::default());
        let hub = watched_hub(threads, &ends);
        spawn_parked(&hub, &drops);
        let own = hub.clone();
        let (go, gone) = channel();
        let (done, is_done) = channel();
        hub.spawn(async move {
            gone.recv().unwrap();
            drop(own);
            done.send(()).unwrap();
        });
        drop(hub);
        assert_eq!(drops.count(), 0, "the task was dropped although it holds the last handle");
        go.send(()).unwrap();
        is_done.recv().unwrap();
        while drops.count() < 1 || ends.count() < threads {
            thread::yield_now();
        }
    }
}

#[test]
fn task_that_finishes_with_the_last_handle_stops_the_hub() {
    let (ends, drops) = (Dropped::default(), Dropped::default());
    let hub = watched_hub(1, &ends);
    spawn_parked(&hub, &drops);
    let own = hub.clone();
    let (go, gone) = channel::<()>();
    hub.spawn(async move {
        let _own = own;
        yield_now().await;
        gone.recv().unwrap();
    });
    drop(hub);
    go.send(()).unwrap();
    while drops.count() < 1 || ends.count() < 1 {
        thread::yield_now();
    }
}

#[test]
fn last_handle_dropped_inside_a_hub_waits_for_nothing() {
    let (ends, drops) = (Dropped::default(), Dropped::default());
    let hub = watched_hub(2, &ends);
    let (started, is_started) = channel();
    let (release, released) = channel::<()>();
    let guard = drops.guard();
    hub.spawn(async move {
        started.send(()).unwrap();
        released.recv().unwrap();
        drop(guard);
    });
    is_started.recv().unwrap();
    let other = Hub::builder().threads(1).build().unwrap();
    let (dropped, is_dropped) = channel();
    other.spawn(async move {
        drop(hub);
        dropped.send(()).unwrap();
    });
    is_dropped.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(drops.count(), 0, "the task was dropped during its poll");
    release.send(()).unwrap();
    while drops.count() < 1 || ends.count() < 2 {
        thread::yield_now();
    }
}

/// FAULTS A6.
#[test]
fn two_hubs_whose_tasks_drop_each_other_both_stop() {
    for _ in 0..200 {
        let ends = Dropped::default();
        let hubs = [watched_hub(1, &ends), watched_hub(1, &ends)];
        let both = Arc::new(Barrier::new(2));
        for (on, other) in [(0, 1), (1, 0)] {
            let (other, both) = (hubs[other].clone(), Arc::clone(&both));
            hubs[on].spawn(async move {
                both.wait();
                drop(other);
            });
        }
        drop(hubs);
        while ends.count() < 2 {
            thread::yield_now();
        }
    }
}

#[test]
fn spawning_tasks_do_not_keep_a_hub_from_stopping() {
    for _ in 0..100 {
        let (ends, drops) = (Dropped::default(), Dropped::default());
        let hub = watched_hub(2, &ends);
        for _ in 0..4 {
            let guard = drops.guard();
            hub.spawn(async move {
                let _guard = guard;
                loop {
                    spawn(async {});
                    yield_now().await;
                }
            });
        }
        drop(hub);
        assert_eq!((drops.count(), ends.count()), (4, 2), "the drop did not wait for the threads");
    }
}

#[test]
fn current_hub_in_a_task_does_not_keep_the_hub_alive() {
    for _ in 0..100 {
        let ends = Dropped::default();
        let hub = watched_hub(2, &ends);
        for _ in 0..4 {
            hub.spawn(async move {
                loop {
                    drop(Hub::current());
                    yield_now().await;
                }
            });
        }
        drop(hub);
        // A handle that a task holds for a moment may be the last one: then its drop does not wait.
        while ends.count() < 2 {
            thread::yield_now();
        }
    }
}

#[test]
fn tasks_woken_during_the_drop_are_dropped() {
    const ROUNDS: usize = 10_000;
    let drops = Dropped::default();
    let (to, wakers) = channel::<Waker>();
    let waking = thread::spawn(move || {
        for waker in wakers {
            (0..50).for_each(|_| waker.wake_by_ref());
        }
    });
    for _ in 0..ROUNDS {
        let hub = Hub::builder().threads(1).build().unwrap();
        hub.spawn(send_waker(to.clone(), drops.guard()));
        hub.block_on(yield_now());
        drop(hub);
    }
    drop(to);
    waking.join().unwrap();
    assert_eq!(drops.count(), ROUNDS);
}

#[test]
fn hub_in_a_thread_local_is_waited_for() {
    thread_local! {
        static KEPT: RefCell<Option<Hub>> = const { RefCell::new(None) };
    }
    let ends = Dropped::default();
    let hub = watched_hub(1, &ends);
    let keeper = thread::spawn(move || {
        // Set first, so that the thread's state of hubs is destroyed before it.
        KEPT.set(None);
        hub.block_on(yield_now());
        KEPT.set(Some(hub));
    });
    keeper.join().unwrap();
    assert_eq!(ends.count(), 1);
}

#[test]
fn tasks_whose_destructors_panic_are_dropped() {
    let (hub, drops) = (watched_hub(1, &Dropped::default()), Dropped::default());
    for _ in 0..3 {
        hub.spawn(stuck_and_panics_on_drop(drops.guard()));
    }
    hub.block_on(yield_now());
    drop(hub);
    assert_eq!(drops.count(), 3);
}
