//! [`Observer`]: sees the life of every greenlet, for tools like `spinney-trace`.
//!
//! Without an observer an event costs one load.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use spinney_hub::contain;
use spinney_sync::Wait;

use crate::control::Control;
use crate::{Failure, Handle, Report, spawn_tree};

/// The tools that follow new greenlets: a greenlet that none follows costs one load.
static FOLLOWED: AtomicU8 = AtomicU8::new(0);
/// The [spawn tree](crate::spawn_tree).
pub(crate) const BY_TREE: u8 = 1;
/// The observer.
const BY_OBSERVER: u8 = 1 << 1;

static OBSERVER: OnceLock<Box<dyn Observer>> = OnceLock::new();

/// Sees every greenlet that is created after the observer was [set](set_observer): spawned tasks,
/// items of maps, and closures of thread pools.
///
/// The items that a worker of a map runs one after the other share a [`Watch`], which sees
/// [where each begins](Watch::next_item). An item whose greenlet something asks for is seen as a
/// greenlet: its end, and the [start](Watch::next_greenlet) of the next item. An observer that
/// clones the handle of each new greenlet, or reads its id, asks for all of them.
///
/// Its methods, and those of [`Watch`], run within spawns, polls and wakes of the program, under no
/// lock of spinney's. They should be quick, and must not spawn. A panic is contained: the panic
/// hook reports it.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::{Observer, Spawned, Watch, set_observer}; }
/// # }
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
/// use std::task::Waker;
/// use spinney::{block_on, spawn};
/// use spinney::task::{Observer, Spawned, Watch, set_observer};
///
/// static POLLS: AtomicUsize = AtomicUsize::new(0);
///
/// struct CountPolls;
///
/// impl Observer for CountPolls {
///     fn spawned(&self, _: Spawned<'_>) -> Arc<dyn Watch> {
///         Arc::new(CountPolls)
///     }
/// }
///
/// impl Watch for CountPolls {
///     fn poll_began(self: Arc<Self>, waker: &Waker) -> Waker {
///         POLLS.fetch_add(1, Relaxed);
///         waker.clone()
///     }
/// }
///
/// set_observer(CountPolls).unwrap();
/// block_on(spawn(async {})).unwrap();
/// assert_eq!(POLLS.load(Relaxed), 1);
/// ```
pub trait Observer: Send + Sync {
    /// A greenlet was created. The returned watch sees the rest of its life.
    fn spawned(&self, spawned: Spawned<'_>) -> Arc<dyn Watch>;
}

/// Sees the life of one greenlet, or of the items that one task runs one after the other. It is
/// dropped with the last handle of the greenlet: a watch that keeps a handle drops it when the
/// greenlet has [ended](Self::ended).
pub trait Watch: Send + Sync {
    /// A poll begins, on this thread. A poll within a poll is one in place: each ends before the
    /// one around it.
    ///
    /// Returns the waker of the poll: `waker`, or one that notes the wake-up and then wakes `waker`.
    fn poll_began(self: Arc<Self>, waker: &Waker) -> Waker {
        waker.clone()
    }

    /// The poll on this thread ends, and the task waits: at `wait`, if that is known.
    fn poll_paused(&self, wait: Option<Wait>) {
        let _ = wait;
    }

    /// The poll on this thread ends, and the task has finished.
    fn poll_finished(&self) {}

    /// The greenlet was an item of a map that nothing had asked for, and has finished successfully:
    /// the task goes on with the item of this index.
    fn next_item(&self, index: usize) {
        let _ = index;
    }

    /// The greenlet was an item of a map and has [ended](Self::ended): the task goes on with the
    /// next item, which is the greenlet `spawned`. Polls in between, in which the task waits for an
    /// item, are those of no greenlet.
    fn next_greenlet(self: Arc<Self>, spawned: Spawned<'_>) {
        let _ = spawned;
    }

    /// The greenlet has finished: successfully, or with `failure`. Its waiters have not been woken
    /// yet.
    fn ended(&self, failure: Option<&Failure>) {
        let _ = failure;
    }
}

/// A greenlet that was created, for an [`Observer`].
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Spawned<'a> {
    /// The greenlet. A clone may be kept until its end, and so may an
    /// [unasked](Handle::unasked) handle.
    pub greenlet: &'a Handle,
    /// The container that it belongs to.
    pub container: Option<&'a Arc<dyn Container>>,
    /// The index of the item, if the greenlet is an item of a map.
    pub item: Option<usize>,
    /// Whether it is a closure on a thread of its own, where it may block.
    pub may_block: bool,
}

impl fmt::Debug for Spawned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawned")
            .field("greenlet", self.greenlet)
            .field("container", &self.container.map(|container| container.kind()))
            .field("item", &self.item)
            .finish()
    }
}

/// A pool, a group or a thread pool, for reports of an [`Observer`]. Two containers are the same if
/// their addresses are.
pub trait Container: Send + Sync {
    /// The noun for it: `pool`, for example.
    fn kind(&self) -> &'static str;

    /// The line that created it.
    fn created_at(&self) -> &'static Location<'static>;

    /// How many tasks it runs at once; `None` without a limit.
    fn capacity(&self) -> Option<usize>;

    /// The outcomes of everything that was started in it.
    fn report(&self) -> Report;

    /// Its limits besides the capacity, and the requests that wait for them. Default: none.
    fn limits(&self) -> ContainerLimits {
        ContainerLimits::default()
    }
}

/// The limits of a [`Container`] besides its capacity, and the requests that wait for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerLimits {
    /// How many tasks start per period, as text: `50 per 1s, burst 5`, for example.
    pub rates: Vec<String>,
    /// How many tasks with the same key start per period.
    pub key_rates: Vec<String>,
    /// How many tasks with the same key run at once.
    pub per_key: Option<usize>,
    /// How many keys have a running or waiting task, or are still under a rate.
    pub keys: usize,
    /// How many requests may wait.
    pub max_waiting: Option<usize>,
    /// How many requests of each priority wait, the highest first. Empty if priorities are not used.
    pub waiting: Vec<(i32, usize)>,
    /// Whether it is paused.
    pub is_paused: bool,
    /// For how long it is still paused; `None` without an end.
    pub pause_left: Option<Duration>,
}

/// The details of a greenlet that its container announces.
#[derive(Clone, Default)]
pub struct Announcement {
    /// The container that it belongs to.
    pub container: Option<Arc<dyn Container>>,
    /// The index of the item, if the greenlet is an item of a map.
    pub item: Option<usize>,
    /// Whether it is a closure on a thread of its own, where it may block.
    pub may_block: bool,
}

impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcement").field("item", &self.item).finish_non_exhaustive()
    }
}

/// Makes `observer` see every greenlet that is created from now on, in the whole process and until
/// its end.
///
/// # Errors
///
/// [`ObserverSet`] if there is an observer already; it stays.
pub fn set_observer(observer: impl Observer + 'static) -> Result<(), ObserverSet> {
    OBSERVER.set(Box::new(observer)).map_err(|_| ObserverSet)?;
    follow(BY_OBSERVER, true);
    Ok(())
}

/// The error of [`set_observer`]: the process has an observer already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObserverSet;

impl fmt::Display for ObserverSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process has an observer of greenlets already")
    }
}

impl Error for ObserverSet {}

/// Turns following by a tool on or off.
pub(crate) fn follow(tool: u8, wanted: bool) {
    if wanted {
        FOLLOWED.fetch_or(tool, Relaxed);
    } else {
        FOLLOWED.fetch_and(!tool, Relaxed);
    }
}

/// Whether any tool follows new greenlets.
#[inline]
pub(crate) fn is_followed() -> bool {
    FOLLOWED.load(Relaxed) != 0
}

/// Whether the observer is the only tool.
#[inline]
pub(crate) fn is_only_observed() -> bool {
    FOLLOWED.load(Relaxed) == BY_OBSERVER
}

/// Whether there is an observer, for containers: without one, [`Handle::announce`] is a no-op.
#[inline]
pub fn is_observed() -> bool {
    FOLLOWED.load(Relaxed) & BY_OBSERVER != 0
}

/// Tells the tools that follow it of a new greenlet. Returns the observer's watch of its task.
///
/// Out of line, so that a spawn that nothing follows does not pay for `about`.
#[cold]
#[inline(never)]
pub(crate) fn born(
    control: &Arc<Control>,
    about: impl FnOnce() -> Announcement,
) -> Option<Arc<dyn Watch>> {
    born_unannounced(control);
    if is_observed() { introduce(control, None, &about()) } else { None }
}

/// Like [`born`], but the greenlet is [announced](announce) later.
#[inline]
pub(crate) fn born_unannounced(control: &Arc<Control>) {
    if FOLLOWED.load(Relaxed) & BY_TREE != 0 {
        spawn_tree::track(control);
    }
}

/// Tells the tools that follow it of the next item of the task that is being polled. `watch` is that
/// of the task.
pub(crate) fn item_born(
    control: &Arc<Control>,
    watch: &mut Option<Arc<dyn Watch>>,
    index: usize,
    about: impl FnOnce() -> Announcement,
) {
    born_unannounced(control);
    if !is_observed() {
        return;
    }
    if watch.is_none() {
        *watch = control.watch();
    }
    if let Some(watch) = watch.as_ref().filter(|_| control.is_observed()) {
        return contain(|| watch.next_item(index));
    }
    let is_late = watch.is_none();
    *watch = introduce(control, watch.as_ref(), &Announcement { item: Some(index), ..about() });
    if let Some(watch) = watch.as_ref().filter(|_| is_late) {
        // The poll in progress is seen from here on.
        control.set_watch(Arc::clone(watch));
        drop(poll_began(watch, Waker::noop()));
    }
}

/// Tells the observer of a new greenlet, whose task stores no watch itself.
#[inline]
pub(crate) fn announce(control: &Arc<Control>, about: impl FnOnce() -> Announcement) {
    if is_observed() {
        tell_announced(control, about);
    }
}

#[cold]
#[inline(never)]
fn tell_announced(control: &Arc<Control>, about: impl FnOnce() -> Announcement) {
    if let Some(watch) = introduce(control, None, &about()) {
        control.set_watch(watch);
    }
}

/// Tells the observer of a new greenlet. Returns the watch of its task: `known`, if there is one.
#[cold]
#[inline(never)]
fn introduce(
    control: &Arc<Control>,
    known: Option<&Arc<dyn Watch>>,
    about: &Announcement,
) -> Option<Arc<dyn Watch>> {
    let observer = OBSERVER.get()?;
    let greenlet = &Handle::new(Arc::clone(control));
    let container = about.container.as_ref();
    let (item, may_block) = (about.item, about.may_block);
    let spawned = Spawned { greenlet, container, item, may_block };
    let mut watch = known.cloned();
    contain(|| match known {
        Some(known) => Arc::clone(known).next_greenlet(spawned),
        None => watch = Some(observer.spawned(spawned)),
    });
    control.set_observed();
    watch
}

/// A poll of a task begins. Returns the waker for it.
pub(crate) fn poll_began(watch: &Arc<dyn Watch>, waker: &Waker) -> Option<Waker> {
    let (watch, mut noted) = (Arc::clone(watch), None);
    Wait::forget();
    contain(|| noted = Some(watch.poll_began(waker)));
    noted
}

/// The poll ends.
pub(crate) fn poll_ended(watch: &Arc<dyn Watch>, is_pending: bool) {
    contain(|| {
        if is_pending {
            watch.poll_paused(Wait::last());
        } else {
            watch.poll_finished();
        }
    });
}
