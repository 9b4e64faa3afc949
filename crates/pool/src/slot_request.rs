//! [`SlotRequest`]: the wait for a slot, and what it asks for.

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

/// The wait for a slot of a pool, with what the request asks for: [`Pool::slot`](crate::Pool::slot).
/// Settings are to be made before the first poll.
///
/// Dropping it gives up the place in the queue; a slot that it had been handed goes to the next
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

    /// Takes `weight` slots together, which count as so many running tasks but as one start. The
    /// default is 1. A request with a weight above the pool's capacity is refused; one that waits when
    /// the capacity becomes too small is skipped until that grows again.
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

    /// Waits for a larger capacity if its weight is above it, rather than be refused.
    pub fn await_resize(mut self) -> Self {
        self.slot = self.slot.await_resize();
        self
    }

    /// Stands before all requests of a smaller `priority`, as far as the pool's
    /// [order](crate::Pool::set_order) says so. The default is 0.
    pub fn priority(mut self, priority: i32) -> Self {
        self.slot.set(|want| want.request.priority = priority);
        self
    }

    /// Counts among the tasks with the same `key`, for the limits per key of the
    /// [pool](crate::Pool::set_per_key): a host or a tenant, for example. Keys are the same if their
    /// hashes are, so `"a"` is the same as `String::from("a")`.
    ///
    /// While the key allows no start, requests with other keys pass; those with the same key stay in
    /// order.
    pub fn key<K: Hash + ?Sized>(mut self, key: &K) -> Self {
        let key = Key::of(key);
        self.slot.set(|want| want.request.key = Some(key));
        self
    }

    /// Takes a slot if the request can have one now: it cannot while others wait that it may not
    /// overtake.
    ///
    /// # Errors
    ///
    /// [`SlotError::Full`] if it would have to wait; otherwise the reason for which it is refused.
    pub fn try_now(self) -> Result<Slot<X>, SlotError> {
        self.slot.try_now().map(|permit| Slot::new(self.set, permit))
    }

    /// Waits for a slot and starts `future` in it, as [`Pool::spawn`](crate::Pool::spawn) does.
    ///
    /// # Cancel safety
    ///
    /// As for [`Pool::spawn`](crate::Pool::spawn).
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
