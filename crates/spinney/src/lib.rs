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

pub use spinney_greenlet::results;
pub use spinney_greenlet::{
    Birth, Branch, CatchExit, Deputy, Failure, Greenlet, GreenletExit, Handle, InPlace,
    InheritLocals, Inherited, ItemGreenlets, Iwait, Join, JoinAll, Joined, LazyHandle, LinkId,
    Local, Named, Owner, Panic, Shield, SpawnTree, State, Task, catch_exit, greenlet_local,
    inherit_locals, iwait, joinall, killall, killall_now, killall_now_with, killall_with, named,
    pair, pair_in, pair_items, shield, spawn, spawn_later, spawn_later_local, spawn_on, spawn_tree,
    track_spawns, try_joinall,
};
#[cfg(any(feature = "smol", feature = "tokio"))]
pub use spinney_hub::Scoped;
#[cfg(feature = "smol")]
pub use spinney_hub::SmolHub;
#[cfg(feature = "tokio")]
pub use spinney_hub::TokioHub;
pub use spinney_hub::{
    BoxTask, Clock, Context, Entered, Erase, Executor, ForbidThreads, Hub, HubBuilder, Interval,
    Limit, LocalBoxTask, LocalHub, ShutdownReport, Sleep, Spawn, TimeSource, Timeout, WakeDelay,
    Within, WithinFuture, block_on, contain, drop_contained, interval, label_task, require_threads,
    sleep, sleep_until, timeout, yield_now,
};
pub use spinney_pile::{
    Discarded, DrainReport, GreenPile, GreenPool, Item, ItemInfo, Next, ResourceError,
    ResourcePool, ResourcePoolBuilder, ResourceStats, WaitTimes,
};
pub use spinney_pool::map;
pub use spinney_pool::{
    DeferredSpawn, Failures, Group, Hooked, Imap, InsideGroup, ItemError, JoinError, Map, MapAsync,
    Mapper, Membership, Pool, PoolBuilder, PoolFull, Reentry, Report, Runs, RunsMap, Slot,
    SpawnHook, TaskError, TaskSet, Then, TryImap, TryMap,
};
pub use spinney_sync::{
    Acquire, AsyncResult, Barrier, BoundedSemaphore, Budget, Channel, Closed, Condition, Event,
    Fifo, Get, GetError, GiveWay, HandOut, Items, JoinableQueue, Latch, Lifo, LifoQueue, NotOwner,
    Order, OrderedQueue, OverRelease, Peek, Permit, Priority, PriorityQueue, Put, PutError, Queue,
    RLock, RLockGuard, Semaphore, Setter, SetterDropped, ShutDown, TaskDoneError, TryAcquireError,
    Wait, WakeFlag, wake_all,
};
pub use spinney_threadpool::{
    InsideThreadPool, ThreadImap, ThreadMap, ThreadMapper, ThreadPool, ThreadPoolBuilder,
    ThreadPoolClosed, ThreadPoolFull, ThreadRefused, ThreadResult, ThreadTryImap, ThreadTryMap,
    unblock,
};
