//! Threads for work that computes, in tasks on every hub and on plain threads.
//!
//! ```
//! use spinney_threadpool::ThreadPool;
//!
//! spinney_hub::block_on(async {
//!     let pool = ThreadPool::new(2);
//!     let sum = pool.spawn(|| (1..=100_u64).sum::<u64>()).await;
//!     assert_eq!(sum.await.unwrap(), 5050);
//!     let squares = pool.map(|n: u64| n * n, 0..4).await;
//!     assert_eq!(squares.unwrap(), [0, 1, 4, 9]);
//! });
//! ```
//!
//! | to | use |
//! |---|---|
//! | run closures that compute, at most `n` at once, on their own threads | [`ThreadPool`] |
//! | run one function over many items, and get the results as a list or a stream | [`map`](ThreadPool::map), [`imap`](ThreadPool::imap), [`try_map`](ThreadPool::try_map) |
//! | make an occasional blocking call, for example to read a file or resolve a name | [`unblock`] |
//! | split one computation into many small ones that may steal work from each other | the crate rayon |
//!
//! A closure and a task communicate through any primitive that works on every thread: tasks await a
//! `spinney_sync::Queue` or an `async_channel`, and so does a closure with `Hub::block_on`.
//!
//! ```
//! use std::sync::Arc;
//! use spinney_sync::Channel;
//! use spinney_threadpool::ThreadPool;
//!
//! spinney_hub::block_on(async {
//!     let (questions, answers) = (Arc::new(Channel::new()), Arc::new(Channel::new()));
//!     let (asked, said) = (Arc::clone(&questions), Arc::clone(&answers));
//!     let pool = ThreadPool::new(1);
//!     let doubles = move || spinney_hub::block_on(async {
//!         let question: u32 = asked.get().await.unwrap();
//!         said.put(2 * question).await.unwrap();
//!     });
//!     let running = pool.spawn(doubles).await;
//!     questions.put(21).await.unwrap();
//!     assert_eq!(answers.get().await, Ok(42));
//!     running.await.unwrap();
//! });
//! ```

// First, so that the page of the pool begins with it.
mod threadpool;

mod backoff;
mod errors;
pub mod gevent;
mod job;
mod map;
mod queue;
mod result;
mod stop;
mod unblock;
mod workers;

pub use errors::{InsideThreadPool, ThreadPoolClosed, ThreadPoolFull, ThreadRefused};
pub use map::{ThreadImap, ThreadMap, ThreadMapper, ThreadTryImap, ThreadTryMap};
pub use result::ThreadResult;
pub use threadpool::{ThreadPool, ThreadPoolBuilder};
pub use unblock::unblock;
