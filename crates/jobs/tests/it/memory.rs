//! The queue in memory.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::zip;
use spinney_greenlet::map::Retry;
use spinney_greenlet::spawn_on;
use spinney_hub::{Spawn, Within, sleep};
use spinney_jobs::{
    Arrival, JobError, MemoryJob, MemorySource, NewJob, NotSettled, Outcome, Source, Terms, Worker,
};
use spinney_pool::Pool;
use spinney_sim::SimHub;
use spinney_test_support::blow_up;

const SECOND: Duration = Duration::from_secs(1);

type Numbers = MemorySource<u32, u32, String>;

async fn half(n: Arc<MemoryJob<u32, u32, String>>) -> Result<u32, String> {
    sleep(SECOND).await;
    if **n % 2 == 0 { Ok(**n / 2) } else { Err(format!("{} is odd", **n)) }
}

#[test]
fn each_job_has_its_own_result() {
    let (sim, queue) = (SimHub::new(), Numbers::bounded(10));
    let worker = Worker::builder(&Pool::new(3)).build(queue.clone());
    sim.block_on(async {
        let mut results = Vec::new();
        for n in 0..5 {
            results.push(queue.push(NewJob::new("half", n)).await.unwrap());
        }
        queue.close();
        assert_eq!(worker.run(half).await.received, 5);
        for (n, result) in (0..5).zip(results) {
            match result.await {
                Ok(half) => assert_eq!(half * 2, n),
                Err(error) => assert_eq!(error.to_string(), format!("the job failed: {n} is odd")),
            }
        }
    });
}

#[test]
fn push_waits_while_the_queue_is_full() {
    let (sim, queue) = (SimHub::new(), Numbers::bounded(2));
    let worker = Worker::builder(&Pool::new(2)).build(queue.clone());
    sim.block_on(async {
        let _a = queue.push(NewJob::new("half", 2)).await.unwrap();
        let _b = queue.push(NewJob::new("half", 4)).await.unwrap();
        assert!(queue.push(NewJob::new("half", 6)).within(SECOND).await.is_err());
        let handle = worker.handle();
        sim.spawn(async move {
            worker.run(half).await;
        });
        let third = queue.push(NewJob::new("half", 6)).await.unwrap();
        assert_eq!(third.await, Ok(3));
        handle.stop(SECOND);
    });
}

#[test]
fn jobs_of_one_id_run_one_after_the_other_with_own_outcomes() {
    let (sim, queue) = (SimHub::new(), Numbers::unbounded());
    let worker = Worker::builder(&Pool::new(5)).build(queue.clone());
    sim.block_on(async {
        let mut results = Vec::new();
        for n in [2, 4, 5] {
            results.push(queue.push(NewJob::new("half", n).id("a")).await.unwrap());
        }
        queue.close();
        let report = worker.run(half).await;
        assert_eq!((report.succeeded, report.failed, report.taken_over), (2, 1, 0));
        let mut outcomes = Vec::new();
        for result in results {
            outcomes.push(result.await.ok());
        }
        assert_eq!(outcomes, [Some(1), Some(2), None]);
    });
    assert_eq!(sim.elapsed(), 3 * SECOND);
}

#[test]
fn panic_whose_payload_is_no_text_is_named() {
    async fn panics(_: Arc<MemoryJob<u32, u32, String>>) -> Result<u32, String> {
        std::panic::panic_any(7)
    }
    let (sim, queue) = (SimHub::new(), MemorySource::<u32, u32, String>::unbounded());
    let worker = Worker::builder(&Pool::new(1)).build(queue.clone());
    let result = sim.block_on(async {
        let result = queue.push(NewJob::new("panics", 2)).await.unwrap();
        queue.close();
        worker.run(panics).await;
        result.await
    });
    assert_eq!(result.unwrap_err().to_string(), "the job panicked: its payload is no text");
}

#[test]
fn closed_queue_refuses_and_its_workers_end_with_it() {
    let (sim, queue) = (SimHub::new(), Numbers::unbounded());
    let [a, b] = [(); 2].map(|()| Worker::builder(&Pool::new(1)).prefetch(1).build(queue.clone()));
    sim.block_on(async {
        for _ in 0..4 {
            drop(queue.push(NewJob::new("half", 2)).await.unwrap());
        }
        queue.close();
        assert!(queue.push(NewJob::new("half", 2)).await.is_err());
        let (a, b) = futures_lite::future::zip(a.run(half), b.run(half)).await;
        assert_eq!((a.succeeded, b.succeeded), (2, 2), "both take part");
    });
    assert_eq!(sim.elapsed(), 2 * SECOND);
}

#[test]
fn stopped_worker_leaves_its_jobs_to_the_other() {
    let (sim, queue) = (SimHub::new(), Numbers::unbounded());
    let [a, b] = [(); 2].map(|()| Worker::builder(&Pool::new(1)).build(queue.clone()));
    let results = sim.block_on(async {
        let mut results = Vec::new();
        for _ in 0..6 {
            results.push(queue.push(NewJob::new("half", 2)).await.unwrap());
        }
        queue.close();
        let handle = a.handle();
        sim.spawn(async move {
            sleep(SECOND / 2).await;
            handle.stop(Duration::ZERO);
        });
        let (a, b) = futures_lite::future::zip(a.run(half), b.run(half)).await;
        assert_eq!((a.succeeded, b.succeeded), (0, 6));
        results
    });
    sim.block_on(async {
        for result in results {
            assert_eq!(result.await, Ok(1));
        }
    });
}

#[test]
fn retried_job_of_a_closed_queue_is_waited_for() {
    let (sim, queue) = (SimHub::new(), Numbers::bounded(1));
    let retry = Retry::times(2).delays(std::iter::repeat(10 * SECOND));
    let worker = Worker::builder(&Pool::new(1)).retry(retry).build(queue.clone());
    sim.block_on(async {
        let result = queue.push(NewJob::new("half", 3)).await.unwrap();
        queue.close();
        let report = worker.run(half).await;
        assert_eq!((report.retried, report.failed), (2, 1));
        assert_eq!(result.await, Err(JobError::Failed("3 is odd".into())));
    });
    assert_eq!(sim.elapsed(), 23 * SECOND);
    assert!(queue.is_empty());
}

#[test]
fn result_says_how_a_job_ended_that_returned_nothing() {
    let (sim, queue) = (SimHub::new(), Numbers::unbounded());
    let worker = Worker::builder(&Pool::new(4)).build(queue.clone());
    sim.block_on(async {
        let hard_limit = Some(SECOND / 2);
        let limited = Terms { hard_limit, ..Terms::default() };
        let limited = queue.push(NewJob::new("half", 2).terms(limited)).await.unwrap();
        let revoked = queue.push(NewJob::new("half", 2).id("r")).await.unwrap();
        worker.handle().revoke("r", false);
        queue.close();
        worker.run(half).await;
        assert_eq!(limited.await, Err(JobError::TimedOut(SECOND / 2)));
        assert_eq!(revoked.await, Err(JobError::Revoked));
    });
}

#[test]
fn result_of_a_dropped_queue_is_lost() {
    let (sim, queue) = (SimHub::new(), Numbers::unbounded());
    let result = sim.block_on(queue.push(NewJob::new("half", 2))).unwrap();
    drop(queue);
    assert_eq!(sim.block_on(result), Err(JobError::Lost));
}

#[test]
fn endless_delay_never_retries() {
    let (sim, queue) = (SimHub::new(), Numbers::bounded(1));
    let retry = Retry::times(3).delays([Duration::MAX]);
    let worker = Worker::builder(&Pool::new(1)).retry(retry).build(queue.clone());
    sim.block_on(async {
        let odd = queue.push(NewJob::new("half", 3)).await.unwrap();
        let handle = worker.handle();
        let stop = async {
            assert!(odd.within(1_000_000 * SECOND).await.is_err());
            handle.stop(SECOND);
        };
        let (report, ()) = zip(worker.run(half), stop).await;
        assert_eq!((report.retried, report.failed, queue.len()), (1, 0, 1));
    });
}

#[test]
fn delays_that_panic_fail_their_job() {
    let (sim, queue) = (SimHub::new(), Numbers::bounded(1));
    let delays = || std::iter::from_fn(|| -> Option<Duration> { blow_up("no luck") });
    let retry = Retry::times(3).delays_from(delays);
    let worker = Worker::builder(&Pool::new(1)).retry(retry).build(queue.clone());
    sim.block_on(async {
        let odd = queue.push(NewJob::new("half", 3)).await.unwrap();
        queue.close();
        let report = worker.run(half).await;
        assert_eq!((report.retried, report.failed), (0, 1));
        assert_eq!(odd.await, Err(JobError::Failed("3 is odd".into())));
    });
}

/// A source without jobs, whose `next` and `stop` panic.
struct Broken;

impl Source for Broken {
    type Job = ();
    type Output = ();
    type Error = ();
    type Receipt = ();

    async fn next(&self) -> Option<Arrival<Self>> {
        blow_up("next")
    }

    fn set_credit(&self, _: Option<usize>) {}

    async fn settle(&self, _: &Arc<()>, _: Outcome<(), ()>) -> Result<(), NotSettled> {
        Ok(())
    }

    async fn acknowledge(&self, (): ()) {}

    async fn resend(&self, _: &Arc<()>) -> Result<(), NotSettled> {
        Ok(())
    }

    fn stop(&self) {
        blow_up("stop")
    }
}

#[test]
fn source_that_panics_twice_panics_its_worker_once() {
    let sim = SimHub::new();
    let worker = Worker::builder(&Pool::new(1)).build(Broken);
    let run = spawn_on(&sim, worker.run(|_| async { Ok(()) }));
    let failure = sim.block_on(run).unwrap_err();
    assert!(failure.to_string().ends_with("panicked: next"), "{failure}");
}
