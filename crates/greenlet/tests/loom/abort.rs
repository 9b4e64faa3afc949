//! Greenlets that are aborted while they begin, run, wait, are killed and finish; result links
//! meanwhile.

use std::future::pending;
use std::sync::Arc;

use loom::future::block_on;
use loom::sync::Mutex;
use loom::thread;
use spinney_greenlet::{Handle, catch_exit, pair, shield};

use crate::scopes::{ended_meanwhile, shield_dropped_elsewhere};
use crate::{Count, because, model, once, pause, spawn};

#[test]
fn abort_at_the_first_poll_ends_it_there_or_at_its_await() {
    model(|| {
        let ran = Count::new();
        let (task, greenlet) = {
            let ran = ran.clone();
            let body = async move {
                ran.add();
                shield(pending::<()>()).await;
            };
            pair(body, ())
        };
        let runs = spawn(task);
        greenlet.abort();
        let has_ended = greenlet.is_ready();
        runs.join().unwrap();
        assert!(has_ended || ran.get() == 1, "it neither ran nor finished with the call");
        assert!(greenlet.failure().unwrap().is_aborted());
    });
}

#[test]
fn abort_at_the_end_leaves_the_result_or_fails_it() {
    model(|| {
        let body = async {
            pause().await;
            42
        };
        match block_on(ended_meanwhile(Handle::abort, body)) {
            Ok(value) => assert_eq!(value, 42),
            Err(failure) => assert!(failure.is_aborted()),
        }
    });
}

#[test]
fn abort_ends_a_greenlet_that_begins_to_catch() {
    model(|| {
        let body = async {
            pause().await;
            loop {
                let _kill = catch_exit(pending::<()>()).await;
            }
        };
        assert!(ended_meanwhile(Handle::abort, body).failure().unwrap().is_aborted());
    });
}

#[test]
fn abort_ends_a_greenlet_that_leaves_a_shield() {
    model(|| {
        let body = async {
            shield(pause()).await;
            shield(pending::<()>()).await;
        };
        assert!(ended_meanwhile(Handle::abort, body).failure().unwrap().is_aborted());
    });
}

#[test]
fn abort_and_kill_end_a_greenlet_once() {
    model(|| {
        let body = async {
            loop {
                let _kill = catch_exit(pending::<()>()).await;
            }
        };
        let (mut task, greenlet) = pair(Box::pin(body), ());
        assert!(block_on(once(&mut task)).is_none());
        let runs = spawn(task);
        let kills = {
            let handle = greenlet.handle().clone();
            thread::spawn(move || handle.kill_now_with(because("a whim")))
        };
        greenlet.abort();
        kills.join().unwrap();
        runs.join().unwrap();
        assert!(greenlet.failure().unwrap().is_aborted());
    });
}

#[test]
fn abort_and_kill_of_a_waiting_greenlet_are_one_failure() {
    model(|| {
        let (task, greenlet) = pair(pending::<()>(), ());
        let runs = spawn(task);
        let kills = {
            let handle = greenlet.handle().clone();
            thread::spawn(move || handle.kill_now())
        };
        greenlet.abort();
        let early = greenlet.failure().map(|failure| failure.to_string());
        kills.join().unwrap();
        runs.join().unwrap();
        let late = greenlet.failure().unwrap();
        assert!(late.is_aborted() || late.is_killed());
        assert!(
            early.is_none_or(|early| early == late.to_string()),
            "the failure changed after the end"
        );
    });
}

#[test]
fn abort_ends_a_greenlet_as_its_shield_is_dropped() {
    model(|| assert!(shield_dropped_elsewhere(Handle::abort).is_aborted()));
}

#[test]
fn result_link_is_called_once_and_leaves_the_result() {
    model(|| {
        let told = Count::new();
        let (task, mut greenlet) = pair(async { 42 }, ());
        let runs = spawn(task);
        let called = told.clone();
        greenlet.link_result(move |result| {
            assert_eq!(result.unwrap(), &42);
            called.add();
        });
        assert_eq!(block_on(greenlet).unwrap(), 42);
        runs.join().unwrap();
        assert_eq!(told.get(), 1);
    });
}

#[test]
fn result_link_gets_the_final_failure() {
    model(|| {
        let told = Arc::new(Mutex::new(None));
        let (task, mut greenlet) = pair(pending::<()>(), ());
        let place = Arc::clone(&told);
        greenlet.link_result(move |result| {
            *place.lock().unwrap() = Some(result.unwrap_err().to_string());
        });
        let runs = spawn(task);
        let kills = {
            let handle = greenlet.handle().clone();
            thread::spawn(move || handle.kill_now())
        };
        greenlet.abort();
        kills.join().unwrap();
        runs.join().unwrap();
        let told = told.lock().unwrap().take().unwrap();
        assert_eq!(told, greenlet.failure().unwrap().to_string());
    });
}
