//! [`LazyHandle`]: a greenlet that has a control block only while one is needed.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::control::Control;
use crate::observe;
use crate::spawn_context::Origin;
use crate::{Failure, Handle, Task};

/// A greenlet that has a control block only while one is needed: while it runs, and once its
/// [handle](Self::handle) was asked for. For containers that run closures, each in one poll.
///
/// Its id and parent are fixed from the start; the spawn tree knows it once it has a control block.
/// Dropping it does not affect the greenlet.
///
/// ```
/// use spinney_greenlet::LazyHandle;
///
/// let mut lazy = LazyHandle::new();
/// let task = lazy.begin(async { println!("at work") }, ());
/// spinney_hub::block_on(task);
/// lazy.recycle();
/// assert!(lazy.is_successful());
/// assert!(lazy.handle().is_successful());
/// ```
pub struct LazyHandle(Stage);

enum Stage {
    /// It has not begun, and has no handle.
    Fresh(Origin),
    /// It has a handle, and has not begun.
    Made(Arc<Control>),
    /// It has begun, and may have finished.
    Begun(Arc<Control>),
    /// It has succeeded, and has no handle.
    Recycled(Origin),
}

impl LazyHandle {
    /// A greenlet that the current one creates.
    #[track_caller]
    pub fn new() -> Self {
        Self::at(Location::caller())
    }

    /// Like [`new`](Self::new), for a greenlet that was spawned on the line `at`.
    pub fn at(at: &'static Location<'static>) -> Self {
        Self(Stage::Fresh(Origin::new(at)))
    }

    /// Returns the task to run; its result is dropped. `guard` is dropped when the greenlet has
    /// finished, as by [`pair`](crate::pair).
    ///
    /// # Panics
    ///
    /// Panics if called twice.
    pub fn begin<F: Future, G>(&mut self, future: F, guard: G) -> Task<F, G> {
        let control = match &self.0 {
            Stage::Fresh(origin) => made(Control::begun(*origin)),
            Stage::Made(control) => Arc::clone(control),
            Stage::Begun(_) | Stage::Recycled(_) => panic!("a greenlet begins once"),
        };
        self.0 = Stage::Begun(Arc::clone(&control));
        Task::new(control, future, None, guard, None)
    }

    /// Its control handle; every call returns a handle of the same greenlet.
    pub fn handle(&mut self) -> Handle {
        let (control, stage): (_, fn(_) -> _) = match &self.0 {
            Stage::Fresh(origin) => (made(Control::new(*origin)), Stage::Made),
            Stage::Recycled(origin) => (block(Control::succeeded(*origin)), Stage::Begun),
            Stage::Made(control) | Stage::Begun(control) => {
                return Handle::new(Arc::clone(control));
            }
        };
        self.0 = stage(Arc::clone(&control));
        Handle::new(control)
    }

    /// Calls `callback` if the greenlet is killed or aborted before it begins: the container can
    /// then drop its closure. The thread that kills calls it, under no lock. A no-op once the
    /// greenlet has begun or was killed; `callback` is dropped then, or with the greenlet's last
    /// handle.
    pub fn on_early_end(&mut self, callback: impl FnOnce() + Send + 'static) {
        drop(self.handle());
        if let Stage::Made(control) = &self.0 {
            control.set_unbegun(Box::new(callback));
        }
    }

    /// Recycles the control block if the greenlet has succeeded and no other handle needs the
    /// block: the next lazy handle of this thread is built in it.
    pub fn recycle(&mut self) {
        let Stage::Begun(control) = &mut self.0 else { return };
        let Some(alone) = Arc::get_mut(control) else { return };
        if alone.is_plain_success() {
            let recycled = Stage::Recycled(alone.origin());
            if let Stage::Begun(control) = std::mem::replace(&mut self.0, recycled) {
                // A thread that exits keeps none.
                let _kept = SPARE.try_with(|spare| spare.set(Some(control)));
            }
        }
    }

    /// Whether it has finished.
    pub fn is_ready(&self) -> bool {
        self.control().map_or(matches!(self.0, Stage::Recycled(_)), |control| control.is_ended())
    }

    /// Whether it has finished with a result.
    pub fn is_successful(&self) -> bool {
        self.is_ready() && self.failure().is_none()
    }

    /// Why it has no result; `None` while it lives, and after a success.
    pub fn failure(&self) -> Option<Failure> {
        self.control()?.ended()?.err()
    }

    fn control(&self) -> Option<&Arc<Control>> {
        match &self.0 {
            Stage::Made(control) | Stage::Begun(control) => Some(control),
            Stage::Fresh(_) | Stage::Recycled(_) => None,
        }
    }
}

#[cfg(not(spinney_loom))]
thread_local! {
    /// A control block without handles.
    static SPARE: Cell<Option<Arc<Control>>> = const { Cell::new(None) };
}

#[cfg(spinney_loom)]
loom::thread_local! {
    static SPARE: Cell<Option<Arc<Control>>> = Cell::new(None);
}

/// The control block of a greenlet that lives and has had none so far.
fn made(control: Control) -> Arc<Control> {
    let control = block(control);
    observe::born_unannounced(&control);
    control
}

fn block(control: Control) -> Arc<Control> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    let Some(mut block) = spare else { return Arc::new(control) };
    *Arc::get_mut(&mut block).expect("a spare block has no handles") = control;
    block
}

impl Default for LazyHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LazyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Stage::Made(control) | Stage::Begun(control) => {
                f.debug_tuple("LazyHandle").field(&Handle::new(Arc::clone(control))).finish()
            }
            Stage::Fresh(origin) | Stage::Recycled(origin) => {
                f.debug_struct("LazyHandle").field("id", &origin.id).finish_non_exhaustive()
            }
        }
    }
}

#[cfg(all(test, not(spinney_loom)))]
mod tests {
    use std::future::ready;
    use std::sync::Arc;

    use spinney_hub::block_on;

    use super::{LazyHandle, Stage};
    use crate::{Handle, greenlet_local};

    fn recycled() -> LazyHandle {
        let mut lazy = LazyHandle::new();
        block_on(lazy.begin(ready(()), ()));
        lazy.recycle();
        lazy
    }

    #[test]
    fn block_without_handles_is_reused_and_starts_empty() {
        greenlet_local!(
            static LEFT: u32 = 0;
        );
        let mut before = LazyHandle::new();
        block_on(before.begin(async { LEFT.set(1) }, ()));
        let block = Arc::as_ptr(before.control().unwrap());
        before.recycle();
        assert!(matches!(before.0, Stage::Recycled(_)));
        let mut next = LazyHandle::new();
        let task = next.begin(async { assert_eq!(LEFT.get(), 0) }, ());
        assert_eq!(Arc::as_ptr(next.control().unwrap()), block);
        assert!(!next.is_ready());
        assert_ne!(next.handle(), before.handle());
        block_on(task);
        assert!(next.is_successful() && before.is_successful());
    }

    #[test]
    fn greenlet_with_a_handle_is_not_recycled() {
        let mut lazy = LazyHandle::new();
        let mut handle = None;
        block_on(lazy.begin(async { handle = Handle::current() }, ()));
        lazy.recycle();
        assert!(matches!(lazy.0, Stage::Begun(_)));
        assert_eq!(lazy.handle(), handle.unwrap());
    }

    #[test]
    fn killed_or_linked_greenlet_is_not_recycled() {
        let link = |handle: &Handle| {
            handle.link(|_| ());
        };
        for tell in [Handle::kill_now, link] {
            let mut lazy = LazyHandle::new();
            block_on(lazy.begin(async { tell(&Handle::current().unwrap()) }, ()));
            lazy.recycle();
            assert!(lazy.is_successful() && matches!(lazy.0, Stage::Begun(_)));
        }
    }

    #[test]
    fn failed_greenlet_is_not_recycled() {
        let mut killed = LazyHandle::new();
        killed.handle().kill_now();
        block_on(killed.begin(ready(()), ()));
        let mut broken = LazyHandle::new();
        block_on(broken.begin(async { panic!("no luck") }, ()));
        killed.recycle();
        broken.recycle();
        assert!(killed.failure().unwrap().is_killed() && broken.failure().unwrap().is_panic());
    }

    #[test]
    fn handle_after_the_end_shows_success() {
        let mut lazy = recycled();
        let handle = lazy.handle();
        assert!(handle.is_successful() && handle.failure().is_none());
        block_on(handle.join());
        assert!(!handle.cancel());
        handle.kill_now();
        assert!(lazy.is_successful() && lazy.handle() == handle);
    }

    #[test]
    #[should_panic = "a greenlet begins once"]
    fn second_begin_panics() {
        drop(recycled().begin(ready(()), ()));
    }
}
