//! [`DrainReport`]: what a drain has found.

/// What [`ThreadPool::drain`](crate::ThreadPool::drain) found.
///
/// ```
/// use std::time::Duration;
/// use spinney_threadpool::ThreadPool;
///
/// spinney_hub::block_on(async {
///     let pool = ThreadPool::new(1).unwrap();
///     for _ in 0..3 {
///         pool.spawn(|| ()).await.detach();
///     }
///     let report = pool.drain(Duration::from_secs(60)).await.unwrap();
///     assert!(report.ended <= 3);
///     assert_eq!((report.killed, report.running), (0, 0));
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// How many closures ended in the time they were given, in whatever way.
    pub ended: usize,
    /// How many had not started by then, and were killed.
    pub killed: usize,
    /// How many were still running, and were left to themselves.
    pub running: usize,
}
