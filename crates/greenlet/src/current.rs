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

/// Runs `code`, which does not panic, with `control` as the current greenlet.
///
/// It is moved in and out again rather than cloned: this is done at each poll.
pub(crate) fn with<T>(control: Arc<Control>, code: impl FnOnce() -> T) -> (Arc<Control>, T) {
    let before = CURRENT.replace(Some(control));
    let done = code();
    let control = CURRENT.replace(before).expect("whoever replaces it puts it back");
    (control, done)
}
