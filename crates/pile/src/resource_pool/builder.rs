//! [`ResourcePoolBuilder`]: the settings of a resource pool.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{ItemInfo, ResourcePool, Shared};

/// The largest number of items, unless it is set.
const MAX_SIZE: usize = 4;

/// The delay after the first failure of `create`, unless it is set, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// A boxed future, as the closures of a pool return them.
pub(super) type Boxed<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// Whether a resource is to be used again.
type Verdict<T> = dyn for<'a> Fn(&'a mut T, ItemInfo) -> Boxed<'a, bool> + Send + Sync;

/// The settings of a [`ResourcePool`]. Dropping it makes no pool.
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
#[must_use = "a builder makes nothing until it is built"]
pub struct ResourcePoolBuilder<T, E> {
    max_size: usize,
    settings: Settings<T, E>,
}

pub(super) struct Settings<T, E> {
    pub(super) create: Box<dyn Fn() -> Boxed<'static, Result<T, E>> + Send + Sync>,
    pub(super) check: Option<Box<Verdict<T>>>,
    /// Shared with what it recycles, which may outlive a poll of the pool.
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

    /// Sets the largest number of items, by default 4.
    ///
    /// Python: `max_size`.
    pub fn max_size(mut self, max_size: usize) -> Self {
        self.max_size = max_size;
        self
    }

    /// Sets how many items [`fill`](ResourcePool::fill) creates, and how many
    /// [`idle_timeout`](Self::idle_timeout) leaves; by default 0. [`refill`](Self::refill) keeps the
    /// number up.
    ///
    /// Python: `min_size`, which is filled when the pool is created.
    pub fn min_size(mut self, min_size: usize) -> Self {
        self.settings.min_size = min_size;
        self
    }

    /// Sets whether [`min_size`](Self::min_size) is kept up in the background; by default it is not.
    /// From the first [`fill`](ResourcePool::fill) or [`item`](ResourcePool::item) on, a task of the
    /// hub on which an item is discarded creates another one. A failure of `create` is counted in
    /// the pool's figures, and it is tried again after the [`backoff`](Self::backoff).
    pub fn refill(mut self, refill: bool) -> Self {
        self.settings.refill = refill;
        self
    }

    /// Hands out the item that came back last; by default the one that has been idle longest.
    ///
    /// Python: `order_as_stack`.
    pub fn order_as_stack(mut self) -> Self {
        self.settings.order_as_stack = true;
        self
    }

    /// Checks an idle item before it is handed out. If `check` returns `false` the item is
    /// discarded, and the caller has the next idle one, or a new one, within the same wait. An item
    /// that was just created is not checked.
    ///
    /// A panic of `check` is the caller's. An item whose check panics, or is dropped with its
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
    /// It is polled once where the item is given back. If it waits it goes on as a task of the
    /// current hub; outside of any hub, the next caller goes on with it. Its time is not limited:
    /// put `within` inside of it.
    pub fn recycle<F>(mut self, recycle: F) -> Self
    where
        F: for<'a> Fn(&'a mut T, ItemInfo) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>,
        F: Send + Sync + 'static,
    {
        self.settings.recycle = Some(Arc::new(recycle));
        self
    }

    /// Gives back items whose holder panics, is killed or runs out of time, too. By default they are
    /// discarded, as they may be half-written. For items that cannot be.
    pub fn keep_after_failure(mut self, keep: bool) -> Self {
        self.settings.keep_after_failure = keep;
        self
    }

    /// Discards items when `limit` has passed since they were created, by default never: idle ones
    /// at that time, those in use when they come back.
    pub fn max_age(mut self, limit: Duration) -> Self {
        self.settings.max_age = Some(limit);
        self
    }

    /// Discards items that were used `limit` times when they come back; by default never.
    pub fn max_uses(mut self, limit: u64) -> Self {
        self.settings.max_uses = limit;
        self
    }

    /// Discards items that have been idle for `limit`, except [`min_size`](Self::min_size) of them;
    /// by default they stay. A task of the hub that uses the pool sees to that while there are idle
    /// items; if that hub stops, or does not run, the next one that uses the pool.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.idle_timeout = Some(limit);
        self
    }

    /// Limits the time of each `create`, by default not at all. The future is dropped then.
    pub fn create_timeout(mut self, limit: Duration) -> Self {
        self.settings.create_timeout = Some(limit);
        self
    }

    /// Limits how many items are created at once; by default up to the pool's capacity. With 0, only
    /// items that are [put](ResourcePool::put) are used.
    pub fn max_creating(mut self, limit: usize) -> Self {
        self.settings.max_creating = limit;
        self
    }

    /// Sets how long the pool waits after a failure of `create` before the next one, by the number
    /// of failures in a row, which begins at 1. By default 100 ms, then twice as long each time, up
    /// to 10 s. After a failure, one item is created at a time until that succeeds.
    ///
    /// The failure goes to one caller; the others wait for the next try.
    pub fn backoff(mut self, delay: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        self.settings.backoff = Box::new(delay);
        self
    }

    /// Builds the pool, with no item yet.
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
