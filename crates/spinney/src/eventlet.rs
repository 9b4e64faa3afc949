//! eventlet's names, in the shape of its modules.
//!
//! ```
//! use spinney::eventlet::{self, GreenPool, GreenPoolExt};
//!
//! eventlet::block_on(async {
//!     let pool = GreenPool::new(5);
//!     let thread = pool.spawn(async { "Result 0" }).await;
//!     pool.waitall().await.unwrap();
//!     assert_eq!(thread.await.unwrap(), "Result 0");
//! });
//! ```

pub use spinney_greenlet::{
    spawn, spawn_later as spawn_after, spawn_later_local as spawn_after_local,
};
pub use spinney_hub::{Timeout, block_on, sleep};
pub use spinney_pile::eventlet::{GreenPoolExt, ResourcePoolExt};
pub use spinney_pile::{GreenPile, GreenPool};
pub use spinney_sync::Queue;

/// `eventlet.corolocal`.
pub mod corolocal {
    pub use spinney_greenlet::{Local, greenlet_local};
}

/// `eventlet.event`.
pub mod event {
    /// A value or an error for all tasks that wait for it: an
    /// [`AsyncResult`](spinney_sync::AsyncResult).
    ///
    /// Python: `eventlet.event.Event`.
    pub type Event<T, E = std::convert::Infallible> = spinney_sync::AsyncResult<T, E>;
}

/// `eventlet.greenpool`.
pub mod greenpool {
    pub use spinney_pile::{GreenPile, GreenPool};
}

/// `eventlet.greenthread`.
pub mod greenthread {
    pub use spinney_greenlet::{
        spawn, spawn_later as spawn_after, spawn_later_local as spawn_after_local,
    };
    pub use spinney_hub::sleep;

    /// The owner of a task's result: a [`Greenlet`](spinney_greenlet::Greenlet).
    ///
    /// Python: `eventlet.greenthread.GreenThread`.
    pub type GreenThread<T> = spinney_greenlet::Greenlet<T>;
}

/// `eventlet.pools`.
pub mod pools {
    pub use spinney_pile::Item;

    /// Items that are created on demand and used by one task at a time: a
    /// [`ResourcePool`](spinney_pile::ResourcePool).
    ///
    /// Python: `eventlet.pools.Pool`.
    pub type Pool<T, E> = spinney_pile::ResourcePool<T, E>;
}

/// `eventlet.queue`. A `Queue(0)` there is [`Queue::bounded(0)`](spinney_sync::Queue::bounded)
/// here; what it raises as `Full` and `Empty` are values of [`PutError`](queue::PutError) and
/// [`GetError`](queue::GetError).
pub mod queue {
    pub use spinney_sync::GetError::Empty;
    pub use spinney_sync::PutError::Full;
    pub use spinney_sync::{GetError, LifoQueue, PriorityQueue, PutError, Queue};

    /// A [`Queue`].
    ///
    /// Python: `eventlet.queue.LightQueue`.
    pub type LightQueue<T> = Queue<T>;
}

/// `eventlet.semaphore`.
pub mod semaphore {
    pub use spinney_sync::{BoundedSemaphore, Semaphore};
}
