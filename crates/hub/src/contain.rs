//! [`contain`]: lets no panic out.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs somebody else's code where a panic of it would harm those who have nothing to do with it:
/// a callback, a destructor. The panic hook has reported the panic; it goes no further.
///
/// ```
/// spinney_hub::contain(|| panic!("this is reported, and that is all"));
/// ```
pub fn contain(code: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(code)) else { return };
    // The payload's destructor is such code, too. If that panics, its payload is left alone.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
