//! [`Crew`]: the members of a [`Group`](crate::Group) or a [`Pool`](crate::Pool), and what is done
//! with all of them.

mod apply;
mod close;
pub(crate) mod core;
pub(crate) mod enter;
mod late;
mod then;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use spinney_greenlet::{GreenletExit, Handle};
use spinney_sync::GiveWay;

pub use apply::MapAsync;
pub use late::Late;
pub use then::Then;

use self::core::Core;
use crate::builder::Settings;
use crate::map::{Imap, IntoSource, Map, Mapper, TryMap};
use crate::roster::{UNLIMITED, Wait};
use crate::{InsideGroup, JoinError, Reentry, RunsMap};

/// What a [`Group`](crate::Group) and a [`Pool`](crate::Pool) have in common: both are a crew, and
/// differ in how one enters.
///
/// A cheap handle; all are of the same crew. Dropping the last one, group or pool or map, kills
/// the members that are left, without waiting for them.
///
/// ```
/// use spinney_pool::{Crew, Group, Pool};
///
/// /// Kills the members, whatever it is that they are in.
/// async fn give_up(crew: &Crew) {
///     crew.kill().await;
///     assert!(crew.is_empty());
/// }
///
/// spinney_hub::block_on(async {
///     give_up(&Group::new()).await;
///     give_up(&Pool::new(5)).await;
/// });
/// ```
pub struct Crew<X = spinney_hub::Hub> {
    pub(crate) core: Arc<Core<X>>,
}

impl<X> Crew<X> {
    pub(crate) fn new(hub: X, capacity: usize, settings: Settings) -> Self {
        Self { core: Arc::new(Core::new(hub, capacity, settings)) }
    }

    pub(crate) fn with_hub<Y>(&self, hub: Y) -> Crew<Y> {
        Crew { core: Arc::new(self.core.with_hub(hub)) }
    }

    /// Runs `func` on each of `items`, as many at a time as there are slots, and gives the
    /// results in their order. `map`.
    ///
    /// It starts at the call. Of several failures the one of the first item in order is the one
    /// reported; the others run on, in the background.
    ///
    /// Items are taken as slots become free, by the hub's threads, one at a time: `items` should
    /// not block; for those that have to be waited for there is
    /// [`from_stream`](crate::map::from_stream). One that panics ends the map with that panic. A
    /// `func` that panics fails its item. Tuples are taken apart by the closure: `|(a, b)| ..`.
    ///
    /// # Errors
    ///
    /// When awaited, [`ItemError`](crate::ItemError) with the index of the item: its task panicked
    /// or was killed, or the crew was [closed](Self::close) before it could start.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes no further items, and kills what it started.
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

    /// As [`map`](Self::map), as a stream in the order of `items`. `imap`.
    ///
    /// Work goes on while nobody reads, up to a [bound](Mapper::maxsize); so `items` may be
    /// endless. A failed item comes out in its place, and the stream goes on.
    ///
    /// To poll a few futures in place, without tasks, `futures::StreamExt::buffered` is enough; it
    /// allows borrows, stops while its consumer is busy, and ends with the first panic.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills what it started.
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

    /// As [`imap`](Self::imap), in the order of completion. `imap_unordered`.
    ///
    /// Its neighbour without tasks is `futures::StreamExt::buffer_unordered`.
    ///
    /// # Cancel safety
    ///
    /// As [`imap`](Self::imap).
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

    /// Runs `func`, whose tasks return a `Result`, on each of `items`, and gives the values in
    /// order, or the first error that comes; then the others are killed. Other policies go by
    /// name, as in `try_map(..).collect_all()`; see [`TryMap`].
    ///
    /// # Errors
    ///
    /// When awaited, the first [`TaskError`](crate::TaskError) that comes: what a task returned, or
    /// why it has not; with the index of its item.
    ///
    /// # Cancel safety
    ///
    /// As [`map`](Self::map).
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

    /// The settings of one map, to be changed before it starts.
    pub fn mapper(&self) -> Mapper<X> {
        Mapper::new(self.clone())
    }

    /// Waits until it has been empty at least once since the call. `join`.
    ///
    /// # Errors
    ///
    /// [`InsideGroup`] if a member asks, which would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = Result<(), InsideGroup>> {
        self.core.roster.join(Location::caller())
    }

    /// As [`join`](Self::join), and then says which members have panicked since this was last
    /// asked, also of those that had ended before the call. `join(raise_error=True)`, which sees
    /// those only that are members at the call.
    ///
    /// # Errors
    ///
    /// [`JoinError::Failed`] if some have; [`JoinError::Inside`] if a member asks.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn try_join(&self) -> impl Future<Output = Result<(), JoinError>> {
        let join = self.join();
        async move {
            join.await?;
            let failures = self.core.roster.take_failures();
            if failures.count() > 0 { Err(JoinError::Failed(failures)) } else { Ok(()) }
        }
    }

    /// Kills each member once, then whoever came in meanwhile, and waits until nobody is left.
    /// The group stays open: who waits for a slot gets one, and maps go on. `kill`.
    ///
    /// The call itself kills those that are members; the future waits, and kills the others.
    ///
    /// # Cancel safety
    ///
    /// The kills that were sent go ahead when it is dropped; whoever comes in later is spared.
    #[track_caller]
    pub fn kill(&self) -> impl Future<Output = ()> {
        self.kill_with(GreenletExit::new())
    }

    /// As [`kill`](Self::kill), for a reason. `kill(exception)`.
    ///
    /// # Cancel safety
    ///
    /// As [`kill`](Self::kill).
    #[track_caller]
    pub fn kill_with(&self, exit: GreenletExit) -> impl Future<Output = ()> {
        let at = Location::caller();
        self.core.roster.kill_now(&exit);
        GiveWay::around(async move { self.core.roster.kill(&exit, at).await })
    }

    /// Kills each member once, without waiting. `kill(block=False)`.
    pub fn kill_now(&self) {
        self.kill_now_with(GreenletExit::new());
    }

    /// As [`kill_now`](Self::kill_now), for a reason. `kill(exception, block=False)`.
    #[expect(clippy::needless_pass_by_value, reason = "as all kills")]
    pub fn kill_now_with(&self, exit: GreenletExit) {
        self.core.roster.kill_now(&exit);
    }

    /// Kills one member, unless it was killed here before, and waits until it has ended. Of no
    /// effect on a stranger; false then. `killone`.
    ///
    /// The call itself sends the kill; the future only waits.
    ///
    /// # Cancel safety
    ///
    /// The kill goes ahead whether the wait is dropped or not.
    #[track_caller]
    pub fn killone(&self, greenlet: &Handle) -> impl Future<Output = bool> + use<X> {
        self.killone_with(greenlet, GreenletExit::new())
    }

    /// As [`killone`](Self::killone), for a reason. `killone(greenlet, exception)`.
    ///
    /// # Cancel safety
    ///
    /// As [`killone`](Self::killone).
    #[track_caller]
    pub fn killone_with(
        &self,
        greenlet: &Handle,
        exit: GreenletExit,
    ) -> impl Future<Output = bool> + use<X> {
        // No closure, which would be the caller of `join`.
        let ended = if self.contains(greenlet) { Some(greenlet.join()) } else { None };
        self.core.roster.kill_one(greenlet, exit);
        GiveWay::around(async move {
            match ended {
                Some(ended) => {
                    ended.await;
                    true
                }
                None => false,
            }
        })
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.core.roster.slots.is_closed()
    }

    /// Lets the members run on when the last handle is dropped, rather than kill them.
    pub fn detach(&self) {
        self.core.detached.store(true, Relaxed);
    }

    /// Takes a member out, which then runs on as a stranger, and gives its slot to who has waited
    /// longest; false, and of no effect, if it is no member. Its maps of this pool then
    /// wait for slots as those of any stranger do. `discard`.
    pub fn discard(&self, greenlet: &Handle) -> bool {
        self.core.roster.discard(greenlet)
    }

    /// Whether `greenlet` is a member. `in`.
    pub fn contains(&self, greenlet: &Handle) -> bool {
        self.core.roster.contains(greenlet)
    }

    /// How many slots are taken: [`len`](Self::len). gevent's page calls it so, its code does not.
    pub fn size(&self) -> usize {
        self.len()
    }

    /// Handles of the members, in no particular order. Iteration.
    pub fn members(&self) -> Vec<Handle> {
        self.core.roster.handles()
    }

    /// How many slots are taken, by members or by those about to be. `len`.
    pub fn len(&self) -> usize {
        self.core.roster.slots.out()
    }

    /// Whether no slot is taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the greenlet that runs on this thread is a member.
    pub fn is_inside(&self) -> bool {
        self.core.roster.is_inside()
    }

    /// Where the current greenlet is to wait, if it is a member that lends its slot meanwhile.
    pub(crate) fn wait_inside(&self) -> Option<Wait> {
        let lends = self.core.settings.reentry != Reentry::Wait;
        if lends { self.core.roster.wait_inside() } else { None }
    }

    /// How many tasks run at the most; None without a limit.
    pub(crate) fn limit(&self) -> Option<usize> {
        Some(self.core.roster.slots.capacity()).filter(|capacity| *capacity != UNLIMITED)
    }

    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let slots = &self.core.roster.slots;
        let mut text = f.debug_struct(name);
        text.field("running", &slots.out());
        if let Some(capacity) = self.limit() {
            text.field("free", &slots.available())
                .field("capacity", &capacity)
                .field("waiting", &slots.waiting());
        }
        text.finish()
    }
}

impl<X> Clone for Crew<X> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<X> fmt::Debug for Crew<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, "Crew")
    }
}
