//! [`Item`]: a resource in use; [`LentResource`]: a resource lent to the pool's own code.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use spinney_hub::{drop_contained, is_cancelling, now};

use super::Shared;
use super::stats::Reason;

/// A resource of a [`ResourcePool`](super::ResourcePool), in use.
///
/// Dropping it gives the resource back, for the next caller. The resource is discarded instead,
/// because it may be half-written, if the drop is part of a panic, a kill, an abort, an exceeded
/// time limit (`Within`), or the end of the task's hub;
/// [`keep_after_failure`](super::ResourcePoolBuilder::keep_after_failure) turns that off. A future
/// that its owner drops, for example the loser of a `select`, cannot be detected: run its work with
/// [`run`](Self::run).
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pile::ResourcePool;
/// #     pub mod pile { pub use spinney_pile::ResourceError; }
/// # }
/// use std::convert::Infallible;
/// use spinney::{ResourcePool, block_on};
/// use spinney::pile::ResourceError;
///
/// block_on(async {
///     let pool = ResourcePool::builder(|| async { Ok::<_, Infallible>(Vec::new()) }).build();
///     let mut item = pool.item().await?;
///     item.push("a row");
///     drop(item); // the next caller gets the same list
///
///     let mut item = pool.item().await?;
///     assert_eq!(*item, ["a row"]);
///     item.discard(); // the next caller gets another list
///     assert!(pool.item().await?.is_empty());
///     Ok::<(), ResourceError<Infallible>>(())
/// }).unwrap();
/// ```
///
/// Python: `eventlet.pools.Pool.item`.
pub struct Item<T: Send + 'static, E: Send + 'static> {
    shared: Arc<Shared<T, E>>,
    /// `None` once it was taken.
    resource: Option<Resource<T>>,
    /// Whether a [`run`](Self::run) has begun and not finished.
    is_busy: bool,
    /// Whether a destructor took it during a panic or a cancellation, which then does not concern
    /// this item.
    born_in_failure: bool,
}

impl<T: Send + 'static, E: Send + 'static> Item<T, E> {
    pub(super) fn new(shared: Arc<Shared<T, E>>, resource: Resource<T>) -> Self {
        Self { shared, resource: Some(resource), is_busy: false, born_in_failure: is_failing() }
    }

    /// Counts the use. Returns since when the resource was idle.
    pub(super) fn begin_use(&mut self) -> Option<Instant> {
        let resource = self.resource.as_mut().expect(UNTIL_TAKEN);
        resource.uses += 1;
        resource.idle_since.take()
    }

    /// Runs `work` on the resource, and discards the resource unless `work` finishes: even if a
    /// `select` or another library's time limit drops it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it finishes, dropping this item discards the resource.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_hub::block_on; pub use spinney_pile::ResourcePool;
    /// #     pub mod pile { pub use spinney_pile::ResourceError; }
    /// # }
    /// use std::convert::Infallible;
    /// use futures_lite::future::poll_once;
    /// use spinney::{ResourcePool, block_on};
    /// use spinney::pile::ResourceError;
    ///
    /// block_on(async {
    ///     let pool = ResourcePool::builder(|| async { Ok::<_, Infallible>(Vec::new()) }).build();
    ///     let mut item = pool.item().await?;
    ///     let write = item.run(async |rows| {
    ///         rows.push("half a row");
    ///         std::future::pending::<()>().await;
    ///     });
    ///     assert!(poll_once(write).await.is_none());
    ///     drop(item);
    ///     assert!(pool.item().await?.is_empty());
    ///     Ok::<(), ResourceError<Infallible>>(())
    /// }).unwrap();
    /// ```
    pub async fn run<R>(&mut self, work: impl AsyncFnOnce(&mut T) -> R) -> R {
        self.is_busy = true;
        let result = work(&mut *self).await;
        self.is_busy = false;
        result
    }

    /// Returns the age of the resource and its number of uses. Its idle time is zero.
    pub fn info(&self) -> ItemInfo {
        ItemInfo { idle: Duration::ZERO, ..self.resource().info(now()) }
    }

    /// Drops the resource; the pool may create another one. For a resource that is broken.
    ///
    /// A panic of its destructor is contained; the panic hook reports it.
    pub fn discard(mut self) {
        let resource = self.take_resource();
        self.shared.discard(resource, Reason::Holder);
        self.shared.slots.release(1);
    }

    /// Removes the resource from the pool, which may create another one.
    pub fn take(mut self) -> T {
        let resource = self.take_resource();
        self.shared.count_out_lent(Reason::Holder);
        self.shared.slots.release(1);
        resource.into_value()
    }

    /// Takes the resource out, to be given back with `put`: it stays counted.
    pub(super) fn into_loose(mut self) -> T {
        self.shared.lock().loose += 1;
        self.take_resource().into_value()
    }

    fn take_resource(&mut self) -> Resource<T> {
        self.resource.take().expect(UNTIL_TAKEN)
    }

    fn resource(&self) -> &Resource<T> {
        self.resource.as_ref().expect(UNTIL_TAKEN)
    }

    /// Whether its holder may have left the resource half-written.
    fn is_suspect(&self) -> bool {
        self.is_busy || (is_failing() && !self.born_in_failure)
    }
}

const UNTIL_TAKEN: &str = "taking the resource consumes the item";

fn is_failing() -> bool {
    thread::panicking() || is_cancelling()
}

impl<T: Send + 'static, E: Send + 'static> Deref for Item<T, E> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.resource().value
    }
}

impl<T: Send + 'static, E: Send + 'static> DerefMut for Item<T, E> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.resource.as_mut().expect(UNTIL_TAKEN).value
    }
}

impl<T: Send + 'static, E: Send + 'static> Drop for Item<T, E> {
    fn drop(&mut self) {
        let Some(resource) = self.resource.take() else { return };
        if self.is_suspect() && !self.shared.settings.keep_after_failure {
            self.shared.discard(resource, Reason::Failure);
        } else {
            self.shared.give_back(resource);
        }
        self.shared.slots.release(1);
    }
}

impl<T: fmt::Debug + Send + 'static, E: Send + 'static> fmt::Debug for Item<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Item").field(&**self).finish()
    }
}

/// The age and the use of a resource, for [`check`](super::ResourcePoolBuilder::check),
/// [`recycle`](super::ResourcePoolBuilder::recycle) and [`retain`](super::ResourcePool::retain).
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pile::ResourcePool;
/// #     pub mod pile { pub use spinney_pile::ResourceError; }
/// # }
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use spinney::{ResourcePool, block_on};
/// use spinney::pile::ResourceError;
///
/// block_on(async {
///     let pool = ResourcePool::builder(|| async { Ok::<_, Infallible>("a connection") }).build();
///     let item = pool.item().await?;
///     assert_eq!((item.info().uses, item.info().idle), (1, Duration::ZERO));
///     Ok::<(), ResourceError<Infallible>>(())
/// }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemInfo {
    /// How long the resource has been idle.
    pub idle: Duration,
    /// The time since the pool created the resource, or since it was
    /// [put](super::ResourcePool::put).
    pub age: Duration,
    /// How often the resource was taken from the pool, including the current use.
    pub uses: u64,
}

/// A resource, its age and its use: a pointer, because each use moves it from hand to hand. A panic
/// of the resource's destructor is contained.
pub(super) struct Resource<T>(Box<Record<T>>);

pub(super) struct Record<T> {
    pub(super) value: Contained<T>,
    pub(super) created: Instant,
    /// `None` if it never was idle.
    pub(super) idle_since: Option<Instant>,
    pub(super) uses: u64,
    /// The pool's generation when its creation began; a [`clear`](super::ResourcePool::clear) ends
    /// a generation.
    pub(super) generation: u64,
}

impl<T> Resource<T> {
    pub(super) fn new(value: T, created: Instant, generation: u64) -> Self {
        let value = Contained(Some(value));
        Self(Box::new(Record { value, created, idle_since: None, uses: 0, generation }))
    }

    fn into_value(self) -> T {
        self.0.value.into_inner()
    }
}

impl<T> Deref for Resource<T> {
    type Target = Record<T>;

    fn deref(&self) -> &Record<T> {
        &self.0
    }
}

impl<T> DerefMut for Resource<T> {
    fn deref_mut(&mut self) -> &mut Record<T> {
        &mut self.0
    }
}

impl<T> Record<T> {
    /// A time that the clock has not reached belongs to another hub, and counts as now.
    pub(super) fn info(&self, now: Instant) -> ItemInfo {
        let passed = |since: Instant| now.saturating_duration_since(since);
        let idle = self.idle_since.map_or(Duration::ZERO, passed);
        ItemInfo { idle, age: passed(self.created), uses: self.uses }
    }
}

/// A value whose destructor may panic wherever the pool drops it. The panic hook reports that
/// panic.
pub(super) struct Contained<T>(Option<T>);

impl<T> Contained<T> {
    fn into_inner(mut self) -> T {
        self.0.take().expect(UNTIL_TAKEN)
    }
}

impl<T> Deref for Contained<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(UNTIL_TAKEN)
    }
}

impl<T> DerefMut for Contained<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(UNTIL_TAKEN)
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        drop_contained(self.0.take());
    }
}

/// A resource that is lent to the pool's own code. Dropping it discards the resource.
pub(super) struct LentResource<'a, T: Send + 'static, E: Send + 'static> {
    shared: &'a Arc<Shared<T, E>>,
    resource: Option<Resource<T>>,
}

impl<'a, T: Send + 'static, E: Send + 'static> LentResource<'a, T, E> {
    pub(super) fn new(shared: &'a Arc<Shared<T, E>>, resource: Resource<T>) -> Self {
        Self { shared, resource: Some(resource) }
    }

    pub(super) fn resource_ref(&self) -> &Resource<T> {
        self.resource.as_ref().expect(UNTIL_TAKEN)
    }

    pub(super) fn resource(&mut self) -> &mut Resource<T> {
        self.resource.as_mut().expect(UNTIL_TAKEN)
    }

    pub(super) fn keep(mut self) -> Resource<T> {
        self.resource.take().expect(UNTIL_TAKEN)
    }

    pub(super) fn discard(self, reason: Reason) {
        let shared = self.shared;
        shared.discard(self.keep(), reason);
    }
}

impl<T: Send + 'static, E: Send + 'static> Drop for LentResource<'_, T, E> {
    fn drop(&mut self) {
        if let Some(resource) = self.resource.take() {
            self.shared.discard(resource, Reason::Failure);
        }
    }
}
