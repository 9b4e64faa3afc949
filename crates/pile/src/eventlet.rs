//! [`GreenPoolExt`] and [`ResourcePoolExt`]: eventlet's spellings.

use spinney_pool::map::IntoSource;
use spinney_pool::{Imap, InsideGroup, Runs, RunsMap};

use crate::{GreenPool, ResourcePool};

/// The verbs of eventlet's `GreenPool` that have other names here, or none.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pile::GreenPool;
/// #     pub mod eventlet { pub use spinney_pile::eventlet::GreenPoolExt; }
/// # }
/// use spinney::{GreenPool, block_on};
/// use spinney::eventlet::GreenPoolExt;
///
/// async fn power(base: u32, exponent: u32) -> u32 {
///     base.pow(exponent)
/// }
///
/// block_on(async {
///     let pool = GreenPool::new(3);
///     let mut powers = pool.starmap(|(base, exponent)| power(base, exponent), [(2, 3), (3, 2)]);
///     assert_eq!(powers.next().await.unwrap().unwrap(), 8);
///     assert_eq!(powers.next().await.unwrap().unwrap(), 9);
///     pool.spawn_n(async { println!("no result") }).await;
///     pool.waitall().await.unwrap();
///     assert_eq!((pool.running(), pool.free()), (0, 3));
/// });
/// ```
pub trait GreenPoolExt<X> {
    /// Spawns `future` like [`GreenPool::spawn`], and detaches it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `future`, which has not started or was running in place.
    ///
    /// Python: `eventlet.GreenPool.spawn_n`.
    fn spawn_n<F>(&self, future: F) -> impl Future<Output = ()>
    where
        F: Future,
        X: Runs<F>;

    /// Runs `func` on each of `tuples`, which a closure destructures: [`GreenPool::imap`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills the items that are running.
    ///
    /// Python: `eventlet.GreenPool.starmap`.
    fn starmap<I, F, Fut>(&self, func: F, tuples: I) -> Imap<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>;

    /// Waits until no member runs and no caller waits to spawn: [`GreenPool::join`].
    ///
    /// # Errors
    ///
    /// [`InsideGroup`] if a member calls it, which would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// Python: `eventlet.GreenPool.waitall`.
    fn waitall(&self) -> impl Future<Output = Result<(), InsideGroup>>;

    /// The number of taken slots: [`GreenPool::len`].
    ///
    /// Python: `eventlet.GreenPool.running`.
    fn running(&self) -> usize;

    /// The capacity minus the taken slots: [`GreenPool::available`].
    ///
    /// Python: `eventlet.GreenPool.free`.
    fn free(&self) -> isize;
}

impl<X> GreenPoolExt<X> for GreenPool<X> {
    #[track_caller]
    fn spawn_n<F>(&self, future: F) -> impl Future<Output = ()>
    where
        F: Future,
        X: Runs<F>,
    {
        let spawned = self.spawn(future);
        async move { spawned.await.detach() }
    }

    #[track_caller]
    fn starmap<I, F, Fut>(&self, func: F, tuples: I) -> Imap<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
    {
        self.imap(func, tuples)
    }

    #[track_caller]
    fn waitall(&self) -> impl Future<Output = Result<(), InsideGroup>> {
        self.join()
    }

    fn running(&self) -> usize {
        self.len()
    }

    fn free(&self) -> isize {
        self.available()
    }
}

/// The verb of eventlet's `pools.Pool` that has another name here.
pub trait ResourcePoolExt {
    /// How many more items can be in use: [`ResourcePool::available`].
    ///
    /// Python: `eventlet.pools.Pool.free`.
    fn free(&self) -> isize;
}

impl<T, E> ResourcePoolExt for ResourcePool<T, E> {
    fn free(&self) -> isize {
        self.available()
    }
}
