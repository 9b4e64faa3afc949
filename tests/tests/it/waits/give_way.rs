//! Awaits of pools, thread pools and piles that are ready in an endless loop give way: the greenlet
//! is killed, is limited by `within`, and is dropped when its hub is shut down.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::iter;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures_lite::StreamExt;
use spinney::{
    Budget, Event, GiveWay, GreenPile, GreenPool, Greenlet, GreenletExit, Handle, LocalHub, Pool,
    ResourcePool, Spawn, ThreadPool, Within, spawn,
};
use spinney_sim::SimHub;
use spinney_tests::tools::gate;

/// How long a loop goes on that does not give way: its test fails rather than hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// The hub that is current at each spawn. Unlike a handle of a [`SimHub`] it is `Send`.
#[derive(Clone)]
struct Here;

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Here {
    fn spawn(&self, task: F) {
        spawn(task).detach();
    }
}

type Endless = Pin<Box<dyn Future<Output = Infallible> + Send>>;

/// One await: its name, and a greenlet that makes it for ever, once it has set the event.
type Row = (&'static str, fn(Arc<Event>) -> Endless);

/// A row of the table: what is there before the loop, and what the loop does.
macro_rules! row {
    ($name:literal $(, $given:stmt)* => $each:expr) => {
        ($name, |started| {
            Box::pin(async move {
                $($given)*
                started.set();
                let start = Instant::now();
                loop {
                    _ = $each;
                    assert!(start.elapsed() < PATIENCE, "{} does not give way", $name);
                }
            })
        })
    };
}

fn one() -> Pool<Here> {
    Pool::on(&Here, 1)
}

/// The greenlet that is running.
fn me() -> Handle {
    Handle::current().unwrap()
}

/// Makes an item of a resource pool.
type Make = fn() -> Ready<Result<u32, Infallible>>;

fn numbers() -> ResourcePool<u32, Make> {
    let make: Make = || ready(Ok(7));
    ResourcePool::builder(make).max_size(1).build()
}

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
    row!("ThreadPool::spawn", let pool = ThreadPool::builder().queue(usize::MAX).build().unwrap()
        => pool.spawn(|| ()).await.detach()),
    row!("ThreadPool::spawn, closed", let pool = threads(), pool.kill().await
        => pool.spawn(|| ()).await.detach()),
    row!("ThreadResult", let pool = threads(), pool.kill().await
        => pool.spawn(|| ()).await.await.unwrap_err()),
    row!("ThreadPool::apply", let pool = threads(), pool.kill().await
        => pool.apply(|| ()).await.unwrap_err()),
    row!("ThreadPool::join", let pool = threads() => pool.join().await.unwrap()),
    row!("ThreadPool::drain", let pool = threads(), pool.kill().await
        => pool.drain(PATIENCE).await.unwrap()),
    row!("ThreadPool::kill", let pool = threads(), pool.kill().await => pool.kill().await),
    row!("ThreadImap, broken off",
        let pool = threads(), pool.kill().await, let mut imap = pool.imap(|()| (), [])
        => imap.next().await),
];

fn threads() -> ThreadPool {
    ThreadPool::new(1).unwrap()
}

fn rows() -> impl Iterator<Item = &'static Row> {
    POOLS.iter().chain(PILES).chain(THREADS)
}

/// Starts the loop of a row, and waits until it runs.
async fn running<F: Future<Output: Send> + Send + 'static>(
    row: &Row,
    limit: impl FnOnce(Endless) -> F,
) -> Greenlet<F::Output> {
    let started = gate();
    let greenlet = spawn(limit(row.1(Arc::clone(&started))));
    started.wait().await;
    greenlet
}

/// On the current hub: kills the loop of each row, and limits it. `pass` lets the limit pass.
async fn each_ends(limit: Duration, pass: impl Fn()) {
    for row in rows() {
        let killed = running(row, |endless| endless).await;
        killed.kill().await;
        let failure = killed.await.unwrap_err();
        assert!(failure.is_killed(), "{}: {failure}", row.0);

        let limited = running(row, |endless| endless.within(limit)).await;
        pass();
        assert!(limited.await.unwrap().is_err(), "{}", row.0);
    }
}

#[test]
fn endless_waits_end_on_a_sim_hub() {
    let (sim, limit) = (SimHub::new(), Duration::from_secs(1));
    // While a task is ready no time passes by itself.
    sim.block_on(each_ends(limit, || sim.advance(limit)));
}

#[test]
fn endless_waits_end_on_a_local_hub() {
    LocalHub::new().block_on(each_ends(Duration::from_millis(5), || ()));
}

#[test]
fn endless_waits_end_on_a_hub_of_one_thread() {
    spinney_tests::hub(1).block_on(each_ends(Duration::from_millis(5), || ()));
}

#[test]
fn endless_waits_end_with_their_hub() {
    for row in rows() {
        let hub = spinney_tests::hub(1);
        let greenlet = hub.block_on(running(row, |endless| endless));
        hub.shutdown(Duration::ZERO);
        assert!(greenlet.is_ready(), "{}", row.0);

        let hub = LocalHub::new();
        let greenlet = hub.block_on(running(row, |endless| endless));
        drop(hub);
        assert!(greenlet.is_ready(), "{}", row.0);

        let hub = SimHub::new();
        let greenlet = hub.block_on(running(row, |endless| endless));
        drop(hub);
        assert!(greenlet.is_ready(), "{}", row.0);
    }
}

#[test]
fn await_made_of_others_is_put_off_once() {
    let event = Event::new();
    event.set();
    let mut cx = Context::from_waker(Waker::noop());
    let _budget = Budget::open();
    while pin!(event.wait()).poll(&mut cx).is_ready() {}
    let mut whole = pin!(GiveWay::around(event.wait()));
    assert!(whole.as_mut().poll(&mut cx).is_pending());
    assert!(whole.as_mut().poll(&mut cx).is_ready(), "the await within is put off, too");
}
