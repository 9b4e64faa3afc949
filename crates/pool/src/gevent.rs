//! The verbs that differ in gevent from those of this crate.

use spinney_greenlet::Failure;

use crate::in_place::SpawnInto;
use crate::{Runs, TaskSet};

/// Runs `future` as a member of `tasks` once a slot is free, and gives its result, as gevent does: a
/// member that calls this runs `future` immediately and to its end in its own place, even if a slot is
/// free; otherwise the task runs on when this is dropped. [`TaskSet::apply`] looks for a slot first, and
/// kills.
///
/// # Errors
///
/// The failure that `future` ended with; a kill if the set was closed before `future` started.
///
/// # Cancel safety
///
/// Dropping it gives up the place in the queue, or lets the task run on; a task that runs in place is
/// dropped with it.
///
/// Python: `gevent.pool.Group.apply`.
///
/// ```
/// use spinney_pool::Pool;
/// use spinney_pool::gevent::apply;
///
/// spinney_hub::block_on(async {
///     let pool = Pool::new(1);
///     assert_eq!(apply(&pool, async { 42 }).await.unwrap(), 42);
/// });
/// ```
#[track_caller]
pub fn apply<X, F>(
    tasks: &TaskSet<X>,
    future: F,
) -> impl Future<Output = Result<F::Output, Failure>>
where
    F: Future,
    X: Runs<F>,
{
    let spawned = SpawnInto::new(tasks, future).at_once();
    async move { spawned.await.await }
}
