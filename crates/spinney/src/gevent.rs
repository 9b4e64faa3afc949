//! gevent's names, in the shape of its modules.
//!
//! ```
//! use spinney::gevent::{self, pool};
//!
//! gevent::block_on(async {
//!     let request_pool = pool::Pool::new(5);
//!     let pages = request_pool.map(|n| async move { format!("page {n}") }, 0..20).await;
//!     assert_eq!(pages.unwrap().len(), 20);
//! });
//! ```

pub use spinney_greenlet::{
    Greenlet, GreenletExit, iwait, joinall, killall, killall_now, spawn, spawn_later, try_joinall,
};
pub use spinney_hub::{Timeout, block_on, sleep, timeout as with_timeout};
pub use spinney_pool::gevent::{GroupExt, PoolExt};
pub use spinney_threadpool::gevent::ThreadPoolExt;

/// `gevent.event`.
pub mod event {
    pub use spinney_sync::{AsyncResult, Event};
}

/// `gevent.local`.
pub mod local {
    pub use spinney_greenlet::{Local, greenlet_local, inherit_locals};
}

/// `gevent.lock`.
pub mod lock {
    pub use spinney_sync::{BoundedSemaphore, RLock, Semaphore};
}

/// `gevent.pool`.
pub mod pool {
    pub use spinney_pool::gevent::{DeferredSpawn, MapAsync, Then, apply};
    pub use spinney_pool::{Group, Pool, PoolFull};
}

/// `gevent.queue`. What it raises as `Full` and `Empty` are here values of
/// [`PutError`](queue::PutError) and [`GetError`](queue::GetError).
pub mod queue {
    pub use spinney_sync::GetError::Empty;
    pub use spinney_sync::PutError::Full;
    pub use spinney_sync::{
        Channel, GetError, JoinableQueue, LifoQueue, PriorityQueue, PutError, Queue, ShutDown,
    };
}

/// `gevent.threadpool`.
pub mod threadpool {
    pub use spinney_threadpool::{ThreadPool, ThreadResult};
}

/// `gevent.util`.
pub mod util {
    pub use spinney_greenlet::{spawn_tree, track_spawns};

    /// The greenlets that live, and which spawned which: a
    /// [`SpawnTree`](spinney_greenlet::SpawnTree).
    ///
    /// Python: `gevent.util.GreenletTree`.
    pub type GreenletTree = spinney_greenlet::SpawnTree;
}
