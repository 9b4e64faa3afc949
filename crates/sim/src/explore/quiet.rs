//! [`Watch`]: the panics of the runs that are explored are noted, and not printed.
//!
//! A search meets the same panic again and again. A panic hook is the only place that learns of a
//! panic which a greenlet contains, and of its line. So the first search of a process wraps the hook
//! that is there: on a thread that explores, panics are noted; on all others the old hook goes on.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static NOTED: RefCell<Option<Noted>> = const { RefCell::new(None) };
}

struct Noted {
    panics: Vec<String>,
    /// The old hook goes on.
    loud: bool,
}

/// While it lives, the panics of this thread are noted. A watch within another one hides it.
pub(crate) struct Watch {
    outer: Option<Noted>,
}

impl Watch {
    /// Panics are printed as ever if it is `loud`.
    pub(crate) fn begin(loud: bool) -> Self {
        static WRAPPED: Once = Once::new();
        WRAPPED.call_once(wrap);
        Self { outer: NOTED.replace(Some(Noted { panics: Vec::new(), loud })) }
    }

    /// What the panics said, and where, in their order.
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

/// What a panic said.
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

/// Notes a panic; `false` if it is to be printed.
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
