//! Events that are set, cleared and waited for at the same time.

use std::pin::pin;
use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;
use spinney_sync::Event;

use crate::{join, model, once, spawn};

fn wait(event: &Arc<Event>) -> impl Future<Output = ()> + use<> {
    let event = Arc::clone(event);
    async move { event.wait().await }
}

#[test]
fn set_is_missed_by_nobody_who_waits() {
    model(|| {
        let event = Arc::new(Event::new());
        let others = [(); 2].map(|()| spawn(wait(&event)));
        event.set();
        join(others);
    });
}

#[test]
fn whoever_finds_it_set_sees_what_was_done_before() {
    model(|| {
        let (event, done) = (Arc::new(Event::new()), Arc::new(AtomicUsize::new(0)));
        let looks = {
            let (event, done) = (Arc::clone(&event), Arc::clone(&done));
            thread::spawn(move || assert!(!event.is_set() || done.load(Relaxed) == 1))
        };
        let waits = {
            let (wait, done) = (wait(&event), Arc::clone(&done));
            spawn(async move {
                wait.await;
                assert_eq!(done.load(Relaxed), 1);
            })
        };
        done.store(1, Relaxed);
        event.set();
        looks.join().unwrap();
        waits.join().unwrap();
    });
}

#[test]
fn whoever_waited_goes_on_though_it_is_cleared_at_once() {
    model(|| {
        let event = Arc::new(Event::new());
        block_on(async {
            let mut early = pin!(wait(&event));
            assert!(once(&mut early).await.is_none());
            let sets = {
                let event = Arc::clone(&event);
                thread::spawn(move || {
                    event.set();
                    event.clear();
                })
            };
            early.await;
            sets.join().unwrap();
            assert!(once(&mut pin!(wait(&event))).await.is_none(), "it is clear");
        });
    });
}

#[test]
fn two_who_set_and_clear_leave_it_as_the_last_one_did() {
    model(|| {
        let event = Arc::new(Event::new());
        let other = {
            let event = Arc::clone(&event);
            thread::spawn(move || {
                event.set();
                event.clear();
            })
        };
        event.set();
        other.join().unwrap();
        // Set last or cleared last: in both cases a set now reaches whoever waits.
        let waits = spawn(wait(&event));
        event.set();
        waits.join().unwrap();
        assert!(event.is_set());
    });
}

#[test]
fn dropped_waiter_takes_nobody_s_wake_along() {
    model(|| {
        let event = Arc::new(Event::new());
        let fickle = {
            let wait = wait(&event);
            spawn(async move {
                once(&mut pin!(wait)).await;
            })
        };
        let steady = spawn(wait(&event));
        event.set();
        fickle.join().unwrap();
        steady.join().unwrap();
    });
}
