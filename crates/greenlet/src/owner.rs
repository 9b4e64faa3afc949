//! [`Owner`]: who holds a lock that its holder may take again.

use std::thread::{self, ThreadId};

use crate::current;

/// The greenlet that is running, or the thread outside of any: what owns an
/// [`RLock`](spinney_sync::RLock).
///
/// ```
/// use spinney_greenlet::Owner;
/// use spinney_sync::RLock;
///
/// let lock = RLock::new();
/// spinney_hub::block_on(async {
///     let outer = lock.acquire(Owner::current()).await;
///     let inner = lock.acquire(Owner::current()).await;
///     drop((outer, inner));
///     assert!(!lock.is_locked());
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The greenlet of this id.
    Greenlet(u64),
    /// This thread, outside of any greenlet.
    Thread(ThreadId),
}

impl Owner {
    /// Whoever calls this.
    pub fn current() -> Self {
        current::id().map_or_else(|| Self::Thread(thread::current().id()), Self::Greenlet)
    }
}
