//! [`TaskSet`]: the common part of a [`Group`](crate::Group) and a [`Pool`](crate::Pool).

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use spinney_greenlet::{Failure, Greenlet, GreenletExit, Handle, NewGreenlet, Task};
use spinney_hub::Executor;

use crate::builder::Settings;
use crate::hook::Hooked;
use crate::in_place::SpawnInto;
use crate::map::{Imap, IntoSource, Map, Mapper, TryImap, TryMap};
use crate::members::Members;
use crate::slot::{MemberSlot, Permit, SharedSlots};
use crate::{InsideGroup, JoinError, Membership, Runs, RunsMap, SlotError};

/// The capacity of a set without a limit.
pub(crate) const UNLIMITED: usize = usize::MAX;

/// The task of a member.
pub(crate) type MemberTask<F> = Task<Hooked<F>, Membership>;

/// The tasks of a [`Group`](crate::Group) or a [`Pool`](crate::Pool), which are joined and killed
/// together. Groups and pools differ in how a task becomes a member.
///
/// Cloning is cheap; clones share the set. Dropping the last handle, whether a group, a pool or a
/// map, kills the remaining members without waiting for them.
///
/// Python: `gevent.pool.Group`.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pool::{Group, Pool, TaskSet}; }
/// use spinney::{Group, Pool, TaskSet, block_on};
///
/// /// Kills the members of a group or of a pool.
/// async fn stop(tasks: &TaskSet) {
///     tasks.kill().await;
///     assert!(tasks.is_empty());
/// }
///
/// block_on(async {
///     stop(&Group::new()).await;
///     stop(&Pool::new(5)).await;
/// });
/// ```
pub struct TaskSet<X = spinney_hub::Hub> {
    pub(crate) core: Arc<Core<X>>,
}

impl<X> TaskSet<X> {
    /// Runs `future` as a member once a slot is free, and returns its result. A member that calls
    /// this runs `future` in its own place while it waits for a slot, as in
    /// [`Pool::spawn`](crate::Pool::spawn).
    ///
    /// # Errors
    ///
    /// The failure that ended `future`; a kill, with a [`SlotError`] as its reason, if the request
    /// for a slot was refused: the set was closed, or too many requests waited.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue, or kills the task.
    /// [`gevent::apply`](crate::gevent::apply) lets the task run on.
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

    /// Runs `func` on each of `items`, on at most as many items at once as there are slots, and
    /// returns the results in the order of `items`.
    ///
    /// The map starts at the call. If several items fail, it reports the failure of the first one
    /// in order; the other items run on in the background.
    ///
    /// The hub's threads take the items one at a time, as slots become free, so `items` should not
    /// block; items that must be awaited come [from a stream](crate::map::from_stream). A panic of
    /// the iterator ends the map with that panic; a panic of `func` fails its item. The closure
    /// takes tuples apart: `|(a, b)| ..`.
    ///
    /// # Errors
    ///
    /// When awaited, [`ItemError`](crate::ItemError) with the index of the item: its task panicked
    /// or was killed; or the set was [closed](Self::close) before the call, or closed and
    /// [killed](Self::kill) before the item started.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no further items, and kills the running ones.
    ///
    /// Python: `gevent.pool.Group.map`.
    #[track_caller]
    pub fn map<I, F, Fut>(&self, func: F, items: I) -> Map<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
    {
        self.mapper().map(func, items)
    }

    /// Runs `func` on each of `items` like [`map`](Self::map), and returns the results as a stream
    /// in the order of `items`.
    ///
    /// The map goes on while its results are not read, up to a [bound](Mapper::maxsize), so `items`
    /// may be endless. A failed item is an error in its place, and the stream goes on.
    ///
    /// To poll a few futures in place, without tasks, `futures::StreamExt::buffered` is enough. It
    /// allows borrows, stops while its consumer is busy, and ends with the first panic.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills the running ones.
    ///
    /// Python: `gevent.pool.Group.imap`.
    #[track_caller]
    pub fn imap<I, F, Fut>(&self, func: F, items: I) -> Imap<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
    {
        self.mapper().imap(func, items)
    }

    /// Runs `func` on each of `items` like [`imap`](Self::imap), and returns the results in the
    /// order of completion.
    ///
    /// The counterpart without tasks is `futures::StreamExt::buffer_unordered`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills the running ones.
    ///
    /// Python: `gevent.pool.Group.imap_unordered`.
    #[track_caller]
    pub fn imap_unordered<I, F, Fut>(&self, func: F, items: I) -> Imap<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
    {
        self.mapper().imap_unordered(func, items)
    }

    /// Runs `func`, whose tasks return a `Result`, on each of `items`, and returns the values in
    /// order, or the first error that occurs. After an error it kills the other items, and returns
    /// when they have finished. Other policies are methods of the returned future, for example
    /// `try_map(..).collect_all()`; see [`TryMap`].
    ///
    /// # Errors
    ///
    /// When awaited, the first [`TaskError`](crate::TaskError) that occurs, with the index of its
    /// item: the error that a task returned, or the failure that ended it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no further items, and kills the running ones.
    #[track_caller]
    pub fn try_map<I, F, Fut, T, E>(&self, func: F, items: I) -> TryMap<T, E, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        X: RunsMap<I, F, Fut>,
    {
        self.mapper().try_map(func, items)
    }

    /// Runs `func`, whose tasks return a `Result`, on each of `items`, and returns the results as a
    /// stream in the order of `items`. An error is returned in its place, and the stream goes on.
    ///
    /// It differs from [`imap`](Self::imap) in two ways: each result is one `Result`, not one
    /// inside another, and an error counts as a failure for [`Mapper::retry`] and
    /// [`Mapper::on_item`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills the running ones.
    #[track_caller]
    pub fn try_imap<I, F, Fut, T, E>(&self, func: F, items: I) -> TryImap<T, E, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        X: RunsMap<I, F, Fut>,
    {
        self.mapper().try_imap(func, items)
    }

    /// Runs `func` on each of `items` like [`try_imap`](Self::try_imap), and returns the results in
    /// the order of completion.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills the running ones.
    #[track_caller]
    pub fn try_imap_unordered<I, F, Fut, T, E>(&self, func: F, items: I) -> TryImap<T, E, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        X: RunsMap<I, F, Fut>,
    {
        self.mapper().try_imap_unordered(func, items)
    }

    /// Returns the settings of one map, to change before the map starts.
    pub fn mapper(&self) -> Mapper<X> {
        Mapper::new(self.clone())
    }

    /// Waits until the set has been empty at least once since the call.
    ///
    /// # Errors
    ///
    /// [`InsideGroup`] if the caller is a member, which would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// Python: `gevent.pool.Group.join`.
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = Result<(), InsideGroup>> {
        self.inner().join(Location::caller())
    }

    /// Waits like [`join`](Self::join), and then reports the members that have panicked since the
    /// last call of this method, those before this call included.
    ///
    /// # Errors
    ///
    /// [`JoinError::Failed`] if members have panicked; [`JoinError::Inside`] if the caller is a
    /// member.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// Python: `gevent.pool.Group.join(raise_error=True)`, which reports only the failures of tasks
    /// that are members at the call.
    #[track_caller]
    pub fn try_join(&self) -> impl Future<Output = Result<(), JoinError>> {
        let join = self.join();
        async move {
            join.await?;
            let failures = self.inner().take_failures();
            if failures.count() > 0 { Err(JoinError::Failed(failures)) } else { Ok(()) }
        }
    }

    /// Lets the members run on when the last handle is dropped, rather than kill them.
    pub fn detach(&self) {
        self.core.shared.detached.store(true, Relaxed);
    }

    /// Removes a member from the set, and frees its slot. Returns `false`, and does nothing, if
    /// `greenlet` is not a member.
    ///
    /// The task runs on outside of the set. A child that it runs in place pauses until the child
    /// gets a slot of its own. A kill or an abort ends a paused child; a kill that the child
    /// catches or shields, or that is meant for a child in its own place, is seen once the child
    /// runs again. The task waits for slots like any other caller from then on: a member that waits
    /// for the task keeps its own slot from it.
    ///
    /// Python: `gevent.pool.Group.discard`.
    pub fn discard(&self, greenlet: &Handle) -> bool {
        self.inner().discard(greenlet)
    }

    /// Whether `greenlet` is a member.
    ///
    /// Python: `greenlet in group`.
    pub fn contains(&self, greenlet: &Handle) -> bool {
        self.inner().contains(greenlet)
    }

    /// Whether the caller is a member, or runs in place of one.
    pub fn is_inside(&self) -> bool {
        self.inner().is_inside()
    }

    /// Returns handles of the members, those that run in place included.
    ///
    /// Python: iteration over the group.
    pub fn members(&self) -> Vec<Handle> {
        self.inner().handles()
    }

    /// How many slots are taken, by members or by tasks that are about to become members: a held
    /// [`Slot`](crate::Slot) counts. In a [scope](crate::Pool::scope) only the slots of its members
    /// count; the pool counts all of them.
    ///
    /// Python: `len(group)`.
    pub fn len(&self) -> usize {
        self.inner().taken()
    }

    /// Whether [`len`](Self::len) is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many tasks run at most; `None` without a limit.
    pub(crate) fn limit(&self) -> Option<usize> {
        Some(self.slots().capacity()).filter(|capacity| *capacity != UNLIMITED)
    }

    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let mut text = f.debug_struct(name);
        text.field("running", &self.len());
        if let Some(capacity) = self.limit() {
            text.field("free", &self.slots().available())
                .field("capacity", &capacity)
                .field("waiting", &self.slots().waiting());
        }
        text.finish()
    }
}

/// The start of tasks: all verbs end here.
impl<X> TaskSet<X> {
    #[track_caller]
    pub(crate) fn new(hub: X, capacity: usize, settings: Settings) -> Self {
        let slots = SharedSlots::with_limits(capacity, settings.limits.clone());
        let members = Members::new(slots, settings.kept_failures);
        Self::of(hub, Shared::new(members, settings))
    }

    /// Creates a set with its own members that shares the slots of this one.
    #[track_caller]
    pub(crate) fn scope(&self) -> Self
    where
        X: Clone,
    {
        let settings = self.core.settings.clone();
        let members = self.inner().new_scope(settings.kept_failures);
        Self::of(self.core.hub.clone(), Shared::new(members, settings))
    }

    /// Returns a handle of the same set whose work runs on `hub`.
    pub(crate) fn with_hub<Y>(&self, hub: Y) -> TaskSet<Y> {
        TaskSet::of(hub, Arc::clone(&self.core.shared))
    }

    fn of(hub: X, shared: Arc<Shared>) -> Self {
        Self { core: Arc::new(Core { hub, shared }) }
    }

    pub(crate) fn inner(&self) -> &Arc<Members> {
        &self.core.members
    }

    pub(crate) fn slots(&self) -> &SharedSlots {
        &self.core.members.slots
    }

    /// Takes a slot, if one is free.
    pub(crate) fn try_permit(&self) -> Result<Permit, SlotError> {
        if self.inner().is_closed() {
            return Err(SlotError::Closed);
        }
        self.slots().try_permit()
    }

    /// Wraps `future` in the hook of the set.
    pub(crate) fn body<F>(&self, future: F) -> Hooked<F> {
        Hooked::new(&self.core.settings.hook, future)
    }

    /// Starts `future` in the slot of `permit`; returns a refused greenlet if the set was closed.
    pub(crate) fn launch<F>(
        &self,
        permit: Permit,
        future: F,
        at: &'static Location<'static>,
    ) -> Greenlet<F::Output>
    where
        F: Future,
        X: Runs<F>,
    {
        self.try_launch(permit, future, at)
            .unwrap_or_else(|future| refused(future, SlotError::Closed, at))
    }

    /// Starts `future` in the slot of `permit`.
    ///
    /// # Errors
    ///
    /// Gives `future` back if the set was closed.
    pub(crate) fn try_launch<F>(
        &self,
        permit: Permit,
        future: F,
        at: &'static Location<'static>,
    ) -> Result<Greenlet<F::Output>, F>
    where
        F: Future,
        X: Runs<F>,
    {
        let started = self.launch_body(MemberSlot::own(permit), self.body(future), at);
        started.map_err(Hooked::into_inner)
    }

    /// Starts `body` on the hub, in `slot`.
    ///
    /// # Errors
    ///
    /// Gives `body` back if the set was closed.
    pub(crate) fn launch_body<F>(
        &self,
        slot: MemberSlot,
        body: Hooked<F>,
        at: &'static Location<'static>,
    ) -> Result<Greenlet<F::Output>, Hooked<F>>
    where
        F: Future,
        X: Runs<F>,
    {
        let (task, greenlet) = self.inner().enter(slot, at, body)?;
        self.core.hub.spawn(task);
        Ok(greenlet)
    }

    /// Whether the hub of the set's calls polls the caller.
    pub(crate) fn is_on_hub(&self) -> bool
    where
        X: Executor,
    {
        self.core.hub.is_current()
    }
}

/// Creates a greenlet that never starts because it was refused: it is killed with `error` as the
/// reason.
pub(crate) fn refused<F: Future>(
    future: F,
    error: SlotError,
    at: &'static Location<'static>,
) -> Greenlet<F::Output> {
    let (task, greenlet) = NewGreenlet::new(at).pair(future, ());
    greenlet.kill_now_with(GreenletExit::because(error));
    drop(task);
    greenlet
}

/// The state that handles of a set share whose work runs on the same hub.
pub(crate) struct Core<X> {
    pub(crate) hub: X,
    shared: Arc<Shared>,
}

/// The state that all handles of a set share. Dropping it kills the members, unless they were
/// detached.
pub(crate) struct Shared {
    pub(crate) members: Arc<Members>,
    pub(crate) settings: Settings,
    detached: AtomicBool,
}

impl Shared {
    fn new(members: Members, settings: Settings) -> Arc<Self> {
        Arc::new(Self { members: Arc::new(members), settings, detached: AtomicBool::new(false) })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.members.close();
        self.members.end_maps();
        if !self.detached.load(Relaxed) {
            let exit = GreenletExit::because("the last handle of its group was dropped");
            self.members.kill_again(&exit);
        }
    }
}

impl<X> Deref for Core<X> {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl<X> Clone for TaskSet<X> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<X> fmt::Debug for TaskSet<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, "TaskSet")
    }
}
