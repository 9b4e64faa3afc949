//! [`contain`] and [`drop_contained`]: stop panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs foreign code, for example a callback or a destructor, where a panic would affect unrelated
/// tasks. The panic hook reports the panic; it goes no further.
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

/// Drops `value`, whose destructor is foreign code and may panic, under the same protection as
/// [`contain`]. A closure around the drop would be compiled again for each type parameter of the
/// caller.
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

/// The payload's destructor may panic as well. The payload of that panic is leaked.
#[cold]
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
