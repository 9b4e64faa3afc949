//! Threads for work that computes, usable from any hub and from none.
//!
//! ```
//! use spinney_threadpool::ThreadPool;
//!
//! spinney_hub::block_on(async {
//!     let pool = ThreadPool::new(2)?;
//!     let sum = pool.spawn(|| (1..=100_u64).sum::<u64>()).await;
//!     assert_eq!(sum.await.unwrap(), 5050);
//!     let squares = pool.map(|n: u64| n * n, 0..4).await;
//!     assert_eq!(squares.unwrap(), [0, 1, 4, 9]);
//!     pool.kill().await;
//!     # Ok::<(), spinney_threadpool::NoThreads>(())
//! }).unwrap();
//! ```
//!
//! | to | take |
//! |---|---|
//! | run closures that compute, at most so many at a time, apart from everything else | [`ThreadPool`] |
//! | call something that blocks now and then: a file, a name look-up | [`unblock`] |
//! | split one computation into many small ones that may steal work from each other | the crate rayon |
//!
//! Between a closure and a hub, anything that is for any thread will do, in both directions: a
//! `spinney_sync::Queue` or an `async_channel` is awaited by tasks, and by a closure with
//! `Hub::block_on`.
//!
//! ```
//! use std::sync::Arc;
//! use spinney_sync::Channel;
//! use spinney_threadpool::ThreadPool;
//!
//! spinney_hub::block_on(async {
//!     let (questions, answers) = (Arc::new(Channel::new()), Arc::new(Channel::new()));
//!     let (asked, told) = (Arc::clone(&questions), Arc::clone(&answers));
//!     let pool = ThreadPool::new(1).unwrap();
//!     let doubles = move || spinney_hub::block_on(async {
//!         let question: u32 = asked.get().await.unwrap();
//!         told.put(2 * question).await.unwrap();
//!     });
//!     let running = pool.spawn(doubles).await;
//!     questions.put(21).await.unwrap();
//!     assert_eq!(answers.get().await, Ok(42));
//!     running.await.unwrap();
//! });
//! ```

mod apart;
mod apply_async;
mod builder;
mod call;
mod drain;
mod ends;
mod errors;
mod inside;
mod job;
mod map;
mod park;
mod place;
mod places;
mod result;
mod seldom;
mod settings;
mod spin;
mod threadpool;
mod unblock;
mod unfinished;
mod work;
mod workers;

pub use builder::ThreadPoolBuilder;
pub use drain::DrainReport;
pub use errors::{InsideThreadPool, NoThreads, ThreadPoolClosed, ThreadPoolFull, ThreadRefused};
pub use map::{ThreadImap, ThreadMap, ThreadMapper};
pub use result::ThreadResult;
pub use threadpool::ThreadPool;
pub use unblock::unblock;
