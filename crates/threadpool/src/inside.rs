//! Which pool this thread works for.

use std::cell::Cell;

thread_local! {
    /// The address of the pool's [`Workers`](crate::workers::Workers), which a thread keeps alive;
    /// none is at zero. It needs no destructor, so it is there for those of other locals.
    static POOL: Cell<usize> = const { Cell::new(0) };
}

/// Says that this thread works for the pool at this address, to its end.
pub(crate) fn enter(pool: usize) {
    POOL.set(pool);
}

/// Whether this is a thread of the pool at this address: it cannot wait for itself to run another
/// closure.
pub(crate) fn is_thread_of(pool: usize) -> bool {
    POOL.get() == pool
}
