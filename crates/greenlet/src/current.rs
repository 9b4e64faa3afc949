//! Which greenlet is being polled on this thread.

use std::cell::RefCell;
use std::sync::Arc;

use crate::control::Control;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Control>>> = const { RefCell::new(None) };
}

/// None also where the thread is about to end, and its locals are gone.
pub(crate) fn control() -> Option<Arc<Control>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Runs `code`, which does not panic, with `control` as the current greenlet.
///
/// It is moved in and out again rather than cloned: this is done at each poll.
pub(crate) fn with<T>(control: Arc<Control>, code: impl FnOnce() -> T) -> (Arc<Control>, T) {
    let mut other = Some(control);
    let entered = swap(&mut other);
    let done = code();
    if entered {
        swap(&mut other);
    }
    (other.expect("whoever replaces the current greenlet puts it back"), done)
}

/// Swaps the current greenlet for `other`; false where the thread's locals are gone.
fn swap(other: &mut Option<Arc<Control>>) -> bool {
    CURRENT.try_with(|current| std::mem::swap(&mut *current.borrow_mut(), other)).is_ok()
}
