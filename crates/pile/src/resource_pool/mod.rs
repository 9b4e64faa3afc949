//! [`ResourcePool`]: resources that are created on demand, and used by one holder at a time.
//!
//! A caller first takes a slot; there are as many slots as the capacity, and they are handed out in
//! FIFO order. With the slot it takes an idle resource, creates one, or waits for one ([`Obtain`]).
//! A resource is counted before it is created and until it has been dropped, so at most as many as
//! the capacity are alive.

mod builder;
mod errors;
mod item;
mod obtain;
mod preparation;
mod state;
mod stats;
mod upkeep;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use spinney_hub::{Within, drop_contained, now};
use spinney_sync::{Acquire, BudgetedAwait, Semaphore, wake_all};

pub use builder::ResourcePoolBuilder;
pub use errors::{DrainReport, ResourceError};
pub use item::{Item, ItemInfo};
pub use stats::{Discarded, ResourceStats, WaitTimes};

use builder::Settings;
use item::{LentResource, Resource};
use obtain::{Obtain, Purpose};
use preparation::Preparation;
use state::State;
use stats::{Reason, WaitCounts};

/// A pool of resources that are costly to create, for example connections: at most as many as the
/// capacity, each reused by one holder at a time.
///
/// Cloning is cheap; clones share the pool. The pool is tied to no hub: a pool in a `static` serves
/// one runtime after another. Dropping the last handle drops the idle items; items in use are
/// dropped when they are given back.
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
///     let pool = ResourcePool::builder(|| async { Ok::<_, Infallible>(String::from("hello")) })
///         .max_size(2)
///         .build();
///     let mut item = pool.item().await?;
///     item.push_str(" world");
///     drop(item);
///     assert_eq!(*pool.item().await?, "hello world");
///     Ok::<(), ResourceError<Infallible>>(())
/// }).unwrap();
/// ```
///
/// | an item whose holder | is |
/// |---|---|
/// | drops it | given back: recycled, and handed to the first waiter |
/// | panics, is killed or aborted, exceeds a time limit, or whose hub stops | discarded, because it may be half-written |
/// | drops the future of [`Item::run`] | discarded |
/// | calls [`Item::discard`] | discarded |
/// | calls [`Item::take`] | removed from the pool, and owned by the holder |
///
/// Python: `eventlet.pools.Pool`.
pub struct ResourcePool<T, E> {
    shared: Arc<Shared<T, E>>,
}

struct Shared<T, E> {
    settings: Settings<T, E>,
    slots: Semaphore,
    state: Mutex<State<T, E>>,
    waits: WaitCounts,
}

impl<T: Send + 'static, E: Send + 'static> ResourcePool<T, E> {
    /// Returns the settings of a pool whose items `create` makes.
    ///
    /// `create` runs within the caller that needs the item, as a greenlet of its own. When that
    /// caller leaves, `create` continues for the next caller: as a task of the caller's hub, or,
    /// outside of any hub, when the next caller waits.
    pub fn builder<F>(create: impl Fn() -> F + Send + Sync + 'static) -> ResourcePoolBuilder<T, E>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        ResourcePoolBuilder::new(create)
    }

    /// Takes an idle item, creates one, or waits for one; callers are served in FIFO order.
    /// Dropping the guard gives the item back.
    ///
    /// The wait has no time limit of its own: use `pool.item().within(limit)`.
    ///
    /// # Errors
    ///
    /// [`ResourceError::Create`] and [`ResourceError::CreateTimedOut`] if `create` failed for this
    /// caller; other callers wait for the next try. [`ResourceError::Closed`] if the pool was
    /// closed.
    ///
    /// # Panics
    ///
    /// Panics if `create`, the [`check`](ResourcePoolBuilder::check) or the
    /// [`backoff`](ResourcePoolBuilder::backoff) panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue. An item that it was already handed goes to the next
    /// caller, an item that is being created is finished for the next caller, and an item that is
    /// being checked is discarded.
    ///
    /// Python: `eventlet.pools.Pool.item`.
    #[track_caller]
    pub fn item(&self) -> impl Future<Output = Result<Item<T, E>, ResourceError<E>>> {
        self.item_with_priority(0)
    }

    /// Takes an item like [`item`](Self::item), before all callers with a smaller `priority`;
    /// [`item`](Self::item) has priority 0. Callers with a smaller priority may wait for ever: no
    /// fairness is promised between priorities.
    ///
    /// # Errors
    ///
    /// [`ResourceError::Create`] and [`ResourceError::CreateTimedOut`] if `create` failed for this
    /// caller; other callers wait for the next try. [`ResourceError::Closed`] if the pool was
    /// closed.
    ///
    /// # Panics
    ///
    /// Panics if `create`, the [`check`](ResourcePoolBuilder::check) or the
    /// [`backoff`](ResourcePoolBuilder::backoff) panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue. An item that it was already handed goes to the next
    /// caller, an item that is being created is finished for the next caller, and an item that is
    /// being checked is discarded.
    #[track_caller]
    pub fn item_with_priority(
        &self,
        priority: i32,
    ) -> impl Future<Output = Result<Item<T, E>, ResourceError<E>>> {
        let slot = self.shared.slots.acquire().priority(priority);
        self.shared.take(slot, Location::caller())
    }

    /// Takes an item like [`item`](Self::item), without a guard: the caller [puts](Self::put) it
    /// back. An item that is not put back leaves its slot taken.
    ///
    /// # Errors
    ///
    /// [`ResourceError::Create`] and [`ResourceError::CreateTimedOut`] if `create` failed for this
    /// caller; other callers wait for the next try. [`ResourceError::Closed`] if the pool was
    /// closed.
    ///
    /// # Panics
    ///
    /// Panics if `create`, the [`check`](ResourcePoolBuilder::check) or the
    /// [`backoff`](ResourcePoolBuilder::backoff) panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue. An item that it was already handed goes to the next
    /// caller, an item that is being created is finished for the next caller, and an item that is
    /// being checked is discarded.
    ///
    /// Python: `eventlet.pools.Pool.get`.
    #[track_caller]
    pub fn get(&self) -> impl Future<Output = Result<T, ResourceError<E>>> {
        let (slot, at) = (self.shared.slots.acquire(), Location::caller());
        async move { Ok(self.shared.take(slot, at).await?.into_loose()) }
    }

    /// Gives back an item that was taken with [`get`](Self::get), or adds one that the pool did not
    /// create. Its age and its uses restart. If the pool is full or closed, the item is dropped.
    ///
    /// Python: `eventlet.pools.Pool.put`.
    pub fn put(&self, value: T) {
        let (now, shared) = (now(), &self.shared);
        let mut state = shared.lock();
        let was_got = state.loose > 0;
        if was_got {
            state.loose -= 1;
        } else if state.is_closed || state.size >= self.capacity() {
            let reason = if state.is_closed { Reason::Closed } else { Reason::Surplus };
            state.counters.discarded.count(reason);
            drop(state);
            drop_contained(value);
            return;
        } else {
            state.size += 1;
            state.lent += 1;
        }
        let resource = Resource::new(value, now, state.generation);
        drop(state);
        shared.give_back(resource);
        if was_got {
            shared.slots.release(1);
        }
    }

    /// Creates items until there are [`min_size`](ResourcePoolBuilder::min_size).
    ///
    /// # Errors
    ///
    /// [`ResourceError::Create`] and [`ResourceError::CreateTimedOut`] if `create` failed,
    /// [`ResourceError::Closed`] if the pool was closed. Items that were created are kept.
    ///
    /// # Panics
    ///
    /// Panics if `create` or the [`backoff`](ResourcePoolBuilder::backoff) panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future lets the current `create` continue; created items are kept.
    #[track_caller]
    pub fn fill(&self) -> impl Future<Output = Result<(), ResourceError<E>>> {
        let (at, shared) = (Location::caller(), &self.shared);
        async move {
            // A full pool returns immediately, and still counts as a ready await.
            BudgetedAwait::around(async {}).await;
            while !shared.fill_once(at).await? {}
            Ok(())
        }
    }

    /// Changes the capacity. A larger capacity admits as many waiters as fit. A smaller one drops
    /// idle items first, then further items when they are given back.
    ///
    /// Python: `eventlet.pools.Pool.resize`.
    pub fn resize(&self, max_size: usize) {
        self.shared.slots.resize(max_size);
        let mut state = self.shared.lock();
        let surplus = state.size.saturating_sub(self.capacity());
        let surplus = state.lend_oldest(surplus);
        let wakers = state.waiters.wake(true);
        drop(state);
        wake_all(wakers);
        self.shared.discard_all(surplus, Reason::Surplus);
        self.shared.look_after();
    }

    /// Discards the idle items for which `keep` returns `false`. Items in use are not affected.
    ///
    /// # Panics
    ///
    /// Panics if `keep` panics: the current item is discarded, the others are kept.
    pub fn retain(&self, mut keep: impl FnMut(&mut T, ItemInfo) -> bool) {
        let now = now();
        let mut sorting = Sorting::begin(&self.shared);
        while let Some(resource) = sorting.rest.pop_front() {
            let info = resource.info(now);
            let mut lent = LentResource::new(&self.shared, resource);
            if keep(&mut lent.resource().value, info) {
                sorting.kept.push_back(lent.keep());
            } else {
                lent.discard(Reason::Cleared);
            }
        }
    }

    /// Discards all existing items: idle ones immediately, items in use or being created when they
    /// come back. For example, after the server has moved.
    pub fn clear(&self) {
        let mut state = self.shared.lock();
        state.generation += 1;
        let idle = state.lend_oldest(usize::MAX);
        drop(state);
        self.shared.discard_all(idle, Reason::Cleared);
    }

    /// Closes the pool: waiters and newcomers are refused, and idle items are dropped. Items in use
    /// are dropped when they come back, items being created when they are finished. Closing again
    /// is a no-op.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        let idle = state.lend_oldest(usize::MAX);
        let orphans = std::mem::take(&mut state.orphans);
        let wakers = state.waiters.wake(true);
        drop(state);
        self.shared.slots.close();
        wake_all(wakers);
        for job in orphans {
            drop(Preparation::adopt(&self.shared, job));
        }
        self.shared.discard_all(idle, Reason::Closed);
    }

    /// Closes the pool, and waits at most `grace` until all items in use have come back. An item
    /// that comes back later is dropped then; none is taken from its holder.
    ///
    /// # Cancel safety
    ///
    /// The first poll closes the pool; dropping the future after that only ends the wait.
    #[track_caller]
    pub fn drain(&self, grace: Duration) -> impl Future<Output = DrainReport> {
        let (at, shared) = (Location::caller(), &self.shared);
        async move {
            self.close();
            let before = shared.lock().size;
            let drained = Obtain::new(shared, Purpose::Drain, at).within(grace).await;
            drop_contained(drained);
            let left = shared.lock().size;
            DrainReport { returned: before.saturating_sub(left), left }
        }
    }

    /// Returns the current and the total counts of the pool.
    pub fn stats(&self) -> ResourceStats {
        let waiting = self.waiting();
        let state = self.shared.lock();
        ResourceStats {
            size: state.size,
            idle: state.idle.len(),
            in_use: state.lent,
            creating: state.creating,
            waiting,
            created: state.counters.created,
            failed: state.counters.failed,
            discarded: state.counters.discarded,
            waits: self.shared.waits.now(),
        }
    }
}

impl<T, E> ResourcePool<T, E> {
    /// How many more items can be in use; negative after a [`resize`](Self::resize) below the
    /// number in use.
    ///
    /// Python: `eventlet.pools.Pool.free`.
    pub fn available(&self) -> isize {
        self.shared.slots.available()
    }

    /// How many callers wait for a slot. A caller whose item is being created has a slot.
    ///
    /// Python: `eventlet.pools.Pool.waiting`.
    pub fn waiting(&self) -> usize {
        self.shared.slots.waiting()
    }

    /// How many items there are: in use, being created, or idle.
    ///
    /// Python: `eventlet.pools.Pool.current_size`.
    pub fn len(&self) -> usize {
        self.shared.lock().size
    }

    /// Whether the pool has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most items that the pool may have.
    ///
    /// Python: `eventlet.pools.Pool.max_size`.
    pub fn capacity(&self) -> usize {
        self.shared.slots.capacity()
    }

    /// Whether the pool was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.slots.is_closed()
    }
}

impl<T, E> Shared<T, E> {
    fn new(settings: Settings<T, E>, max_size: usize) -> Self {
        let (slots, state) = (Semaphore::new(max_size), Mutex::new(State::new()));
        Self { settings, slots, state, waits: WaitCounts::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of items up to which [`ResourcePool::fill`] creates items.
    fn wanted(&self) -> usize {
        self.settings.min_size.min(self.slots.capacity())
    }

    /// Why the pool discards a lent resource; `None` if it keeps it.
    fn refusal(&self, state: &State<T, E>, resource: &Resource<T>) -> Option<Reason> {
        if state.is_closed {
            Some(Reason::Closed)
        } else if resource.generation != state.generation {
            Some(Reason::Cleared)
        } else if state.size > self.slots.capacity() {
            Some(Reason::Surplus)
        } else {
            None
        }
    }
}

impl<T: Send + 'static, E: Send + 'static> Shared<T, E> {
    /// Waits for the slot and for a resource, and counts the wait.
    async fn take(
        self: &Arc<Self>,
        mut slot: Acquire<&Semaphore>,
        at: &'static Location<'static>,
    ) -> Result<Item<T, E>, ResourceError<E>> {
        let mut begun = None;
        let mut taken = pin!(async {
            let slot = (&mut slot).await?;
            let resource = loop {
                let idle = self.lock().lend_idle(self.settings.order_as_stack);
                let lent = match idle {
                    Some(resource) => Some(LentResource::new(self, resource)),
                    None => Obtain::new(self, Purpose::Take, at).await?,
                };
                let Some(lent) = lent else { continue };
                if !self.needs_check(&lent) {
                    break lent.keep();
                }
                if let Some(lent) = self.check(lent).await {
                    break lent.keep();
                }
            };
            slot.forget();
            Ok::<_, ResourceError<E>>(Item::new(Arc::clone(self), resource))
        });
        let taken = poll_fn(|cx| {
            let polled = taken.as_mut().poll(cx);
            if polled.is_pending() {
                begun.get_or_insert_with(now);
            }
            polled
        });
        let mut item = taken.await?;
        let idle_since = item.begin_use();
        self.waits.record(begun.map(|begun| self.waited(begun, idle_since)));
        Ok(item)
    }

    /// How long a caller waited for its item. Without a check, the wait ended when the item came
    /// back, if it did so meanwhile.
    fn waited(&self, begun: Instant, idle_since: Option<Instant>) -> Duration {
        let came_back = idle_since.filter(|since| self.settings.check.is_none() && *since >= begun);
        came_back.unwrap_or_else(now).saturating_duration_since(begun)
    }

    fn needs_check(&self, lent: &LentResource<'_, T, E>) -> bool {
        let is_fresh = lent.resource_ref().idle_since.is_none();
        !is_fresh && (self.settings.check.is_some() || self.is_timed())
    }

    /// Checks a resource that was idle; `None` if it was discarded.
    async fn check<'a>(
        self: &'a Arc<Self>,
        mut lent: LentResource<'a, T, E>,
    ) -> Option<LentResource<'a, T, E>> {
        self.look_after();
        let now = now();
        if let Some(reason) = self.expiry(lent.resource_ref(), now) {
            lent.discard(reason);
            return None;
        }
        let Some(check) = &self.settings.check else { return Some(lent) };
        let info = lent.resource_ref().info(now);
        if check(&mut lent.resource().value, info).await {
            return Some(lent);
        }
        lent.discard(Reason::Check);
        None
    }

    /// Creates one of the wanted items. Returns `true` if there are enough.
    async fn fill_once(
        self: &Arc<Self>,
        at: &'static Location<'static>,
    ) -> Result<bool, ResourceError<E>> {
        let prepared = Obtain::new(self, Purpose::Fill(self.wanted()), at).await?;
        let Some(lent) = prepared else { return Ok(true) };
        self.deliver(lent.keep());
        Ok(false)
    }

    /// Takes a lent resource back from its holder.
    fn give_back(self: &Arc<Self>, resource: Resource<T>) {
        if self.settings.max_age.is_some() || self.settings.max_uses < u64::MAX {
            if let Some(reason) = self.expiry(&resource, now()) {
                return self.discard(resource, reason);
            }
        }
        match &self.settings.recycle {
            Some(recycle) => Preparation::recycle(self, resource, Arc::clone(recycle)).start(),
            None => self.deliver(resource),
        }
    }

    /// Gives a failure of `create` to the first waiting caller.
    fn deliver_failure(&self, error: ResourceError<E>) {
        let given = self.lock().waiters.give(Err(error));
        match given {
            Ok(waker) => wake_all(waker),
            Err(error) => drop_contained(error),
        }
    }

    /// Gives a lent resource to the first waiting caller; otherwise it becomes idle.
    fn deliver(self: &Arc<Self>, mut resource: Resource<T>) {
        resource.idle_since = Some(now());
        let mut state = self.lock();
        if let Some(reason) = self.refusal(&state, &resource) {
            drop(state);
            return self.discard(resource, reason);
        }
        let waker = state.give(resource);
        drop(state);
        wake_all(waker);
        self.look_after();
    }

    /// Drops a lent resource, and then counts it out: there are never more alive than are counted.
    fn discard(self: &Arc<Self>, resource: Resource<T>, reason: Reason) {
        drop(resource);
        self.count_out_lent(reason);
    }

    fn discard_all(self: &Arc<Self>, resources: Vec<Resource<T>>, reason: Reason) {
        for resource in resources {
            self.discard(resource, reason);
        }
    }

    fn count_out_lent(self: &Arc<Self>, reason: Reason) {
        self.count_out(|state| {
            state.lent -= 1;
            state.counters.discarded.count(reason);
        });
    }

    /// Counts a resource out, and wakes callers that may create another one.
    fn count_out(self: &Arc<Self>, count: impl FnOnce(&mut State<T, E>)) {
        let mut state = self.lock();
        count(&mut state);
        state.size -= 1;
        let wakers = state.waiters.wake(true);
        drop(state);
        wake_all(wakers);
        self.look_after();
    }
}

impl<T, E> Clone for ResourcePool<T, E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, E> fmt::Debug for ResourcePool<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourcePool")
            .field("size", &self.len())
            .field("free", &self.available())
            .field("capacity", &self.capacity())
            .field("waiting", &self.waiting())
            .finish()
    }
}

/// The idle resources, lent for sorting. Dropping it makes the remaining ones idle again, the kept
/// ones first.
struct Sorting<'a, T: Send + 'static, E: Send + 'static> {
    shared: &'a Arc<Shared<T, E>>,
    kept: VecDeque<Resource<T>>,
    rest: VecDeque<Resource<T>>,
}

impl<'a, T: Send + 'static, E: Send + 'static> Sorting<'a, T, E> {
    fn begin(shared: &'a Arc<Shared<T, E>>) -> Self {
        let rest = shared.lock().lend_oldest(usize::MAX).into();
        Self { shared, kept: VecDeque::new(), rest }
    }
}

impl<T: Send + 'static, E: Send + 'static> Drop for Sorting<'_, T, E> {
    fn drop(&mut self) {
        self.kept.append(&mut self.rest);
        let mut surplus = Vec::new();
        let mut state = self.shared.lock();
        let first = state.idle.len();
        let mut wakers = Vec::new();
        for resource in self.kept.drain(..) {
            match self.shared.refusal(&state, &resource) {
                // Surplus resources are counted out once dropped, so this one may exceed the capacity.
                Some(reason) => surplus.push((resource, reason)),
                None => wakers.extend(state.give(resource)),
            }
        }
        // In front of those that came back meanwhile, which have been idle for a shorter time.
        state.idle.rotate_left(first);
        drop(state);
        wake_all(wakers);
        for (resource, reason) in surplus {
            self.shared.discard(resource, reason);
        }
        self.shared.look_after();
    }
}
