//! [`SlotRequest`]: the wait for a slot, with its settings.

use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use spinney_greenlet::Greenlet;
use spinney_hub::Hub;

use crate::in_place::SpawnInto;
use crate::limits::Key;
use crate::slot::AcquireSlot;
use crate::task_set::TaskSet;
use crate::{Runs, Slot, SlotError};

/// The wait for a slot of a pool, with settings for the request: [`Pool::slot`](crate::Pool::slot).
/// Settings apply before the first poll.
///
/// Dropping the request leaves the queue; a slot that it was already handed goes to the next
/// waiter.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Pool;
/// #     pub mod pool { pub use spinney_pool::SlotError; }
/// # }
/// use spinney::{Pool, block_on};
/// use spinney::pool::SlotError;
///
/// block_on(async {
///     let pool = Pool::builder().per_key(2).pool(10);
///     let page = pool.slot().key("example.org").priority(1).spawn(async { "a page" }).await;
///     assert_eq!(page.await.unwrap(), "a page");
///     let large = pool.slot().weight(3).await?;
///     assert_eq!(pool.available(), 7);
///     drop(large);
///     Ok::<(), SlotError>(())
/// }).unwrap();
/// ```
#[must_use = "nothing is requested unless it is awaited"]
pub struct SlotRequest<'a, X = Hub> {
    set: &'a TaskSet<X>,
    slot: AcquireSlot,
}

impl<'a, X> SlotRequest<'a, X> {
    #[track_caller]
    pub(crate) fn new(set: &'a TaskSet<X>) -> Self {
        Self { set, slot: AcquireSlot::new(set.inner()) }
    }

    /// Takes `weight` slots together, which count as `weight` running tasks and as one start. The
    /// default is 1. A request with a weight above the pool's capacity is refused. If the capacity
    /// becomes too small for a waiting request, that request is skipped until the capacity is large
    /// enough again.
    ///
    /// # Panics
    ///
    /// Panics if `weight` is zero.
    #[track_caller]
    pub fn weight(mut self, weight: usize) -> Self {
        assert!(weight > 0, "a request weighs at least one slot");
        self.slot.set(|want| want.permits = weight);
        self
    }

    /// Makes a request with a weight above the capacity wait for a larger capacity rather than be
    /// refused.
    pub fn await_resize(mut self) -> Self {
        self.slot = self.slot.await_resize();
        self
    }

    /// Places the request before all requests with a smaller `priority`, subject to the pool's
    /// [order](crate::Pool::set_order). The default is 0.
    ///
    /// A greenlet that runs in place of a member has a request of its own; its requests for children
    /// stay behind that one.
    pub fn priority(mut self, priority: i32) -> Self {
        self.slot.set(|want| want.request.priority = priority);
        self
    }

    /// Counts the task among the tasks with the same `key`, for the pool's [limits per
    /// key](crate::Pool::set_per_key). A key is a host or a tenant, for example. Keys are equal if
    /// their hashes are equal: `"a"` equals `String::from("a")`.
    ///
    /// While the key allows no start, requests with other keys go ahead; requests with the same key
    /// stay in order.
    pub fn key<K: Hash + ?Sized>(mut self, key: &K) -> Self {
        let key = Key::of(key);
        self.slot.set(|want| want.request.key = Some(key));
        self
    }

    /// Takes a slot without waiting. It takes none while there are waiters that the request may not
    /// overtake.
    ///
    /// # Errors
    ///
    /// [`SlotError::Full`] if the request would have to wait; otherwise why it is refused.
    pub fn try_now(self) -> Result<Slot<X>, SlotError> {
        self.slot.try_now().map(|permit| Slot::new(self.set, permit))
    }

    /// Spawns `future` once the request has its slot. A member of the pool runs `future` in its own
    /// place meanwhile, as in [`Pool::spawn`](crate::Pool::spawn). If the request is refused, the
    /// returned greenlet is killed already, with a [`SlotError`] as its reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue and drops `future`, which has not started or runs in
    /// place; a slot that it was already handed goes to the next waiter.
    ///
    /// Python: `gevent.pool.Pool.spawn`.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> impl Future<Output = Greenlet<F::Output>> + use<'a, F, X>
    where
        F: Future,
        X: Runs<F>,
    {
        SpawnInto::with_slot(self.set, self.slot, future)
    }
}

impl<X> Future for SlotRequest<'_, X> {
    type Output = Result<Slot<X>, SlotError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let permit = ready!(Pin::new(&mut self.slot).poll(cx));
        Poll::Ready(permit.map(|permit| Slot::new(self.set, permit)))
    }
}

impl<X> fmt::Debug for SlotRequest<'_, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotRequest").field("wants", &self.slot.want()).finish_non_exhaustive()
    }
}
