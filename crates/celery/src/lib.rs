//! A Celery worker and producer on spinney's pools: Celery's message protocol 2 over `RabbitMQ`, with
//! results over `rpc://` or in redis.
//!
//! Python producers, beat and Flower stay as they are; tasks move to Rust one queue at a time.
//!
//! ```no_run
//! use spinney_celery::{App, TaskError};
//!
//! async fn add(a: i64, b: i64) -> Result<i64, TaskError> {
//!     Ok(a + b)
//! }
//!
//! let app = App::amqp("amqp://localhost").queue("sums").task("tasks.add", add).params(["a", "b"]);
//! spinney_hub::block_on(app.run_until_signal())?;
//! # Ok::<(), spinney_celery::Error>(())
//! ```
//!
//! | to | use |
//! |---|---|
//! | run tasks that wait | [`App::task`] |
//! | run tasks that compute | [`App::cpu_task`] |
//! | call a task, in Rust or Python | [`App::send`], [`App::send_task`] |
//! | know the id of the running task, or how often it was retried | [`Request`] |
//! | fail with a Python exception, or retry | [`TaskError`] |
//! | stop | SIGTERM, with [`App::run_until_signal`]; a stream, with [`App::run_until`] |
//!
//! # What always holds
//!
//! - A message is acknowledged after its task has finished, what follows was sent, and the result is
//!   stored. A crash repeats a task and never loses one: a task should be idempotent.
//!   [`App::ack_early`] is the opposite.
//! - A task that runs while the connection is lost does not begin again in this worker.
//! - Remote control answers while all tasks block their threads.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `redis` | on | results in redis, and chords |
//! | `rustls` | off | TLS: `amqps://` |

mod app;
mod calls;
mod canvas;
mod control;
mod events;
mod message;
mod outbox;
mod producer;
mod receipt;
mod results;
mod service;
mod session;
mod source;
mod task;

pub use app::App;
pub use producer::{NewTask, ResultError, Sent};
pub use session::Error;
pub use spinney_jobs::WorkerReport;
#[doc(hidden)]
pub use task::{Call, Parameter};
pub use task::{CpuHandler, Handler, Ran, Request, Returned, TaskError};

pub(crate) use app::Routes;

/// The programs of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/from-celery.md")]
struct FromCelery;
