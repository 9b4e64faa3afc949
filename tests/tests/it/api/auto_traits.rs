//! `Send`, `Sync`, `Unpin` and `'static` of the public types. These assertions are a part of the
//! interface: losing one of them breaks other programs.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use spinney::eventlet::GreenPoolExt as _;
use spinney::gevent::GroupExt as _;
use spinney::hub::HubBuilder;
use spinney::map::{Imap, Map, Mapper};
use spinney::pile::{DrainReport, Item, ResourceError, ResourcePoolBuilder, ResourceStats};
use spinney::pool::PoolFull;
use spinney::pool::{InsideGroup, Membership};
use spinney::sync::{
    Acquire, Barrier, BoundedSemaphore, Channel, Closed, Condition, Get, GetError, Items, Latch,
    LifoQueue, NotOwner, OverRelease, Peek, Permit, PriorityQueue, Put, PutError, RLock,
    RLockGuard, Setter, ShutDown, TaskDoneError, TryAcquireError, Wait,
};
use spinney::task::{
    Branch, CatchExit, GreenletExit, InheritLocals, Iwait, Join, JoinAll, LinkId, Owner, Panic,
    Shield, SpawnTree, State,
};
use spinney::threads::{
    InsideThreadPool, ThreadImap, ThreadMap, ThreadMapper, ThreadPoolBuilder, ThreadPoolClosed,
    ThreadPoolFull, ThreadRefused, ThreadResult,
};
use spinney::time::Clock;
use spinney::{
    AsyncResult, Event, Failure, GreenPile, GreenPool, Greenlet, Group, Handle, Hub, LocalHub,
    Pool, Queue, ResourcePool, Semaphore, TaskSet, ThreadPool, Timeout,
};
use spinney_greenlet::LazyHandle;
use spinney_greenlet::Task;

/// `Send`, and not `Sync`.
type SendOnly = Cell<u32>;
/// Neither.
type Local = Rc<u32>;
type Fut = std::future::Ready<SendOnly>;

fn is_shared<T: Send + Sync + Unpin + 'static>() {}
fn is_movable<T: Send + Unpin + 'static>() {}
fn is_send<T: Send>(_: &T) {}
fn is_unpin<T: Unpin>() {}
fn is_error<T: std::error::Error + Send + Sync + 'static>() {}

/// Does not compile if `$type` is `$bound`: there are two `check`s to choose from then.
macro_rules! is_not {
    ($bound:path: $($type:ty),+) => {{
        trait Check<Which> { fn check() {} }
        struct IsBound;
        impl<T: ?Sized> Check<()> for T {}
        impl<T: ?Sized + $bound> Check<IsBound> for T {}
        $(<$type as Check<_>>::check();)+
    }};
}

#[test]
fn hubs_except_local_ones_are_send_and_sync() {
    is_shared::<Hub>();
    is_shared::<HubBuilder>();
    is_shared::<Clock>();
    is_unpin::<LocalHub>();
    is_not!(Send: LocalHub, spinney_tests::SimHub);
    is_not!(Sync: LocalHub, spinney_tests::SimHub);
}

#[test]
fn greenlets_are_send_if_their_result_is() {
    is_shared::<Greenlet<SendOnly>>();
    is_shared::<Handle>();
    is_shared::<LazyHandle>();
    is_shared::<Join>();
    is_shared::<LinkId>();
    is_shared::<Iwait<Handle>>();
    is_shared::<Iwait<Greenlet<SendOnly>>>();
    is_unpin::<Greenlet<Local>>();
    is_unpin::<Iwait<Greenlet<Local>>>();
    is_not!(Send: Greenlet<Local>, Iwait<Greenlet<Local>>);
    is_not!(Sync: Greenlet<Local>, Iwait<Greenlet<Local>>);
}

#[test]
fn tasks_are_send_if_their_future_is() {
    is_movable::<Task<Fut>>();
    is_shared::<Membership>();
    is_not!(Send: Task<std::future::Ready<Local>>);
}

#[test]
fn wrapping_futures_are_send_if_the_inner_one_is() {
    is_movable::<CatchExit<Fut>>();
    is_movable::<InheritLocals<Fut>>();
    is_movable::<Shield<Fut>>();
    is_not!(Send: CatchExit<std::future::Ready<Local>>, Shield<std::future::Ready<Local>>);
    is_not!(Send: InheritLocals<std::future::Ready<Local>>);
}

#[test]
fn joins_of_several_greenlets_are_send() {
    is_shared::<JoinAll<Handle>>();
    is_shared::<JoinAll<Greenlet<SendOnly>>>();
    is_unpin::<JoinAll<Greenlet<Local>>>();
    is_not!(Send: JoinAll<Greenlet<Local>>);
}

#[test]
fn reports_of_greenlets_are_send_and_sync() {
    is_shared::<spinney::task::Local<u32>>();
    is_shared::<Owner>();
    is_shared::<SpawnTree>();
    is_shared::<Branch>();
    is_shared::<State>();
}

#[test]
fn failures_are_send_and_sync() {
    is_shared::<Failure>();
    is_shared::<GreenletExit>();
    is_shared::<Panic>();
}

#[test]
fn errors_can_be_boxed() {
    is_error::<Failure>();
    is_error::<GreenletExit>();
    is_error::<Closed>();
    is_error::<InsideGroup>();
    is_error::<GetError>();
    is_error::<spinney::ItemError>();
    is_error::<spinney::pool::JoinError>();
    is_error::<spinney::pool::Failures>();
    is_error::<spinney::map::TaskError<Closed>>();
    is_error::<NotOwner>();
    is_error::<OverRelease>();
    is_error::<PoolFull<()>>();
    is_error::<InsideThreadPool>();
    is_error::<PutError<u32>>();
    is_error::<ShutDown<u32>>();
    is_error::<TaskDoneError>();
    is_error::<ThreadPoolClosed>();
    is_error::<ThreadPoolFull<()>>();
    is_error::<ThreadRefused>();
    is_error::<Timeout>();
    is_error::<TryAcquireError>();
}

#[test]
fn resources_may_be_used_on_any_thread() {
    is_shared::<ResourcePool<SendOnly, SendOnly>>();
    is_movable::<Item<SendOnly, SendOnly>>();
    is_movable::<ResourcePoolBuilder<SendOnly, SendOnly>>();
    is_error::<ResourceError<std::io::Error>>();
    is_shared::<ResourceStats>();
    is_shared::<DrainReport>();
    is_not!(Sync: Item<SendOnly, SendOnly>);
    let pool = ResourcePool::<SendOnly, ()>::builder(|| async { Err(()) }).min_size(1).build();
    is_send(&pool.item());
    is_send(&pool.fill());
    is_send(&pool.drain(std::time::Duration::ZERO));
}

#[test]
fn pools_are_send_if_their_hub_is() {
    is_shared::<TaskSet>();
    is_shared::<Group>();
    is_shared::<Pool>();
    is_shared::<Mapper>();
    is_shared::<GreenPool>();
    is_shared::<ThreadPool>();
    is_shared::<ThreadPoolBuilder>();
    is_shared::<ThreadMapper>();
    is_shared::<spinney::pool::PoolBuilder>();
    is_shared::<spinney::pool::Report>();
    is_shared::<spinney::pool::Reentry>();
    is_shared::<spinney::pool::Failures>();
    is_unpin::<Pool<LocalHub>>();
    is_not!(Send: TaskSet<LocalHub>, Group<LocalHub>, Pool<LocalHub>, GreenPool<LocalHub>);
}

#[test]
fn streams_are_send_if_their_results_are() {
    is_movable::<Imap<SendOnly>>();
    is_shared::<Imap<u32>>();
    is_shared::<GreenPile<SendOnly>>();
    is_movable::<spinney::map::Indexed<SendOnly>>();
    is_shared::<spinney::map::Indexed<u32>>();
    is_shared::<spinney::Retry<()>>();
    is_shared::<spinney::map::Decision>();
    is_shared::<spinney::Rate>();
    is_shared::<spinney::pool::RateLimiter>();
    is_shared::<spinney::pool::SlotError>();
    is_shared::<spinney::pool::SlotRequest<'_>>();
    is_movable::<spinney::map::TryMap<SendOnly, SendOnly>>();
    is_movable::<spinney::map::TryImap<SendOnly, SendOnly>>();
    is_shared::<spinney::map::TryImap<u32, u32>>();
    is_movable::<spinney::map::CollectAll<SendOnly, SendOnly>>();
    is_movable::<spinney::map::FirstSuccess<SendOnly, SendOnly>>();
    is_shared::<spinney::map::TryMap<u32, u32>>();
    is_shared::<ThreadResult<SendOnly>>();
    is_shared::<ThreadImap<SendOnly>>();
    is_unpin::<Imap<Local, LocalHub>>();
    is_unpin::<Map<Local, LocalHub>>();
    is_unpin::<GreenPile<Local, LocalHub>>();
    is_not!(Send: Imap<Local>, Map<Local>, GreenPile<Local>, Imap<u32, LocalHub>);
}

#[test]
fn map_is_send_if_its_results_are() {
    is_movable::<Map<SendOnly>>();
    is_shared::<Map<u32>>();
    is_movable::<ThreadMap<SendOnly>>();
    is_movable::<spinney::threads::ThreadTryMap<SendOnly, SendOnly>>();
    is_movable::<spinney::threads::ThreadTryImap<SendOnly, SendOnly>>();
    is_shared::<spinney::threads::ThreadTryMap<u32, u32>>();
    is_shared::<spinney::threads::ThreadTryImap<u32, u32>>();
    is_shared::<ThreadMap<u32>>();
}

#[test]
fn primitives_are_send_and_sync() {
    is_shared::<Event>();
    is_shared::<Semaphore>();
    is_shared::<AsyncResult<u32>>();
    is_shared::<Setter<u32>>();
    is_not!(Send: Setter<SendOnly>);
    is_shared::<Permit<std::sync::Arc<Semaphore>>>();
    is_not!(Sync: AsyncResult<SendOnly>);
    is_not!(Send: AsyncResult<Local>);
}

#[test]
fn locks_are_send_and_sync() {
    is_shared::<BoundedSemaphore>();
    is_shared::<Condition>();
    is_shared::<Barrier>();
    is_shared::<Latch>();
    is_shared::<spinney_sync::HandOut<'static>>();
    is_shared::<Acquire<&'static Semaphore>>();
    is_shared::<Wait>();
    is_shared::<RLock<Owner>>();
    is_shared::<RLock<SendOnly>>();
    is_shared::<RLockGuard<'static, Owner>>();
    is_unpin::<RLock<Local>>();
    is_not!(Send: RLock<Local>, RLockGuard<'static, Local>);
    is_not!(Sync: RLock<Local>, RLockGuard<'static, (u32, PhantomData<SendOnly>)>);
}

#[test]
fn queues_are_send_if_their_items_are() {
    is_shared::<Queue<SendOnly>>();
    is_shared::<LifoQueue<SendOnly>>();
    is_shared::<PriorityQueue<SendOnly>>();
    is_shared::<Channel<SendOnly>>();
    is_unpin::<Queue<Local>>();
    is_unpin::<PriorityQueue<Local>>();
    is_unpin::<Channel<Local>>();
    is_not!(Send: Queue<Local>, LifoQueue<Local>, PriorityQueue<Local>, Channel<Local>);
    is_not!(Sync: Queue<Local>, LifoQueue<Local>, PriorityQueue<Local>, Channel<Local>);
}

#[test]
fn waits_of_a_queue_are_send_if_the_items_are() {
    is_shared::<Get<'static, SendOnly>>();
    is_shared::<Peek<'static, SendOnly>>();
    is_shared::<Items<&'static Queue<SendOnly>, SendOnly>>();
    is_shared::<Items<Arc<Queue<SendOnly>>, SendOnly>>();
    is_unpin::<Items<Rc<Queue<Local>>, Local>>();
    is_not!(Send: Items<Rc<Queue<u32>>, u32>, Items<&'static Queue<Local>, Local>);
    is_movable::<Put<'static, SendOnly>>();
    is_shared::<Put<'static, u32>>();
    is_unpin::<Get<'static, Local>>();
    is_unpin::<Put<'static, std::marker::PhantomPinned>>();
    is_not!(Send: Get<'static, Local>, Peek<'static, Local>, Put<'static, Local>);
    is_not!(Sync: Put<'static, SendOnly>);
}

#[test]
fn waits_are_send() {
    let hub = spinney_tests::hub(1);
    let (group, pool, green) = (Group::on(&hub), Pool::on(&hub, 1), GreenPool::on(&hub, 1));
    let pile = GreenPile::<SendOnly, _>::on(&green);
    is_send(&group.join());
    is_send(&group.kill());
    is_send(&pool.spawn(async { Cell::new(1) }));
    is_send(&pool.wait_idle());
    is_send(&pool.apply(async { Cell::new(1) }));
    is_send(&pool.spawn_within(std::time::Duration::ZERO, async { Cell::new(1) }));
    is_send(&pool.wait_available());
    is_send(&pool.drain(std::time::Duration::ZERO));
    is_send(&pool.shutdown(GreenletExit::new()));
    is_send(&group.try_join());
    is_send(&pool.map_async(|n: u32| async move { Cell::new(n) }, 0..1));
    is_send(&pool.map(|n: u32| async move { Cell::new(n) }, 0..1));
    is_send(&green.spawn(async { Cell::new(1) }));
    is_send(&green.waitall());
    is_send(&pile.spawn(async { Cell::new(1) }));
    is_send(&pile.next());
    let threads = ThreadPool::new(1);
    is_send(&threads.spawn(|| Cell::new(1)));
    is_send(&threads.apply(|| Cell::new(1)));
    is_send(&threads.join());
    is_send(&threads.drain(std::time::Duration::ZERO));
    is_send(&threads.kill());
    is_send(&spinney::task::joinall(Vec::<Greenlet<SendOnly>>::new()));
    is_send(&spinney::task::try_joinall(Vec::<Greenlet<SendOnly>>::new()));
    is_send(&spinney::task::killall(Vec::<Greenlet<SendOnly>>::new()));
    is_send(&Greenlet::new(async { 1 }).get());
    is_send(&GreenletExit::new().resume::<SendOnly>());
    is_send(&spinney::sleep(std::time::Duration::ZERO));
    is_send(&spinney::yield_now());
    is_send(&Event::new().wait());
    is_send(&Semaphore::new(1).acquire());
    is_send(&AsyncResult::<u32>::new().get());
    is_send(&Semaphore::new(1).wait_idle());
    is_send(&Queue::<SendOnly>::unbounded().get());
    is_send(&Queue::unbounded().put(Cell::new(1)));
    is_send(&Queue::<SendOnly>::unbounded().join());
    is_send(&Queue::<SendOnly>::unbounded().stream());
    is_send(&RLock::new().acquire(Owner::current()));
    is_send(&Barrier::new(1).wait());
    is_send(&Latch::new(1).wait());
    let (seat, changed) = (Semaphore::new(1), Condition::new());
    is_send(&changed.wait(seat.try_acquire().unwrap()));
    is_send(&changed.wait_while(seat.try_acquire().unwrap(), || false));
}
