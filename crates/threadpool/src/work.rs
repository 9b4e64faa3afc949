//! [`Work`]: what stands in a pool's queue.

use std::sync::Arc;

use spinney_greenlet::GreenletExit;

use crate::workers::Workers;

/// What stands in a pool's queue, and threads run.
pub(crate) trait Work: Send + Sync {
    /// Runs it on this thread, which is one of `workers`. It never panics.
    fn run(self: Arc<Self>, workers: &Arc<Workers>);

    /// Ends it, unless it has started; says whether that was it that ended it.
    fn refuse(&self, workers: &Workers, exit: GreenletExit) -> bool;

    /// Whether there is nothing left to run, so that it only takes room in the queue.
    fn is_void(&self) -> bool;
}
