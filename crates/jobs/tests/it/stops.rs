//! How a worker stops, and what becomes of its jobs.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use spinney_greenlet::catch_exit;
use spinney_hub::{Within, sleep};
use spinney_jobs::{Terms, Worker};
use spinney_pool::Pool;
use spinney_sim::SimHub;

use crate::broker::{Broker, Message};
use crate::worker::run;

const SECOND: Duration = Duration::from_secs(1);

type Ran = Result<&'static str, &'static str>;

async fn nap(_: Arc<Message>) -> Ran {
    sleep(2 * SECOND).await;
    Ok("slept")
}

fn send(broker: &Broker, count: usize) {
    (0..count).for_each(|n| broker.send(&format!("job-{n}"), Terms::default()));
}

#[test]
fn stop_puts_back_what_has_not_begun_and_lets_the_rest_end() {
    let (broker, report) = run(
        |w| w,
        nap,
        |broker, handle| async move {
            send(&broker, 4);
            sleep(SECOND).await;
            handle.stop(5 * SECOND);
            sleep(SECOND / 2).await;
            assert_eq!((broker.unacked(), broker.left()), (2, 4), "at once");
            sleep(SECOND).await;
            assert_eq!(broker.left(), 2);
        },
    );
    assert_eq!((report.succeeded, report.put_back), (2, 2));
    assert_eq!(broker.begun_jobs(), 2);
}

#[test]
fn jobs_that_outlast_the_grace_are_killed_and_put_back() {
    let (broker, report) = run(
        |w| w,
        nap,
        |broker, handle| async move {
            send(&broker, 2);
            sleep(SECOND).await;
            handle.stop(SECOND / 2);
            sleep(SECOND / 4).await;
            assert_eq!(broker.unacked(), 2);
            sleep(SECOND / 2).await;
            assert_eq!((broker.unacked(), broker.left()), (0, 2));
        },
    );
    assert_eq!((report.put_back, report.active, broker.settled_jobs()), (2, 0, 0));
}

#[test]
fn second_stop_does_not_wait_for_the_grace() {
    let (broker, _) = run(
        |w| w,
        nap,
        |broker, handle| async move {
            send(&broker, 2);
            sleep(SECOND / 2).await;
            handle.stop(60 * SECOND);
            sleep(SECOND / 2).await;
            handle.stop(60 * SECOND);
            sleep(SECOND / 4).await;
            assert_eq!(broker.unacked(), 0);
        },
    );
    assert_eq!(broker.left(), 2);
}

#[test]
fn job_that_catches_the_shutdown_and_returns_is_settled() {
    async fn tidy(_: Arc<Message>) -> Ran {
        let _ = catch_exit(std::future::pending::<()>()).await;
        Ok("tidied up")
    }
    let (broker, _) = run(
        |w| w,
        tidy,
        |broker, _| async move {
            send(&broker, 1);
            sleep(SECOND).await;
        },
    );
    assert_eq!((broker.settled("job-0"), broker.left()), (vec!["Done(\"tidied up\")".into()], 0));
}

#[test]
fn outcome_that_is_not_stored_in_time_is_put_back() {
    let stores_for = |store_time| {
        run(
            |w| w,
            nap,
            move |broker, handle| async move {
                broker.state().store_time = store_time;
                send(&broker, 1);
                sleep(3 * SECOND).await;
                handle.stop(5 * SECOND);
                sleep(20 * SECOND).await;
            },
        )
    };
    let (broker, report) = stores_for(5 * SECOND);
    assert_eq!((report.succeeded, report.put_back, broker.left()), (1, 0, 0));
    let (broker, report) = stores_for(60 * SECOND);
    assert_eq!((report.succeeded, report.put_back, broker.left()), (0, 1, 1));
}

#[test]
fn redelivery_during_the_shutdown_is_taken_over() {
    let (broker, report) = run(
        |w| w,
        nap,
        |broker, handle| async move {
            send(&broker, 1);
            sleep(SECOND).await;
            broker.lose_connection();
            handle.stop(5 * SECOND);
            sleep(2 * SECOND).await;
        },
    );
    // The broker stopped before it delivered again: the job is settled, and comes again elsewhere.
    assert_eq!((report.succeeded, broker.settled("job-0").len(), broker.left()), (1, 1, 1));
}

#[test]
fn dropped_run_puts_everything_back() {
    let (sim, broker) = (SimHub::new(), Broker::default());
    let worker = Worker::builder(&Pool::new(2)).build(broker.clone());
    send(&broker, 6);
    sim.block_on(async {
        let late = worker.run(nap).within(SECOND).await;
        assert!(late.is_err());
        sleep(SECOND).await;
    });
    assert_eq!((broker.unacked(), broker.left(), broker.settled_jobs()), (0, 6, 0));
}

#[test]
fn pool_that_is_closed_ends_the_worker() {
    let (sim, broker, pool) = (SimHub::new(), Broker::default(), Pool::new(2));
    let worker = Worker::builder(&pool).build(broker.clone());
    send(&broker, 4);
    let closes = async {
        sleep(SECOND).await;
        pool.close();
        std::future::pending().await
    };
    let report = sim.block_on(worker.run(nap).or(closes));
    assert_eq!((report.succeeded, broker.left(), broker.unacked()), (2, 2, 0));
}

#[test]
fn stop_kills_the_jobs_of_a_worker_whose_pool_was_closed() {
    let (sim, broker, pool) = (SimHub::new(), Broker::default(), Pool::new(2));
    let worker = Worker::builder(&pool).build(broker.clone());
    let handle = worker.handle();
    send(&broker, 4);
    let script = async {
        sleep(SECOND).await;
        pool.close();
        sleep(SECOND).await;
        handle.stop(SECOND);
        sleep(10 * SECOND).await;
        panic!("the worker has not stopped");
    };
    let endless = |_: Arc<Message>| async { std::future::pending().await };
    let report = sim.block_on(worker.run(endless).or(script));
    assert_eq!((report.succeeded, broker.left(), broker.unacked()), (0, 4, 0));
}
