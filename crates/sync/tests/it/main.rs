//! The promises of `spinney-sync`.

/// [`AsyncResult`](spinney_sync::AsyncResult): a value that is set once.
mod async_result;

/// Ready awaits yield.
mod budget;

/// Every waiter, dropped at every point of its wait.
mod drops;

/// [`Event`](spinney_sync::Event): a flag that tasks wait for.
mod event;

/// The cost of operations, by the number of waiters.
mod growth;

/// Locks, conditions, barriers and latches.
mod locks {
    mod barrier;
    mod bounded;
    mod condition;
    mod latch;
    mod notes;
    mod rlock;
}

/// [`OrderedQueue`](spinney_sync::OrderedQueue) and its kinds.
mod queue {
    mod bounds;
    mod cancel;
    mod channel;
    mod fairness;
    mod hammer;
    mod join;
    mod order;
    mod panics;
    mod peek;
    mod priority;
    mod reentry;
    mod shutdown;
    #[cfg(feature = "stream")]
    mod stream;
    mod text;
    mod walk;
}

/// [`Semaphore`](spinney_sync::Semaphore).
mod semaphore {
    mod cancel;
    mod close;
    mod count;
    mod hammer;
    mod idle;
    mod order;
    mod priority;
    mod wakers;
    mod weights;
}

/// [`Setter`](spinney_sync::Setter): the half that sets a result.
mod setter;

/// Wakers that panic, and wakers that use the primitive they wait for.
mod wakers;
