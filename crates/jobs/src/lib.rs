//! A worker on spinney's pools, over a source of jobs with acknowledgements: a message broker, or a
//! queue in memory.
//!
//! ```
//! use std::sync::Arc;
//! use spinney_jobs::{MemoryJob, MemorySource, NewJob, Worker};
//! use spinney_pool::Pool;
//!
//! spinney_hub::block_on(async {
//!     let queue = MemorySource::<&str, usize, String>::bounded(100);
//!     let length = queue.push(NewJob::new("length", "wood")).await.unwrap();
//!     let worker = Worker::builder(&Pool::new(10)).build(queue.clone());
//!     queue.close();
//!     worker.run(|text: Arc<MemoryJob<_, _, _>>| async move { Ok(text.len()) }).await;
//!     assert_eq!(length.await.unwrap(), 4);
//! });
//! ```
//!
//! | to | use |
//! |---|---|
//! | run jobs from a queue in memory | [`MemorySource`] |
//! | run jobs of a message broker | a [`Source`] of your own; `spinney-celery` has one |
//! | hold a job until a time, limit how long it runs | [`Terms`] |
//! | retry a job that failed | [`WorkerBuilder::retry`] |
//! | limit how often jobs of one name start | [`WorkerHandle::pace`] |
//! | kill a job, or prevent its start | [`WorkerHandle::revoke`] |
//! | stop | [`WorkerHandle::stop`] |
//!
//! # What always holds
//!
//! - A job is acknowledged after its outcome is stored, unless its sender asks for
//!   [less](Terms::ack_early). So a crash repeats a job, and never loses one: a job should be
//!   idempotent.
//! - Jobs with the same id never run at the same time in one worker, however often they are
//!   delivered.
//! - A job that is killed by a shutdown is put back.

mod memory;
mod run;
mod source;
mod table;
mod worker;
mod worker_loop;

pub use memory::{JobError, JobResult, MemoryJob, MemoryReceipt, MemorySource, NewJob};
pub use source::{Arrival, Delivery, JobKill, NotSettled, Outcome, Source, Step, Terms};
pub use table::{JobInfo, Stage};
pub use worker::{Worker, WorkerBuilder, WorkerHandle, WorkerReport};
