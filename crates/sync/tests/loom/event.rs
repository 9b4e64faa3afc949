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
fn no_waiter_misses_a_set() {
    model(|| {
        let event = Arc::new(Event::new());
        let others = [(); 2].map(|()| spawn(wait(&event)));
        event.set();
        join(others);
    });
}

#[test]
fn reader_of_a_set_flag_sees_earlier_writes() {
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
fn waiter_goes_on_although_the_flag_is_cleared() {
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
            assert!(once(&mut pin!(wait(&event))).await.is_none(), "the flag is clear");
        });
    });
}

#[test]
fn concurrent_set_and_clear_leave_the_last_state() {
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
        // Whether set or cleared last: a set now reaches all waiters.
        let waits = spawn(wait(&event));
        event.set();
        waits.join().unwrap();
        assert!(event.is_set());
    });
}

#[test]
fn dropped_waiter_takes_no_wake_up_of_another() {
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
