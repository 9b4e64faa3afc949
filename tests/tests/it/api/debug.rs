//! `Debug` of each public type shows its state.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::{pending, ready};
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use spinney::Retry;
use spinney::gevent::GroupExt as _;
use spinney::hub::{
    BoxTask, Budget, BudgetedAwait, Context, Executor, ForbidThreads, SmolHub, TokioHub, WakeDelay,
};
use spinney::map::{Decision, ItemEvent, from_stream};
use spinney::pile::{Discarded, ItemInfo, ResourceError, WaitTimes};
use spinney::pool::{RateLimiter, Reentry, SlotError};
use spinney::sync::{
    Barrier, BoundedSemaphore, Channel, Condition, Latch, RLock, SetterDropped, Wait,
};
use spinney::task::joinall;
use spinney::task::{
    GreenletExit, Inherited, Joined, Owner, State, inherit_locals, iwait, named, spawn_on,
};
use spinney::time::{Clock, Limit, interval, timeout};
use spinney::{
    AsyncResult, Event, GreenPile, GreenPool, Greenlet, Group, Hub, LocalHub, Pool, Queue, Rate,
    ResourcePool, Semaphore, Spawn, ThreadPool, Within, block_on, catch_exit, greenlet_local,
    shield, sleep,
};
use spinney_greenlet::LazyHandle;
use spinney_greenlet::{InPlace, KillForwarder, NewGreenlet, pair};
use spinney_sim::SimHub;

/// The text of `value` without ids, which differ from run to run.
fn text(value: impl Debug) -> String {
    let text = format!("{value:?}");
    let mut parts = text.split("id: ");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + "id: _" + part.trim_start_matches(char::is_numeric))
}

#[track_caller]
fn is<T: Debug>(value: T, wanted: &str) {
    assert_eq!(text(value), wanted);
}

#[track_caller]
fn starts(value: impl Debug, wanted: &str) {
    let text = text(value);
    assert!(text.starts_with(wanted), "{text}");
}

/// Polls `future` once.
async fn once<F: Future>(future: Pin<&mut F>) {
    assert!(futures_lite::future::poll_once(future).await.is_none());
}

#[test]
fn hubs() {
    let hub = Hub::builder().threads(2).name("mine");
    is(
        &hub,
        "HubBuilder { threads: 2, settings: ThreadSettings { name: \"mine\", stack_size: None, on_start: false, on_stop: false }, shutdown_limit: 1s, clock: Clock { source: \"system\" } }",
    );
    is(hub.build().unwrap(), "Hub { threads: 2, tasks: 0 }");
    let hub = Hub::builder().threads(1).build().unwrap();
    is(hub.shutdown(Duration::ZERO), "ShutdownReport { ended: 0, dropped: 0, running: 0 }");
    is(Hub::global(), "Hub { global: true }");
    is(LocalHub::new(), "LocalHub { tasks: 0, ready: 0 }");
    is(SmolHub, "SmolHub");
    is(SimHub::new(), "SimHub { pending: 0, elapsed: 0ns }");
    let runtime = spinney_tests::tokio_runtime(1);
    let hub = TokioHub::new(runtime.handle().clone());
    starts(hub, "TokioHub { handle: Handle { ");
    is(SmolHub.scope(ready(1)), "Scoped { future: Ready(Some(1)), hub: SmolHub }");
    is(Clock::default(), "Clock { source: \"system\" }");
    is(
        ForbidThreads::begin(),
        "ForbidThreads { before: false, here: PhantomData<alloc::rc::Rc<()>> }",
    );
    is(WakeDelay::default(), "WakeDelay { is_on: false }");
    is(
        Context::new(Clock::default(), Arc::new(SmolHub)),
        "Context { hub: Hub { custom: true }, .. }",
    );
    is(Context::new(Clock::default(), Arc::new(SmolHub)).enter(), "Entered { before: None }");
    is(sleep(Duration::from_secs(1)), "Sleep { duration: 1s }");
    is(
        ready(1).within(Duration::from_secs(1)),
        "WithinFuture { future: Ready(Some(1)), limit: 1s, .. }",
    );
    let limit = Limit::new(Duration::from_secs(1));
    is(&limit, "Limit { duration: 1s, run: Unstarted, .. }");
    is(
        ready(1).within_limit(&limit),
        "WithinFuture { future: Ready(Some(1)), limit: Limit { duration: 1s, run: Unstarted, .. }, .. }",
    );
    is(interval(Duration::from_secs(1)), "Interval { period: 1s, next: None }");
    let late = SimHub::new().block_on(timeout(Duration::ZERO, pending::<()>())).unwrap_err();
    is(late, "Timeout { limit: 0ns, id: _None }");
}

#[test]
fn greenlets() {
    let hub = LocalHub::new();
    let greenlet = spawn_on(&hub, pending::<u32>()).named("reader");
    is(&greenlet, "Greenlet(Handle { id: _, name: \"reader\", state: Scheduled })");
    is(greenlet.handle(), "Handle { id: _, name: \"reader\", state: Scheduled }");
    is(greenlet.join(), "Join(Handle { id: _, name: \"reader\", state: Scheduled })");
    is::<State>(greenlet.state(), "Scheduled");
    is(NewGreenlet::new(Location::caller()), "NewGreenlet { place: None }");
    is(joinall([greenlet.handle()]), "JoinAll { ended: 0, of: Iwait { len: 1, ended: 0 } }");
    is(iwait([greenlet.handle()]), "Iwait { len: 1, ended: 0 }");
    is(Joined { ready: vec![1], rest: vec![2] }, "Joined { ready: [1], rest: [2] }");
    let link = format!("LinkId {{ greenlet: {}, link: Some(3) }}", greenlet.id());
    is(greenlet.link(|_| ()), &link);
    hub.block_on(greenlet.kill_with(GreenletExit::because("too slow")));
    is(greenlet.failure(), "Some(Killed(GreenletExit { reason: Some(\"too slow\") }))");
    is(&greenlet, "Greenlet(Handle { id: _, name: \"reader\", state: Killed })");
    is(GreenletExit::new(), "GreenletExit { reason: None }");
    let failure = hub.block_on(spawn_on(&hub, async { panic!("no luck") })).unwrap_err();
    is(&failure, "Panicked(Panic { message: Some(\"no luck\"), .. })");
    is(Greenlet::new(async { 1 }), "Greenlet(Handle { id: _, state: Unstarted })");
    let mut lazy = LazyHandle::new();
    starts(&lazy, "LazyHandle { id: ");
    let _made = lazy.handle();
    is(&lazy, "LazyHandle(Handle { id: _, state: Scheduled })");
    is(pair(ready(1), ()).0, "Task(Some(Handle { id: _, state: Scheduled }))");
    is(catch_exit(ready(1)), "CatchExit { done: false }");
    is(shield(ready(1)), "Shield { done: false }");
    is(inherit_locals(ready(1)), "InheritLocals(Ready(Some(1)))");
    is(Inherited::capture(), "Inherited { len: 0 }");
    is(named("fetch", ready(1)), "Named { name: Some(\"fetch\"), future: Ready(Some(1)) }");
    let (task, child) = pair(ready(1), ());
    let child = child.handle();
    is(KillForwarder::new(child), "KillForwarder(Handle { id: _, state: Scheduled })");
    is(InPlace::new(task, child), "InPlace(Handle { id: _, state: Scheduled })");
    greenlet_local!(
        static DEPTH: u32 = 0;
    );
    is(&DEPTH, "Local { .. }");
    is(Owner::Greenlet(7), "Greenlet(7)");
}

#[test]
fn pools() {
    let hub = LocalHub::new();
    hub.block_on(async {
        let pool = Pool::on(&hub, 2);
        is(&pool, "Pool { running: 0, free: 2, capacity: 2, waiting: 0 }");
        let text = "Slot { of: TaskSet { running: 1, free: 1, capacity: 2, waiting: 0 } }";
        is(pool.slot().await.unwrap(), text);
        let busy = [pool.spawn(pending::<()>()).await, pool.spawn(pending()).await];
        let mut waits = pin!(pool.spawn(pending::<()>()));
        once(waits.as_mut()).await;
        is(&pool, "Pool { running: 2, free: 0, capacity: 2, waiting: 1 }");
        is(pool.try_spawn(ready(1)).unwrap_err(), "PoolFull { error: Full, .. }");
        let group = Group::on(&hub);
        is(&group, "Group { running: 0 }");
        is(&*group, "TaskSet { running: 0 }");
        is(Pool::builder().reentry(Reentry::Wait), "PoolBuilder { hook: false, reentry: Wait, keep_failures: 16, limits: Limits { rates: [], key_rates: [], per_key: None, max_waiting: None, order: Oldest } }");
        is(pool.mapper(), "Mapper { tasks: TaskSet { running: 2, free: 0, capacity: 2, waiting: 1 }, maxsize: None, limit: None, .. }");
        is(pool.imap(ready, 0..9_u32), "Imap { order: Input, open: 0, maxsize: 4, exhausted: false }");
        is(pool.imap(ready, 0..9_u32).indexed(), "Indexed { imap: Imap { order: Input, open: 0, maxsize: 4, exhausted: false } }");
        is(pool.map(ready, 0..9_u32), "Map { read: 0, rest: Some(Imap { order: Input, open: 0, maxsize: 8, exhausted: false }) }");
        is(pool.try_map(ready, [Ok::<_, ()>(1)]), "TryMap(Some(TryImap(Imap { order: Completion, open: 0, maxsize: 4, exhausted: false })))");
        is(pool.try_map(ready, [Ok::<_, ()>(1)]).collect_all(), "CollectAll(Some(TryImap(Imap { order: Completion, open: 0, maxsize: 4, exhausted: false })))");
        is(pool.try_map(ready, [Ok::<_, ()>(1)]).first_success(), "FirstSuccess(Some(TryImap(Imap { order: Completion, open: 0, maxsize: 4, exhausted: false })))");
        is(pool.try_imap(ready, [Ok::<_, ()>(1)]), "TryImap(Imap { order: Input, open: 0, maxsize: 4, exhausted: false })");
        is(pool.map_async(ready, 0..9_u32), "Greenlet(Handle { id: _, state: Scheduled })");
        is(from_stream(futures_lite::stream::iter(0..9)), "FromStream { .. }");
        is(Decision::from(false), "GiveUp");
        is(Retry::<()>::times(2), "Retry { times: 2, .. }");
        is(pool.slot().weight(2), "SlotRequest { wants: Want { permits: 2, despite_close: false, request: Request { kind: Slot, priority: 0, key: None, behind: None } }, .. }");
        is(Rate::per(2, Duration::from_secs(1)), "Rate { count: 2, period: 1s, burst: 1 }");
        is(RateLimiter::new(Rate::per(2, Duration::from_secs(1))), "RateLimiter { waiting: 0, .. }");
        is(SlotError::Full, "Full");
        drop(busy);
        is(pool.close(), "Report { started: 2, succeeded: 0, failed: 0, killed: 0, aborted: 0, running: 2, waiting: 0, refused: 1, shed: 0, retried: 0, paused: 0ns }");
        pool.kill().await;
        is(pool.map(ready, 0..9).await.unwrap_err(), "ItemError { index: 0, error: Killed(GreenletExit { reason: Some(Closed) }) }");
        is(pool.join().await, "Ok(())");
        let (tell, told) = std::sync::mpsc::channel();
        let mapper = Pool::on(&hub, 1).mapper();
        let mapper = mapper.on_item(move |event: ItemEvent| tell.send(event).unwrap());
        mapper.map(ready, [7]).await.unwrap();
        is(told.try_recv().unwrap(), "ItemEvent { index: 0, outcome: Ok(()), tries: 1, retry_after: None }");
        group.spawn(async { panic!("no luck") }).detach();
        let error = group.try_join().await.unwrap_err();
        is(&error, "Failed(Failures { first: [Panicked(Panic { message: Some(\"no luck\"), .. })], count: 1, limit: 16 })");
    });
}

/// An executor without `Debug`, which refuses all tasks.
#[derive(Clone)]
struct Silent;

impl<F> Spawn<F> for Silent {
    fn spawn(&self, _: F) {}
}

impl Executor for Silent {
    type AnyTask = BoxTask;
}

#[test]
fn debug_of_a_map_needs_none_of_its_hub_or_results() {
    struct Opaque;
    let pool = Pool::on(&Silent, 2);
    let opaque = |()| async { Opaque };
    let map = "Imap { order: Input, open: 1, maxsize: 4, exhausted: true }";
    is(pool.imap(opaque, [()]), map);
    is(pool.imap(opaque, [()]).indexed(), &format!("Indexed {{ imap: {map} }}"));
    assert!(text(pool.mapper()).starts_with("Mapper { tasks: TaskSet {"));
}

#[test]
fn piles() {
    let hub = LocalHub::new();
    let pool = GreenPool::on(&hub, 2);
    is(&pool, "GreenPool { running: 0, free: 2, capacity: 2, waiting: 0 }");
    is(
        GreenPile::<u32, _>::on(&pool),
        "GreenPile { len: 0, pool: GreenPool { running: 0, free: 2, capacity: 2, waiting: 0 } }",
    );
    is(
        GreenPile::<u32, _>::on(&pool).next(),
        "Next(GreenPile { len: 0, pool: GreenPool { running: 0, free: 2, capacity: 2, waiting: 0 } })",
    );
    let resources = ResourcePool::builder(|| ready(Ok::<_, ()>(7)));
    is(&resources, "ResourcePoolBuilder { min_size: 0, max_size: 4, .. }");
    let resources = resources.build();
    is(&resources, "ResourcePool { size: 0, free: 4, capacity: 4, waiting: 0 }");
    hub.block_on(async { is(resources.item().await.unwrap(), "Item(7)") });
    is(hub.block_on(resources.drain(Duration::ZERO)), "DrainReport { returned: 0, left: 0 }");
    let error: ResourceError<()> = ResourceError::Create(());
    is(error, "Create(())");
    starts(resources.stats(), "ResourceStats { size: 0, idle: 0, in_use: 0, creating: 0,");
    starts(Discarded::default(), "Discarded { holder: 0, failure: 0, check: 0,");
    is(WaitTimes::default(), "WaitTimes { count: 0, median: 0ns, p99: 0ns, longest: 0ns }");
    let info = |info: ItemInfo| text(info).starts_with("ItemInfo { idle: 0ns, age: ");
    let resources = ResourcePool::builder(|| ready(Ok::<_, ()>(7))).build();
    hub.block_on(async { assert!(info(resources.item().await.unwrap().info())) });
}

#[test]
fn primitives() {
    is(Event::new(), "Event { set: false, waiting: 0 }");
    is(AsyncResult::<u32>::new(), "AsyncResult { result: None }");
    let answer: Arc<AsyncResult<u32, SetterDropped>> = Arc::default();
    is(answer.setter(), "Setter { result: AsyncResult { result: None } }");
    is(answer, "AsyncResult { result: Some(Err(SetterDropped)) }");
    is(spinney_sync::WakeFlag::new(), "WakeFlag { set: false }");
    is(BudgetedAwait::default(), "BudgetedAwait { put_off: false }");
    starts(Budget::open(), "Budget {");
    let semaphore = Semaphore::new(2);
    let permit = semaphore.try_acquire().unwrap();
    is(
        &permit,
        "Permit { semaphore: Some(Semaphore { capacity: 2, out: 1, waiting: 0, closed: false }), permits: 1 }",
    );
    drop(permit);
    is(&semaphore, "Semaphore { capacity: 2, out: 0, waiting: 0, closed: false }");
    is(semaphore.acquire(), "Acquire { permits: 1, waiting: false }");
    semaphore.try_acquire().unwrap().forget();
    is(semaphore.put_back(1), "HandOut { semaphore: None }");
    is(
        BoundedSemaphore::new(1),
        "BoundedSemaphore { semaphore: Semaphore { capacity: 1, out: 0, waiting: 0, closed: false } }",
    );
    let lock = RLock::new();
    is(&lock, "RLock { depth: 0, waiting: 0, .. }");
    is(
        lock.try_acquire(Owner::Greenlet(1)),
        "Some(RLockGuard { lock: RLock { depth: 1, waiting: 0, .. }, .. })",
    );
    is(Condition::new(), "Condition { waiting: 0 }");
    is(Barrier::new(2), "Barrier { size: 2, waiting: 0 }");
    is(Latch::new(2), "Latch { count: 2, .. }");
    let queue = Queue::bounded(2);
    is(
        &queue,
        "Queue { len: 0, capacity: Some(2), getting: 0, putting: 0, unfinished: 0, shut_down: false }",
    );
    is(queue.put(1), "Put { waiting: false }");
    is(queue.get(), "Get { waiting: false }");
    is(queue.peek(), "Peek { waiting: false }");
    is(queue.stream(), "Items { waiting: false }");
    is(
        Channel::<u32>::new(),
        "Channel(Queue { len: 0, capacity: Some(0), getting: 0, putting: 0, unfinished: 0, shut_down: false })",
    );
    block_on(once(pin!(Event::new().wait())));
    starts(Wait::last().unwrap(), "Wait { what: \"Event::wait\", at: Location { ");
}

#[test]
fn thread_pools() {
    let builder = ThreadPool::builder().capacity(2);
    is(
        &builder,
        "ThreadPoolBuilder { settings: Settings { capacity: 2, queue: None, idle_timeout: None, name: \"spinney-worker\", stack_size: None, on_start: false, on_stop: false, inherits: false, hub: false } }",
    );
    let pool = builder.build();
    is(&pool, "ThreadPool { threads: 0, capacity: 2, len: 0 }");
    is(
        pool.mapper(),
        "ThreadMapper { pool: ThreadPool { threads: 0, capacity: 2, len: 0 }, maxsize: None, limit: None, .. }",
    );
    starts(pool.map(|n: u32| n, 0..3), "Map { read: 0, rest: Some(ThreadImap { order: Input, ");
    starts(
        pool.try_map(Ok::<u32, u32>, 0..3),
        "TryMap(Some(TryImap(ThreadImap { order: Completion, ",
    );
    starts(pool.imap(|n: u32| n, 0..3), "ThreadImap { order: Input, open: ");
    let result = pool.submit(|| 1);
    block_on(result.handle().join());
    is(result, "ThreadResult(Handle { id: _, state: Successful })");
    let report = block_on(pool.drain(Duration::from_secs(60))).unwrap();
    starts(report, "Report { started: ");
}

/// The public names that are not checked: traits, types without values, other names, and types that
/// the crates create for each other.
const OTHERS: &[&str] = &[
    "Again",
    "Container",
    "Attempts",
    "IntoSource",
    "ItemStream",
    "Once",
    "Read",
    "Source",
    "BoxTask",
    "Erase",
    "LocalBoxTask",
    "Runs",
    "RunsMap",
    "Spawn",
    "TimeSource",
    "SpawnHook",
    "Slot",
    "Order",
    "Fifo",
    "Lifo",
    "Priority",
    "OrderedQueue",
    "LifoQueue",
    "PriorityQueue",
    "Hooked",
    "Membership",
    "ThreadMap",
    "ThreadTryImap",
    "ThreadTryMap",
];

#[test]
fn each_public_type_is_formatted() {
    let exported = include_str!("../../../../crates/spinney/src/lib.rs");
    let (_, exported) = exported.split_once("pub use").unwrap();
    let (here, _) = include_str!("debug.rs").split_once("const OTHERS").unwrap();
    let elsewhere = [
        include_str!("display.rs"),
        include_str!("../../spawn_tree.rs"),
        include_str!("../../observer.rs"),
        include_str!("../../../../crates/jobs/tests/it/text.rs"),
        include_str!("../../../../crates/trace/tests/it/text.rs"),
    ];
    let looked_at: BTreeSet<&str> =
        words(here).chain(elsewhere.into_iter().flat_map(words)).collect();
    let code = exported.lines().filter(|line| !line.starts_with("//"));
    let names: BTreeSet<&str> =
        code.flat_map(words).filter(|word| word.starts_with(char::is_uppercase)).collect();
    assert!(names.len() > 80, "{names:?}");
    let missing: Vec<_> =
        names.difference(&looked_at).filter(|name| !OTHERS.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}
