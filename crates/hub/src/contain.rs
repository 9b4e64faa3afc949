//! [`contain`] and [`drop_contained`]: let no panic out.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs somebody else's code where a panic of it would harm those who have nothing to do with it:
/// a callback, a destructor. The panic hook has reported the panic; it goes no further.
///
/// ```
/// spinney_hub::contain(|| panic!("this is reported, and that is all"));
/// ```
#[inline]
pub fn contain(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        drop_payload(payload);
    }
}

/// Drops `value`, whose destructor is foreign code and may panic, as [`contain`] does. A closure around
/// the drop would be compiled again for each type parameter of the caller.
///
/// ```
/// struct Loud;
///
/// impl Drop for Loud {
///     fn drop(&mut self) {
///         panic!("this is reported, and that is all");
///     }
/// }
///
/// spinney_hub::drop_contained(Loud);
/// ```
#[inline]
pub fn drop_contained<T>(value: T) {
    contain(|| drop(value));
}

/// The payload's destructor may panic, too. The payload of that panic is leaked.
#[cold]
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
