//! [`Pool`]: a group that limits how many of its tasks run at once.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::time::Duration;

use spinney_greenlet::{Greenlet, Handle};
use spinney_hub::{BoxTask, Hub, Spawn, Within, contain};
use spinney_sync::{Closed, GiveWay, TryAcquireError};

use crate::builder::Settings;
use crate::in_place::SpawnInto;
use crate::slot::{AcquireSlot, Permit};
use crate::task_set::UNLIMITED;
use crate::{InsideGroup, PoolBuilder, PoolFull, Runs, Slot, TaskSet};

/// A group that limits how many of its tasks run at once. While it is full, callers wait for a slot;
/// slots go to waiters in FIFO order.
///
/// A cheap handle, for any task and any thread; clones are of the same pool. Dropping the last handle
/// kills the members that are left, without waiting for them. A member that holds a handle of its
/// own pool keeps it alive: then [`kill`](TaskSet::kill) it, or let the members finish.
///
/// A member may spawn into its own pool, however full that is: see [`spawn`](Self::spawn).
///
/// To limit a section of code rather than whole tasks, take a `Semaphore`; for work that computes
/// rather than waits, a `ThreadPool`.
///
/// Python: `gevent.pool.Pool`.
///
/// ```
/// use spinney_pool::Pool;
///
/// spinney_hub::block_on(async {
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
    /// A pool of `capacity` slots that runs each call where it is made: on the
    /// [current hub](Hub::current) of the caller. A map runs on one hub to its end. A pool with
    /// capacity 0 is always full.
    ///
    /// To tie it to one hub for all callers, there is [`on`](Self::on).
    #[must_use]
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        Self::on(&Hub::following(), capacity)
    }

    /// A pool without a limit, as [`new`](Self::new). A [`Group`](crate::Group) is the same with a
    /// `spawn` that never waits.
    ///
    /// Python: `gevent.pool.Pool(None)`.
    #[must_use]
    #[track_caller]
    pub fn unlimited() -> Self {
        Self::new(UNLIMITED)
    }

    /// Settings, to be changed before a pool is made with them.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }
}

impl<X> Pool<X> {
    /// A pool of `capacity` slots whose members run on `hub`; `usize::MAX` is no limit.
    #[track_caller]
    pub fn on(hub: &X, capacity: usize) -> Self
    where
        X: Clone,
    {
        Self::of(TaskSet::new(hub.clone(), capacity, Settings::default()))
    }

    /// The same pool, with the same slots and members, whose calls run on `hub`: another handle.
    ///
    /// ```
    /// use spinney_hub::{Hub, block_on};
    /// use spinney_pool::Pool;
    ///
    /// let hub = Hub::builder().threads(1).name("mine").build()?;
    /// let pool = Pool::new(2);
    /// let thread = async { std::thread::current().name().map(str::to_owned) };
    /// let name = block_on(pool.with_hub(&hub).apply(thread)).unwrap();
    /// assert_eq!(name.as_deref(), Some("mine-0"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn with_hub<Y: Clone>(&self, hub: &Y) -> Pool<Y> {
        Pool::of(self.tasks.with_hub(hub.clone()))
    }

    /// A pool of its own members that shares the slots of this one: for one request in a service, say.
    /// Its [`join`](TaskSet::join), kills, [`close`](TaskSet::close) and drop concern its own members
    /// alone; [`len`](TaskSet::len) counts the slots that those hold. [`capacity`](Self::capacity),
    /// [`available`](Self::available) and [`resize`](Self::resize) are those of the slots that are
    /// shared. A closed scope refuses as a closed pool does, also while slots are free. Once this pool is
    /// closed, its scopes refuse, too: slots that they hold start nothing more.
    ///
    /// ```
    /// use spinney_pool::Pool;
    ///
    /// spinney_hub::block_on(async {
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

    /// Waits for a slot. [`Slot::spawn`] starts a task in it; dropping it frees it.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the pool was closed before a slot was free.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in the queue; a slot that it had been handed goes to the next
    /// waiter.
    #[track_caller]
    pub fn slot(&self) -> impl Future<Output = Result<Slot<X>, Closed>> {
        let slot = AcquireSlot::new(self.inner());
        async move { slot.await.map(|permit| Slot::new(self, permit)) }
    }

    /// Takes a slot if one is free: none is while others wait.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`] if none is free; [`TryAcquireError::Closed`] if the pool was
    /// closed.
    pub fn try_slot(&self) -> Result<Slot<X>, TryAcquireError> {
        self.try_permit().map(|permit| Slot::new(self, permit))
    }

    /// Waits for a slot and starts `future` in it.
    ///
    /// A member that spawns into its full pool runs `future` within its own wait, while it stands in
    /// the queue: as a greenlet of its own, whose parent it is. If a slot comes first, the child goes
    /// on in it, on the hub; otherwise the greenlet that this returns has finished. So a program
    /// whose members wait only for what they spawned, applied or mapped through this pool never stops
    /// for want of a slot, whatever the capacity and the depth. It may stop if a child needs its
    /// parent, a lock that is held over the wait, or another pool, and no slot comes free. A kill of the
    /// member goes to the child first; dropping the wait ends the child immediately. Other modes are a
    /// [setting](crate::Reentry).
    ///
    /// If the pool is closed before a slot is free, the greenlet was killed, with
    /// [`Closed`](spinney_sync::Closed) for the reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `future`, which has not started or runs in place, and gives up the place in the
    /// queue; a slot that it had been handed goes to the next waiter.
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

    /// Starts `future` if a slot is free: none is while others wait.
    ///
    /// # Errors
    ///
    /// [`PoolFull`], with the future in it, if none is free or the pool was closed.
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
            Err(error) => Err(PoolFull::new(future, error == TryAcquireError::Closed)),
        }
    }

    /// Waits for a slot no longer than `limit`, and starts `future` in it. A member waits like any
    /// caller: nothing runs in place.
    ///
    /// # Errors
    ///
    /// [`PoolFull`], with the future in it, if no slot came in time or the pool was closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `future`, which has not started, and gives up the place in the queue; a slot
    /// that it had been handed goes to the next waiter.
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
                Ok(Err(Closed)) => Err(PoolFull::new(future, true)),
                Err(_) => Err(PoolFull::new(future, false)),
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
        self.try_launch(permit, future, at).map_err(|future| PoolFull::new(future, true))
    }

    /// Waits for a slot and makes a member of a greenlet that is running elsewhere. Returns `false`
    /// if it has finished or is a member already, or if the pool was closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in the queue; a slot that it had been handed goes to the next
    /// waiter.
    ///
    /// Python: `gevent.pool.Pool.add`.
    #[track_caller]
    pub fn add(&self, greenlet: &Handle) -> impl Future<Output = bool> {
        let slot = AcquireSlot::new(self.inner());
        let greenlet = greenlet.clone();
        GiveWay::around(async move {
            if self.contains(&greenlet) {
                return false;
            }
            slot.await.is_ok_and(|permit| self.inner().add(&greenlet, permit))
        })
    }

    /// Makes a member of a greenlet as [`add`](Self::add) does, if a slot is free.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] if none is free or the pool was closed.
    ///
    /// Python: `gevent.pool.Pool.add(blocking=False)`.
    pub fn try_add(&self, greenlet: &Handle) -> Result<bool, PoolFull<()>> {
        if self.contains(greenlet) {
            return Ok(false);
        }
        let permit = self.try_permit();
        let full = |error| PoolFull::new((), error == TryAcquireError::Closed);
        Ok(self.inner().add(greenlet, permit.map_err(full)?))
    }

    /// [Adds](Self::add) a greenlet that was [made](Greenlet::new) to be started, and starts it on
    /// the pool's hub. Returns `false` if it was not added, or if it had been started before.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in the queue; a slot that it had been handed goes to the next
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

    /// Adds and starts a greenlet as [`start`](Self::start) does, if a slot is free.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] if none is free or the pool was closed.
    ///
    /// Python: `gevent.pool.Pool.start(blocking=False)`.
    pub fn try_start(&self, greenlet: &Handle) -> Result<bool, PoolFull<()>>
    where
        X: Spawn<BoxTask>,
    {
        Ok(self.try_add(greenlet)? && greenlet.start_on(&self.core.hub))
    }

    /// Waits in turn until a slot is free, without taking it, and returns how many are: none if the
    /// pool was closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in the queue.
    ///
    /// Python: `gevent.pool.Pool.wait_available`.
    #[track_caller]
    pub fn wait_available(&self) -> impl Future<Output = usize> {
        let slot = AcquireSlot::new(self.inner());
        async move {
            let Ok(permit) = slot.await else { return 0 };
            // The slot that it was handed is one of them; the waiters behind have none yet.
            let free = self.available().saturating_add(1);
            drop(permit);
            free.max(0).unsigned_abs()
        }
    }

    /// Waits until no slot is taken and there are no waiters; returns immediately if that is so. Unlike
    /// [`join`](TaskSet::join) it does not return between two tasks. It does not wait for a map whose
    /// results are not read, which takes no slot and waits for none.
    ///
    /// # Errors
    ///
    /// [`InsideGroup`] if the caller is a member, which would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn wait_idle(&self) -> impl Future<Output = Result<(), InsideGroup>> {
        let idle = self.slots().wait_idle();
        GiveWay::around(async move {
            if self.is_inside() {
                return Err(InsideGroup);
            }
            idle.await;
            Ok(())
        })
    }

    /// Changes the number of slots. A larger number admits as many waiters as fit; under a smaller one
    /// members go on, and no caller gets a slot until enough have finished.
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

    /// How many slots are free; negative while more are taken than there are, after a
    /// [`resize`](Self::resize).
    ///
    /// Python: `eventlet.GreenPool.free`; `gevent.pool.Pool.free_count` is 0 rather than negative.
    pub fn available(&self) -> isize {
        self.slots().available()
    }

    /// How many callers wait for a slot; a map that has items to run is one.
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
