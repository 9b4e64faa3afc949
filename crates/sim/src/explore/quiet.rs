//! [`Watch`]: records the panics of explored runs instead of printing them.
//!
//! A search meets the same panic repeatedly. Only a panic hook sees a panic that a greenlet
//! contains, and its line. So the first search of a process wraps the installed hook: on a thread
//! that explores, panics are recorded; on all others the old hook runs.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static NOTED: RefCell<Option<Noted>> = const { RefCell::new(None) };
}

struct Noted {
    panics: Vec<String>,
    /// The old hook runs as well.
    loud: bool,
}

/// While it lives, the panics of this thread are recorded. A nested watch hides the outer one.
pub(crate) struct Watch {
    outer: Option<Noted>,
}

impl Watch {
    /// Starts to record; panics are also printed if `loud`.
    pub(crate) fn begin(loud: bool) -> Self {
        static WRAPPED: Once = Once::new();
        WRAPPED.call_once(wrap);
        Self { outer: NOTED.replace(Some(Noted { panics: Vec::new(), loud })) }
    }

    /// The messages and lines of the panics, in order.
    pub(crate) fn end(self) -> Vec<String> {
        let noted = NOTED.take();
        drop(self);
        noted.map(|noted| noted.panics).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        NOTED.set(self.outer.take());
    }
}

/// The message of a panic.
pub(crate) fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

fn wrap() {
    let hook = take_hook();
    set_hook(Box::new(move |info| {
        if !note(info) {
            hook(info);
        }
    }));
}

/// Records a panic; `false` if it must be printed.
fn note(info: &PanicHookInfo<'_>) -> bool {
    let note = |noted: &RefCell<Option<Noted>>| {
        let mut noted = noted.borrow_mut();
        let Some(noted) = &mut *noted else { return false };
        let place = info.location().map(|at| format!(" at {at}")).unwrap_or_default();
        noted.panics.push(format!("panicked{place}:\n{}", message(info.payload())));
        !noted.loud
    };
    NOTED.try_with(note).unwrap_or(false)
}
