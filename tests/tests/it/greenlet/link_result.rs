//! The promises of links that get the result: `link_result`, `link_to`, `link_queue`.

use std::future::pending;
use std::sync::{Arc, Mutex};

use futures_lite::future::{poll_once, zip};
use spinney::sync::Latch;
use spinney::task::{GreenletExit, spawn_on};
use spinney::{AsyncResult, Failure, Greenlet, Queue, catch_exit, yield_now};
use spinney_greenlet::pair;
use spinney_tests::tools::{Log, Why, behind, blow_up, gate, let_others_run, polled};
use spinney_tests::{Dropped, on_every_hub};

/// The argument of a link, as text.
fn text(result: Result<&u32, Failure>) -> String {
    result.map_or_else(|failure| failure.why(), u32::to_string)
}

/// A value that cannot be cloned.
#[derive(Debug, PartialEq)]
struct Single(u32);

/// A value whose clone panics.
#[derive(Debug, PartialEq)]
struct BadClone;

impl Clone for BadClone {
    fn clone(&self) -> Self {
        blow_up("the clone")
    }
}

on_every_hub! {
    async fn link_result_is_called_before_the_end(hub) {
        let (open, log) = (gate(), Log::default());
        let mut greenlet = spawn_on(hub, behind(Arc::clone(&open), Single(42)));
        let (seen, handle) = (log.clone(), greenlet.handle().clone());
        greenlet.link_result(move |result| seen.add((result.unwrap().0, handle.is_ready())));
        open.set();
        greenlet.join().await;
        assert_eq!(log.take(), [(42, false)]);
        assert_eq!(greenlet.await.unwrap(), Single(42), "the result is the owner's");
    }

    async fn link_result_gets_a_kill(hub) {
        let (started, log) = (gate(), Log::default());
        let waits = polled(Arc::clone(&started), pending());
        let mut greenlet = spawn_on(hub, waits);
        let seen = log.clone();
        greenlet.link_result(move |result| seen.add(text(result)));
        started.wait().await;
        greenlet.kill_with(GreenletExit::because("too late")).await;
        assert_eq!(log.take(), ["killed: too late"]);
    }

    async fn link_result_gets_a_kill_before_the_first_poll(_hub) {
        let log = Log::default();
        let (task, mut greenlet) = pair(async { 1 }, ());
        let seen = log.clone();
        greenlet.link_result(move |result| seen.add(text(result)));
        greenlet.kill_now();
        task.await;
        assert_eq!(log.take(), ["killed"]);
    }

    async fn link_result_gets_a_panic_and_an_abort(hub) {
        let log = Log::default();
        let mut panics = spawn_on(hub, async { blow_up("no luck") });
        let mut aborted = spawn_on(hub, catch_exit(pending::<()>()));
        let (one, two) = (log.clone(), log.clone());
        panics.link_result(move |result: Result<&u32, _>| one.add(text(result)));
        panics.join().await;
        aborted.link_result(move |result| two.add(result.unwrap_err().why()));
        aborted.abort();
        aborted.join().await;
        assert_eq!(log.take(), ["panicked: no luck", "aborted"]);
    }

    async fn link_result_after_the_end_is_called_immediately(hub) {
        let log = Log::default();
        let (mut done, mut killed) = (spawn_on(hub, async { 42 }), spawn_on(hub, pending()));
        killed.kill().await;
        done.join().await;
        for greenlet in [&mut done, &mut killed] {
            let seen = log.clone();
            greenlet.link_result(move |result| seen.add(text(result)));
        }
        assert_eq!(log.take(), ["42", "killed"]);
        assert_eq!(done.await.unwrap(), 42);
    }

    async fn result_links_are_called_in_order_before_all_others(hub) {
        let (open, log) = (gate(), Log::default());
        let mut greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
        let first = log.clone();
        greenlet.link(move |_| first.add(9));
        for n in 0..5 {
            let seen = log.clone();
            greenlet.link_result(move |_| seen.add(n));
        }
        open.set();
        greenlet.join().await;
        assert_eq!(log.take(), [0, 1, 2, 3, 4, 9]);
    }

    async fn panicking_result_link_affects_no_link_or_result(hub) {
        let (open, log) = (gate(), Log::default());
        let mut greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
        greenlet.link_result(|_| blow_up("no luck"));
        let seen = log.clone();
        greenlet.link_result(move |result| seen.add(text(result)));
        open.set();
        greenlet.join().await;
        greenlet.link_result(|_| blow_up("no luck"));
        assert_eq!(greenlet.await.unwrap(), 42);
        assert_eq!(log.take(), ["42"]);
    }

    async fn result_link_of_a_detached_greenlet_gets_the_result(hub) {
        let (open, called, dropped) = (gate(), gate(), Dropped::default());
        let mut greenlet = spawn_on(hub, behind(Arc::clone(&open), dropped.guard()));
        let (seen, set) = (dropped.clone(), Arc::clone(&called));
        greenlet.link_result(move |result| {
            assert!(result.is_ok() && seen.count() == 0);
            set.set();
        });
        let handle = greenlet.handle().clone();
        greenlet.detach();
        open.set();
        called.wait().await;
        handle.join().await;
        assert_eq!(dropped.count(), 1, "it is dropped at the end");
    }

    async fn result_link_added_by_a_result_link_is_called(hub) {
        let (open, log) = (gate(), Log::default());
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
        let handle = greenlet.handle().clone();
        let greenlet = Arc::new(Mutex::new(greenlet));
        let (again, seen) = (Arc::downgrade(&greenlet), log.clone());
        greenlet.lock().unwrap().link_result(move |_| {
            let inner = seen.clone();
            let greenlet = again.upgrade().unwrap();
            greenlet.lock().unwrap().link_result(move |result| inner.add(text(result)));
        });
        open.set();
        handle.join().await;
        assert_eq!(log.take(), ["42"]);
    }

    async fn killed_unstarted_greenlet_calls_its_result_link(_hub) {
        let log = Log::default();
        let mut greenlet = Greenlet::new(async { 1 });
        let seen = log.clone();
        greenlet.link_result(move |result| seen.add(text(result)));
        drop(greenlet);
        assert_eq!(log.take(), ["killed"]);
    }

    async fn link_to_sets_an_async_result(hub) {
        let (value, failure) = (Arc::new(AsyncResult::new()), Arc::new(AsyncResult::new()));
        let mut greenlet = spawn_on(hub, async { 42 });
        greenlet.link_to(&value);
        spawn_on(hub, async { blow_up("no luck") }).link_to(&failure);
        assert_eq!(value.get().await.unwrap(), &42);
        assert_eq!(greenlet.await.unwrap(), 42);
        let failure: &Arc<AsyncResult<u32, Failure>> = &failure;
        assert!(failure.get().await.unwrap_err().is_panic());
    }

    async fn link_to_of_a_killed_greenlet_fails_the_readers(hub) {
        let answer = Arc::new(AsyncResult::<u32, Failure>::new());
        let mut greenlet = spawn_on(hub, pending());
        greenlet.link_to(&answer);
        let (read, ()) = zip(answer.get(), async { greenlet.kill().await }).await;
        assert!(read.unwrap_err().is_killed());
    }

    async fn link_to_keeps_an_earlier_result(hub) {
        let answer = Arc::new(AsyncResult::new());
        answer.set(1).unwrap();
        let mut greenlet = spawn_on(hub, async { 42 });
        greenlet.link_to(&answer);
        assert_eq!((greenlet.await.unwrap(), answer.get().await.unwrap()), (42, &1));
    }

    async fn link_queue_gets_results_in_completion_order(hub) {
        let (results, gates) = (Arc::new(Queue::unbounded()), [gate(), gate(), gate()]);
        let mut greenlets = Vec::new();
        for (n, open) in gates.iter().enumerate() {
            let mut greenlet = spawn_on(hub, behind(Arc::clone(open), n));
            greenlet.link_queue(&results);
            greenlets.push(greenlet);
        }
        for n in [1, 2, 0] {
            gates[n].set();
            greenlets[n].join().await;
        }
        for n in [1, 2, 0] {
            assert_eq!(results.get_nowait().unwrap().unwrap(), n);
        }
    }

    async fn link_queue_without_room_delays_no_end(hub) {
        let (results, log) = (Arc::new(Queue::bounded(1)), Log::default());
        for n in 0..5 {
            let mut greenlet = spawn_on(hub, async move { n });
            greenlet.link_queue(&results);
            greenlet.join().await;
        }
        let_others_run().await;
        assert_eq!(results.len(), 1);
        for _ in 0..5 {
            log.add(results.get().await.unwrap().unwrap());
        }
        assert_eq!(log.take(), [0, 1, 2, 3, 4]);
    }

    async fn link_queue_has_put_before_links_without_a_budget(hub) {
        for ready_awaits in 120..=130 {
            let (results, log, open) = (Arc::new(Queue::unbounded()), Log::default(), gate());
            let opened = Arc::clone(&open);
            let mut lavish = spawn_on(hub, async move {
                opened.wait().await;
                for _ in 0..ready_awaits {
                    Latch::new(0).wait().await;
                }
            });
            lavish.link_queue(&results);
            let seen = log.clone();
            lavish.link(move |_| seen.add(results.len()));
            open.set();
            lavish.join().await;
            assert_eq!(log.take(), [1]);
        }
    }

    async fn links_of_a_result_with_a_panicking_clone_fail(hub) {
        let (answer, results) = (Arc::new(AsyncResult::new()), Arc::new(Queue::unbounded()));
        let mut greenlet = spawn_on(hub, async { BadClone });
        greenlet.link_to(&answer);
        greenlet.link_queue(&results);
        greenlet.join().await;
        assert_eq!(answer.try_get().unwrap().unwrap_err().why(), "panicked: the clone");
        assert_eq!(results.get_nowait().unwrap().unwrap_err().why(), "panicked: the clone");
        assert_eq!(greenlet.await.unwrap(), BadClone);
    }

    async fn link_queue_after_shutdown_puts_nothing(hub) {
        let results = Arc::new(Queue::unbounded());
        results.shutdown();
        let mut greenlet = spawn_on(hub, async { 42 });
        greenlet.link_queue(&results);
        greenlet.join().await;
        yield_now().await;
        assert!(results.is_empty());
    }

    async fn waiter_sees_the_effects_of_a_result_link(hub) {
        for _ in 0..50 {
            let (started, answer) = (gate(), Arc::new(AsyncResult::new()));
            let mut greenlet = spawn_on(hub, polled(Arc::clone(&started), yield_now()));
            greenlet.link_to(&answer);
            started.wait().await;
            while !greenlet.is_ready() {
                yield_now().await;
            }
            assert!(answer.is_ready());
        }
    }
}

#[test]
#[should_panic = "a greenlet gives its result once"]
fn link_result_after_the_result_was_taken_panics() {
    let (task, mut greenlet) = pair(async { 42 }, ());
    futures_lite::future::block_on(task);
    assert!(futures_lite::future::block_on(poll_once(&mut greenlet)).is_some());
    greenlet.link_result(|_| ());
}
