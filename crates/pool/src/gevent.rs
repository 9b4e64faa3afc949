//! What differs in gevent from the verbs of this crate.

use std::panic::Location;

use spinney_greenlet::{Failure, InPlace, pair_in};

use crate::in_place::SpawnInto;
use crate::{Runs, TaskSet};

/// Runs `future` as a member of `tasks` once a slot is free, and gives its result, as gevent does: a
/// member that calls this runs `future` immediately in its own place, whether a slot is free or not;
/// otherwise the task runs on when this is dropped. [`TaskSet::apply`] waits for a slot, and kills.
///
/// # Errors
///
/// The failure that `future` ended with; a kill if the set was closed before a slot was free.
///
/// # Cancel safety
///
/// Dropping it gives up the place in the queue, or leaves the task to itself; a task that runs in place
/// is killed.
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
    let (inside, at) = (tasks.is_inside(), Location::caller());
    let spawned = SpawnInto::new(tasks, future);
    async move {
        if !inside {
            return spawned.await.await;
        }
        let (task, greenlet) = pair_in(None, at, spawned.into_body(), |_| ());
        InPlace::new(task, &greenlet).await;
        greenlet.await
    }
}
