//! Dropping the last handle drops the tasks, each once and on the hub's thread.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::hint;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::channel;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use spinney_hub::{LocalHub, Spawn, sleep, yield_now};
use spinney_test_support::{Dropped, send_waker, stuck_and_panics_on_drop};

thread_local! {
    static HUB: RefCell<Option<LocalHub>> = const { RefCell::new(None) };
}

#[test]
fn waiting_tasks_are_dropped() {
    let (hub, drops) = (LocalHub::new(), Dropped::default());
    for _ in 0..100 {
        let guard = drops.guard();
        hub.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
    }
    hub.spawn(async {
        sleep(Duration::from_secs(3600)).await;
    });
    hub.block_on(yield_now());
    let other = hub.clone();
    drop(hub);
    assert_eq!(drops.count(), 0, "a task was dropped while a handle remained");
    drop(other);
    assert_eq!(drops.threads(), [thread::current().id(); 100]);
}

#[test]
fn ready_tasks_are_dropped_unpolled() {
    let (hub, drops) = (LocalHub::new(), Dropped::default());
    for _ in 0..100 {
        let guard = drops.guard();
        hub.spawn(async move {
            let _guard = guard;
            panic!("it was polled");
        });
    }
    drop(hub);
    assert_eq!(drops.count(), 100);
}

#[test]
fn finished_task_is_dropped_immediately() {
    let (hub, drops) = (LocalHub::new(), Dropped::default());
    let guard = drops.guard();
    hub.spawn(async move { drop(guard) });
    hub.block_on(yield_now());
    assert_eq!(drops.count(), 1);
    drop(hub);
    assert_eq!(drops.count(), 1);
}

#[test]
fn woken_tasks_are_dropped() {
    let (hub, drops) = (LocalHub::new(), Dropped::default());
    let (to, wakers) = channel();
    for _ in 0..2 {
        hub.spawn(send_waker(to.clone(), (drops.guard(), Rc::new(()))));
    }
    hub.block_on(yield_now());
    let [here, elsewhere] = [wakers.recv().unwrap(), wakers.recv().unwrap()];
    here.wake_by_ref();
    thread::spawn(move || elsewhere.wake()).join().unwrap();
    drop(hub);
    assert_eq!(drops.count(), 2);
    here.wake();
    assert_eq!(drops.count(), 2);
}

#[test]
fn task_woken_elsewhere_during_the_drop_is_dropped_once() {
    const ROUNDS: usize = 20_000;
    let drops = Dropped::default();
    let (to, wakers) = channel::<Waker>();
    let go = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&go);
    let waking = thread::spawn(move || {
        for (round, waker) in wakers.into_iter().enumerate() {
            while told.load(SeqCst) <= round {
                hint::spin_loop();
            }
            (0..round % 64).for_each(|_| hint::spin_loop());
            waker.wake();
        }
    });
    for round in 0..ROUNDS {
        let hub = LocalHub::new();
        hub.spawn(send_waker(to.clone(), (drops.guard(), Rc::new(()))));
        hub.block_on(yield_now());
        go.store(round + 1, SeqCst);
        (0..round / 64 % 64).for_each(|_| hint::spin_loop());
        drop(hub);
    }
    drop(to);
    waking.join().unwrap();
    assert_eq!(drops.threads(), vec![thread::current().id(); ROUNDS]);
}

#[test]
fn waker_that_outlives_its_hub_affects_no_later_hub() {
    let (to, wakers) = channel::<Waker>();
    let first = LocalHub::new();
    first.spawn(send_waker(to.clone(), ()));
    first.block_on(async {
        let main = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        to.send(main).unwrap();
        yield_now().await;
    });
    drop((first, to));
    let (hub, wakers) = (LocalHub::new(), wakers.into_iter().collect::<Vec<_>>());
    let polls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&polls);
    hub.spawn(async move {
        for _ in 0..10 {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    });
    thread::scope(|scope| {
        scope.spawn(|| wakers.iter().for_each(Waker::wake_by_ref));
        hub.block_on(async {
            while polls.get() < 10 {
                wakers.iter().for_each(Waker::wake_by_ref);
                yield_now().await;
            }
        });
    });
    hub.block_on(yield_now());
    assert_eq!((wakers.len(), polls.get()), (2, 10));
}

#[test]
fn panicking_task_is_dropped_once() {
    let (hub, drops) = (LocalHub::new(), Dropped::default());
    let guard = drops.guard();
    hub.spawn(async move {
        let _guard = guard;
        panic!("an expected panic");
    });
    hub.block_on(yield_now());
    drop(hub);
    assert_eq!(drops.count(), 1);
}

#[test]
fn local_hub_may_be_dropped_inside_another() {
    let (outer, drops) = (LocalHub::new(), Dropped::default());
    let (to, wakers) = channel();
    let inner = LocalHub::new();
    inner.spawn(send_waker(to, (drops.guard(), Rc::new(()))));
    inner.block_on(yield_now());
    outer.block_on(async {
        wakers.recv().unwrap().wake();
        drop(inner);
        assert_eq!(drops.count(), 1);
        yield_now().await;
    });
}

#[test]
fn task_releases_its_hub_when_it_finishes() {
    let (hub, drops) = (LocalHub::new(), Dropped::default());
    let (guard, own) = (drops.guard(), hub.clone());
    hub.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    hub.spawn(async move { drop(own) });
    hub.block_on(yield_now());
    drop(hub);
    assert_eq!(drops.count(), 1);
}

#[test]
fn hub_in_a_thread_local_is_dropped_with_its_thread() {
    // A panic in such a destructor aborts the process: so the test runs it in another process.
    const CHILD: &str = "SPINNEY_TEST_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let name = "local_hub::drops::hub_in_a_thread_local_is_dropped_with_its_thread";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let drops = Dropped::default();
    let guard = drops.guard();
    let ended = thread::spawn(move || {
        HUB.set(Some(LocalHub::new()));
        HUB.with_borrow(|hub| {
            let hub = hub.as_ref().unwrap();
            hub.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            hub.block_on(yield_now());
        });
        // The thread has blocked on something else before it exits.
        futures_lite::future::block_on(async {});
    });
    ended.join().unwrap();
    assert_eq!(drops.count(), 1);
}

#[test]
fn task_woken_as_the_thread_of_its_hub_exits_is_dropped() {
    let drops = Dropped::default();
    for _ in 0..1000 {
        let (to, wakers) = channel();
        let guard = drops.guard();
        let ended = thread::spawn(move || {
            // Set first, so that the state that the thread needs to block is destroyed before it.
            HUB.set(None);
            futures_lite::future::block_on(async {});
            let hub = LocalHub::new();
            hub.spawn(send_waker(to, (guard, Rc::new(()))));
            hub.block_on(yield_now());
            HUB.set(Some(hub));
        });
        let waker = wakers.recv().unwrap();
        while !ended.is_finished() {
            waker.wake_by_ref();
        }
        ended.join().unwrap();
    }
    assert_eq!(drops.count(), 1000);
}

#[test]
fn tasks_whose_destructors_panic_are_dropped() {
    let (hub, drops) = (LocalHub::new(), Dropped::default());
    for _ in 0..3 {
        hub.spawn(stuck_and_panics_on_drop(drops.guard()));
    }
    hub.block_on(yield_now());
    drop(hub);
    assert_eq!(drops.count(), 3);
}
