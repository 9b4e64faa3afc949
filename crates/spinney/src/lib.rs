//! Pools of async tasks: bounded, fair, cancellable, on tokio, on smol, or on their own threads.
//!
//! A [`Pool`] of 20 runs 10,000 requests, 20 at once. Slots go to waiters in FIFO order. Results
//! come as a list or as a stream, in the order of the input or as they finish, and work goes on
//! while the consumer is busy, until a bounded number of results is unread. Every error and every
//! panic arrives as a value, with the index of its item. A task can be cancelled from outside,
//! clean up with further awaits, and defer a cancellation. A pool is resized while it runs, drained
//! with a grace period, and tested under a virtual clock. The verbs are those of Python's gevent
//! and eventlet.
//!
//! ```
//! use spinney::{ItemError, Pool, block_on};
//!
//! fn main() -> Result<(), ItemError> {
//!     block_on(async {
//!         let pool = Pool::new(5);
//!         let pages = pool.map(|n| async move { format!("page {n}") }, 0..20).await?;
//!         assert_eq!((pages.len(), pages[7].as_str()), (20, "page 7"));
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Under `#[tokio::main]` the same code runs as tasks of that runtime, with the feature `tokio`.
//!
//! # Or something else?
//!
//! Beside tokio's `JoinSet` with a `Semaphore`, `buffer_unordered` of futures, and rayon's
//! `par_iter`:
//!
//! | | spinney | tokio | futures | rayon |
//! |---|---|---|---|---|
//! | limit on what runs at once | yes, resizable | by hand | yes | threads |
//! | runs while the consumer is busy | yes | yes | no | yes |
//! | results in input order | yes | by hand | yes | yes |
//! | unread results | bounded | all | bounded | all |
//! | a panic becomes | an error | an error | a panic | a panic |
//! | cancel one task | kill, abort | abort | no | no |
//! | cleanup that awaits | yes | by hand | no | no |
//! | time limit, retries of an item | yes | by hand | by hand | no |
//! | borrows from the stack | no | no | yes | yes |
//! | needs tokio | no | yes | no | no |
//!
//! Take those instead when their column is enough: a `JoinSet` for a handful of tasks without a
//! limit, `buffer_unordered` for futures that borrow or that finish within a microsecond, rayon for
//! one computation that splits into many, and a plain [`Semaphore`] to limit a section of code.
//!
//! # Where to find it
//!
//! The [`guide`] has a page for each subject, each with complete programs:
//! [the first pool](guide::first_pool), [results](guide::results), [limits](guide::limits),
//! [connections](guide::connections), [errors](guide::errors), [killing](guide::killing),
//! [timeouts](guide::timeouts), [threads](guide::threads), [one thread](guide::one_thread),
//! [executors](guide::executors), [testing](guide::testing), [shutdown](guide::shutdown).
//! `docs/from-tokio.md` of the repository has twelve programs of tokio, futures and rayon beside
//! ours.
//!
//! | to | use |
//! |---|---|
//! | limit how many tasks run at once | [`Pool`] |
//! | wait for and kill any number of tasks together | [`Group`] |
//! | map over many items | [`map`](TaskSet::map), [`imap`](TaskSet::imap), [`imap_unordered`](TaskSet::imap_unordered), [`try_map`](TaskSet::try_map) |
//! | start one task | [`spawn`], [`task::spawn_on`], [`task::spawn_later`] |
//! | wait for, kill or watch one task | [`Greenlet`], [`Handle`] |
//! | clean up after a kill, or defer it | [`catch_exit`], [`shield`] |
//! | wait for several tasks, or kill them | [`task::joinall`], [`task::iwait`], [`task::killall`] |
//! | keep a variable for each task | [`greenlet_local!`] |
//! | see which task spawned which | [`task::spawn_tree`] |
//! | sleep, or limit how long a future takes | [`sleep`], [`Within`], [`time::interval`] |
//! | wait for other tasks | [`Event`], [`AsyncResult`], [`sync::Barrier`], [`sync::Latch`], [`sync::Condition`] |
//! | limit a section of code | [`Semaphore`], [`sync::BoundedSemaphore`], [`sync::RLock`] |
//! | hand items from task to task | [`Queue`], [`sync::LifoQueue`], [`sync::PriorityQueue`], [`sync::Channel`], [`sync::JoinableQueue`] |
//! | run jobs from a queue that keeps them until they are done | [`jobs::Worker`] |
//! | share connections | [`ResourcePool`] |
//! | run closures that compute, or a map of them | [`ThreadPool`] |
//! | make a blocking call now and then | [`unblock`] |
//! | run tasks that are not `Send` | [`LocalHub`] |
//! | run on an executor of your own | [`Spawn`], [`hub::Executor`] |
//! | test with virtual time and a replayable order | the crate `spinney-sim` |
//! | port eventlet code | [`GreenPool`], [`GreenPile`], [`eventlet`] |
//! | port gevent code | [`gevent`] |
//!
//! Named futures, guards, settings, reports and errors are in the modules: [`task`], [`pool`],
//! [`map`], [`sync`], [`threads`], [`pile`], [`time`], [`jobs`], and [`hub`] for writers of
//! executors.
//!
//! # What always holds
//!
//! - running + free = capacity after every operation, whatever panics, is killed or is dropped.
//! - Slots are handed out in FIFO order; a waiter that goes away passes its slot on.
//! - A result, an error or a panic reaches the holder of the handle exactly once.
//! - A kill is seen at the next await; a task that has not started never runs.
//! - No task outlives its group unless it was detached on purpose.
//!
//! # Features
//!
//! All are off by default, and only add.
//!
//! | feature | adds |
//! |---|---|
//! | `tokio` | the tokio runtime that runs the caller is its hub, of either flavour, timers included; [`hub`] has `TokioHub` |
//! | `smol` | [`hub`] has `SmolHub`: the executor behind `smol::spawn` |
//! | `trace` | the module `trace`: dumps of every greenlet and where it waits, a watchdog, statistics, timelines |
//! | `metrics` | `trace`, and its numbers through the crate metrics |
//! | `tracing` | `trace`, and a span of the crate tracing for each greenlet |
//!
//! A span of your own needs no feature: spawn `future.instrument(span)`, of the crate tracing, or
//! give a pool a [`SpawnHook`](pool::SpawnHook).

pub mod eventlet;
pub mod gevent;
pub mod guide;
pub mod prelude;

pub use spinney_greenlet::{Failure, Greenlet, Handle, catch_exit, greenlet_local, shield, spawn};
pub use spinney_hub::{Hub, LocalHub, Spawn, Timeout, Within, block_on, sleep, yield_now};
pub use spinney_pile::{GreenPile, GreenPool, ResourcePool};
pub use spinney_pool::map::Retry;
pub use spinney_pool::{Group, ItemError, Pool, Rate, Slot, TaskSet};
pub use spinney_sync::{AsyncResult, Event, Queue, Semaphore};
pub use spinney_threadpool::{ThreadPool, unblock};

/// Writing a hub: what an executor implements, and what runs on those that are not ours.
///
/// [`Hub`], [`LocalHub`] and [`Spawn`] are at the root.
pub mod hub {
    #[cfg(any(feature = "smol", feature = "tokio"))]
    pub use spinney_hub::Scoped;
    #[cfg(feature = "smol")]
    pub use spinney_hub::SmolHub;
    #[cfg(feature = "tokio")]
    pub use spinney_hub::TokioHub;
    pub use spinney_hub::{
        BoxTask, Context, Entered, Erase, Executor, ForbidThreads, HubBuilder, HubStats,
        LocalBoxTask, ShutdownReport, ThreadParks, WakeDelay, cancel, is_cancelling, label_task,
        require_threads,
    };
    pub use spinney_sync::{Budget, BudgetedAwait};
}

/// Jobs: a worker over a source of jobs with acknowledgements, and a queue in memory.
pub mod jobs {
    pub use spinney_jobs::{
        Arrival, Delivery, JobError, JobInfo, JobKill, JobResult, MemoryJob, MemoryReceipt,
        MemorySource, NewJob, NotSettled, Outcome, Source, Stage, Step, Terms, Worker,
        WorkerBuilder, WorkerHandle, WorkerReport,
    };
}

/// Maps: one function over many items. Their policies, inputs and futures.
///
/// The verbs are methods of [`TaskSet`], and so of pools and groups. [`ItemError`] and [`Retry`]
/// are at the root.
pub mod map {
    pub use spinney_pool::map::{
        Again, Attempts, CollectAll, Decision, FirstSuccess, FromStream, Indexed, IntoSource,
        ItemStream, Once, Read, Source, from_stream,
    };
    pub use spinney_pool::{Imap, ItemEvent, Map, Mapper, TaskError, TryImap, TryMap};
}

/// Settings, guards, futures, reports and errors of [`GreenPile`] and [`ResourcePool`].
pub mod pile {
    pub use spinney_pile::{
        Discarded, DrainReport, Item, ItemInfo, Next, ResourceError, ResourcePoolBuilder,
        ResourceStats, WaitTimes,
    };
}

/// Settings, hooks, reports, errors and bounds of [`Pool`] and [`Group`].
///
/// [`Rate`] and [`Slot`] are at the root.
pub mod pool {
    pub use spinney_pool::limits::Order;
    pub use spinney_pool::{
        Failures, Hooked, InsideGroup, JoinError, Membership, PoolBuilder, PoolFull, RateLimiter,
        Reentry, Report, Runs, RunsMap, SlotError, SlotRequest, SpawnHook,
    };
}

/// Locks, queues, barriers, with their guards, futures, orders and errors.
///
/// [`Event`], [`AsyncResult`], [`Semaphore`] and [`Queue`] are at the root.
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
/// [`Greenlet`], [`Handle`], [`Failure`], [`spawn`](crate::spawn()), [`catch_exit`] and [`shield`]
/// are at the root.
pub mod task {
    pub use spinney_greenlet::{
        Branch, CatchExit, Container, ContainerLimits, GreenletExit, InheritLocals, Inherited,
        Iwait, Join, JoinAll, Joined, LinkId, Local, Named, Observer, ObserverSet, Owner, Panic,
        Shield, SpawnTree, Spawned, State, Watch, inherit_locals, iwait, joinall, killall,
        killall_now, killall_now_with, killall_with, named, set_observer, spawn_later,
        spawn_later_local, spawn_on, spawn_tree, track_spawns, try_joinall,
    };
}

/// Results, maps, settings and errors of a [`ThreadPool`].
pub mod threads {
    pub use spinney_threadpool::{
        InsideThreadPool, ThreadImap, ThreadMap, ThreadMapper, ThreadPoolBuilder, ThreadPoolClosed,
        ThreadPoolFull, ThreadRefused, ThreadResult, ThreadTryImap, ThreadTryMap,
    };
}

/// Seeing greenlets run: dumps, a watchdog, statistics, timelines. Needs the feature `trace`.
#[cfg(feature = "trace")]
pub mod trace {
    #[cfg(feature = "metrics")]
    pub use spinney_trace::publish_metrics;
    pub use spinney_trace::{
        Activity, Alarm, Delays, Dump, GreenletInfo, HubInfo, HubReport, PoolInfo, ThreadInfo,
        Timeline, Watchdog, WatchdogBuilder, dump, hubs, start,
    };
    #[cfg(unix)]
    pub use spinney_trace::{dump_on_signal, dump_on_signal_to};
}

/// Clocks, sleeps, intervals and limits of time.
///
/// [`sleep`], [`Within`] and [`Timeout`] are at the root.
pub mod time {
    pub use spinney_hub::{
        Clock, Interval, Limit, Sleep, TimeSource, WithinFuture, interval, now, sleep_until,
        timeout,
    };
}
