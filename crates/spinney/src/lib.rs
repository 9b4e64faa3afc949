//! gevent's and eventlet's pools for Rust: bounded, fair, killable groups of green tasks, on the
//! smol stack and on any other executor.
//!
//! ```
//! use spinney::{Pool, block_on};
//!
//! block_on(async {
//!     let pool = Pool::new(5);
//!     let pages = pool.map(|n| async move { format!("page {n}") }, 0..20).await;
//!     assert_eq!(pages.unwrap().len(), 20);
//! });
//! ```
//!
//! The [`guide`] goes on from here, a page for each idea, each with programs that run:
//! [the first pool](guide::first_pool), [results](guide::results), [limits](guide::limits),
//! [errors](guide::errors), [killing](guide::killing), [timeouts](guide::timeouts),
//! [threads](guide::threads), [one thread](guide::one_thread), [executors](guide::executors),
//! [testing](guide::testing), [shutdown](guide::shutdown).
//!
//! # Where to find it
//!
//! | to | take |
//! |---|---|
//! | run at most so many tasks at a time | [`Pool`] |
//! | wait for and kill tasks together, any number of them | [`Group`] |
//! | have the results of many in a list, or as a stream | [`map`](TaskSet::map), [`imap`](TaskSet::imap), [`imap_unordered`](TaskSet::imap_unordered) |
//! | start one task | [`spawn`], or [`spawn_on`] a hub of your choice |
//! | make one now and start it later | [`Greenlet::new`], [`spawn_later`], [`spawn_later_local`] |
//! | wait for, kill or be told of the end of one task | [`Greenlet`], [`Handle`] |
//! | clean up after a kill, or keep it off | [`catch_exit`], [`shield`] |
//! | wait for several, or kill them | [`joinall`], [`iwait`], [`killall`] |
//! | have a variable for each task | [`greenlet_local!`] |
//! | see who spawned whom | [`spawn_tree`](spawn_tree()) |
//! | sleep, or put a limit on how long anything takes | [`sleep`], [`Within`] |
//! | let tasks wait for each other | [`Event`], [`AsyncResult`], [`Semaphore`] |
//! | hand items from task to task | [`Queue`], [`LifoQueue`], [`PriorityQueue`], [`Channel`] |
//! | wait until all that was handed over is done | [`JoinableQueue`] |
//! | let a few tasks past a point, or one as often as it likes | [`BoundedSemaphore`], [`RLock`] with [`Owner::current`] |
//! | lay a permit down until others have changed something | [`Condition`] |
//! | let tasks go on together, or after so many things | [`Barrier`], [`Latch`] |
//! | use again what is costly to make, one user at a time | [`ResourcePool`] |
//! | run closures that compute, or a map of them | [`ThreadPool`] |
//! | call something that blocks now and then | [`unblock`] |
//! | stay on one thread, with tasks that are not `Send` | [`LocalHub`] |
//! | run on an executor of your own | [`Spawn`] |
//! | test with virtual time and replayable order | the crate `spinney-sim` |
//! | spawn many and have the results as they come | [`GreenPile`] |
//! | port eventlet code | [`GreenPool`], and the module [`eventlet`] |
//!
//! The modules [`gevent`] and [`eventlet`] have these things under the names, and in the places,
//! that they have in Python, as far as they are there; their methods are those of this crate.
//! [`prelude`] has the few names that most programs use.
//!
//! # What holds always
//!
//! - running + free = capacity, after every operation, whatever panics, is killed or is dropped.
//! - Slots go first come, first served; a waiter that goes away passes its slot on.
//! - A result, an error or a panic reaches whoever holds the handle, once.
//! - A kill is seen at the next await point; what has not started never runs.
//! - No greenlet outlives its group unless it was detached on purpose.
//!
//! # Features
//!
//! | feature | of | default | adds |
//! |---|---|---|---|
//! | `smol` | this crate, `spinney-hub` | off | `SmolHub`: the executor behind `smol::spawn` |
//! | `tokio` | this crate, `spinney-hub` | off | `TokioHub`: a running tokio runtime of either flavour, with its timers |
//! | `stream` | `spinney-sync` | off; always on here | [`stream`](OrderedQueue::stream) of a queue: its items as a `Stream` |
//!
//! Features only add. To trace tasks none is needed: spawn `future.instrument(span)`, of the crate
//! tracing, or give a pool a [`SpawnHook`].

pub mod eventlet;
pub mod gevent;
pub mod guide;
pub mod prelude;

pub use spinney_greenlet::{
    Failure, Greenlet, Handle, catch_exit, greenlet_local, joinall, shield, spawn,
};
pub use spinney_hub::{Hub, LocalHub, Spawn, Timeout, Within, block_on, sleep, yield_now};
pub use spinney_pile::{GreenPile, GreenPool, ResourcePool};
pub use spinney_pool::{Group, ItemError, Pool, PoolFull, Slot, TaskSet};
pub use spinney_sync::{AsyncResult, Event, Queue, Semaphore};
pub use spinney_threadpool::{ThreadPool, unblock};

/// Writing a hub: what an executor implements, and what runs on those that are not ours.
///
/// [`Hub`](crate::Hub), [`LocalHub`](crate::LocalHub) and [`Spawn`](crate::Spawn) are at the root.
pub mod hub {
    #[cfg(any(feature = "smol", feature = "tokio"))]
    pub use spinney_hub::Scoped;
    #[cfg(feature = "smol")]
    pub use spinney_hub::SmolHub;
    #[cfg(feature = "tokio")]
    pub use spinney_hub::TokioHub;
    pub use spinney_hub::{
        BoxTask, Context, Entered, Erase, Executor, ForbidThreads, HubBuilder, LocalBoxTask,
        ShutdownReport, WakeDelay, label_task, require_threads,
    };
    pub use spinney_sync::{Budget, GiveWay};
}

/// Maps: one function over many items. Their policies, inputs and futures.
///
/// The verbs are methods of [`TaskSet`](crate::TaskSet), and so of pools and groups;
/// [`ItemError`](crate::ItemError) is at the root.
pub mod map {
    pub use spinney_pool::map::*;
}

/// Guards, futures and errors of [`GreenPile`](crate::GreenPile) and
/// [`ResourcePool`](crate::ResourcePool).
pub mod pile {
    pub use spinney_pile::{Item, Next, ResourcePoolBuilder};
}

/// Settings, hooks, reports, errors and bounds of [`Pool`](crate::Pool) and [`Group`](crate::Group).
pub mod pool {
    pub use spinney_pool::{
        Failures, Hooked, InsideGroup, JoinError, Membership, PoolBuilder, Reentry, Report, Runs,
        RunsMap, SpawnHook,
    };
}

/// Locks, queues, barriers, with their guards, futures, orders and errors.
///
/// [`Event`](crate::Event), [`AsyncResult`](crate::AsyncResult), [`Semaphore`](crate::Semaphore) and
/// [`Queue`](crate::Queue) are at the root.
pub mod sync {
    pub use spinney_sync::{
        Acquire, Barrier, BoundedSemaphore, Channel, Closed, Condition, Fifo, Get, GetError, Items,
        JoinableQueue, Latch, Lifo, LifoQueue, NotOwner, Order, OrderedQueue, OverRelease, Peek,
        Permit, Priority, PriorityQueue, Put, PutError, RLock, RLockGuard, Setter, SetterDropped,
        ShutDown, TaskDoneError, TryAcquireError, Wait,
    };
}

/// All that concerns one task: kills, links, locals, names, the spawn tree, and waiting for several.
///
/// [`Greenlet`](crate::Greenlet), [`Handle`](crate::Handle), [`Failure`](crate::Failure),
/// [`spawn`](crate::spawn()), [`joinall`](crate::joinall), [`catch_exit`](crate::catch_exit) and
/// [`shield`](crate::shield) are at the root.
pub mod task {
    pub use spinney_greenlet::{
        Branch, CatchExit, GreenletExit, InheritLocals, Inherited, Iwait, Join, JoinAll, Joined,
        LinkId, Local, Named, Owner, Panic, Shield, SpawnTree, State, inherit_locals, iwait,
        killall, killall_now, killall_now_with, killall_with, named, spawn_later,
        spawn_later_local, spawn_on, spawn_tree, track_spawns, try_joinall,
    };
}

/// Results, maps, settings and errors of a [`ThreadPool`](crate::ThreadPool).
pub mod threads {
    pub use spinney_threadpool::{
        InsideThreadPool, ThreadImap, ThreadMap, ThreadMapper, ThreadPoolBuilder, ThreadPoolClosed,
        ThreadPoolFull, ThreadRefused, ThreadResult, ThreadTryImap, ThreadTryMap,
    };
}

/// Clocks, sleeps, intervals and limits of time.
///
/// [`sleep`](crate::sleep), [`Within`](crate::Within) and [`Timeout`](crate::Timeout) are at the root.
pub mod time {
    pub use spinney_hub::{
        Clock, Interval, Limit, Sleep, TimeSource, WithinFuture, interval, sleep_until, timeout,
    };
}
