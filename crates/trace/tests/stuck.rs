//! The promise of the watchdog's report that all greenlets of the process wait: it needs a process
//! of its own.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use spinney_greenlet::{named, spawn_on};
use spinney_hub::{Hub, block_on, sleep};
use spinney_sync::Event;
use spinney_trace::{Alarm, Watchdog};

#[test]
fn greenlets_that_all_wait_are_reported_once() {
    let (alarms, reported) = mpsc::channel();
    let _watchdog = Watchdog::builder()
        .threshold(Duration::MAX)
        .stuck_after(Duration::from_millis(50))
        .on_alarm(move |alarm| drop(alarms.send(alarm.clone())))
        .start()
        .unwrap();
    let hub = Hub::builder().threads(2).build().unwrap();
    let event = Arc::new(Event::new());
    let sleeper = spawn_on(&hub, async { sleep(Duration::from_millis(200)).await });
    let waiters = ["left", "right"].map(|name| {
        let event = Arc::clone(&event);
        spawn_on(&hub, named(name, async move { event.wait().await }))
    });
    block_on(sleeper).unwrap();
    let Ok(Alarm::Stuck { greenlets, dump, .. }) = reported.recv_timeout(Duration::from_secs(60))
    else {
        panic!("it is reported that all wait, and not while one sleeps")
    };
    assert_eq!(greenlets, 2);
    assert!(dump.contains("2 greenlets wait for Event::wait at"), "{dump}");
    std::thread::park_timeout(Duration::from_millis(200));
    assert_eq!(reported.try_iter().count(), 0);
    event.set();
    for waiter in waiters {
        block_on(waiter).unwrap();
    }
}
