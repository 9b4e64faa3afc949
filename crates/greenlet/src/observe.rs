//! [`Observer`]: sees the life of every greenlet, for tools like `spinney-trace`.
//!
//! Without an observer an event costs one load. With one, the waker of each task is wrapped, so that
//! wake-ups are seen.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::mem::replace;
use std::panic::Location;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Wake, Waker};
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
/// [where each begins](Watch::next_item), until something asks for the greenlet of one: its end is
/// then seen, and the next item is a greenlet that was spawned. An observer that clones the handle
/// of each new greenlet, or reads its id, asks for all of them.
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
///     fn poll_began(&self) {
///         POLLS.fetch_add(1, Relaxed);
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

/// Sees the life of one greenlet. It is dropped after the greenlet has [ended](Self::ended) and its
/// last waker is gone.
pub trait Watch: Send + Sync {
    /// A poll begins, on this thread. A poll within a poll is one in place: each ends before the
    /// one around it.
    fn poll_began(&self) {}

    /// The poll on this thread ends. If the greenlet has not [ended](Self::ended) it waits: at
    /// `wait`, if that is known.
    fn poll_ended(&self, wait: Option<Wait>) {
        let _ = wait;
    }

    /// The greenlet was an item of a map that nothing had asked for, and has finished successfully:
    /// the poll in progress goes on with the item of this index, under the same watch.
    fn next_item(&self, index: usize) {
        let _ = index;
    }

    /// The greenlet was woken, from this thread: it is polled as soon as a thread is free for it.
    fn woken(&self) {}

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

/// Whether there is an observer, for containers: without one, [`Handle::announce`] is a no-op.
#[inline]
pub fn is_observed() -> bool {
    FOLLOWED.load(Relaxed) & BY_OBSERVER != 0
}

/// Tells the tools that follow it of a new greenlet; the observer, if it is announced here.
#[inline]
pub(crate) fn born(control: &Arc<Control>, is_announced: bool) {
    if is_followed() {
        tell_born(control, is_announced);
    }
}

#[cold]
#[inline(never)]
fn tell_born(control: &Arc<Control>, is_announced: bool) {
    let followed = FOLLOWED.load(Relaxed);
    if followed & BY_TREE != 0 {
        spawn_tree::track(control);
    }
    if followed & BY_OBSERVER != 0 && is_announced {
        introduce(control, &Announcement::default());
    }
}

/// Tells the tools that follow it of the next item of the task that is being polled. `watch` belongs
/// to the block.
pub(crate) fn item_born(
    control: &Arc<Control>,
    watch: &mut Option<Arc<dyn Watch>>,
    index: usize,
    about: impl FnOnce() -> Announcement,
) {
    let followed = FOLLOWED.load(Relaxed);
    if followed & BY_TREE != 0 {
        spawn_tree::track(control);
    }
    if watch.is_none() {
        *watch = control.watch();
    }
    match watch {
        Some(watch) => contain(|| watch.next_item(index)),
        None if followed & BY_OBSERVER == 0 => {}
        None => introduce_item(control, &Announcement { item: Some(index), ..about() }),
    }
}

/// Tells the observer of a new greenlet.
#[inline]
pub(crate) fn announce(control: &Arc<Control>, about: impl FnOnce() -> Announcement) {
    if is_observed() {
        tell_announced(control, about);
    }
}

/// Out of line, so that a spawn that nothing observes does not pay for `about`.
#[cold]
#[inline(never)]
fn tell_announced(control: &Arc<Control>, about: impl FnOnce() -> Announcement) {
    introduce(control, &about());
}

#[cold]
#[inline(never)]
fn introduce(control: &Arc<Control>, about: &Announcement) {
    let Some(observer) = OBSERVER.get().filter(|_| !control.is_observed()) else { return };
    contain(|| {
        let greenlet = &Handle::new(Arc::clone(control));
        let container = about.container.as_ref();
        let watch = observer.spawned(Spawned {
            greenlet,
            container,
            item: about.item,
            may_block: about.may_block,
        });
        control.set_watch(watch);
    });
}

/// The poll in progress goes on as a poll of the next item.
#[cold]
#[inline(never)]
fn introduce_item(control: &Arc<Control>, about: &Announcement) {
    // Without a poll in progress that is observed, there is no observer, or it was set a moment
    // ago: then the items after the next poll are seen.
    if polls(|polls| polls.is_empty()).unwrap_or(true) {
        return;
    }
    introduce(control, about);
    let watch = control.watch();
    let replace = |polls: &mut Polls| polls.last_mut().map(|last| replace(last, watch.clone()));
    let before = polls(replace).flatten().flatten();
    poll_ended(before.as_ref(), None);
    poll_began(watch.as_ref());
}

thread_local! {
    static POLLS: RefCell<Polls> = const { RefCell::new(Vec::new()) };
}

/// The polls in progress on this thread, the innermost last: the watches of their greenlets.
type Polls = Vec<Option<Arc<dyn Watch>>>;

/// `None` if the thread's locals have been destroyed.
fn polls<T>(change: impl FnOnce(&mut Polls) -> T) -> Option<T> {
    POLLS.try_with(|polls| change(&mut polls.borrow_mut())).ok()
}

/// A poll that is observed, with a waker that tells of wake-ups.
pub(crate) struct ObservedPoll {
    pub(crate) waker: Waker,
    note: Arc<WakeNote>,
    /// Whether the control block has the note already, for this watch.
    known_for: Option<*const ()>,
}

impl ObservedPoll {
    /// Begins a poll of the greenlet of `control`.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin(control: &Control, waker: &Waker) -> Self {
        let (watch, note) = control.watch_and_note();
        let known = note.filter(|note| note.wakes.will_wake(waker));
        let known_for = known.as_ref().map(|_| address(watch.as_ref()));
        let note = known.unwrap_or_else(|| Arc::new(WakeNote::new(waker, watch.clone())));
        if polls(|_| ()).is_some() {
            Wait::forget();
            poll_began(watch.as_ref());
            polls(|polls| polls.push(watch));
        }
        Self { waker: Waker::from(Arc::clone(&note)), note, known_for }
    }

    /// The poll has finished; `control` is that of the greenlet that waits now, which may be another
    /// item than at the beginning, and `None` if the task has finished.
    #[cold]
    #[inline(never)]
    pub(crate) fn end(self, control: Option<&Arc<Control>>) {
        let watch = polls(Vec::pop).flatten().flatten();
        let is_known = self.known_for == Some(address(watch.as_ref()));
        if let Some(control) = control.filter(|_| !is_known) {
            self.note.set(watch.clone());
            control.set_note(self.note);
        }
        poll_ended(watch.as_ref(), Wait::last().filter(|_| control.is_some()));
    }
}

fn address(watch: Option<&Arc<dyn Watch>>) -> *const () {
    watch.map_or(std::ptr::null(), |watch| Arc::as_ptr(watch).cast())
}

fn poll_began(watch: Option<&Arc<dyn Watch>>) {
    watch.inspect(|watch| contain(|| watch.poll_began()));
}

fn poll_ended(watch: Option<&Arc<dyn Watch>>, wait: Option<Wait>) {
    watch.inspect(|watch| contain(|| watch.poll_ended(wait)));
}

/// Tells of the wake-ups of a task, and passes them on.
pub(crate) struct WakeNote {
    wakes: Waker,
    /// The watch of the greenlet that waits: of the current item, if the task runs several.
    watch: Mutex<Option<Arc<dyn Watch>>>,
}

impl WakeNote {
    fn new(waker: &Waker, watch: Option<Arc<dyn Watch>>) -> Self {
        Self { wakes: waker.clone(), watch: Mutex::new(watch) }
    }

    fn set(&self, watch: Option<Arc<dyn Watch>>) {
        let before = replace(&mut *self.lock(), watch);
        drop(before);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn Watch>>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for WakeNote {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let watch = self.lock().clone();
        watch.inspect(|watch| contain(|| watch.woken()));
        self.wakes.wake_by_ref();
    }
}
