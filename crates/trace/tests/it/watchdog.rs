//! The promises of the watchdog: each planted fault is reported, once, and nothing else.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use spinney_greenlet::{named, spawn_on};
use spinney_hub::{Hub, block_on, sleep, yield_now};
use spinney_threadpool::ThreadPool;
use spinney_trace::{Alarm, Watchdog, WatchdogBuilder, start};

use crate::Block;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

fn watch(settings: WatchdogBuilder) -> (Watchdog, mpsc::Receiver<Alarm>) {
    let (alarms, reported) = mpsc::channel();
    let watchdog = settings
        .threshold(Duration::from_millis(20))
        .on_alarm(move |alarm| drop(alarms.send(alarm.clone())));
    (watchdog.start().unwrap(), reported)
}

fn named_hub(name: &str, threads: usize) -> Hub {
    start().unwrap();
    Hub::builder().threads(threads).name(name).build().unwrap()
}

/// The next alarm that `wanted` accepts.
fn next<T>(reported: &mpsc::Receiver<Alarm>, wanted: impl Fn(&Alarm) -> Option<T>) -> T {
    loop {
        let alarm = reported.recv_timeout(LONG).expect("the fault is reported");
        if let Some(found) = wanted(&alarm) {
            return found;
        }
    }
}

#[test]
fn slow_poll_is_reported_with_its_line_and_last_wait() {
    let (_watchdog, reported) = watch(Watchdog::builder());
    let (hub, block) = (named_hub("slow", 2), Block::new());
    let held = Arc::clone(&block);
    let line = line!() + 2;
    let slow = async move {
        sleep(Duration::from_millis(1)).await;
        held.wait();
    };
    let greenlet = spawn_on(&hub, named("hog", slow));
    let (text, wait) = next(&reported, |alarm| match alarm {
        Alarm::SlowPoll { thread, last_wait, .. } if thread.starts_with("slow-") => {
            Some((alarm.to_string(), *last_wait))
        }
        _ => None,
    });
    assert!(
        text.starts_with(&format!("greenlet {} \"hog\", spawned at ", greenlet.id())),
        "{text}"
    );
    assert_eq!(wait.unwrap().at().line(), line);
    block.open();
    block_on(greenlet).unwrap();
}

#[test]
fn slow_polls_of_one_line_are_reported_once_a_minute() {
    let (_watchdog, reported) = watch(Watchdog::builder());
    let hub = named_hub("again", 1);
    let mut hub_alarms = 0;
    for n in 0..3 {
        let block = Block::new();
        let held = Arc::clone(&block);
        let greenlet = spawn_on(&hub, async move { held.wait() });
        // The hub has one thread, and so is blocked at the same look.
        next(&reported, |alarm| match alarm {
            Alarm::SlowPoll { thread, .. } if thread.starts_with("again-") => {
                assert_eq!(n, 0, "a second report of one line");
                None
            }
            Alarm::HubBlocked { hub, threads: 1, .. } if hub == "again" => Some(()),
            _ => None,
        });
        hub_alarms += 1;
        block.open();
        block_on(greenlet).unwrap();
        // A look between two blocks, so that the second counts as another.
        std::thread::park_timeout(Duration::from_millis(60));
    }
    assert_eq!(hub_alarms, 3);
}

#[test]
fn thread_that_waits_in_block_on_is_not_reported() {
    let (_watchdog, reported) = watch(Watchdog::builder());
    let hub = named_hub("parks", 1);
    let greenlet = spawn_on(&hub, async { block_on(sleep(Duration::from_millis(200))) });
    block_on(greenlet).unwrap();
    let is_ours = |alarm: &Alarm| matches!(alarm, Alarm::SlowPoll { thread, .. } if thread.starts_with("parks-"));
    assert!(!reported.try_iter().any(|alarm| is_ours(&alarm)));
}

#[test]
fn closure_of_a_thread_pool_may_take_long() {
    let (_watchdog, reported) = watch(Watchdog::builder());
    let pool = ThreadPool::builder().capacity(1).name("long").build();
    pool.submit(|| std::thread::park_timeout(Duration::from_millis(200))).wait().unwrap();
    let is_ours = |alarm: &Alarm| matches!(alarm, Alarm::SlowPoll { thread, .. } if thread.starts_with("long"));
    assert!(!reported.try_iter().any(|alarm| is_ours(&alarm)));
}

#[test]
fn hub_that_falls_behind_is_reported() {
    let settings = Watchdog::builder().queue_delay(Duration::from_millis(5));
    let (_watchdog, reported) = watch(settings);
    let hub = named_hub("behind", 1);
    let stop = Arc::new(AtomicBool::new(false));
    let busy = (0..40).map(|_| {
        let stop = Arc::clone(&stop);
        spawn_on(&hub, async move {
            while !stop.load(Relaxed) {
                std::thread::park_timeout(Duration::from_millis(1));
                yield_now().await;
            }
        })
    });
    let busy: Vec<_> = busy.collect();
    let delay = next(&reported, |alarm| match alarm {
        Alarm::SlowQueue { hub, delay, .. } if hub == "behind" => Some(*delay),
        _ => None,
    });
    assert!(delay >= Duration::from_millis(5));
    stop.store(true, Relaxed);
    for greenlet in busy {
        block_on(greenlet).unwrap();
    }
}

#[test]
fn dropped_watchdog_reports_no_more() {
    let (watchdog, reported) = watch(Watchdog::builder());
    drop(watchdog);
    assert!(reported.iter().count() < 1000, "the channel has been closed");
}

#[test]
fn panic_of_on_alarm_is_contained() {
    let (alarms, reported) = mpsc::channel();
    let _watchdog = Watchdog::builder()
        .threshold(Duration::from_millis(5))
        .on_alarm(move |alarm| {
            drop(alarms.send(alarm.clone()));
            panic!("no luck");
        })
        .start()
        .unwrap();
    let hub = named_hub("loud", 1);
    for _ in 0..2 {
        let block = Block::new();
        let held = Arc::clone(&block);
        let greenlet = spawn_on(&hub, async move { held.wait() });
        next(&reported, |alarm| match alarm {
            Alarm::HubBlocked { hub, .. } if hub == "loud" => Some(()),
            _ => None,
        });
        block.open();
        block_on(greenlet).unwrap();
        std::thread::park_timeout(Duration::from_millis(30));
    }
}
