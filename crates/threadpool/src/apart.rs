//! [`Apart`]: keeps what different threads write out of each other's way.

/// What has a line of the cache to itself.
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);
