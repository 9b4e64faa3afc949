//! Greenlets that are killed while they are started, run, wait and finish.

use std::future::pending;

use loom::future::block_on;
use loom::thread;
use spinney_greenlet::{Greenlet, Task, pair};
use spinney_hub::{BoxTask, Spawn};

use crate::{Count, because, model, once, pause, reason, spawn};

/// A greenlet that counts how often it ran, and then waits for ever.
fn stuck(ran: &Count) -> (Task<impl Future<Output = ()> + use<>>, Greenlet<()>) {
    let ran = ran.clone();
    let body = async move {
        ran.add();
        pending::<()>().await;
    };
    pair(body, ())
}

#[test]
fn kill_at_the_first_poll_ends_it_there_or_at_its_await() {
    model(|| {
        let ran = Count::new();
        let (task, greenlet) = stuck(&ran);
        let runs = spawn(task);
        greenlet.kill_now_with(because("a whim"));
        let has_ended = greenlet.is_ready();
        runs.join().unwrap();
        assert!(has_ended || ran.get() == 1, "it neither ran nor finished with the kill");
        assert_eq!(reason(greenlet.failure().as_ref()), "killed: a whim");
    });
}

#[test]
fn greenlet_is_cancelled_exactly_if_it_never_runs() {
    model(|| {
        let ran = Count::new();
        let (task, greenlet) = {
            let ran = ran.clone();
            pair(async move { ran.add() }, ())
        };
        let runs = spawn(task);
        let cancelled = greenlet.cancel();
        assert!(greenlet.is_ready() || !cancelled, "it did not finish with the call");
        runs.join().unwrap();
        assert_eq!(ran.get(), usize::from(!cancelled));
        assert_eq!(greenlet.is_successful(), !cancelled);
    });
}

#[test]
fn at_most_one_of_two_cancels_returns_true() {
    model(|| {
        let ran = Count::new();
        let (task, greenlet) = {
            let ran = ran.clone();
            pair(async move { ran.add() }, ())
        };
        let runs = spawn(task);
        let other = {
            let handle = greenlet.handle().clone();
            thread::spawn(move || handle.cancel())
        };
        let cancelled = [greenlet.cancel(), other.join().unwrap()];
        runs.join().unwrap();
        assert_eq!(cancelled.iter().filter(|one| **one).count() + ran.get(), 1);
    });
}

#[test]
fn kill_wakes_a_greenlet_that_is_about_to_wait() {
    model(|| {
        let ran = Count::new();
        let (mut task, greenlet) = {
            let ran = ran.clone();
            let body = async move {
                pause().await;
                ran.add();
                pending::<()>().await;
            };
            pair(Box::pin(body), ())
        };
        // It has run, and waits; from now on another waker wakes it.
        assert!(block_on(once(&mut task)).is_none());
        let runs = spawn(task);
        greenlet.kill_now();
        runs.join().unwrap();
        assert!(greenlet.failure().unwrap().is_killed());
    });
}

#[test]
fn one_of_two_kills_counts() {
    model(|| {
        let (task, greenlet) = stuck(&Count::new());
        let runs = spawn(task);
        let other = {
            let handle = greenlet.handle().clone();
            thread::spawn(move || handle.kill_now_with(because("yours")))
        };
        greenlet.kill_now_with(because("mine"));
        let (on_its_way, at_once) = (greenlet.exit(), greenlet.failure());
        other.join().unwrap();
        runs.join().unwrap();
        let reason_was = reason(greenlet.failure().as_ref());
        assert!(["killed: mine", "killed: yours"].contains(&reason_was.as_str()), "{reason_was}");
        if let Some(exit) = on_its_way {
            assert_eq!(exit.to_string(), reason_was, "the second kill replaced the first");
        }
        if at_once.is_some() {
            assert_eq!(reason(at_once.as_ref()), reason_was, "the failure changed after the end");
        }
    });
}

#[test]
fn kill_at_the_end_leaves_the_result_or_fails_it() {
    model(|| {
        let (mut task, greenlet) = {
            let body = async {
                pause().await;
                42
            };
            pair(Box::pin(body), ())
        };
        assert!(block_on(once(&mut task)).is_none());
        let runs = spawn(task);
        greenlet.kill_now();
        runs.join().unwrap();
        let successful = greenlet.is_successful();
        match block_on(greenlet) {
            Ok(result) => assert!(successful && result == 42),
            Err(failure) => assert!(!successful && failure.is_killed()),
        }
    });
}

#[test]
fn greenlet_killed_as_its_hub_drops_it_ends_once() {
    model(|| {
        let dropped = Count::new();
        let (mut task, greenlet) = {
            let guard = dropped.guard();
            let body = async move {
                let _guard = guard;
                pending::<()>().await;
            };
            pair(Box::pin(body), ())
        };
        assert!(block_on(once(&mut task)).is_none());
        let drops = thread::spawn(move || drop(task));
        greenlet.kill_now_with(because("a whim"));
        block_on(greenlet.join());
        assert_eq!(dropped.get(), 1);
        let was = reason(greenlet.failure().as_ref());
        assert!(
            ["killed: its hub was shut down", "killed: a whim"].contains(&was.as_str()),
            "{was}"
        );
        drops.join().unwrap();
    });
}

/// Runs each task to its end immediately.
struct Here;

impl Spawn<BoxTask> for Here {
    fn spawn(&self, task: BoxTask) {
        block_on(task);
    }
}

#[test]
fn greenlet_killed_as_it_is_started_ends_either_way() {
    model(|| {
        let ran = Count::new();
        let greenlet = {
            let ran = ran.clone();
            Greenlet::new(async move { ran.add() })
        };
        let starts = {
            let handle = greenlet.handle().clone();
            thread::spawn(move || handle.start_on(&Here))
        };
        greenlet.kill_now();
        let started = starts.join().unwrap();
        block_on(greenlet.join());
        assert!(started || ran.get() == 0, "it ran without being started");
        assert_eq!(greenlet.is_successful(), ran.get() == 1);
    });
}

#[test]
fn one_of_two_starts_returns_true() {
    model(|| {
        let ran = Count::new();
        let greenlet = {
            let ran = ran.clone();
            Greenlet::new(async move { ran.add() })
        };
        let other = {
            let handle = greenlet.handle().clone();
            thread::spawn(move || handle.start_on(&Here))
        };
        let started = [greenlet.start_on(&Here), other.join().unwrap()];
        assert_eq!(started.iter().filter(|one| **one).count(), 1);
        assert_eq!(ran.get(), 1);
    });
}
