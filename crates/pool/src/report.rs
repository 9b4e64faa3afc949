//! [`Report`]: what became of the members of a group that was closed.

/// What became of the members of a group, from the call that closed it until that was done.
///
/// ```
/// use spinney_greenlet::GreenletExit;
/// use spinney_pool::Pool;
///
/// spinney_hub::block_on(async {
///     let pool = Pool::new(5);
///     pool.spawn(std::future::pending::<()>()).await.detach();
///     let report = pool.shutdown(GreenletExit::because("that was all")).await;
///     assert_eq!((report.killed, report.running), (1, 0));
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many waited for a slot, and were refused. A map that has items to run is one.
    pub refused: usize,
    /// How many members ended with a result.
    pub succeeded: usize,
    /// How many members panicked.
    pub failed: usize,
    /// How many members were killed.
    pub killed: usize,
    /// How many members are left.
    pub running: usize,
}

/// How the members ended that have left so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) succeeded: usize,
    pub(crate) failed: usize,
    pub(crate) killed: usize,
}

impl Tally {
    /// What has changed since `before`.
    pub(crate) fn since(self, before: Self, refused: usize, running: usize) -> Report {
        Report {
            refused,
            succeeded: self.succeeded - before.succeeded,
            failed: self.failed - before.failed,
            killed: self.killed - before.killed,
            running,
        }
    }
}
