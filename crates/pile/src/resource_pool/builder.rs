//! [`ResourcePoolBuilder`]: the settings of a resource pool.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{ItemInfo, ResourcePool, Shared};

/// The default capacity.
const MAX_SIZE: usize = 4;

/// The default delay after the first failure of `create`, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// A boxed future, as returned by the closures of a pool.
pub(super) type Boxed<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// Decides whether a resource is used again.
pub(super) type Verdict<T> = dyn for<'a> Fn(&'a mut T, ItemInfo) -> Boxed<'a, bool> + Send + Sync;

/// The settings of a [`ResourcePool`]. Dropping it creates no pool.
///
/// ```
/// # use spinney_pile as spinney;
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use spinney::ResourcePool;
///
/// struct Connection;
///
/// impl Connection {
///     async fn ping(&mut self) -> Result<(), Infallible> { Ok(()) }
///     fn is_open(&self) -> bool { true }
/// }
///
/// const SECOND: Duration = Duration::from_secs(1);
///
/// let pool = ResourcePool::builder(|| async { Ok::<_, Infallible>(Connection) })
///     .max_size(10)
///     .max_age(1800 * SECOND)
///     .idle_timeout(300 * SECOND)
///     .create_timeout(5 * SECOND)
///     // A ping, if it was idle for a second.
///     .check(|c, info| Box::pin(async move { info.idle < SECOND || c.ping().await.is_ok() }))
///     .recycle(|c, _| Box::pin(std::future::ready(c.is_open())))
///     .build();
/// assert_eq!(pool.capacity(), 10);
/// ```
#[must_use = "a builder creates nothing until `build` is called"]
pub struct ResourcePoolBuilder<T, E> {
    max_size: usize,
    settings: Settings<T, E>,
}

pub(super) struct Settings<T, E> {
    pub(super) create: Box<dyn Fn() -> Boxed<'static, Result<T, E>> + Send + Sync>,
    pub(super) check: Option<Box<Verdict<T>>>,
    /// Shared with the recycling tasks, which may outlive a poll of the pool.
    pub(super) recycle: Option<Arc<Verdict<T>>>,
    pub(super) backoff: Box<dyn Fn(u32) -> Duration + Send + Sync>,
    pub(super) create_timeout: Option<Duration>,
    pub(super) max_creating: usize,
    pub(super) min_size: usize,
    pub(super) refill: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) max_uses: u64,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) order_as_stack: bool,
    pub(super) keep_after_failure: bool,
}

impl<T: Send + 'static, E: Send + 'static> ResourcePoolBuilder<T, E> {
    pub(super) fn new<F>(create: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let settings = Settings {
            create: Box::new(move || Box::pin(create())),
            check: None,
            recycle: None,
            backoff: Box::new(doubled),
            create_timeout: None,
            max_creating: usize::MAX,
            min_size: 0,
            refill: false,
            max_age: None,
            max_uses: u64::MAX,
            idle_timeout: None,
            order_as_stack: false,
            keep_after_failure: false,
        };
        Self { max_size: MAX_SIZE, settings }
    }

    /// Sets the capacity, the most items that the pool may have. Default: 4.
    ///
    /// Python: `eventlet.pools.Pool(max_size)`.
    pub fn max_size(mut self, max_size: usize) -> Self {
        self.max_size = max_size;
        self
    }

    /// Sets the number of items up to which [`fill`](ResourcePool::fill) creates items, and which
    /// [`idle_timeout`](Self::idle_timeout) keeps. Default: 0. [`refill`](Self::refill) maintains
    /// that number in the background.
    ///
    /// Python: `eventlet.pools.Pool(min_size)`, which creates the items with the pool.
    pub fn min_size(mut self, min_size: usize) -> Self {
        self.settings.min_size = min_size;
        self
    }

    /// Sets whether the pool maintains [`min_size`](Self::min_size) items in the background.
    /// Default: `false`. From the first [`fill`](ResourcePool::fill) or
    /// [`item`](ResourcePool::item) on, a task of the hub on which an item is discarded creates
    /// another one. A failure of `create` is counted in the pool's statistics, goes to the first
    /// waiting caller, and is retried after the [`backoff`](Self::backoff), at least after 1 ms.
    pub fn refill(mut self, refill: bool) -> Self {
        self.settings.refill = refill;
        self
    }

    /// Hands out the item that came back last; by default, the one that has been idle longest.
    ///
    /// Python: `eventlet.pools.Pool(order_as_stack=True)`.
    pub fn order_as_stack(mut self) -> Self {
        self.settings.order_as_stack = true;
        self
    }

    /// Checks an idle item before it is handed out. If `check` returns `false`, the item is
    /// discarded, and the caller gets the next idle item or a new one, within the same wait. An
    /// item that was just created is not checked.
    ///
    /// A panic of `check` reaches the caller. An item whose check panics, or is dropped with its
    /// caller, is discarded.
    pub fn check<F>(mut self, check: F) -> Self
    where
        F: for<'a> Fn(&'a mut T, ItemInfo) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>,
        F: Send + Sync + 'static,
    {
        self.settings.check = Some(Box::new(check));
        self
    }

    /// Prepares an item that comes back for the next caller, for example with a rollback. If
    /// `recycle` returns `false` or panics, the item is discarded.
    ///
    /// It is polled once where the item is given back. If it is pending, it continues as a task of
    /// the current hub; outside of any hub, the next caller polls it. Its time is not limited: use
    /// `within` inside it.
    pub fn recycle<F>(mut self, recycle: F) -> Self
    where
        F: for<'a> Fn(&'a mut T, ItemInfo) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>,
        F: Send + Sync + 'static,
    {
        self.settings.recycle = Some(Arc::new(recycle));
        self
    }

    /// Sets whether an item is given back even if its holder panics, is killed or exceeds a time
    /// limit. By default it is discarded, because it may be half-written. For items that cannot be
    /// half-written.
    pub fn keep_after_failure(mut self, keep: bool) -> Self {
        self.settings.keep_after_failure = keep;
        self
    }

    /// Discards items that were created at least `limit` ago: idle ones at that time, items in use
    /// when they come back. By default, age is not limited.
    pub fn max_age(mut self, limit: Duration) -> Self {
        self.settings.max_age = Some(limit);
        self
    }

    /// Discards items that were used `limit` times when they come back. By default, uses are not
    /// limited.
    pub fn max_uses(mut self, limit: u64) -> Self {
        self.settings.max_uses = limit;
        self
    }

    /// Discards items that have been idle for `limit`, except [`min_size`](Self::min_size) of them.
    /// By default, idle items are kept. While there are idle items, a task of the hub that uses the
    /// pool does this; if that hub stops, or does not run, a task of the next hub that uses the
    /// pool.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.idle_timeout = Some(limit);
        self
    }

    /// Limits the time of each `create`, whose future is dropped then. By default, it is not
    /// limited.
    pub fn create_timeout(mut self, limit: Duration) -> Self {
        self.settings.create_timeout = Some(limit);
        self
    }

    /// Limits how many items are created at once. Default: the capacity. With 0, the pool only has
    /// items that are [put](ResourcePool::put) into it.
    pub fn max_creating(mut self, limit: usize) -> Self {
        self.settings.max_creating = limit;
        self
    }

    /// Sets the delay between a failure of `create` and the next one; the argument is the number of
    /// failures in a row, starting at 1. Default: 100 ms, doubled for each failure, at most 10 s.
    /// After a failure, one item is created at a time until that succeeds.
    ///
    /// A failure goes to one caller; the others wait for the next try. A panic of `delay` goes to
    /// that caller instead of the failure, as a panic of `create` does; the next try is not
    /// delayed.
    pub fn backoff(mut self, delay: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        self.settings.backoff = Box::new(delay);
        self
    }

    /// Creates the pool, without items.
    #[must_use]
    pub fn build(self) -> ResourcePool<T, E> {
        ResourcePool { shared: Arc::new(Shared::new(self.settings, self.max_size)) }
    }
}

fn doubled(failures: u32) -> Duration {
    let (first, longest) = BACKOFF;
    first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(longest)
}

impl<T, E> fmt::Debug for ResourcePoolBuilder<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourcePoolBuilder")
            .field("min_size", &self.settings.min_size)
            .field("max_size", &self.max_size)
            .finish_non_exhaustive()
    }
}
