//! The table of ready awaits: each in a loop that never finishes by itself.

use std::convert::Infallible;
use std::future::ready;
use std::iter;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::StreamExt;
use spinney::eventlet::GreenPoolExt as _;
use spinney::gevent::GroupExt as _;
use spinney::hub::{BoxTask, Executor};
use spinney::sync::{Barrier, BoundedSemaphore, Channel, Condition, Latch, RLock};
use spinney::task::joinall;
use spinney::task::{GreenletExit, Iwait, iwait, try_joinall};
use spinney::time::{interval, sleep_until};
use spinney::{
    AsyncResult, Event, GreenPile, GreenPool, Greenlet, Handle, Pool, Queue, ResourcePool,
    Semaphore, Spawn, ThreadPool, Within, sleep, spawn, yield_now,
};
use spinney_greenlet::{InPlace, pair};

/// How long a loop that does not yield goes on: its test fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// An endless loop.
pub(super) type Endless = Pin<Box<dyn Future<Output = Infallible> + Send>>;

/// A kind of await.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Runs such awaits for ever, once it has set the event.
    pub(super) endless: fn(Arc<Event>) -> Endless,
}

/// All rows.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [HUBS, LOCKS, QUEUES, GREENLETS, POOLS, PILES, THREADS].into_iter().flatten()
}

/// A row: the state before the loop, and the loop.
macro_rules! row {
    ($name:literal $(, $given:stmt)* => $each:expr) => {
        Row {
            name: $name,
            endless: |started| {
                Box::pin(async move {
                    $($given)*
                    started.set();
                    let start = Instant::now();
                    loop {
                        _ = $each;
                        assert!(start.elapsed() < PATIENCE, "{} does not yield", $name);
                    }
                })
            },
        }
    };
}

const HUBS: &[Row] = &[
    row!("sleep of zero" => sleep(Duration::ZERO).await),
    row!("sleep until the past", let past = Instant::now() => sleep_until(past).await),
    row!("yield_now" => yield_now().await),
    row!("tick of an interval of zero", let mut ticks = interval(Duration::ZERO)
        => ticks.tick().await),
    row!("ready future within a limit" => async {}.within(PATIENCE).await.unwrap()),
];

const LOCKS: &[Row] = &[
    row!("Event::wait", let event = Event::new(), event.set() => event.wait().await),
    row!("AsyncResult::get", let result = AsyncResult::<u32>::new(), result.set(7).unwrap()
        => result.get().await.unwrap()),
    row!("Semaphore::acquire", let semaphore = Semaphore::new(1)
        => semaphore.acquire().await.unwrap()),
    row!("Semaphore::acquire, closed", let semaphore = Semaphore::new(1), _ = semaphore.close()
        => semaphore.acquire().await.unwrap_err()),
    row!("BoundedSemaphore::acquire", let semaphore = BoundedSemaphore::new(1)
        => semaphore.acquire().await.unwrap()),
    row!("RLock::acquire", let lock = RLock::new() => lock.acquire(1).await),
    row!("Condition::wait_while", let (semaphore, changed) = (Semaphore::new(1), Condition::new())
        => changed.wait_while(semaphore.try_acquire().unwrap(), || false).await.unwrap()),
    row!("Barrier::wait, of one", let barrier = Barrier::new(1) => barrier.wait().await),
    row!("Latch::wait, of zero", let latch = Latch::new(0) => latch.wait().await),
];

const QUEUES: &[Row] = &[
    row!("Queue::put and get", let queue = Queue::bounded(1)
        => { queue.put(1).await.unwrap(); queue.get().await.unwrap() }),
    row!("Queue::put, shut down", let queue = Queue::bounded(1), queue.shutdown()
        => queue.put(1).await.unwrap_err()),
    row!("Queue::get, shut down", let queue = Queue::<u32>::bounded(1), queue.shutdown()
        => queue.get().await.unwrap_err()),
    row!("Queue::peek", let queue = Queue::from_iter([1]) => queue.peek().await.unwrap()),
    row!("Queue::join", let queue = Queue::<u32>::unbounded() => queue.join().await),
    row!("Queue::stream, ended", let queue = Queue::<u32>::unbounded(), queue.shutdown()
        => assert!(queue.stream().next().await.is_none())),
    row!("Channel::get, shut down", let channel = Channel::<u32>::new(), channel.shutdown()
        => channel.get().await.unwrap_err()),
];

const GREENLETS: &[Row] = &[
    row!("Handle::join", let greenlet = finished().await => greenlet.join().await),
    row!("Handle::kill", let greenlet = finished().await => greenlet.kill().await),
    row!("Greenlet::get", let mut greenlet = finished().await => *greenlet.get().await.unwrap()),
    row!("Greenlet" => finished().await.await.unwrap()),
    row!("joinall", let greenlet = finished().await => joinall([&greenlet]).await),
    row!("joinall of none" => joinall(Vec::<Handle>::new()).await),
    row!("try_joinall", let greenlet = finished().await => try_joinall([&greenlet]).await.unwrap()),
    row!("iwait", let greenlet = finished().await => iwait([&greenlet]).next().await.unwrap().id()),
    row!("Iwait as a stream", let mut none = Iwait::<Handle>::new()
        => assert!(StreamExt::next(&mut none).await.is_none())),
    row!("Handle::join, in place", let greenlet = finished().await
    => {
        let (task, child) = pair(greenlet.join(), ());
        InPlace::new(task, child.handle()).await;
    }),
];

const POOLS: &[Row] = &[
    row!("spawn", let pool = Pool::on(&Here, usize::MAX) => pool.spawn(async {}).await.detach()),
    row!("spawn, closed", let pool = one(), let _report = pool.close()
        => pool.spawn(async {}).await.detach()),
    row!("spawn_within", let pool = Pool::on(&Here, usize::MAX)
        => pool.spawn_within(PATIENCE, async {}).await.unwrap().detach()),
    row!("apply, of a member", let pool = one(), assert!(pool.add(&me()).await)
        => pool.apply(async {}).await.unwrap()),
    row!("add", let pool = one(), assert!(pool.add(&me()).await) => pool.add(&me()).await),
    row!("start", let pool = one(), assert!(pool.add(&me()).await) => pool.start(&me()).await),
    row!("wait_available", let pool = one() => pool.wait_available().await),
    row!("wait_idle", let pool = one() => pool.wait_idle().await.unwrap()),
    row!("join", let pool = one() => pool.join().await.unwrap()),
    row!("join, of a member", let pool = one(), assert!(pool.add(&me()).await)
        => pool.join().await.unwrap_err()),
    row!("try_join", let pool = one() => pool.try_join().await.unwrap()),
    row!("kill", let pool = one() => pool.kill().await),
    row!("killone", let pool = one() => pool.killone(&me()).await),
    row!("drain", let pool = one() => pool.drain(PATIENCE).await.unwrap()),
    row!("shutdown", let pool = one() => pool.shutdown(GreenletExit::new()).await),
    row!("imap, behind its end",
        let mut imap = one().imap(|()| ready(()), []), assert!(imap.next().await.is_none())
        => assert!(imap.next().await.is_none())),
    row!("imap as a stream",
        let mut imap = one().imap(|()| ready(()), []), assert!(imap.next().await.is_none())
        => assert!(StreamExt::next(&mut imap).await.is_none())),
    row!("indexed, behind its end", let mut imap = one().imap(|()| ready(()), []).indexed()
        => assert!(imap.next().await.is_none())),
    row!("map of endless items" => one().map(ready, iter::repeat(())).await.unwrap()),
    row!("try_map of endless items"
        => one().try_map(|()| ready(Ok::<_, ()>(())), iter::repeat(())).await.unwrap()),
];

const PILES: &[Row] = &[
    row!("GreenPool::spawn, in place",
        let pool = GreenPool::on(&Here, 1), assert!(pool.pool().add(&me()).await)
        => pool.spawn(async {}).await.detach()),
    row!("GreenPool::waitall", let pool = GreenPool::on(&Here, 1) => pool.waitall().await.unwrap()),
    row!("GreenPile::spawn", let pile = GreenPile::on(&GreenPool::on(&Here, usize::MAX))
        => pile.spawn(async {}).await),
    row!("GreenPile::next", let pile = GreenPile::<(), _>::on(&GreenPool::on(&Here, 1))
        => assert!(pile.next().await.is_none())),
    row!("GreenPile as a stream", let mut pile = GreenPile::<(), _>::on(&GreenPool::on(&Here, 1))
        => assert!(StreamExt::next(&mut pile).await.is_none())),
    row!("ResourcePool::item", let pool = numbers() => pool.item().await.unwrap()),
    row!("ResourcePool::get", let pool = numbers() => pool.put(pool.get().await.unwrap())),
    row!("ResourcePool::fill", let pool = numbers() => pool.fill().await.unwrap()),
];

const THREADS: &[Row] = &[
    row!("ThreadPool::spawn", let pool = ThreadPool::builder().queue(usize::MAX).build()
        => pool.spawn(|| ()).await.detach()),
    row!("ThreadPool::spawn, closed", let pool = threads(), ended(&pool).await
        => pool.spawn(|| ()).await.detach()),
    row!("ThreadResult", let pool = threads(), ended(&pool).await
        => pool.spawn(|| ()).await.await.unwrap_err()),
    row!("ThreadPool::apply", let pool = threads(), ended(&pool).await
        => pool.apply(|| ()).await.unwrap_err()),
    row!("ThreadPool::join", let pool = threads() => pool.join().await.unwrap()),
    row!("ThreadPool::drain", let pool = threads(), ended(&pool).await
        => pool.drain(PATIENCE).await.unwrap()),
    row!("ThreadPool::kill", let pool = threads(), ended(&pool).await => pool.kill().await),
    row!("ThreadPool::shutdown", let pool = threads(), ended(&pool).await => ended(&pool).await),
    row!("ThreadPool::spawn_within, closed", let pool = threads(), ended(&pool).await
        => pool.spawn_within(PATIENCE, || ()).await.unwrap_err()),
    row!("ThreadImap, broken off",
        let pool = threads(), ended(&pool).await, let mut imap = pool.imap(|()| (), [])
        => imap.next().await),
];

/// The hub that is current at each spawn; it is `Send` in every case.
#[derive(Clone)]
struct Here;

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Here {
    fn spawn(&self, task: F) {
        spawn(task).detach();
    }
}

impl Executor for Here {
    type AnyTask = BoxTask;
}

fn one() -> Pool<Here> {
    Pool::on(&Here, 1)
}

/// The running greenlet.
fn me() -> Handle {
    Handle::current().unwrap()
}

/// A greenlet that has finished.
async fn finished() -> Greenlet<u32> {
    let (task, greenlet) = pair(ready(42), ());
    task.await;
    greenlet
}

fn numbers() -> ResourcePool<u32, Infallible> {
    ResourcePool::builder(|| ready(Ok(7))).max_size(1).build()
}

fn threads() -> ThreadPool {
    ThreadPool::new(1)
}

async fn ended(pool: &ThreadPool) {
    pool.shutdown(GreenletExit::new()).await;
}
