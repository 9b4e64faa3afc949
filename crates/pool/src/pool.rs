//! [`Pool`]: a group that limits how many of its tasks run at once.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::time::Duration;

use spinney_greenlet::{Greenlet, Handle};
use spinney_hub::{BoxTask, Hub, Spawn, Within, contain};
use spinney_sync::BudgetedAwait;

use crate::builder::Settings;
use crate::in_place::SpawnInto;
use crate::slot::{AcquireSlot, Permit};
use crate::task_set::UNLIMITED;
use crate::{InsideGroup, PoolBuilder, PoolFull, Runs, Slot, SlotError, SlotRequest, TaskSet};

/// A group that limits how many of its tasks run at once. While the pool is full, callers wait for
/// a slot; slots go to waiters in FIFO order.
///
/// Cloning is cheap; clones share the pool. Dropping the last handle kills the remaining members
/// without waiting for them. A member that holds a handle of its own pool keeps the pool alive:
/// [`kill`](TaskSet::kill) that member, or let it finish.
///
/// A member may spawn into its own pool even while that is full; see [`spawn`](Self::spawn).
///
/// To limit a section of code rather than whole tasks, use a `Semaphore`; for work that computes
/// rather than waits, a `ThreadPool`.
///
/// Python: `gevent.pool.Pool`.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pool::Pool; }
/// use spinney::{Pool, block_on};
///
/// block_on(async {
///     let pool = Pool::new(2);
///     let mut greenlets = Vec::new();
///     for n in 0..10 {
///         // Waits while two are running.
///         greenlets.push(pool.spawn(async move { n * 10 }).await);
///     }
///     for (n, greenlet) in greenlets.into_iter().enumerate() {
///         assert_eq!(greenlet.await.unwrap(), n * 10);
///     }
/// });
/// ```
pub struct Pool<X = Hub> {
    tasks: TaskSet<X>,
}

impl Pool {
    /// Creates a pool with `capacity` slots that runs each call on the [current hub](Hub::current)
    /// of its caller. A map runs on one hub to its end. A pool with capacity 0 is always full.
    ///
    /// Outside any hub a call needs the [global hub](Hub::global), and panics if that cannot be
    /// started.
    ///
    /// [`on`](Self::on) ties a pool to one hub for all callers.
    ///
    /// Python: `gevent.pool.Pool`.
    #[must_use]
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        Self::on(&Hub::following(), capacity)
    }

    /// Creates a pool without a limit, whose calls run on the caller's hub, like
    /// [`new`](Self::new). A [`Group`](crate::Group) has no limit either, and its `spawn` never
    /// waits.
    ///
    /// Python: `gevent.pool.Pool(None)`.
    #[must_use]
    #[track_caller]
    pub fn unlimited() -> Self {
        Self::new(UNLIMITED)
    }

    /// Returns the settings of a new pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }
}

impl<X> Pool<X> {
    /// Creates a pool with `capacity` slots whose members run on `hub`; `usize::MAX` means no
    /// limit.
    #[track_caller]
    pub fn on(hub: &X, capacity: usize) -> Self
    where
        X: Clone,
    {
        Self::of(TaskSet::new(hub.clone(), capacity, Settings::default()))
    }

    /// Returns a handle of the same pool, with the same slots and members, whose calls run on
    /// `hub`.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::{Hub, block_on}; pub use spinney_pool::Pool; }
    /// use spinney::{Hub, Pool, block_on};
    ///
    /// let hub = Hub::builder().threads(1).name("mine").build()?;
    /// let pool = Pool::new(2);
    /// let thread = async { std::thread::current().name().map(str::to_owned) };
    /// let name = block_on(pool.with_hub(&hub).apply(thread)).unwrap();
    /// assert_eq!(name.as_deref(), Some("mine-0"));
    /// Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn with_hub<Y: Clone>(&self, hub: &Y) -> Pool<Y> {
        Pool::of(self.tasks.with_hub(hub.clone()))
    }

    /// Creates a pool that has its own members and shares the slots of this one: for one request in
    /// a service, for example.
    ///
    /// Dropping the last handle of the scope, [`join`](TaskSet::join), kills and
    /// [`close`](TaskSet::close) affect only the scope's own members, and [`len`](TaskSet::len)
    /// counts only their slots. [`capacity`](Self::capacity), [`available`](Self::available) and
    /// [`resize`](Self::resize) are about the shared slots. A closed scope refuses all calls, even
    /// while slots are free. Closing this pool closes its scopes too: the slots that they hold
    /// start no further task.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pool::Pool; }
    /// use spinney::{Pool, block_on};
    ///
    /// block_on(async {
    ///     let pool = Pool::new(2);
    ///     let request = pool.scope();
    ///     request.spawn(std::future::pending::<()>()).await.detach();
    ///     assert_eq!((pool.len(), request.len()), (1, 1));
    ///     request.kill().await;
    ///     assert!(pool.is_empty());
    /// });
    /// ```
    #[must_use = "dropping a scope kills its members"]
    #[track_caller]
    pub fn scope(&self) -> Self
    where
        X: Clone,
    {
        Self::of(self.tasks.scope())
    }

    pub(crate) fn of(tasks: TaskSet<X>) -> Self {
        Self { tasks }
    }

    /// Waits for a slot. [`Slot::spawn`] starts a task in it; dropping it frees it. The request
    /// takes settings before it is awaited: `pool.slot().weight(3).priority(2).await`.
    ///
    /// # Errors
    ///
    /// [`SlotError::Closed`] if the pool is closed before a slot is free; other errors if a limit
    /// of the pool refuses the request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the request leaves the queue; a slot that it was already handed goes to the next
    /// waiter.
    #[track_caller]
    pub fn slot(&self) -> SlotRequest<'_, X> {
        SlotRequest::new(self)
    }

    /// Takes a slot if one is free. No slot is free while there are waiters.
    ///
    /// # Errors
    ///
    /// [`SlotError::Full`] if no slot is free or a limit of the pool allows no start now; otherwise
    /// why the request is refused.
    pub fn try_slot(&self) -> Result<Slot<X>, SlotError> {
        self.try_permit().map(|permit| Slot::new(self, permit))
    }

    /// Spawns `future` once a slot is free.
    ///
    /// A member that spawns into its own full pool waits in the queue, and runs `future` within its
    /// own wait meanwhile: as a greenlet of its own, whose parent is the member. If a slot is free
    /// first, the child moves to the slot and continues as a task of the hub; otherwise the
    /// returned greenlet has finished. A kill of the member goes to the child first; dropping the
    /// wait ends the child immediately. [`Reentry`](crate::Reentry) has other modes.
    ///
    /// So a program whose members only wait for tasks that they spawned, applied or mapped through
    /// this pool never stops for want of a slot, whatever the capacity and the depth. It may stop
    /// if a child waits for its parent, for a lock that is held over the wait, or for another pool,
    /// and no slot becomes free.
    ///
    /// If the pool refuses the request, for example because it is closed before a slot is free or
    /// because [too many requests](Self::set_max_waiting) wait, the returned greenlet is killed
    /// already, with the [`SlotError`] as its reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue and drops `future`, which has not started or runs in
    /// place; a slot that it was already handed goes to the next waiter.
    ///
    /// Python: `gevent.pool.Pool.spawn`.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> impl Future<Output = Greenlet<F::Output>>
    where
        F: Future,
        X: Runs<F>,
    {
        SpawnInto::new(self, future)
    }

    /// Spawns `future` if a slot is free. No slot is free while there are waiters.
    ///
    /// # Errors
    ///
    /// [`PoolFull`], which holds `future`, if no slot is free, a limit of the pool allows no start
    /// now, or the pool was closed.
    ///
    /// Python: `gevent.pool.Pool.start(blocking=False)`.
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<Greenlet<F::Output>, PoolFull<F>>
    where
        F: Future,
        X: Runs<F>,
    {
        match self.try_permit() {
            Ok(permit) => self.start_or_give_back(permit, future, Location::caller()),
            Err(error) => Err(PoolFull::new(future, error)),
        }
    }

    /// Waits at most `limit` for a slot, and spawns `future` in it. A member waits like any other
    /// caller: nothing runs in place.
    ///
    /// # Errors
    ///
    /// [`PoolFull`], which holds `future`, if no slot was free in time, the pool was closed, or
    /// [too many requests](Self::set_max_waiting) wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue and drops `future`, which has not started; a slot that
    /// it was already handed goes to the next waiter.
    ///
    /// Python: `gevent.pool.Pool.start(greenlet, timeout)`.
    #[track_caller]
    pub fn spawn_within<F>(
        &self,
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Result<Greenlet<F::Output>, PoolFull<F>>>
    where
        F: Future,
        X: Runs<F>,
    {
        let (slot, at) = (AcquireSlot::new(self.inner()), Location::caller());
        async move {
            match slot.within(limit).await {
                Ok(Ok(permit)) => self.start_or_give_back(permit, future, at),
                Ok(Err(error)) => Err(PoolFull::new(future, error)),
                Err(_) => Err(PoolFull::new(future, SlotError::Full)),
            }
        }
    }

    fn start_or_give_back<F>(
        &self,
        permit: Permit,
        future: F,
        at: &'static Location<'static>,
    ) -> Result<Greenlet<F::Output>, PoolFull<F>>
    where
        F: Future,
        X: Runs<F>,
    {
        let refused = |future| PoolFull::new(future, SlotError::Closed);
        self.try_launch(permit, future, at).map_err(refused)
    }

    /// Waits for a slot, and adds a greenlet that runs elsewhere as a member. Returns `false` if
    /// the greenlet has finished or is a member already, or if the pool refuses the request:
    /// it was closed, or [too many requests](Self::set_max_waiting) wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue; a slot that it was already handed goes to the next
    /// waiter.
    ///
    /// Python: `gevent.pool.Pool.add`.
    #[track_caller]
    pub fn add(&self, greenlet: &Handle) -> impl Future<Output = bool> {
        let slot = AcquireSlot::new(self.inner());
        let greenlet = greenlet.clone();
        BudgetedAwait::around(async move {
            if self.contains(&greenlet) {
                return false;
            }
            slot.await.is_ok_and(|permit| self.inner().add(&greenlet, permit))
        })
    }

    /// Adds a greenlet that runs elsewhere as a member if a slot is free. Returns `false` if the
    /// greenlet has finished or is a member already.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] if no slot is free, a limit of the pool allows no start now, or the pool was
    /// closed.
    ///
    /// Python: `gevent.pool.Pool.add(blocking=False)`.
    pub fn try_add(&self, greenlet: &Handle) -> Result<bool, PoolFull<()>> {
        if self.contains(greenlet) {
            return Ok(false);
        }
        let permit = self.try_permit();
        let full = |error| PoolFull::new((), error);
        Ok(self.inner().add(greenlet, permit.map_err(full)?))
    }

    /// [Adds](Self::add) an [unstarted](Greenlet::new) greenlet, and starts it on the pool's hub.
    /// Returns `false` if the greenlet was not added, or was started before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue; a slot that it was already handed goes to the next
    /// waiter.
    ///
    /// Python: `gevent.pool.Pool.start`.
    #[track_caller]
    pub fn start(&self, greenlet: &Handle) -> impl Future<Output = bool>
    where
        X: Spawn<BoxTask>,
    {
        let added = self.add(greenlet);
        let greenlet = greenlet.clone();
        async move { added.await && greenlet.start_on(&self.core.hub) }
    }

    /// Adds an [unstarted](Greenlet::new) greenlet if a slot is free, and starts it on the pool's
    /// hub. Returns `false` if the greenlet was not added, or was started before.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] if no slot is free, a limit of the pool allows no start now, or the pool was
    /// closed.
    ///
    /// Python: `gevent.pool.Pool.start(blocking=False)`.
    pub fn try_start(&self, greenlet: &Handle) -> Result<bool, PoolFull<()>>
    where
        X: Spawn<BoxTask>,
    {
        Ok(self.try_add(greenlet)? && greenlet.start_on(&self.core.hub))
    }

    /// Waits in FIFO order until a slot is free, without taking it. Returns the number of free
    /// slots: 0 if the pool refuses the request, because it was closed or because
    /// [too many requests](Self::set_max_waiting) wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue.
    ///
    /// Python: `gevent.pool.Pool.wait_available`.
    #[track_caller]
    pub fn wait_available(&self) -> impl Future<Output = usize> {
        let slot = AcquireSlot::new(self.inner());
        async move {
            let Ok(permit) = slot.await else { return 0 };
            // The permit counts as free; the waiters behind it have no slot yet.
            let free = self.available().saturating_add(1);
            drop(permit);
            free.max(0).unsigned_abs()
        }
    }

    /// Waits until no slot is taken and there are no waiters; returns immediately if that is so.
    /// Unlike [`join`](TaskSet::join), it does not return between two tasks. It ignores a map whose
    /// results are not read, which neither holds nor requests a slot, and an item in the delay
    /// before its next try.
    ///
    /// # Errors
    ///
    /// [`InsideGroup`] if the caller is a member, which would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    #[track_caller]
    pub fn wait_idle(&self) -> impl Future<Output = Result<(), InsideGroup>> {
        let idle = self.slots().wait_idle();
        BudgetedAwait::around(async move {
            if self.is_inside() {
                return Err(InsideGroup);
            }
            idle.await;
            Ok(())
        })
    }

    /// Changes the number of slots. A larger number admits as many waiters as fit. A smaller number
    /// stops no member; no caller gets a slot until enough members have finished.
    ///
    /// Python: `eventlet.GreenPool.resize`.
    pub fn resize(&self, capacity: usize) {
        contain(|| self.slots().resize(capacity));
    }

    /// Whether no slot is free.
    ///
    /// Python: `gevent.pool.Pool.full`.
    pub fn is_full(&self) -> bool {
        self.available() <= 0
    }

    /// How many tasks run at most; `None` without a limit.
    ///
    /// Python: `gevent.pool.Pool.size`.
    pub fn capacity(&self) -> Option<usize> {
        self.limit()
    }

    /// How many slots are free; negative while more slots are taken than the capacity, after a
    /// [`resize`](Self::resize).
    ///
    /// Python: `eventlet.GreenPool.free`; `gevent.pool.Pool.free_count` is 0 rather than negative.
    pub fn available(&self) -> isize {
        self.slots().available()
    }

    /// How many callers wait for a slot; a map with items to run counts as one.
    ///
    /// Python: `eventlet.GreenPool.waiting`.
    pub fn waiting(&self) -> usize {
        self.inner().waiting()
    }
}

impl<X> Deref for Pool<X> {
    type Target = TaskSet<X>;

    fn deref(&self) -> &TaskSet<X> {
        &self.tasks
    }
}

impl<X> Clone for Pool<X> {
    fn clone(&self) -> Self {
        Self { tasks: self.tasks.clone() }
    }
}

impl<X> fmt::Debug for Pool<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, "Pool")
    }
}
