#![doc = include_str!("../README.md")]

pub mod eventlet;
pub mod gevent;
pub mod prelude;

pub use spinney_greenlet::{
    Failure, Greenlet, GreenletExit, Handle, Iwait, Join, LinkId, Panic, Task, iwait, joinall,
    pair, spawn, spawn_on,
};
pub use spinney_hub::{
    Clock, Hub, HubBuilder, LocalHub, Spawn, TimeSource, Timeout, Within, block_on, sleep,
    sleep_until, timeout, yield_now,
};
pub use spinney_pile::{GreenPile, GreenPool};
pub use spinney_pool::{Crew, Group, Imap, InsideGroup, Map, Mapper, Membership, Pool, PoolFull};
pub use spinney_sync::{AsyncResult, Closed, Event, Permit, Semaphore, TryAcquireError};
pub use spinney_threadpool::{NoThreads, ThreadPool, ThreadPoolClosed, ThreadResult, unblock};
