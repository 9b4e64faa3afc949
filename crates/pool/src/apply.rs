//! [`TaskSet::apply`] and its like: running one thing, now or later.

use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Failure, Greenlet, Handle, Task, pair_in};
use spinney_hub::{Executor, contain};

use crate::hook::Hooked;
use crate::in_place::SpawnInto;
use crate::map::{IntoSource, Map};
use crate::members::Members;
use crate::slot::AcquireSlot;
use crate::task_set::refusal;
use crate::{Runs, RunsMap, SlotError, TaskSet};

impl<X> TaskSet<X> {
    /// Runs `future` as a member once a slot is free, and gives its result. A member that calls this
    /// runs `future` in its own place while it waits for a slot, as [`Pool::spawn`](crate::Pool::spawn)
    /// does.
    ///
    /// # Errors
    ///
    /// The failure that `future` ended with; a kill if the set was closed before a slot was free.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in the queue, or kills the task.
    /// [`apply_async`](Self::apply_async) lets it run on.
    ///
    /// Python: `gevent.pool.Group.apply`, which lets the task run on.
    #[track_caller]
    pub fn apply<F>(&self, future: F) -> impl Future<Output = Result<F::Output, Failure>>
    where
        F: Future,
        X: Runs<F>,
    {
        let spawned = SpawnInto::new(self, future);
        async move { spawned.await.kill_on_drop().await }
    }

    /// Runs `future` as [`apply`](Self::apply) does, and calls `callback` with the result in the
    /// task, right before that finishes; not if it fails.
    ///
    /// # Errors
    ///
    /// The failure that `future` ended with. A `callback` that panics changes nothing; the panic hook
    /// reports it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place in the queue, or kills the task.
    ///
    /// Python: `gevent.pool.Group.apply_cb`.
    #[track_caller]
    pub fn apply_cb<F, C>(
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

    /// Runs `future` as a member once a slot is free, and does not wait. Before that its greenlet is
    /// no member: it is neither waited for nor killed with the others. Any number may be waiting so.
    ///
    /// If the set is closed before a slot is free, the greenlet is killed, with
    /// [`Closed`](spinney_sync::Closed) for the reason.
    ///
    /// Python: `gevent.pool.Group.apply_async`.
    #[track_caller]
    pub fn apply_async<F>(&self, future: F) -> Greenlet<F::Output>
    where
        F: Future,
        X: Runs<F>,
    {
        let at = Location::caller();
        if let Ok(permit) = self.try_permit() {
            return self.launch(permit, future, at);
        }
        let (task, greenlet) = pair_in(None, at, self.body(future), |_| ());
        self.core.hub.spawn(DeferredSpawn::new(self.inner(), greenlet.handle().clone(), task));
        greenlet
    }

    /// Runs `future` as [`apply_async`](Self::apply_async) does, and calls `callback` as
    /// [`apply_cb`](Self::apply_cb) does.
    ///
    /// Python: `gevent.pool.Group.apply_async(callback)`.
    #[track_caller]
    pub fn apply_async_cb<F, C>(&self, future: F, callback: C) -> Greenlet<F::Output>
    where
        F: Future,
        C: FnOnce(&F::Output),
        X: Runs<Then<F, C>>,
    {
        self.apply_async(Then::new(future, callback))
    }

    /// Runs `func` on each of `items` as [`map`](Self::map) does, in the background. The greenlet that
    /// it returns is no member; it fails as the map does, and killing it drops the map.
    ///
    /// Python: `gevent.pool.Group.map_async`.
    #[track_caller]
    pub fn map_async<I, F, Fut>(&self, func: F, items: I) -> Greenlet<Vec<Fut::Output>>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
    {
        let map = MapAsync::new(self.map(func, items));
        let (task, greenlet) = pair_in(None, Location::caller(), map, |_| ());
        self.core.hub.spawn(task);
        greenlet
    }

    /// Runs `func` as [`map_async`](Self::map_async) does, and calls `callback` with the list; not if
    /// the map fails.
    ///
    /// Python: `gevent.pool.Group.map_async(callback)`.
    #[track_caller]
    pub fn map_async_cb<I, F, Fut, C>(
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
        let (task, greenlet) = pair_in(None, Location::caller(), map, |_| ());
        self.core.hub.spawn(task);
        greenlet
    }
}

/// The future of [`TaskSet::map_async`]: a map that fails its greenlet if it fails. Dropping it is
/// dropping the map.
pub struct MapAsync<T, X: Executor> {
    map: Map<T, X>,
    /// The end of the greenlet, if the map has failed.
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
        let failed = this.failed.as_mut().expect("it has failed");
        failed.as_mut().poll(cx).map(|never| match never {})
    }
}

/// Nothing of it is pinned in place.
impl<T, X: Executor> Unpin for MapAsync<T, X> {}

impl<T, X: Executor> fmt::Debug for MapAsync<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MapAsync").field(&self.map).finish()
    }
}

pin_project! {
    /// The task of [`apply_async`](crate::TaskSet::apply_async) on a full pool: it waits for a slot,
    /// and its greenlet is a member from then on. Dropping it kills the greenlet.
    pub struct DeferredSpawn<F: Future> {
        handle: Handle,
        members: Arc<Members>,
        // None once it has its slot, or gets none.
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
            if !this.task.as_mut().is_to_end(cx) {
                // A greenlet that was added meanwhile is a member as well.
                let entered = ready!(Pin::new(slot).poll(cx)).and_then(|permit| {
                    let (members, handle) = (this.members, &*this.handle);
                    let is_member = members.add(handle, permit) || members.contains(handle);
                    is_member.then_some(()).ok_or(SlotError::Closed)
                });
                if let Err(error) = entered {
                    this.handle.kill_now_with(refusal(error));
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
    /// The future of [`apply_cb`](crate::TaskSet::apply_cb) and its like: calls `callback` with what
    /// `future` returns. Dropping it drops both.
    #[derive(Debug)]
    pub struct Then<F, C> {
        #[pin]
        future: F,
        callback: Option<C>,
    }
}

impl<F, C> Then<F, C> {
    pub(crate) fn new(future: F, callback: C) -> Self {
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
