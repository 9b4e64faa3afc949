//! [`Crew`]: the members of a [`Group`](crate::Group) or a [`Pool`](crate::Pool), and what is done
//! with all of them.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use spinney_greenlet::{Greenlet, Handle, Task};
use spinney_hub::Spawn;

use crate::map::{Feed, Imap, Map, Mapper, Seat, Worker};
use crate::roster::{Roster, UNLIMITED};
use crate::{InsideGroup, Membership};

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
    pub(crate) fn new(hub: X, capacity: usize) -> Self {
        Self { core: Arc::new(Core { hub, roster: Arc::new(Roster::new(capacity)) }) }
    }

    /// Runs `func` on each of `items`, as many at a time as there are slots, and gives the
    /// results in their order. `map`.
    ///
    /// It starts at the call. Of several failures the one of the first item in order is the one
    /// reported; the others run on, in the background.
    ///
    /// Items are taken as slots become free, by the hub's threads, one at a time: `items` should
    /// not block. One that panics ends the map with that panic. A `func` that panics fails its
    /// item.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes no further items, and kills what it started.
    pub fn map<I, F, Fut>(&self, func: F, items: I) -> Map<Fut::Output, X>
    where
        I: IntoIterator,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: Feed<I::IntoIter, F, Fut>,
    {
        self.mapper().map(func, items)
    }

    /// As [`map`](Self::map), as a stream in the order of `items`. `imap`.
    ///
    /// Work goes on while nobody reads, up to a [bound](Mapper::maxsize); so `items` may be
    /// endless. A failed item comes out in its place, and the stream goes on. To poll a few
    /// futures in place, without tasks, `futures::StreamExt::buffered` is enough; it stops while
    /// its consumer is busy.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills what it started.
    pub fn imap<I, F, Fut>(&self, func: F, items: I) -> Imap<Fut::Output, X>
    where
        I: IntoIterator,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: Feed<I::IntoIter, F, Fut>,
    {
        self.mapper().imap(func, items)
    }

    /// As [`imap`](Self::imap), in the order of completion. `imap_unordered`.
    ///
    /// # Cancel safety
    ///
    /// As [`imap`](Self::imap).
    pub fn imap_unordered<I, F, Fut>(&self, func: F, items: I) -> Imap<Fut::Output, X>
    where
        I: IntoIterator,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: Feed<I::IntoIter, F, Fut>,
    {
        self.mapper().imap_unordered(func, items)
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

    /// Kills each member once, then whoever came in meanwhile, and waits until nobody is left.
    /// The group stays open: who waits for a slot gets one, and maps go on. `kill`.
    ///
    /// # Cancel safety
    ///
    /// The kills that were sent go ahead when it is dropped; whoever comes in later is spared.
    #[track_caller]
    pub fn kill(&self) -> impl Future<Output = ()> {
        self.core.roster.kill(Location::caller())
    }

    /// Kills each member once, without waiting. `kill(block=False)`.
    pub fn kill_now(&self) {
        self.core.roster.kill_now();
    }

    /// Whether `greenlet` is a member. `in`.
    pub fn contains(&self, greenlet: &Handle) -> bool {
        self.core.roster.contains(greenlet)
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

/// What all handles of a crew share. Dropping it kills the members.
pub(crate) struct Core<X> {
    pub(crate) hub: X,
    pub(crate) roster: Arc<Roster>,
}

impl<X> Core<X> {
    /// Starts `future` in a slot that is out without a guard.
    pub(crate) fn start<F>(&self, future: F) -> Greenlet<F::Output>
    where
        F: Future,
        X: Spawn<Task<F, Membership>>,
    {
        let (task, greenlet) = self.roster.enter(future, |_, membership| membership);
        self.hub.spawn(task);
        greenlet
    }

    /// Starts a map's `worker` in a slot that is out without a guard.
    pub(crate) fn start_worker<I, F, Fut>(&self, worker: Worker<I, F, Fut, X>)
    where
        I: Iterator,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: Spawn<Task<Worker<I, F, Fut, X>, Seat<Fut::Output, X>>>,
    {
        let (task, greenlet) = self.roster.enter(worker, Worker::seat);
        greenlet.detach();
        self.hub.spawn(task);
    }
}

impl<X> Drop for Core<X> {
    fn drop(&mut self) {
        self.roster.slots.close();
        self.roster.kill_now();
    }
}
