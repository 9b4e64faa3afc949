//! [`ItemGreenlets`]: a task that runs items one after the other, each as a greenlet of its own.

use std::fmt;
use std::sync::Arc;
use std::thread;

use spinney_hub::{contain, drop_contained};

use crate::control::Control;
use crate::observe::{self, Announcement, Watch};
use crate::spawn_context::{Origin, SpawnContext};
use crate::task::exit_of_dropped;
use crate::{Failure, Handle, Task, current};

/// Creates a task that runs items one after the other, each as a greenlet of its own: returns the
/// task and the handle of the first item. For containers.
///
/// Each item has its own id, locals, links and kills; all share the parent and the line of `context`,
/// and have `place` as their [`Handle::place`]. A kill or an abort that ends an item ends the task.
/// `make` creates the future that runs the items and tells [`ItemGreenlets`] where each begins and
/// ends. `guard` is created from the handle of the first item, and dropped when the last item has
/// finished, before its waiters are woken.
///
/// An item that is never asked for costs next to nothing: the next item reuses its control block.
/// An item is asked for by cloning its handle, by a kill, a link or a name, by [`Handle::current`],
/// by reading its id, and by setting a local. The returned handle and the one passed to `moved` do
/// not count, and neither do `==`, `state` and `place`: a container keeps these handles as its
/// entry for the current item.
///
/// ```
/// use std::panic::Location;
/// use spinney_greenlet::{Announcement, SpawnContext, Handle, ItemGreenlets, pair_items};
///
/// let run = |mut items: ItemGreenlets| async move {
///     let mut ids = Vec::new();
///     for index in 0..3 {
///         items.start(index, Announcement::default, |_, _| ());
///         ids.push(Handle::current().unwrap().id());
///         items.finish(&mut Ok(()), |_, _| ());
///     }
///     assert!(ids[0] < ids[1] && ids[1] < ids[2]);
/// };
/// let context = SpawnContext::here(Location::caller());
/// let (task, first) = pair_items(None, context, run, |_| ());
/// spinney_hub::block_on(task);
/// assert!(first.is_successful());
/// ```
pub fn pair_items<F: Future, G>(
    place: Option<u32>,
    context: SpawnContext,
    make: impl FnOnce(ItemGreenlets) -> F,
    guard: impl FnOnce(&Handle) -> G,
) -> (Task<F, G>, Handle) {
    let control = Arc::new(Control::new(Origin::undrawn(context)));
    if let Some(place) = place {
        control.set_place(place);
    }
    observe::born_unannounced(&control);
    let handle = Handle::new(Arc::clone(&control));
    let guard = guard(&handle);
    let future = make(ItemGreenlets { control: Arc::clone(&control), watch: None });
    (Task::new(control, future, None, guard, None), handle)
}

/// The items of a task of [`pair_items`], for the task's own future: tracks the current item.
///
/// Only that future may call its methods, in its polls and destructors. Dropping it is a no-op.
pub struct ItemGreenlets {
    /// The control block of the current item.
    control: Arc<Control>,
    /// The observer's watch of the task, once the second item has begun.
    watch: Option<Arc<dyn Watch>>,
}

impl ItemGreenlets {
    /// Starts the next item, the one with this `index`, which `about` announces to the
    /// [observer](crate::Observer), if there is one.
    ///
    /// If code that ran in the task since the last item, for example the input's, asked for its
    /// greenlet or set a local, that greenlet finishes with success, as in
    /// [`finish`](Self::finish), and the item gets another. If only code elsewhere asked for it, it
    /// becomes the item's, with all kills that were sent to it.
    #[inline]
    pub fn start(
        &mut self,
        index: usize,
        about: impl FnOnce() -> Announcement,
        moved: impl FnOnce(&Handle, Handle),
    ) {
        if self.control.is_asked_inside() {
            self.close(&mut Ok(()), moved);
        }
        if observe::is_followed() && !self.tell_next(index) {
            self.tell_born(index, about);
        }
    }

    /// Tells the observer of the item that starts, if it is the only tool that follows the task, and
    /// the item shares the greenlet of the item before. Otherwise returns `false`.
    #[inline(never)]
    fn tell_next(&self, index: usize) -> bool {
        let is_shared = observe::is_only_observed() && self.control.is_observed();
        let watch = self.watch.as_ref().filter(|_| is_shared);
        watch.inspect(|watch| contain(|| watch.next_item(index))).is_some()
    }

    /// Tells the tools that follow it of the item that starts.
    #[cold]
    #[inline(never)]
    fn tell_born(&mut self, index: usize, about: impl FnOnce() -> Announcement) {
        observe::item_born(&self.control, &mut self.watch, index, about);
    }

    /// Whether a kill of the current item is pending: an item that cannot be interrupted checks
    /// this before its next try.
    pub fn is_killed(&self) -> bool {
        self.control.is_killed()
    }

    /// Finishes the current item with `result`; the task goes on as the greenlet of the next item.
    /// Afterwards `result` is what the item's waiters see: a panic of a local's destructor takes
    /// precedence over everything else, a pending kill over another kill, and a failure carries its
    /// [greenlet](Failure::task).
    ///
    /// If the item was asked for, or has failed, its locals are dropped within it, and the next
    /// item gets a control block of its own. `moved` gets the handles of both, after the item has
    /// finished and before its links are called and its waiters woken; it runs outside any
    /// greenlet.
    #[inline]
    pub fn finish<T>(
        &mut self,
        result: &mut Result<T, Failure>,
        moved: impl FnOnce(&Handle, Handle),
    ) {
        if result.is_err() || self.control.is_asked_for() {
            self.close(result, moved);
        }
    }

    #[cold]
    fn close<T>(&mut self, result: &mut Result<T, Failure>, moved: impl FnOnce(&Handle, Handle)) {
        let dropped = current::drop_locals(Ok(()));
        let next = Arc::new(self.control.of_next_item());
        let Some(frame) = current::switch_to(&next, &self.control) else { return };
        let before = frame.into_control();
        if let Err(payload) = dropped {
            let result = std::mem::replace(result, Err(Failure::panicked(payload)));
            drop_contained(result);
        }
        let ended = result.as_ref().map(|_| ()).map_err(Failure::clone);
        let watch = self.watch.clone().or_else(|| self.control.watch());
        if let Some(watch) = &watch {
            next.set_watch(Arc::clone(watch));
        }
        let entry = Handle::new(Arc::clone(&next));
        self.control = next;
        current::outside(|| {
            let old = Handle::new(Arc::clone(&before));
            before.end(&ended, watch.as_ref(), || moved(&old, entry));
        });
        if let (Err(failure), Some(Err(seen))) = (result, before.ended()) {
            *failure = seen;
        }
    }

    /// The failure of an item that does not finish because a kill or an abort ended the task,
    /// or because the task is dropped. For the destructor of the task's future; `dropped` is the
    /// outcome of dropping the item's future. The item's waiters see the same failure. A panic of
    /// that destructor, or of a local's, takes precedence over a kill.
    pub fn cut_off(&self, dropped: thread::Result<()>) -> Failure {
        let failure = match current::drop_locals(dropped) {
            Ok(()) => Failure::Killed(exit_of_dropped(&self.control)),
            Err(payload) => Failure::panicked(payload),
        };
        self.control.fail(failure)
    }
}

impl fmt::Debug for ItemGreenlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = Handle::new(Arc::clone(&self.control));
        f.debug_struct("ItemGreenlets").field("current", &current).finish()
    }
}
