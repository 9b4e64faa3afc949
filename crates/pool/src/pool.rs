//! [`Pool`]: a group that runs at most so many at a time.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::time::Duration;

use spinney_greenlet::{Greenlet, Handle};
use spinney_hub::{BoxTask, Hub, Spawn, Within, contain};
use spinney_sync::GiveWay;

use crate::builder::Settings;
use crate::crew::enter::{Enter, Entry};
use crate::roster::UNLIMITED;
use crate::{Crew, CrewBuilder, InsideGroup, PoolFull, Runs};

/// A group that runs at most so many greenlets at a time; who comes while it is full waits, first
/// come, first served. `gevent.pool.Pool`.
///
/// A cheap handle, for any task and any thread; all are of the same pool. Dropping the last handle
/// kills the members that are left, without waiting for them. A member that holds a handle of its
/// own pool keeps it alive: then `kill` it, or let the members end.
///
/// To limit a section of code rather than whole tasks, take a `Semaphore`; for work that computes
/// rather than waits, a `ThreadPool`.
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
    crew: Crew<X>,
}

impl Pool {
    /// A pool of `capacity` slots that runs each call where it is made: on the
    /// [current hub](Hub::current) of the caller. A map runs on one hub to its end. A pool with
    /// capacity 0 is always full.
    ///
    /// To tie it to one hub for all callers, there is [`on`](Self::on).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::on(&Hub::following(), capacity)
    }

    /// A pool without a limit, as [`new`](Self::new). A [`Group`](crate::Group) is the same with a
    /// `spawn` that never waits.
    ///
    /// Python: `gevent.pool.Pool(None)`.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(UNLIMITED)
    }

    /// Settings, to be changed before a pool is made with them.
    pub fn builder() -> CrewBuilder {
        CrewBuilder::new()
    }
}

impl<X> Pool<X> {
    /// A pool of `capacity` slots whose members run on `hub`; `usize::MAX` is no limit.
    pub fn on(hub: &X, capacity: usize) -> Self
    where
        X: Clone,
    {
        Self::of(Crew::new(hub.clone(), capacity, Settings::default()))
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
        Pool::of(self.crew.with_hub(hub.clone()))
    }

    pub(crate) fn of(crew: Crew<X>) -> Self {
        Self { crew }
    }

    /// Waits for a slot and starts `future` in it. `spawn`.
    ///
    /// A member waits like anyone, but not for ever: when all members wait for slots of this pool,
    /// one of them runs its `future` itself, and gets a greenlet that has ended. That is a
    /// [setting](crate::Reentry). A member that waits for something else, such as the result of
    /// what it spawned, is not known to wait; what `apply` and the maps give may be waited for.
    ///
    /// Should the pool be closed before there is a slot, the greenlet has been killed, with
    /// [`Closed`](spinney_sync::Closed) for the reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before it is done drops `future`, which has not started, or runs in place, and
    /// gives the place in the queue up; a slot that it had already been handed goes to the next.
    #[track_caller]
    #[expect(clippy::async_yields_async, reason = "what comes out is a greenlet, to be awaited")]
    pub fn spawn<F>(&self, future: F) -> impl Future<Output = Greenlet<F::Output>>
    where
        F: Future,
        X: Runs<F>,
    {
        let at = Location::caller();
        let entry = self.crew.core.enter();
        async move {
            let entry = entry.await;
            self.crew.core.go_ahead(entry, future).await
        }
    }

    /// Starts `future` if there is a slot for it now: none is free while others wait.
    /// `start(blocking=False)`.
    ///
    /// # Errors
    ///
    /// [`PoolFull`], with the future in it, if there is none.
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<Greenlet<F::Output>, PoolFull<F>>
    where
        F: Future,
        X: Runs<F>,
    {
        match self.crew.core.roster.slots.try_acquire() {
            Ok(slot) => {
                slot.forget();
                let started = self.crew.core.start(future).map_err(PoolFull::new);
                started.map(|greenlet| greenlet)
            }
            Err(_) => Err(PoolFull::new(future)),
        }
    }

    /// As [`spawn`](Self::spawn), but waits for a slot no longer than `limit`.
    /// `start(greenlet, timeout)`.
    ///
    /// # Errors
    ///
    /// [`PoolFull`], with the future in it, if there was none in time, or the pool is closed.
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`](Self::spawn).
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
        let at = Location::caller();
        let entry = self.crew.core.enter();
        async move {
            match entry.within(limit).await {
                Ok(Ok(Entry::Slot)) => {
                    let started = self.crew.core.start(future).map_err(PoolFull::new);
                    started.map(|greenlet| greenlet)
                }
                Ok(Ok(entry)) => Ok(self.crew.core.go_ahead(Ok(entry), future).await),
                Ok(Err(_)) | Err(_) => Err(PoolFull::new(future)),
            }
        }
    }

    /// Waits for a slot and makes a member of a greenlet that there is; false if it has ended, is a
    /// member already, or the pool is closed. `add`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives the place in the queue up; a slot that it had already been handed goes to
    /// the next.
    #[track_caller]
    pub fn add(&self, greenlet: &Handle) -> impl Future<Output = bool> {
        let entry = Enter::to_wait(&self.crew.core.roster);
        let greenlet = greenlet.clone();
        GiveWay::around(async move {
            if self.contains(&greenlet) {
                return false;
            }
            entry.await.is_ok() && self.crew.core.roster.add(&greenlet)
        })
    }

    /// As [`add`](Self::add), if there is a slot now. `add(blocking=False)`.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] if there is none.
    pub fn try_add(&self, greenlet: &Handle) -> Result<bool, PoolFull<()>> {
        if self.contains(greenlet) {
            return Ok(false);
        }
        let slot = self.crew.core.roster.slots.try_acquire().map_err(|_| PoolFull::new(()))?;
        slot.forget();
        Ok(self.crew.core.roster.add(greenlet))
    }

    /// [Adds](Self::add) a greenlet that was [made](Greenlet::new) to be started, and starts it on
    /// the pool's hub; false if it was not added. `start`.
    ///
    /// One that was started before is added all the same; false, too.
    ///
    /// # Cancel safety
    ///
    /// As [`add`](Self::add).
    #[track_caller]
    pub fn start(&self, greenlet: &Handle) -> impl Future<Output = bool>
    where
        X: Spawn<BoxTask>,
    {
        let added = self.add(greenlet);
        let greenlet = greenlet.clone();
        async move { added.await && greenlet.start_on(&self.crew.core.hub) }
    }

    /// As [`start`](Self::start), if there is a slot now. `start(blocking=False)`.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] if there is none.
    pub fn try_start(&self, greenlet: &Handle) -> Result<bool, PoolFull<()>>
    where
        X: Spawn<BoxTask>,
    {
        Ok(self.try_add(greenlet)? && greenlet.start_on(&self.crew.core.hub))
    }

    /// Waits in turn until a slot is free, without taking it, and says how many are: none if the
    /// pool is closed. `wait_available`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives the place in the queue up.
    #[track_caller]
    pub fn wait_available(&self) -> impl Future<Output = usize> {
        let entry = Enter::to_wait(&self.crew.core.roster);
        async move {
            match entry.await {
                Ok(_) => {
                    // Its own, too; those behind it have not been told yet.
                    let free = self.available().saturating_add(1);
                    self.crew.core.roster.give_back(None);
                    free.max(0).unsigned_abs()
                }
                Err(_) => 0,
            }
        }
    }

    /// Waits until no slot is taken and nobody waits for one; at once if that is so. Unlike
    /// [`join`](Crew::join) it is not content with a moment between two tasks. A map whose results
    /// nobody reads takes no slot and waits for none, so it is not waited for.
    ///
    /// # Errors
    ///
    /// [`InsideGroup`] if a member asks, which would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn wait_idle(&self) -> impl Future<Output = Result<(), InsideGroup>> {
        let idle = self.crew.core.roster.slots.wait_idle();
        GiveWay::around(async move {
            if self.is_inside() {
                return Err(InsideGroup);
            }
            idle.await;
            Ok(())
        })
    }

    /// Changes the number of slots. A larger number admits at once as many as fit; under a
    /// smaller one those that run go on, and nobody enters until enough have ended.
    pub fn resize(&self, capacity: usize) {
        contain(|| self.crew.core.roster.slots.resize(capacity));
        self.crew.core.roster.recheck();
    }

    /// Whether no slot is free. `full`.
    pub fn is_full(&self) -> bool {
        self.free_count() == 0
    }

    /// How many run at the most; None without a limit. gevent's `size`.
    pub fn capacity(&self) -> Option<usize> {
        self.crew.limit()
    }

    /// How many slots are free; none while more run than there are slots, after a
    /// [`resize`](Self::resize). `free_count`, but for a pool without a limit, which has more
    /// than gevent's 1.
    pub fn free_count(&self) -> usize {
        self.available().max(0).unsigned_abs()
    }

    /// The slots less those that are taken: as [`free_count`](Self::free_count), but negative while
    /// more run than there are slots. eventlet's `free`.
    pub fn available(&self) -> isize {
        self.crew.core.roster.slots.available()
    }

    /// How many tasks wait for a slot; a map that has items to run is one.
    pub fn waiting(&self) -> usize {
        self.crew.core.roster.slots.waiting()
    }
}

impl<X> Deref for Pool<X> {
    type Target = Crew<X>;

    fn deref(&self) -> &Crew<X> {
        &self.crew
    }
}

impl<X> Clone for Pool<X> {
    fn clone(&self) -> Self {
        Self { crew: self.crew.clone() }
    }
}

impl<X> fmt::Debug for Pool<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.crew.describe(f, "Pool")
    }
}
