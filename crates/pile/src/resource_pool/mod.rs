//! [`ResourcePool`]: resources that are created when needed, and used by one holder at a time.
//!
//! A caller first takes a slot, of which there are as many as the capacity: slots are handed out in
//! FIFO order. With the slot it takes an idle resource, or creates one, or waits for one in a line
//! ([`Obtain`]). A resource is counted before it is created and until it has been dropped, so there
//! are never more alive than the capacity.

mod builder;
mod errors;
mod item;
mod making;
mod obtain;
mod state;
mod stats;
mod upkeep;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use spinney_hub::{Clock, Within, drop_contained};
use spinney_sync::{GiveWay, Semaphore, wake_all};

pub use builder::ResourcePoolBuilder;
pub use errors::{DrainReport, ResourceError};
pub use item::{Item, ItemInfo};
pub use stats::{Discarded, ResourceStats, WaitTimes};

use builder::Settings;
use item::{Held, Resource};
use making::Making;
use obtain::{Obtain, Purpose};
use state::State;
use stats::Reason;

/// A pool of resources that are costly to create, for example connections: at most so many, each
/// used by one holder at a time, and used again.
///
/// A cheap handle; all clones are of the same pool. It is tied to no hub: a pool in a `static`
/// serves one runtime after another. Dropping the last handle drops the idle items, and those in use
/// when they come back.
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
/// | panics, is killed or aborted, runs out of time, or whose hub stops | discarded, as it may be half-written |
/// | drops what it did with it, in [`Item::run`] | discarded |
/// | calls [`Item::discard`] | discarded |
/// | calls [`Item::take`] | the holder's own |
///
/// Python: `eventlet.pools.Pool`.
pub struct ResourcePool<T, E> {
    shared: Arc<Shared<T, E>>,
}

struct Shared<T, E> {
    settings: Settings<T, E>,
    slots: Semaphore,
    state: Mutex<State<T, E>>,
    /// How many callers got an item without a wait.
    immediate: AtomicU64,
}

impl<T: Send + 'static, E: Send + 'static> ResourcePool<T, E> {
    /// Settings of a pool whose items `create` makes.
    ///
    /// `create` runs within the caller that needs the item, as a greenlet of its own. When that
    /// caller leaves, it goes on for the next one: as a task of the caller's hub; outside of any
    /// hub, when the next caller waits.
    pub fn builder<F>(create: impl Fn() -> F + Send + Sync + 'static) -> ResourcePoolBuilder<T, E>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        ResourcePoolBuilder::new(create)
    }

    /// Takes an idle item, creates one, or waits for one: callers are served in FIFO order. The item
    /// is given back when the guard is dropped.
    ///
    /// There is no time limit but the caller's: `pool.item().within(limit)`.
    ///
    /// # Errors
    ///
    /// [`ResourceError::Create`] and [`ResourceError::CreateTimedOut`] if `create` failed for this
    /// caller; the others wait for the next try. [`ResourceError::Closed`] if the pool was closed.
    ///
    /// # Panics
    ///
    /// If `create` or the [`check`](ResourcePoolBuilder::check) panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue. An item that it was handed goes to the
    /// next caller, an item that is being created goes on for the next one, and one that is being
    /// checked is discarded.
    ///
    /// Python: `eventlet.pools.Pool.item`.
    #[track_caller]
    pub fn item(&self) -> impl Future<Output = Result<Item<T, E>, ResourceError<E>>> {
        self.item_with_priority(0)
    }

    /// Takes an item as [`item`](Self::item) does, before all callers of a smaller `priority`; that of
    /// [`item`](Self::item) is 0. Callers of a smaller priority may wait for ever: no fairness is
    /// promised between priorities.
    ///
    /// # Errors
    ///
    /// The errors of [`item`](Self::item).
    ///
    /// # Panics
    ///
    /// If `create` or the [`check`](ResourcePoolBuilder::check) panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is as dropping that of [`item`](Self::item).
    #[track_caller]
    pub fn item_with_priority(
        &self,
        priority: i32,
    ) -> impl Future<Output = Result<Item<T, E>, ResourceError<E>>> {
        let (at, shared) = (Location::caller(), &self.shared);
        let slot = shared.slots.acquire().priority(priority);
        async move {
            let mut wait = Stopwatch::default();
            let slot = wait.around(slot).await?;
            let mut resource = wait.around(shared.checked(at)).await?;
            resource.uses += 1;
            resource.idle_since = None;
            wait.record(shared);
            slot.forget();
            Ok(Item::new(Arc::clone(shared), resource))
        }
    }

    /// Takes an item as [`item`](Self::item) does, without a guard: it is to be [`put`](Self::put)
    /// back. One that is not leaves its slot taken.
    ///
    /// # Errors
    ///
    /// As [`item`](Self::item).
    ///
    /// # Panics
    ///
    /// As [`item`](Self::item).
    ///
    /// # Cancel safety
    ///
    /// As [`item`](Self::item).
    ///
    /// Python: `eventlet.pools.Pool.get`.
    #[track_caller]
    pub fn get(&self) -> impl Future<Output = Result<T, ResourceError<E>>> {
        let item = self.item();
        async move { Ok(item.await?.loosen()) }
    }

    /// Gives back an item that was [got](Self::get), or adds one that the pool did not create. Its
    /// age and uses begin anew. If the pool is full, or closed, it is dropped.
    ///
    /// Python: `eventlet.pools.Pool.put`.
    pub fn put(&self, value: T) {
        let (now, shared) = (Clock::current().now(), &self.shared);
        let mut state = shared.lock();
        let was_got = state.loose > 0;
        if was_got {
            state.loose -= 1;
        } else if state.is_closed || state.size >= self.capacity() {
            let reason = if state.is_closed { Reason::Closed } else { Reason::Surplus };
            state.figures.discarded.count(reason);
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

    /// Creates items until there are as many as [`min_size`](ResourcePoolBuilder::min_size).
    ///
    /// # Errors
    ///
    /// As [`item`](Self::item); the items that were created are kept.
    ///
    /// # Panics
    ///
    /// If `create` panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future lets the item that is being created go on; the others are kept.
    #[track_caller]
    pub fn fill(&self) -> impl Future<Output = Result<(), ResourceError<E>>> {
        let (at, shared) = (Location::caller(), &self.shared);
        async move {
            // A full pool is an await that is ready.
            GiveWay::around(async {}).await;
            while !shared.fill_once(at).await? {}
            Ok(())
        }
    }

    /// Changes the largest number of items. A larger number admits as many waiters as fit. Under a
    /// smaller one, idle items are dropped first, then others when they come back.
    ///
    /// Python: `eventlet.pools.Pool.resize`.
    pub fn resize(&self, max_size: usize) {
        self.shared.slots.resize(max_size);
        let mut state = self.shared.lock();
        let surplus = state.size.saturating_sub(self.capacity());
        let surplus = state.lend_oldest(surplus);
        let wakers = state.line.wake(true);
        drop(state);
        wake_all(wakers);
        self.shared.discard_all(surplus, Reason::Surplus);
        self.shared.look_after();
    }

    /// Discards the idle items for which `keep` returns `false`. Items in use are left alone.
    ///
    /// # Panics
    ///
    /// If `keep` does: the item that it was looking at is discarded, the others are kept.
    pub fn retain(&self, mut keep: impl FnMut(&mut T, ItemInfo) -> bool) {
        let now = Clock::current().now();
        let mut sorting = Sorting::begin(&self.shared);
        while let Some(resource) = sorting.rest.pop_front() {
            let info = resource.info(now);
            let mut held = Held::new(&self.shared, resource);
            if keep(&mut held.resource().value, info) {
                sorting.kept.push_back(held.keep());
            } else {
                held.discard(Reason::Cleared);
            }
        }
    }

    /// Discards all items that there are: idle ones now, those in use or being created when they
    /// come back. For example after the server has moved.
    pub fn clear(&self) {
        let mut state = self.shared.lock();
        state.generation += 1;
        let idle = state.lend_oldest(usize::MAX);
        drop(state);
        self.shared.discard_all(idle, Reason::Cleared);
    }

    /// Closes the pool: waiters and newcomers are refused, idle items are dropped, those in use when
    /// they come back, and those being created when they have been. Closing again is a no-op.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        let idle = state.lend_oldest(usize::MAX);
        let orphans = std::mem::take(&mut state.orphans);
        let wakers = state.line.wake(true);
        drop(state);
        self.shared.slots.close();
        wake_all(wakers);
        for job in orphans {
            drop(Making::adopt(&self.shared, job));
        }
        self.shared.discard_all(idle, Reason::Closed);
    }

    /// Closes the pool, and waits for at most `grace` until all items that are in use have come
    /// back. Nothing is taken from a holder: an item that comes back later is dropped then.
    ///
    /// # Cancel safety
    ///
    /// The pool is closed at the first poll; dropping the future after that ends the wait alone.
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

    /// What the pool has, and has done.
    pub fn stats(&self) -> ResourceStats {
        let waiting = self.waiting();
        let state = self.shared.lock();
        let mut waits = state.figures.waits.clone();
        waits.immediate = self.shared.immediate.load(Relaxed);
        ResourceStats {
            size: state.size,
            idle: state.idle.len(),
            in_use: state.lent,
            creating: state.creating,
            waiting,
            created: state.figures.created,
            failed: state.figures.failed,
            discarded: state.figures.discarded,
            waits,
        }
    }
}

impl<T, E> ResourcePool<T, E> {
    /// How many more items can be in use; negative after a [`resize`](Self::resize) below the number
    /// in use.
    ///
    /// Python: `eventlet.pools.Pool.free`.
    pub fn available(&self) -> isize {
        self.shared.slots.available()
    }

    /// How many callers wait for a slot. A caller whose item is being created has one.
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

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The largest number of items.
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
        Self { settings, slots, state, immediate: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many items [`ResourcePool::fill`] leaves.
    fn wanted(&self) -> usize {
        self.settings.min_size.min(self.slots.capacity())
    }

    /// Why the pool has no more use for a lent resource, if it has none.
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
    /// A lent resource that has passed the check, for a caller with a slot.
    async fn checked(
        self: &Arc<Self>,
        at: &'static Location<'static>,
    ) -> Result<Resource<T>, ResourceError<E>> {
        loop {
            let taken = Obtain::new(self, Purpose::Take, at).await?;
            let Some(mut held) = taken else { continue };
            let is_fresh = held.resource().idle_since.is_none();
            if is_fresh || (self.settings.check.is_none() && !self.is_timed()) {
                return Ok(held.keep());
            }
            self.look_after();
            let now = Clock::current().now();
            if let Some(reason) = self.expiry(held.resource(), now) {
                held.discard(reason);
                continue;
            }
            let Some(check) = &self.settings.check else { return Ok(held.keep()) };
            let info = held.resource().info(now);
            if check(&mut held.resource().value, info).await {
                return Ok(held.keep());
            }
            held.discard(Reason::Check);
        }
    }

    /// Creates one of the items that are wanted. Returns `true` if there are enough.
    async fn fill_once(
        self: &Arc<Self>,
        at: &'static Location<'static>,
    ) -> Result<bool, ResourceError<E>> {
        let made = Obtain::new(self, Purpose::Fill(self.wanted()), at).await?;
        let Some(held) = made else { return Ok(true) };
        self.deliver(held.keep());
        Ok(false)
    }

    /// Takes a lent resource back from its holder.
    fn give_back(self: &Arc<Self>, resource: Resource<T>) {
        if self.settings.max_age.is_some() || self.settings.max_uses < u64::MAX {
            if let Some(reason) = self.expiry(&resource, Clock::current().now()) {
                return self.discard(resource, reason);
            }
        }
        match Making::recycle(self, resource) {
            Ok(recycling) => recycling.start(),
            Err(resource) => self.deliver(resource),
        }
    }

    /// Gives a lent resource to the first caller that waits, or lets it be idle.
    fn deliver(self: &Arc<Self>, mut resource: Resource<T>) {
        let now = Clock::current().now();
        resource.idle_since = Some(now);
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

    /// Drops a lent resource, then counts it out: never more are alive than are counted.
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
            state.figures.discarded.count(reason);
        });
    }

    /// There is room for another resource.
    fn count_out(self: &Arc<Self>, count: impl FnOnce(&mut State<T, E>)) {
        let mut state = self.lock();
        count(&mut state);
        state.size -= 1;
        let wakers = state.line.wake(true);
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

/// How long a caller waits, from its first poll that is pending.
#[derive(Default)]
struct Stopwatch {
    begun: Option<Instant>,
}

impl Stopwatch {
    async fn around<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            if polled.is_pending() && self.begun.is_none() {
                self.begun = Some(Clock::current().now());
            }
            polled
        })
        .await
    }

    fn record<T, E>(self, shared: &Shared<T, E>) {
        let Some(begun) = self.begun else {
            shared.immediate.fetch_add(1, Relaxed);
            return;
        };
        let wait = Clock::current().now().saturating_duration_since(begun);
        shared.lock().figures.waits.record(wait);
    }
}

/// The idle resources, which are lent to be sorted. Dropping it puts the rest back into their places,
/// those that were kept before the others.
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
                // Counted out when it has been dropped: so this one may be one too many.
                Some(reason) => surplus.push((resource, reason)),
                None => wakers.extend(state.give(resource)),
            }
        }
        // Behind those that came back meanwhile, which have been idle for a shorter time.
        state.idle.rotate_left(first);
        drop(state);
        wake_all(wakers);
        for (resource, reason) in surplus {
            self.shared.discard(resource, reason);
        }
        self.shared.look_after();
    }
}
