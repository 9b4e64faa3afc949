//! [`Home`]: the container that a greenlet was made in.

use std::num::NonZeroU64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A number that a container gives to the greenlets it makes, and by which it knows them at a
/// glance. For those who build their own.
///
/// ```
/// use spinney_greenlet::{Handle, Home, pair_in};
///
/// let home = Home::new();
/// let who = async { Handle::current().and_then(|current| current.home()) };
/// let (task, greenlet) = pair_in(Some(home), who, ());
/// spinney_hub::block_on(task);
/// assert_eq!(greenlet.try_get().unwrap().unwrap(), Some(home));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Home(NonZeroU64);

impl Home {
    /// One that no other container of this process has.
    #[expect(clippy::new_without_default, reason = "each is another: there is no default one")]
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NonZeroU64::MIN.saturating_add(NEXT.fetch_add(1, Relaxed)))
    }
}
