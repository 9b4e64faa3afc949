//! [`LazyHandle`]: a greenlet that has a control block only while somebody needs it.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use crate::control::{Control, Origin};
use crate::{Failure, Handle, Task, spawn_tree};

/// A greenlet that has a control block only while somebody needs it: while it runs, and from when
/// its [handle](Self::handle) is first asked for. For containers that run closures, each at one go.
///
/// Who it is, and whose child, is there from the start; the spawn tree knows it once it has a
/// control block. Dropping it is of no effect on the greenlet.
///
/// ```
/// use spinney_greenlet::LazyHandle;
///
/// let mut lazy = LazyHandle::new();
/// let task = lazy.begin(async { println!("at work") }, ());
/// spinney_hub::block_on(task);
/// lazy.fold();
/// assert!(lazy.is_successful());
/// assert!(lazy.handle().is_successful());
/// ```
pub struct LazyHandle(Stage);

enum Stage {
    /// It has not begun, and nobody has asked for it.
    Fresh(Origin),
    /// It has not begun.
    Made(Arc<Control>),
    /// It has begun, and may have ended.
    Begun(Arc<Control>),
    /// It has succeeded, and nobody has a handle of it.
    Folded(Origin),
}

impl LazyHandle {
    /// A greenlet that the current one makes.
    pub fn new() -> Self {
        Self(Stage::Fresh(Origin::new()))
    }

    /// The half to run; nobody gets the result. `guard` is dropped as [`pair`](crate::pair) has it.
    ///
    /// # Panics
    ///
    /// The second time.
    pub fn begin<F: Future, G>(&mut self, future: F, guard: G) -> Task<F, G> {
        let control = match &self.0 {
            Stage::Fresh(origin) => made(Control::begun(*origin)),
            Stage::Made(control) => Arc::clone(control),
            Stage::Begun(_) | Stage::Folded(_) => panic!("a greenlet begins once"),
        };
        self.0 = Stage::Begun(Arc::clone(&control));
        Task::new(control, future, None, guard)
    }

    /// Its control handle: the same greenlet's whenever it is asked for.
    pub fn handle(&mut self) -> Handle {
        match &self.0 {
            Stage::Fresh(origin) => self.0 = Stage::Made(made(Control::new(None, *origin))),
            Stage::Folded(origin) => self.0 = Stage::Begun(block(Control::succeeded(*origin))),
            Stage::Made(_) | Stage::Begun(_) => (),
        }
        let control = self.control().expect("it was made");
        Handle::new(Arc::clone(control))
    }

    /// Lets go of the control block if it has succeeded and nobody else needs that. The next that
    /// this thread makes is made of it.
    pub fn fold(&mut self) {
        let Stage::Begun(control) = &mut self.0 else { return };
        let Some(alone) = Arc::get_mut(control) else { return };
        if alone.is_plain_success() {
            let folded = Stage::Folded(alone.origin);
            if let Stage::Begun(control) = std::mem::replace(&mut self.0, folded) {
                // A thread that is about to end keeps none.
                let _kept = SPARE.try_with(|spare| spare.set(Some(control)));
            }
        }
    }

    /// Whether it has ended, in whatever way.
    pub fn is_ready(&self) -> bool {
        self.control().map_or(matches!(self.0, Stage::Folded(_)), |control| control.is_ended())
    }

    /// Whether it has ended with a result.
    pub fn is_successful(&self) -> bool {
        self.is_ready() && self.failure().is_none()
    }

    /// Why it has no result; None while it lives, and after a success.
    pub fn failure(&self) -> Option<Failure> {
        self.control()?.ended()?.err()
    }

    fn control(&self) -> Option<&Arc<Control>> {
        match &self.0 {
            Stage::Made(control) | Stage::Begun(control) => Some(control),
            Stage::Fresh(_) | Stage::Folded(_) => None,
        }
    }
}

#[cfg(not(spinney_loom))]
thread_local! {
    /// A control block that nobody needs.
    static SPARE: Cell<Option<Arc<Control>>> = const { Cell::new(None) };
}

#[cfg(spinney_loom)]
loom::thread_local! {
    static SPARE: Cell<Option<Arc<Control>>> = Cell::new(None);
}

/// The control block of a greenlet that has none, and lives.
fn made(control: Control) -> Arc<Control> {
    let control = block(control);
    spawn_tree::note(&control);
    control
}

fn block(control: Control) -> Arc<Control> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    let Some(mut block) = spare else { return Arc::new(control) };
    *Arc::get_mut(&mut block).expect("nobody has what is spare") = control;
    block
}

impl Default for LazyHandle {
    fn default() -> Self {
        Self::new()
    }
}

/// As that of its handle.
impl fmt::Debug for LazyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("LazyHandle");
        let (Stage::Fresh(origin) | Stage::Folded(origin)) = &self.0 else {
            return text.finish();
        };
        text.field("id", &origin.id).finish()
    }
}
