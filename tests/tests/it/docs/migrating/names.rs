//! Each name on the right of `docs/migrating.md`, used: this file compiles as long as they exist.
//! Nothing here is run.

#![allow(unused_must_use, clippy::let_underscore_future, reason = "it is about the names")]

use std::future::{Pending, pending, ready};
use std::sync::Arc;
use std::time::Duration;

use spinney::eventlet::{GreenPoolExt, ResourcePoolExt};
use spinney::gevent::{GroupExt, PoolExt, ThreadPoolExt};
use spinney::hub::HubBuilder;
use spinney::map::{Imap, Mapper};
use spinney::pile::ResourcePoolBuilder;
use spinney::pool::PoolFull;
use spinney::pool::{PoolBuilder, Reentry, SpawnHook};
use spinney::sync::{
    BoundedSemaphore, Channel, GetError, JoinableQueue, LifoQueue, NotOwner, OverRelease, Permit,
    PriorityQueue, PutError, RLock, ShutDown,
};
use spinney::task::joinall;
use spinney::task::{
    Branch, GreenletExit, JoinAll, LinkId, Owner, SpawnTree, State, inherit_locals, iwait, killall,
    killall_now, killall_with, named, spawn_later, spawn_later_local, spawn_on, spawn_tree,
    track_spawns, try_joinall,
};
use spinney::threads::{ThreadPoolBuilder, ThreadResult};
use spinney::time::{Limit, timeout};
use spinney::{
    AsyncResult, Event, Failure, GreenPile, GreenPool, Greenlet, Group, Handle, Hub, Pool, Queue,
    ResourcePool, Semaphore, Spawn, TaskSet, ThreadPool, Timeout, Within, greenlet_local, sleep,
    spawn, unblock, yield_now,
};
use spinney_trace::Watchdog;

const TICK: Duration = Duration::from_secs(1);

greenlet_local! {
    static LOCAL: u32 = 0;
}

async fn functions(hub: &Hub, greenlets: &[Greenlet<()>], exit: GreenletExit, limit: Timeout) {
    spawn(ready(()));
    spawn_on(hub, ready(()));
    Spawn::spawn(hub, ready(()));
    inherit_locals(ready(()));
    spawn_later(TICK, ready(()));
    spawn_later_local(TICK, ready(()));
    sleep(TICK);
    yield_now();
    timeout(TICK, ready(()));
    ready(()).within(TICK);
    Within::within(ready(()), TICK);
    joinall(greenlets);
    JoinAll::count(joinall(greenlets), 1);
    JoinAll::timeout(joinall(greenlets), TICK);
    try_joinall(greenlets);
    iwait(greenlets);
    killall(greenlets);
    killall_now(greenlets);
    killall_with(greenlets, exit);
    let limited = Limit::new(TICK);
    limited.reset(TICK);
    Limit::reset(&limited, TICK);
    Limit::lift(&limited);
    Limit::deadline(&limited);
    ready(()).within_limit(&limited);
    Timeout::is(&limit, &limited);
    GreenletExit::because("a reason");
    Timeout::limit(&limit);
    Hub::current();
    HubBuilder::name(Hub::builder(), "hub");
    hub.shutdown(TICK);
    unblock(|| ());
    Watchdog::builder();
    track_spawns(true);
    let tree: SpawnTree = spawn_tree();
    tree.iter().map(|branch| (Branch::handle(branch), Branch::depth(branch)));
    let _ = (limit, &LOCAL);
}

async fn greenlets(mut greenlet: Greenlet<u32>, handle: Handle, link_id: LinkId) {
    Greenlet::new(ready(()));
    greenlet.start();
    greenlet.start_later(TICK);
    greenlet.handle();
    greenlet.get();
    greenlet.outcome();
    Greenlet::try_get(spawn(ready(())));
    greenlet.link_result(|_| ());
    greenlet.link_to(&Arc::new(AsyncResult::new()));
    greenlet.link_queue(&Arc::new(Queue::unbounded()));
    Handle::current();
    handle.name();
    Greenlet::named(spawn(named("fetch", ready(()))), "fetch");
    handle.join();
    handle.kill();
    handle.kill_now();
    handle.kill_now_with(GreenletExit::new());
    handle.id();
    handle.parent();
    handle.spawned_at();
    handle.kill_with(GreenletExit::new());
    handle.is_ready();
    handle.is_successful();
    handle.failure();
    State::is_started(handle.state());
    handle.cancel();
    handle.link(|_| ());
    handle.link_value(|_| ());
    handle.link_exception(|_| ());
    handle.unlink(link_id);
    match greenlet.wait().await {
        Err(Failure::Killed(_) | Failure::Aborted(_)) | Ok(_) => {}
        Err(Failure::Panicked(_)) => Greenlet::detach(spawn(ready(()))),
    }
}

struct NoHook;

impl SpawnHook for NoHook {}

fn task_sets(task_set: &TaskSet, group: &Group, pool: &Pool, handle: &Handle) {
    drop(spinney::gevent::pool::apply(task_set, ready(())));
    group.add(handle);
    group.start(handle);
    group.spawn(ready(()));
    task_set.discard(handle);
    task_set.map(ready, [1]);
    GroupExt::map_async(task_set, ready, [1]);
    GroupExt::map_async_cb(task_set, ready, [1], |_| ());
    task_set.imap(ready, [1]);
    task_set.try_map(|n: u32| ready(Ok::<_, ()>(n)), 0..2);
    task_set.imap_unordered(ready, [1]);
    Mapper::unbounded(task_set.mapper());
    Mapper::maxsize(task_set.mapper(), 1);
    Imap::detach(task_set.imap(ready, [1]));
    task_set.apply(ready(()));
    GroupExt::apply_cb(task_set, ready(()), |()| ());
    GroupExt::apply_async(task_set, ready(()));
    GroupExt::apply_async_cb(task_set, ready(()), |()| ());
    task_set.join();
    task_set.try_join();
    task_set.kill();
    task_set.kill_now();
    task_set.kill_with(GreenletExit::new());
    GroupExt::killone(task_set, handle);
    GroupExt::killone_with(task_set, handle, GreenletExit::new());
    task_set.len();
    task_set.members();
    PoolBuilder::hook(Pool::builder(), NoHook);
    GroupExt::size(task_set);
    task_set.contains(handle);
    Pool::unlimited();
    pool.add(handle);
    pool.start(handle);
    pool.spawn(ready(()));
    let _: Result<_, PoolFull<()>> = pool.try_add(handle);
    pool.try_start(handle);
    pool.wait_available();
    pool.wait_idle();
    pool.is_full();
    pool.capacity();
    PoolExt::free_count(pool);
    let _ = Reentry::Wait;
}

fn threads(thread_pool: &ThreadPool, thread_result: ThreadResult<u32>) {
    thread_pool.spawn(|| ());
    thread_pool.apply(|| ());
    ThreadPoolExt::maxsize(thread_pool);
    ThreadPoolExt::set_maxsize(thread_pool, 1);
    ThreadPoolExt::size(thread_pool);
    ThreadPoolExt::apply_async(thread_pool, || ());
    ThreadPoolExt::apply_async_cb(thread_pool, || (), |()| ());
    ThreadPoolExt::map_async(thread_pool, |n: u32| n, [1]);
    ThreadPoolExt::map_async_cb(thread_pool, |n: u32| n, [1], |_| ());
    thread_pool.map(|n: u32| n, [1]);
    thread_pool.imap(|n: u32| n, [1]);
    thread_pool.imap_unordered(|n: u32| n, [1]);
    thread_pool.join();
    thread_pool.kill();
    thread_pool.drain(TICK);
    thread_pool.resize(1);
    thread_pool.capacity();
    thread_pool.close();
    thread_pool.shutdown(GreenletExit::new());
    thread_pool.len();
    thread_pool.submit(|| ());
    ThreadPoolBuilder::idle_timeout(ThreadPool::builder(), TICK);
    ThreadPoolBuilder::hub(ThreadPool::builder(), Hub::current());
    thread_pool.threads();
    thread_result.is_ready();
    thread_result.is_successful();
    let _ = |thread_result: ThreadResult<u32>| thread_result.wait();
    thread_result.get();
}

fn primitives(event: &Event, async_result: &AsyncResult<u32, u32>, semaphore: &Semaphore) {
    event.set();
    event.clear();
    event.wait();
    event.is_set();
    let _: AsyncResult<u32> = AsyncResult::new();
    async_result.set(1);
    async_result.set_error(1);
    async_result.get();
    async_result.try_get();
    async_result.is_ready();
    async_result.is_successful();
    semaphore.acquire();
    let _ = semaphore.try_acquire().map(Permit::forget);
    semaphore.release(1);
    semaphore.available();
    semaphore.balance();
    semaphore.waiting();
    semaphore.resize(1);
    let _: Result<(), OverRelease> = BoundedSemaphore::release(&BoundedSemaphore::new(1), 1);
    let lock = RLock::new();
    RLock::acquire(&lock, Owner::current());
    let _: Result<(), NotOwner> = RLock::release(&lock, &Owner::current());
    RLock::is_locked(&lock);
}

fn queues(queue: &Queue<u32>) {
    let _: (JoinableQueue<u32>, Queue<u32>) = (Queue::bounded(1), Queue::unbounded());
    let _: (LifoQueue<u32>, PriorityQueue<u32>) =
        (LifoQueue::bounded(1), PriorityQueue::bounded(1));
    Channel::balance(&Channel::<u32>::new());
    let _ = async { queue.put(1).await.is_err_and(|ShutDown(item)| item == 1) };
    let _: Result<(), PutError<u32>> = queue.put_nowait(1);
    queue.get();
    let _: Result<u32, GetError> = queue.get_nowait();
    queue.peek();
    queue.peek_nowait();
    queue.task_done();
    queue.join();
    queue.shutdown();
    queue.shutdown_now();
    queue.len();
    queue.stream();
    queue.unfinished();
    queue.is_shut_down();
    queue.is_empty();
    queue.is_full();
    queue.capacity();
    queue.resize(2);
    queue.getting();
    queue.putting();
}

fn green(green_pool: &GreenPool, green_pile: &GreenPile<()>) {
    green_pool.spawn(ready(()));
    GreenPoolExt::spawn_n(green_pool, ready(()));
    GreenPoolExt::waitall(green_pool);
    green_pool.resize(1);
    GreenPoolExt::running(green_pool);
    GreenPoolExt::free(green_pool);
    green_pool.waiting();
    green_pool.capacity();
    GreenPoolExt::starmap(green_pool, |(a, b): (u32, u32)| ready(a + b), [(1, 2)]);
    green_pool.imap(ready, [1]);
    let _: GreenPile<()> = GreenPile::on(green_pool);
    GreenPile::in_spawn_order(GreenPile::<()>::on(green_pool));
    green_pile.spawn(ready(()));
    green_pile.next();
    green_pile.len();
    green_pile.pool();
}

fn resources(resource_pool: &ResourcePool<u32, ()>) {
    let builder = ResourcePool::builder(|| ready(Ok::<u32, ()>(1)));
    let builder = ResourcePoolBuilder::min_size(builder, 1);
    let _: ResourcePool<u32, _> = ResourcePoolBuilder::order_as_stack(builder).build();
    resource_pool.fill();
    ResourcePoolExt::free(resource_pool);
    resource_pool.waiting();
    resource_pool.len();
    resource_pool.capacity();
    resource_pool.get();
    resource_pool.item();
    resource_pool.put(1);
    resource_pool.resize(1);
}

/// Uses everything once.
#[test]
fn names_exist() {
    let _: fn() -> Pending<()> = pending;
    let _ = (functions, greenlets, task_sets, threads, primitives, queues, green);
    let _ = resources;
}
