//! Greenlets that are aborted while they begin, run, wait, are killed and end, and links that get
//! the result meanwhile.

use std::future::pending;
use std::sync::Arc;

use loom::future::block_on;
use loom::sync::Mutex;
use loom::thread;
use spinney_greenlet::{Handle, catch_exit, pair, shield};

use crate::scopes::{ended_meanwhile, shield_dropped_elsewhere};
use crate::{Count, because, model, once, pause, spawn};

#[test]
fn abort_as_it_begins_ends_it_at_once_or_where_it_waits() {
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
        assert!(has_ended || ran.get() == 1, "it has not run, and has not ended with the call");
        assert!(greenlet.failure().unwrap().is_aborted());
    });
}

#[test]
fn abort_as_it_ends_leaves_the_result_or_is_the_failure() {
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
fn abort_ends_what_begins_to_catch() {
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
fn abort_ends_what_leaves_a_shield() {
    model(|| {
        let body = async {
            shield(pause()).await;
            shield(pending::<()>()).await;
        };
        assert!(ended_meanwhile(Handle::abort, body).failure().unwrap().is_aborted());
    });
}

#[test]
fn abort_beside_a_kill_ends_it_once() {
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
fn abort_beside_a_kill_of_one_that_waits_is_one_failure() {
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
        assert!(early.is_none_or(|early| early == late.to_string()), "an end stays as it was");
    });
}

#[test]
fn abort_beside_a_shield_that_is_dropped_elsewhere_ends_it() {
    model(|| assert!(shield_dropped_elsewhere(Handle::abort).is_aborted()));
}

#[test]
fn result_link_is_called_once_and_the_owner_has_the_result() {
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
fn result_link_is_told_the_failure_that_stays() {
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
