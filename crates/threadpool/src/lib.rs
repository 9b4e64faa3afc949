//! Threads for work that computes, usable from any hub and from none.
//!
//! ```
//! use spinney_threadpool::ThreadPool;
//!
//! spinney_hub::block_on(async {
//!     let pool = ThreadPool::new(2)?;
//!     let sum = pool.spawn(|| (1..=100_u64).sum::<u64>()).await;
//!     assert_eq!(sum.await.unwrap(), 5050);
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

mod errors;
mod job;
mod result;
mod threadpool;
mod unblock;
mod workers;

pub use errors::{NoThreads, ThreadPoolClosed};
pub use result::ThreadResult;
pub use threadpool::ThreadPool;
pub use unblock::unblock;
