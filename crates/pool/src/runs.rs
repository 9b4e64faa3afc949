//! [`Runs`] and [`RunsMap`]: the bounds of a helper that is generic over the pool's hub.

use spinney_greenlet::Task;
use spinney_hub::{Erase, Executor, Spawn};

use crate::gevent::{DeferredSpawn, MapAsync};
use crate::in_place::MovedTask;
use crate::map::{Feeder, IntoSource, ItemInPlace, MapWorker};
use crate::task_set::MemberTask;

/// A hub that can run `F` in a group or pool: a hub with threads if `F` and its result are `Send`,
/// a [`LocalHub`](spinney_hub::LocalHub) always. The trait is implemented for each hub that can
/// spawn the tasks that a pool makes of `F`.
///
/// A function that is given the future names this bound; a function that creates its own futures
/// takes a `&Pool`, which runs on the caller's hub.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::{Failure, Greenlet}; pub use spinney_hub::block_on; pub use spinney_pool::Pool;
/// #     pub mod pool { pub use spinney_pool::Runs; }
/// # }
/// use spinney::{Failure, Greenlet, Pool, block_on};
/// use spinney::pool::Runs;
///
/// /// Spawns `job` on the pool's hub.
/// async fn start<X: Runs<F>, F: Future>(pool: &Pool<X>, job: F) -> Greenlet<F::Output> {
///     pool.spawn(job).await
/// }
///
/// /// Creates its own future, which runs on the caller's hub.
/// async fn answer(pool: &Pool) -> Result<u32, Failure> {
///     pool.apply(async { 6 * 7 }).await
/// }
///
/// block_on(async {
///     let pool = Pool::new(2);
///     assert_eq!(start(&pool, async { "ran" }).await.await.unwrap(), "ran");
///     assert_eq!(answer(&pool).await.unwrap(), 42);
/// });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run this future",
    label = "this future cannot run on `{Self}`",
    note = "an executor with threads moves tasks between them: the future and its result must be `Send`",
    note = "work that is not `Send` runs on one thread, in a pool like `Pool::on(&LocalHub::new(), 5)`",
    note = "to see what in it is not `Send`, hand the same future to `spinney::spawn`"
)]
pub trait Runs<F: Future>:
    Executor + Spawn<MemberTask<F>> + Spawn<MovedTask<F>> + Spawn<DeferredSpawn<F>> + Spawn<Task<F>>
{
}

#[diagnostic::do_not_recommend]
impl<F, X> Runs<F> for X
where
    F: Future,
    X: Executor
        + Spawn<MemberTask<F>>
        + Spawn<MovedTask<F>>
        + Spawn<DeferredSpawn<F>>
        + Spawn<Task<F>>,
{
}

/// A hub that can run a map of `F`, which returns `Fut`, over `I`. The trait is implemented for
/// each hub that can spawn the tasks of the map.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::{ItemError, Pool};
/// #     pub mod map { pub use spinney_pool::map::IntoSource; }
/// #     pub mod pool { pub use spinney_pool::RunsMap; }
/// # }
/// use spinney::{ItemError, Pool, block_on};
/// use spinney::map::IntoSource;
/// use spinney::pool::RunsMap;
///
/// /// Maps `func` over `items` on the pool's hub.
/// async fn all<X, I, F, Fut>(pool: &Pool<X>, func: F, items: I) -> Result<Vec<Fut::Output>, ItemError>
/// where
///     I: IntoSource,
///     F: Fn(I::Item) -> Fut,
///     Fut: Future,
///     X: RunsMap<I, F, Fut>,
/// {
///     pool.map(func, items).await
/// }
///
/// let pool = Pool::new(2);
/// let squares = all(&pool, |n: u32| async move { n * n }, 1..=3);
/// assert_eq!(block_on(squares).unwrap(), [1, 4, 9]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run this map",
    label = "this map cannot run on `{Self}`",
    note = "the function must return a future, as `|item| async move {{ .. }}` does",
    note = "an executor with threads moves tasks between them: the items, the function, its futures and their results must be `Send`",
    note = "work that is not `Send` runs on one thread, in a pool like `Pool::on(&LocalHub::new(), 5)`",
    note = "to see what in it is not `Send`, hand one of the futures to `spinney::spawn`"
)]
pub trait RunsMap<I, F, Fut>:
    Executor<AnyTask: Erase<ItemInPlace<I::Source, F, Fut, Self>>>
    + Spawn<<Self as Executor>::AnyTask>
    + Spawn<Feeder<I::Source, F, Fut, Self>>
    + Spawn<MapWorker<I::Source, F, Fut, Self>>
    + Spawn<Task<MapAsync<Fut::Output, Self>>>
    + Sized
where
    I: IntoSource,
    F: Fn(I::Item) -> Fut,
    Fut: Future,
{
}

#[diagnostic::do_not_recommend]
impl<X, I, F, Fut> RunsMap<I, F, Fut> for X
where
    I: IntoSource,
    F: Fn(I::Item) -> Fut,
    Fut: Future,
    X: Executor<AnyTask: Erase<ItemInPlace<I::Source, F, Fut, Self>>>
        + Spawn<<Self as Executor>::AnyTask>
        + Spawn<Feeder<I::Source, F, Fut, Self>>
        + Spawn<MapWorker<I::Source, F, Fut, Self>>
        + Spawn<Task<MapAsync<Fut::Output, Self>>>,
{
}
