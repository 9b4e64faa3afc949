//! [`GreenPool`]: eventlet's pool.

use std::fmt;

use spinney_greenlet::Greenlet;
use spinney_hub::Hub;
use spinney_pool::map::IntoSource;
use spinney_pool::{Imap, InsideGroup, Pool, Reentry, Runs, RunsMap};

/// The size of a pool of which none is given.
const DEFAULT_SIZE: usize = 1000;

/// Runs at most so many greenlets at a time; a task that spawns into its own full pool runs the
/// work itself. `eventlet.GreenPool`.
///
/// A cheap handle; all are of the same pool. Dropping the last one kills what is left, without
/// waiting for it.
///
/// New code is better off with a [`Pool`](spinney_pool::Pool), which has more verbs, and whose tasks
/// wait for each other only when they must.
///
/// ```
/// use spinney_pile::GreenPool;
///
/// spinney_hub::block_on(async {
///     let pool = GreenPool::new(5);
///     let mut threads = Vec::new();
///     for n in 0..10 {
///         threads.push(pool.spawn(async move { format!("Result {n}") }).await);
///     }
///     pool.waitall().await?;
///     assert_eq!((pool.running(), pool.free()), (0, 5));
///     assert_eq!(threads.pop().unwrap().await.unwrap(), "Result 9");
///     # Ok::<(), spinney_pool::InsideGroup>(())
/// }).unwrap();
/// ```
pub struct GreenPool<X = Hub> {
    pool: Pool<X>,
}

impl GreenPool {
    /// A pool of `size` slots that runs each call where it is made, on the
    /// [current hub](Hub::current) of the caller; [`default`](Self::default) has 1000.
    ///
    /// # Panics
    ///
    /// If the [global hub](Hub::global) has to be started, and cannot be.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self::on(&Hub::following(), size)
    }
}

impl<X> GreenPool<X> {
    /// A pool of `size` slots whose tasks run on `hub`.
    pub fn on(hub: &X, size: usize) -> Self
    where
        X: Clone,
    {
        Self { pool: Pool::builder().reentry(Reentry::Inline).pool_on(hub, size) }
    }

    /// Waits for a slot and starts `future` in it. While the pool is full, a task that itself runs
    /// in it does not wait, for that might be for ever: it runs `future` in place, and the
    /// greenlet it gets has ended. `spawn`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before it is done drops `future`, which has not started, or was running in
    /// place.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> impl Future<Output = Greenlet<F::Output>>
    where
        F: Future,
        X: Runs<F>,
    {
        self.pool.spawn(future)
    }

    /// As [`spawn`](Self::spawn), for who wants no result. `spawn_n`.
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_n<F>(&self, future: F) -> impl Future<Output = ()>
    where
        F: Future,
        X: Runs<F>,
    {
        let spawned = self.spawn(future);
        async move { spawned.await.detach() }
    }

    /// Waits until nothing runs and nobody waits to spawn; at once if that is so. A map whose
    /// results nobody reads does neither, and is not waited for. `waitall`.
    ///
    /// # Errors
    ///
    /// [`InsideGroup`] if a task of the pool asks, which would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn waitall(&self) -> impl Future<Output = Result<(), InsideGroup>> {
        self.pool.wait_idle()
    }

    /// Runs `func` on each of `items`, in the pool's own slots, and gives the results in their
    /// order. `imap`; see [`TaskSet::imap`](spinney_pool::TaskSet::imap). Several inputs are
    /// [`zip`](std::iter::zip)ped into one.
    ///
    /// ```
    /// use std::iter::zip;
    /// use futures_lite::StreamExt;
    /// use spinney_pile::GreenPool;
    ///
    /// spinney_hub::block_on(async {
    ///     let pool = GreenPool::new(3);
    ///     let sums = pool.imap(|(a, b)| async move { a + b }, zip(1.., [10, 20]));
    ///     let sums: Vec<u32> = sums.map(Result::unwrap).collect().await;
    ///     assert_eq!(sums, [11, 22]);
    /// });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills what it started.
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

    /// [`imap`](Self::imap) over tuples, which a closure takes apart. `starmap`.
    ///
    /// ```
    /// use spinney_pile::GreenPool;
    ///
    /// async fn power(base: u32, exponent: u32) -> u32 {
    ///     base.pow(exponent)
    /// }
    ///
    /// spinney_hub::block_on(async {
    ///     let pool = GreenPool::new(3);
    ///     let mut powers = pool.starmap(|(base, exponent)| power(base, exponent), [(2, 3), (3, 2)]);
    ///     assert_eq!(powers.next().await.unwrap().unwrap(), 8);
    ///     assert_eq!(powers.next().await.unwrap().unwrap(), 9);
    /// });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`imap`](Self::imap).
    #[track_caller]
    pub fn starmap<I, F, Fut>(&self, func: F, tuples: I) -> Imap<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
    {
        self.imap(func, tuples)
    }

    /// Changes the number of slots. A larger number admits at once as many as fit; a smaller one
    /// leaves those that run alone, so that [`free`](Self::free) may be negative until they end.
    /// `resize`.
    pub fn resize(&self, size: usize) {
        self.pool.resize(size);
    }

    /// How many slots are taken. `running`.
    pub fn running(&self) -> usize {
        self.pool.len()
    }

    /// The size less what is running; negative after a [`resize`](Self::resize) to less than
    /// that. `free`.
    pub fn free(&self) -> isize {
        self.pool.available()
    }

    /// How many wait to spawn. `waiting`.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// How many slots there are. `size`.
    pub fn capacity(&self) -> usize {
        self.pool.capacity().unwrap_or(usize::MAX)
    }

    /// The pool that this one is made of.
    pub fn pool(&self) -> &Pool<X> {
        &self.pool
    }
}

impl Default for GreenPool {
    fn default() -> Self {
        Self::new(DEFAULT_SIZE)
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
            .field("running", &self.running())
            .field("free", &self.free())
            .field("capacity", &self.capacity())
            .field("waiting", &self.waiting())
            .finish()
    }
}
