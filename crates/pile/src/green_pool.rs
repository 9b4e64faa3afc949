//! [`GreenPool`]: eventlet's pool.

use std::fmt;

use spinney_greenlet::Greenlet;
use spinney_hub::Hub;
use spinney_pool::map::IntoSource;
use spinney_pool::{Imap, InsideGroup, Pool, Reentry, Runs, RunsMap};

/// The default capacity.
const DEFAULT_CAPACITY: usize = 1000;

/// A pool in which a member that spawns into it while it is full runs the future itself, to its
/// end.
///
/// Cloning is cheap; clones share the pool. Dropping the last handle kills the remaining members
/// without waiting for them.
///
/// Prefer a [`Pool`] in new code: it has more verbs, and its members stand in the queue for a slot
/// while they run a child in place. eventlet's spellings are in
/// [`GreenPoolExt`](crate::eventlet::GreenPoolExt).
///
/// Python: `eventlet.GreenPool`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pile::GreenPool;
/// #     pub mod pool { pub use spinney_pool::InsideGroup; }
/// # }
/// use spinney::{GreenPool, block_on};
/// use spinney::pool::InsideGroup;
///
/// block_on(async {
///     let pool = GreenPool::new(5);
///     let mut threads = Vec::new();
///     for n in 0..10 {
///         threads.push(pool.spawn(async move { format!("Result {n}") }).await);
///     }
///     pool.join().await?;
///     assert_eq!((pool.len(), pool.available()), (0, 5));
///     assert_eq!(threads.pop().unwrap().await.unwrap(), "Result 9");
///     Ok::<(), InsideGroup>(())
/// }).unwrap();
/// ```
#[doc(alias = "eventlet")]
pub struct GreenPool<X = Hub> {
    pool: Pool<X>,
}

impl GreenPool {
    /// Creates a pool of `capacity` slots that runs each call on the [current hub](Hub::current) of
    /// the caller; [`default`](Self::default) has 1000.
    ///
    /// Python: `eventlet.GreenPool(size)`.
    #[must_use]
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        Self::on(&Hub::following(), capacity)
    }
}

impl<X> GreenPool<X> {
    /// Creates a pool of `capacity` slots whose tasks run on `hub`.
    #[track_caller]
    pub fn on(hub: &X, capacity: usize) -> Self
    where
        X: Clone,
    {
        Self { pool: Pool::builder().reentry(Reentry::Inline).pool_on(hub, capacity) }
    }

    /// Waits for a slot and spawns `future` in it. While the pool is full, a member runs `future`
    /// in place instead of waiting, possibly for ever; the returned greenlet has finished then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `future`, which has not started or was running in place.
    ///
    /// Python: `eventlet.GreenPool.spawn`.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> impl Future<Output = Greenlet<F::Output>>
    where
        F: Future,
        X: Runs<F>,
    {
        self.pool.spawn(future)
    }

    /// Waits until no member runs and no caller waits to spawn; returns immediately if that is so.
    /// A map whose results are not read is not waited for.
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
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = Result<(), InsideGroup>> {
        self.pool.wait_idle()
    }

    /// Runs `func` on each of `items` in the pool's own slots, and yields the results in the order
    /// of the items; see [`TaskSet::imap`](spinney_pool::TaskSet::imap). [`zip`](std::iter::zip)
    /// combines several inputs into one.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pile::GreenPool; }
    /// use std::iter::zip;
    /// use spinney::{GreenPool, block_on};
    ///
    /// block_on(async {
    ///     let pool = GreenPool::new(3);
    ///     let mut sums = pool.imap(|(a, b)| async move { a + b }, zip(1.., [10, 20]));
    ///     assert_eq!(sums.next().await.unwrap().unwrap(), 11);
    ///     assert_eq!(sums.next().await.unwrap().unwrap(), 22);
    /// });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills the items that are running.
    ///
    /// Python: `eventlet.GreenPool.imap`.
    #[track_caller]
    pub fn imap<I, F, Fut>(&self, func: F, items: I) -> Imap<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
    {
        self.pool.imap(func, items)
    }

    /// Changes the number of slots. A larger capacity admits as many waiters as fit immediately; a
    /// smaller one does not affect the members, so that [`available`](Self::available) may be
    /// negative until they finish.
    ///
    /// Python: `eventlet.GreenPool.resize`.
    pub fn resize(&self, capacity: usize) {
        self.pool.resize(capacity);
    }

    /// The number of taken slots.
    ///
    /// Python: `eventlet.GreenPool.running`.
    pub fn len(&self) -> usize {
        self.pool.len()
    }

    /// Whether no slot is taken.
    pub fn is_empty(&self) -> bool {
        self.pool.is_empty()
    }

    /// The capacity minus the taken slots; negative after a [`resize`](Self::resize) below their
    /// number.
    ///
    /// Python: `eventlet.GreenPool.free`.
    pub fn available(&self) -> isize {
        self.pool.available()
    }

    /// The number of callers that wait to spawn.
    ///
    /// Python: `eventlet.GreenPool.waiting`.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// The number of slots.
    ///
    /// Python: `eventlet.GreenPool.size`.
    pub fn capacity(&self) -> usize {
        self.pool.capacity().unwrap_or(usize::MAX)
    }

    /// The underlying pool.
    pub fn pool(&self) -> &Pool<X> {
        &self.pool
    }
}

impl Default for GreenPool {
    #[track_caller]
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

impl<X> Clone for GreenPool<X> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone() }
    }
}

impl<X> fmt::Debug for GreenPool<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenPool")
            .field("running", &self.len())
            .field("free", &self.available())
            .field("capacity", &self.capacity())
            .field("waiting", &self.waiting())
            .finish()
    }
}
