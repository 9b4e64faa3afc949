//! The texts of the public types.

use std::fmt::Debug;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney_jobs::{
    Arrival, Delivery, JobError, JobInfo, JobKill, JobResult, MemoryJob, MemoryReceipt,
    MemorySource, NewJob, NotSettled, Outcome, Source, Stage, Step, Terms, Worker, WorkerBuilder,
    WorkerHandle, WorkerReport,
};
use spinney_pool::Pool;
use spinney_sim::SimHub;

type Numbers = MemorySource<u32, u32, String>;

fn is(value: impl Debug, text: &str) {
    assert_eq!(format!("{value:?}"), text);
}

fn starts(value: impl Debug, text: &str) {
    let debug = format!("{value:?}");
    assert!(debug.starts_with(text), "{debug}");
}

#[test]
fn debug_shows_a_queue_and_its_jobs() {
    SimHub::new().block_on(async {
        let queue: Numbers = Numbers::bounded(10);
        let job: NewJob<u32> = NewJob::new("half", 2).id("a");
        starts(&job, "NewJob { id: Some(\"a\"), name: \"half\", terms: Terms { eta: None, ");
        let result: JobResult<u32, String> = queue.push(job).await.unwrap();
        is(&result, "JobResult { id: \"a\", .. }");
        is(&queue, "MemorySource { queued: 1, unsettled: 1 }");
        let arrival: Arrival<Numbers> = queue.next().await.unwrap();
        starts(&arrival, "Delivery(Delivery { id: \"a\", name: \"half\", attempt: 0, ");
        is(Arrival::<Numbers>::ConnectionLost, "ConnectionLost");
        let Arrival::Delivery(delivery) = arrival else { unreachable!("a job was pushed") };
        let Delivery { job, receipt, .. } = delivery;
        let (job, receipt): (MemoryJob<u32, u32, String>, MemoryReceipt<u32, u32, String>) =
            (job, receipt);
        is(job, "MemoryJob { id: \"a\", name: \"half\", attempt: 0, .. }");
        is(&receipt, "MemoryReceipt { open: true }");
    });
}

#[test]
fn debug_shows_a_worker_and_its_report() {
    SimHub::new().block_on(async {
        let queue = Numbers::bounded(10);
        let _result = queue.push(NewJob::new("half", 2).id("a")).await.unwrap();
        let builder: WorkerBuilder<Numbers> = Worker::builder(&Pool::new(1));
        starts(&builder, "WorkerBuilder { pool: Pool { running: 0, ");
        let worker: Worker<Numbers> = builder.build(queue);
        starts(&worker, "Worker { report: WorkerReport { received: 0, ");
        let handle: WorkerHandle<Numbers> = worker.handle();
        starts(&handle, "WorkerHandle { report: WorkerReport { ");
        let forever = |_| std::future::pending::<Result<u32, String>>();
        let mut run = Box::pin(worker.run(forever));
        for _ in 0..20 {
            assert!(poll_once(&mut run).await.is_none());
            spinney_hub::yield_now().await;
        }
        let jobs: Vec<JobInfo<MemoryJob<u32, u32, String>>> = handle.jobs();
        starts(&jobs[0], "JobInfo { id: \"a\", name: \"half\", attempt: 0, stage: Active, ");
        let report: WorkerReport = handle.report();
        starts(report, "WorkerReport { received: 1, ");
    });
}

#[test]
fn texts_of_outcomes_and_errors_are_sentences() {
    let second = Duration::from_secs(1);
    is(Stage::Settling, "Settling");
    is(Terms::default().ack_early, "false");
    is(Outcome::<u32, String>::SoftLimit(second), "SoftLimit(1s)");
    is(Step::<Numbers>::Started, "Started");
    is(JobKill::Revoked, "Revoked");
    assert_eq!(JobKill::SoftLimit(second).to_string(), "the job exceeded its soft limit of 1s");
    assert_eq!(
        NotSettled::because("no disk").to_string(),
        "the outcome of the job could not be stored: no disk"
    );
    assert_eq!(JobError::Failed("no luck").to_string(), "the job failed: no luck");
    assert_eq!(
        JobError::<String>::Lost.to_string(),
        "the queue was dropped before the job was settled"
    );
}
