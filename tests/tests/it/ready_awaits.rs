//! A loop of ready awaits yields: it can be killed, aborted, limited and shut down like any other
//! task, and lets others run.

mod rows;

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_lite::future::{block_on, or};
use rows::{Endless, Row, rows};
use spinney::hub::{Budget, BudgetedAwait};
use spinney::task::spawn_on;
use spinney::{Event, Greenlet, Pool, Spawn, Within, sleep, spawn, yield_now};
use spinney_greenlet::{InPlace, Task, pair};
use spinney_tests::tools::{gate, let_others_run};
use spinney_tests::{
    LocalHub, OneThread, SimHub, SmolHub, TokioHub, hub, on_every_hub, tokio_runtime,
};

const MS: Duration = Duration::from_millis(1);

/// Starts the loop of `row`, and waits until it runs.
async fn running<X: Spawn<Task<Endless>>>(
    hub: &X,
    row: &Row,
) -> Greenlet<std::convert::Infallible> {
    let started = gate();
    let greenlet = spawn_on(hub, (row.endless)(Arc::clone(&started)));
    started.wait().await;
    greenlet
}

on_every_hub! {
    async fn endless_loop_is_killed(hub) {
        for row in rows() {
            let greenlet = running(hub, row).await;
            greenlet.kill().await;
            let failure = greenlet.await.unwrap_err();
            assert!(failure.is_killed(), "{}: {failure}", row.name);
        }
    }

    async fn endless_loop_is_aborted(hub) {
        for row in rows() {
            let greenlet = running(hub, row).await;
            greenlet.abort();
            let failure = greenlet.await.unwrap_err();
            assert!(failure.is_aborted(), "{}: {failure}", row.name);
        }
    }

    async fn endless_loop_is_limited(hub) {
        for row in rows() {
            let greenlet = spawn_on(hub, (row.endless)(gate()).within(2 * MS));
            yield_now().await;
            hub.let_time_pass(2 * MS);
            assert!(greenlet.await.unwrap().is_err(), "{}", row.name);
        }
    }

    async fn endless_loop_in_a_pool_is_drained(hub) {
        for row in rows() {
            let pool = Pool::on(hub, 1);
            let greenlet = pool.spawn((row.endless)(gate())).await;
            hub.let_time_pass(2 * MS);
            let report = pool.drain(MS).await;
            assert!(greenlet.await.unwrap_err().is_killed(), "{}: {report:?}", row.name);
        }
    }

    async fn endless_loop_lets_others_run(hub) {
        for row in rows() {
            let greenlet = running(hub, row).await;
            spawn_on(hub, yield_now()).await.unwrap(); // otherwise it would never finish
            greenlet.kill().await;
        }
    }

    async fn second_ready_branch_is_polled_within_two_polls(hub) {
        let sees_both = async {
            let ready = |side| { let event = set(); async move { event.wait().await; side } };
            // The budget is used up repeatedly.
            for _ in 0..1000 {
                set().wait().await;
                let first = or(ready(1), ready(2)).await;
                assert!(first == 1 || first == 2);
            }
            let mut polls = 0;
            let mut second = Box::pin(or(pending(), ready(2)));
            poll_fn(move |cx| {
                polls += 1;
                assert!(polls <= 2, "deferred twice");
                second.as_mut().poll(cx)
            })
            .await
        };
        assert_eq!(spawn_on(hub, sees_both).await.unwrap(), 2);
    }

    async fn greenlet_in_place_uses_the_budget_around_it(hub) {
        let gives_way = async {
            let endless = async { loop { set().wait().await } };
            let (child, greenlet) = pair(endless, ());
            let mut child = InPlace::new(child, greenlet.handle());
            poll_fn(|cx| Poll::Ready(Pin::new(&mut child).poll(cx).is_pending())).await
        };
        assert!(spawn_on(hub, gives_way).await.unwrap());
    }

    async fn foreign_block_on_in_a_greenlet_goes_on(hub) {
        let blocks = async {
            let many = async { for _ in 0..1000 { set().wait().await } };
            block_on(many);
        };
        spawn_on(hub, blocks).await.unwrap();
    }
}

/// An event that is set.
fn set() -> Event {
    let event = Event::new();
    event.set();
    event
}

#[test]
fn endless_loop_ends_with_its_hub() {
    for row in rows() {
        for threads in [1, 4] {
            let hub = hub(threads);
            let greenlet = hub.block_on(running(&hub, row));
            hub.shutdown(Duration::ZERO);
            assert!(greenlet.is_ready(), "{}", row.name);
        }

        let hub = LocalHub::new();
        let greenlet = hub.block_on(running(&hub, row));
        drop(hub);
        assert!(greenlet.is_ready(), "{}", row.name);

        let hub = SimHub::new();
        let greenlet = hub.block_on(running(&hub, row));
        drop(hub);
        assert!(greenlet.is_ready(), "{}", row.name);
    }
}

#[test]
fn endless_loop_ends_with_its_tokio_runtime() {
    for row in rows() {
        let runtime = tokio_runtime(4);
        let hub = TokioHub::new(runtime.handle().clone());
        let greenlet = runtime.block_on(hub.scope(running(&hub, row)));
        drop(runtime);
        assert!(greenlet.is_ready(), "{}", row.name);
    }
}

#[test]
fn endless_main_future_is_limited() {
    let endless = || async {
        let event = set();
        loop {
            event.wait().await;
        }
    };
    let limited = || endless().within(2 * MS);
    assert!(spinney::block_on(limited()).is_err(), "block_on");
    assert!(hub(1).block_on(limited()).is_err(), "Hub");
    assert!(LocalHub::new().block_on(limited()).is_err(), "LocalHub");
    assert!(spinney_tests::smol_block_on(SmolHub.scope(limited())).is_err(), "SmolHub");
    for threads in [1, 4] {
        let runtime = tokio_runtime(threads);
        let hub = TokioHub::new(runtime.handle().clone());
        assert!(runtime.block_on(hub.scope(limited())).is_err(), "TokioHub");
    }
    let sim = SimHub::new();
    OneThread::from(sim.clone()).let_time_pass(2 * MS);
    assert!(sim.block_on(limited()).is_err(), "SimHub");
}

#[test]
fn virtual_time_stands_still_while_an_await_is_deferred() {
    for row in rows() {
        let sim = SimHub::new();
        spawn_on(&sim, (row.endless)(gate())).detach();
        sim.block_on(async {
            spawn(sleep(MS)).detach();
            let_others_run().await;
        });
        assert_eq!(sim.elapsed(), Duration::ZERO, "{}", row.name);
    }
}

#[test]
fn composite_await_is_deferred_once() {
    let event = set();
    let mut cx = Context::from_waker(Waker::noop());
    let _budget = Budget::open();
    while pin!(event.wait()).poll(&mut cx).is_ready() {}
    let mut whole = pin!(BudgetedAwait::around(event.wait()));
    assert!(whole.as_mut().poll(&mut cx).is_pending());
    assert!(whole.as_mut().poll(&mut cx).is_ready(), "the inner await was deferred as well");
}
