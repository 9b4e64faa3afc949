//! Which greenlet is being polled on this thread.

use std::cell::RefCell;
use std::sync::Arc;

use crate::control::Control;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Control>>> = const { RefCell::new(None) };
}

pub(crate) fn control() -> Option<Arc<Control>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Makes `control` the current greenlet until the guard is dropped; then the one before is back.
pub(crate) fn enter(control: &Arc<Control>) -> Entered {
    Entered { before: CURRENT.replace(Some(Arc::clone(control))) }
}

pub(crate) struct Entered {
    before: Option<Arc<Control>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        drop(CURRENT.replace(self.before.take()));
    }
}
