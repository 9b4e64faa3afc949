//! [`GroupExt`] and [`PoolExt`]: gevent's spellings of the verbs of groups and pools, and the verbs
//! that differ in gevent.

use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Failure, Greenlet, GreenletExit, Handle, NewGreenlet, Task};
use spinney_hub::{Executor, contain};
use spinney_sync::BudgetedAwait;

use crate::hook::Hooked;
use crate::in_place::SpawnInto;
use crate::map::{IntoSource, Map};
use crate::members::Members;
use crate::slot::AcquireSlot;
use crate::{Pool, Runs, RunsMap, SlotError, TaskSet};

/// The verbs of gevent's `Group` and `Pool` that do not wait or take a callback, and those with
/// other names.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Pool;
/// #     pub mod gevent { pub use spinney_pool::{gevent::GroupExt, gevent::PoolExt}; }
/// # }
/// use spinney::{Pool, block_on};
/// use spinney::gevent::{GroupExt, PoolExt};
///
/// block_on(async {
///     let pool = Pool::new(1);
///     assert_eq!((pool.size(), pool.free_count()), (0, 1));
///     let sum = pool.apply_async_cb(async { 40 + 2 }, |sum| println!("{sum}"));
///     assert_eq!(sum.await.unwrap(), 42);
///     let squares = pool.map_async(|n: u32| async move { n * n }, 0..3);
///     assert_eq!(squares.await.unwrap(), [0, 1, 4]);
/// });
/// ```
pub trait GroupExt<X> {
    /// Runs `future` like [`TaskSet::apply`], and calls `callback` with the result in the task,
    /// right before the task finishes. A failed task does not call it.
    ///
    /// # Errors
    ///
    /// The failure that ended `future`. A panicking `callback` changes nothing; the panic hook
    /// reports it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue, or kills the task.
    ///
    /// Python: `gevent.pool.Group.apply_cb`.
    fn apply_cb<F, C>(
        &self,
        future: F,
        callback: C,
    ) -> impl Future<Output = Result<F::Output, Failure>>
    where
        F: Future,
        C: FnOnce(&F::Output),
        X: Runs<Then<F, C>>;

    /// Runs `future` as a member once a slot is free, and returns immediately. Until then its
    /// greenlet is not a member: it is neither joined nor killed with the others. The number of
    /// such greenlets is not bounded.
    ///
    /// If the request for a slot is refused, because the set is closed or too many requests wait, the
    /// greenlet is killed, with the [`SlotError`] as its reason.
    ///
    /// Python: `gevent.pool.Group.apply_async`.
    fn apply_async<F>(&self, future: F) -> Greenlet<F::Output>
    where
        F: Future,
        X: Runs<F>;

    /// Runs `future` like [`apply_async`](Self::apply_async), and calls `callback` like
    /// [`apply_cb`](Self::apply_cb).
    ///
    /// Python: `gevent.pool.Group.apply_async(callback)`.
    fn apply_async_cb<F, C>(&self, future: F, callback: C) -> Greenlet<F::Output>
    where
        F: Future,
        C: FnOnce(&F::Output),
        X: Runs<Then<F, C>>;

    /// Runs `func` on each of `items` like [`TaskSet::map`], in the background. The returned
    /// greenlet is not a member; it fails if the map fails, and killing it drops the map.
    ///
    /// Python: `gevent.pool.Group.map_async`.
    fn map_async<I, F, Fut>(&self, func: F, items: I) -> Greenlet<Vec<Fut::Output>>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>;

    /// Runs `func` like [`map_async`](Self::map_async), and calls `callback` with the list. A
    /// failed map does not call it.
    ///
    /// Python: `gevent.pool.Group.map_async(callback)`.
    fn map_async_cb<I, F, Fut, C>(
        &self,
        func: F,
        items: I,
        callback: C,
    ) -> Greenlet<Vec<Fut::Output>>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        C: FnOnce(&Vec<Fut::Output>),
        X: RunsMap<I, F, Fut> + Runs<Then<MapAsync<Fut::Output, X>, C>>;

    /// Kills one member, unless this method killed it before, and waits until it has finished.
    /// Returns `false` and does nothing if `greenlet` is not a member.
    ///
    /// The call itself sends the kill; the future only waits.
    ///
    /// # Cancel safety
    ///
    /// The kill goes ahead even if the wait is dropped.
    ///
    /// Python: `gevent.pool.Group.killone`.
    fn killone(&self, greenlet: &Handle) -> impl Future<Output = bool>;

    /// Kills one member like [`killone`](Self::killone), with a reason.
    ///
    /// # Cancel safety
    ///
    /// The kill goes ahead even if the wait is dropped.
    ///
    /// Python: `gevent.pool.Group.killone(greenlet, exception)`.
    fn killone_with(&self, greenlet: &Handle, exit: GreenletExit) -> impl Future<Output = bool>;

    /// The number of taken slots: [`TaskSet::len`]. This is the meaning in gevent's documentation;
    /// in its code `size` is the limit.
    fn size(&self) -> usize;
}

impl<X> GroupExt<X> for TaskSet<X> {
    #[track_caller]
    fn apply_cb<F, C>(
        &self,
        future: F,
        callback: C,
    ) -> impl Future<Output = Result<F::Output, Failure>>
    where
        F: Future,
        C: FnOnce(&F::Output),
        X: Runs<Then<F, C>>,
    {
        self.apply(Then::new(future, callback))
    }

    #[track_caller]
    fn apply_async<F>(&self, future: F) -> Greenlet<F::Output>
    where
        F: Future,
        X: Runs<F>,
    {
        let at = Location::caller();
        if let Ok(permit) = self.try_permit() {
            return self.launch(permit, future, at);
        }
        let (task, greenlet) = NewGreenlet::new(at).pair(self.body(future), ());
        self.core.hub.spawn(DeferredSpawn::new(self.inner(), greenlet.handle().clone(), task));
        greenlet
    }

    #[track_caller]
    fn apply_async_cb<F, C>(&self, future: F, callback: C) -> Greenlet<F::Output>
    where
        F: Future,
        C: FnOnce(&F::Output),
        X: Runs<Then<F, C>>,
    {
        self.apply_async(Then::new(future, callback))
    }

    #[track_caller]
    fn map_async<I, F, Fut>(&self, func: F, items: I) -> Greenlet<Vec<Fut::Output>>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
    {
        let map = MapAsync::new(self.map(func, items));
        let (task, greenlet) = NewGreenlet::new(Location::caller()).pair(map, ());
        self.core.hub.spawn(task);
        greenlet
    }

    #[track_caller]
    fn map_async_cb<I, F, Fut, C>(
        &self,
        func: F,
        items: I,
        callback: C,
    ) -> Greenlet<Vec<Fut::Output>>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        C: FnOnce(&Vec<Fut::Output>),
        X: RunsMap<I, F, Fut> + Runs<Then<MapAsync<Fut::Output, X>, C>>,
    {
        let map = Then::new(MapAsync::new(self.map(func, items)), callback);
        let (task, greenlet) = NewGreenlet::new(Location::caller()).pair(map, ());
        self.core.hub.spawn(task);
        greenlet
    }

    #[track_caller]
    fn killone(&self, greenlet: &Handle) -> impl Future<Output = bool> {
        self.killone_with(greenlet, GreenletExit::new())
    }

    #[track_caller]
    fn killone_with(&self, greenlet: &Handle, exit: GreenletExit) -> impl Future<Output = bool> {
        // Not a closure, which would be the caller of `join`.
        let ended = if self.contains(greenlet) { Some(greenlet.join()) } else { None };
        self.inner().kill_one(greenlet, exit);
        BudgetedAwait::around(async move {
            match ended {
                Some(ended) => {
                    ended.await;
                    true
                }
                None => false,
            }
        })
    }

    fn size(&self) -> usize {
        self.len()
    }
}

/// The verbs of gevent's `Pool` that have other names here.
pub trait PoolExt {
    /// The number of free slots; 0 while more are taken than the capacity, after a
    /// [`resize`](Pool::resize). [`Pool::available`] is negative then.
    ///
    /// Python: `gevent.pool.Pool.free_count`, which is 1 without a limit.
    fn free_count(&self) -> usize;

    /// Whether no slot is free: [`Pool::is_full`].
    ///
    /// Python: `gevent.pool.Pool.full`.
    fn full(&self) -> bool;
}

impl<X> PoolExt for Pool<X> {
    fn free_count(&self) -> usize {
        self.available().max(0).unsigned_abs()
    }

    fn full(&self) -> bool {
        self.is_full()
    }
}

/// Runs `future` as a member of `tasks` once a slot is free, and returns its result, as gevent
/// does: a member that calls this runs `future` immediately and to its end in its own place, even
/// if a slot is free; for other callers, the task runs on when this future is dropped.
/// [`TaskSet::apply`] acquires a slot first, and kills when dropped.
///
/// # Errors
///
/// The failure that ended `future`; a kill, with a [`SlotError`] as its reason, if the request for a
/// slot was refused before `future` started.
///
/// # Cancel safety
///
/// Dropping the future leaves the queue, or lets the task run on; a task that runs in place is
/// dropped with it.
///
/// Python: `gevent.pool.Group.apply`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Pool;
/// #     pub mod gevent { pub mod pool { pub use spinney_pool::gevent::apply; } }
/// # }
/// use spinney::{Pool, block_on};
/// use spinney::gevent::pool::apply;
///
/// block_on(async {
///     let pool = Pool::new(1);
///     assert_eq!(apply(&pool, async { 42 }).await.unwrap(), 42);
/// });
/// ```
#[track_caller]
pub fn apply<X, F>(
    tasks: &TaskSet<X>,
    future: F,
) -> impl Future<Output = Result<F::Output, Failure>>
where
    F: Future,
    X: Runs<F>,
{
    let spawned = SpawnInto::new(tasks, future).at_once();
    async move { spawned.await.await }
}

/// The future of [`GroupExt::map_async`]: a map that fails its greenlet if it fails. Dropping it
/// drops the map.
pub struct MapAsync<T, X: Executor> {
    map: Map<T, X>,
    /// Ends the greenlet once the map has failed.
    failed: Option<Pin<Box<dyn Future<Output = Infallible> + Send>>>,
}

impl<T, X: Executor> MapAsync<T, X> {
    fn new(map: Map<T, X>) -> Self {
        Self { map, failed: None }
    }
}

impl<T, X: Executor> Future for MapAsync<T, X> {
    type Output = Vec<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<T>> {
        let this = &mut *self;
        if this.failed.is_none() {
            match ready!(Pin::new(&mut this.map).poll(cx)) {
                Ok(list) => return Poll::Ready(list),
                Err(error) => this.failed = Some(Box::pin(error.into_error().resume())),
            }
        }
        let failed = this.failed.as_mut().expect("the map has failed");
        failed.as_mut().poll(cx).map(|never| match never {})
    }
}

/// No field is structurally pinned.
impl<T, X: Executor> Unpin for MapAsync<T, X> {}

impl<T, X: Executor> fmt::Debug for MapAsync<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MapAsync").field(&self.map).finish()
    }
}

pin_project! {
    /// The task of [`apply_async`](GroupExt::apply_async) on a full pool: it waits for a slot,
    /// and its greenlet is a member from then on. Dropping it kills the greenlet.
    pub struct DeferredSpawn<F: Future> {
        handle: Handle,
        members: Arc<Members>,
        // `None` once it has its slot, or was refused.
        slot: Option<AcquireSlot>,
        #[pin]
        task: Task<Hooked<F>>,
    }
}

impl<F: Future> DeferredSpawn<F> {
    #[track_caller]
    fn new(members: &Arc<Members>, handle: Handle, task: Task<Hooked<F>>) -> Self {
        let slot = Some(AcquireSlot::new(members));
        Self { handle, members: Arc::clone(members), slot, task }
    }
}

impl<F: Future> Future for DeferredSpawn<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(slot) = this.slot {
            if !this.task.as_mut().must_end(cx) {
                // A greenlet that was added meanwhile is a member as well.
                let entered = ready!(Pin::new(slot).poll(cx)).and_then(|permit| {
                    let (members, handle) = (this.members, &*this.handle);
                    let is_member = members.add(handle, permit) || members.contains(handle);
                    is_member.then_some(()).ok_or(SlotError::Closed)
                });
                if let Err(error) = entered {
                    this.handle.kill_now_with(GreenletExit::because(error));
                }
            }
            *this.slot = None;
        }
        this.task.poll(cx)
    }
}

impl<F: Future> fmt::Debug for DeferredSpawn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeferredSpawn").field(&self.handle).finish()
    }
}

pin_project! {
    /// The future of [`apply_cb`](GroupExt::apply_cb) and the other verbs with a callback: calls
    /// `callback` with the output of `future`. Dropping it drops both.
    #[derive(Debug)]
    pub struct Then<F, C> {
        #[pin]
        future: F,
        callback: Option<C>,
    }
}

impl<F, C> Then<F, C> {
    fn new(future: F, callback: C) -> Self {
        Self { future, callback: Some(callback) }
    }
}

impl<F: Future, C: FnOnce(&F::Output)> Future for Then<F, C> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let value = ready!(this.future.poll(cx));
        if let Some(callback) = this.callback.take() {
            contain(|| callback(&value));
        }
        Poll::Ready(value)
    }
}
