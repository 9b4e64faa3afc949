//! All operations at once on a resource pool: creates, checks and holders that fail, panic, are killed
//! or time out, resizes, and hubs that stop. Afterwards, there were never more items than the
//! capacity, none was handed out half-written, and all are back.
//!
//! `SPINNEY_STORM_SEEDS` is the number of seeds, 200 by default, of the simulated storm.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::future::or;
use spinney::pile::Item;
use spinney::task::joinall;
use spinney::{Greenlet, ResourcePool, Within, sleep, spawn, yield_now};
use spinney_sim::SimHub;
use spinney_tests::{hub, in_time};

const TASKS: usize = 400;
const CAPACITY: usize = 6;

/// Counts the live connections: those that the pool created and owns, and others.
#[derive(Clone, Default)]
struct Server {
    alive: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
    foreign: Arc<AtomicUsize>,
    /// How often a half-written connection was seen. A panic would be one of many here.
    torn: Arc<AtomicUsize>,
}

/// A connection that records an unfinished write.
struct Connection {
    server: Server,
    is_foreign: bool,
    is_half_written: bool,
}

impl Connection {
    fn open(server: &Server) -> Self {
        let alive = server.alive.fetch_add(1, SeqCst) + 1;
        server.peak.fetch_max(alive, SeqCst);
        Self { server: server.clone(), is_foreign: false, is_half_written: false }
    }

    fn foreign(server: &Server) -> Self {
        server.foreign.fetch_add(1, SeqCst);
        Self { server: server.clone(), is_foreign: true, is_half_written: false }
    }

    fn look(&self) {
        self.server.torn.fetch_add(usize::from(self.is_half_written), SeqCst);
    }

    /// Called before the connection leaves the pool.
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.is_foreign, true) {
            self.server.foreign.fetch_add(1, SeqCst);
            self.server.alive.fetch_sub(1, SeqCst);
        }
    }

    /// Begins a write, which fails now and then, and finishes it.
    async fn write(&mut self) {
        self.look();
        self.is_half_written = true;
        pause().await;
        if chance(5) {
            blow_up();
        }
        pause().await;
        self.is_half_written = false;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let count = if self.is_foreign { &self.server.foreign } else { &self.server.alive };
        count.fetch_sub(1, SeqCst);
    }
}

type Connections = ResourcePool<Connection, &'static str>;

fn connections(server: &Server) -> Connections {
    let server = server.clone();
    let create = move || {
        let server = server.clone();
        async move {
            // A connection counts as alive while it is being created.
            let connection = Connection::open(&server);
            pause().await;
            match fastrand::u32(..100) {
                0..10 => Err("refused"),
                10..12 => blow_up(),
                12..14 => std::future::pending().await,
                _ => Ok(connection),
            }
        }
    };
    ResourcePool::builder(create)
        .max_size(CAPACITY)
        .create_timeout(Duration::from_millis(10))
        .backoff(|failures| Duration::from_micros(100) * failures)
        .max_creating(3)
        .min_size(1)
        .refill(true)
        .max_uses(20)
        .idle_timeout(Duration::from_millis(2))
        .check(|connection, _| {
            connection.look();
            Box::pin(async {
                pause().await;
                !chance(10) || (chance(20) && blow_up())
            })
        })
        .recycle(|connection, _| {
            connection.look();
            Box::pin(async {
                pause().await;
                !chance(10)
            })
        })
        .build()
}

fn chance(percent: u32) -> bool {
    fastrand::u32(..100) < percent
}

fn blow_up() -> ! {
    resume_unwind(Box::new("a storm"))
}

async fn pause() {
    match fastrand::u32(..3) {
        0 => {}
        1 => yield_now().await,
        _ => sleep(Duration::from_micros(fastrand::u64(..300))).await,
    }
}

/// One use of the pool, of a random kind.
async fn use_one(pool: Connections) {
    let limit = Duration::from_micros(fastrand::u64(..6000));
    let Ok(Ok(mut item)) = pool.item().within(limit).await else { return };
    match fastrand::u32(..8) {
        // The holder's writes may be cut off.
        0 => or(item.run(async |connection| connection.write().await), yield_now()).await,
        1 => {
            if item.write().within(limit / 8).await.is_err() {
                item.discard();
            }
        }
        2 => whole(item).within(limit / 8).await.unwrap_or_default(),
        3 => {
            item.leave();
            drop(item.take());
        }
        4 => item.discard(),
        _ => whole(item).await,
    }
}

async fn whole(mut item: Item<Connection, &'static str>) {
    item.write().await;
}

/// Uses an item without a guard.
async fn get_and_put(pool: Connections) {
    if let Ok(connection) = pool.get().await {
        pool.put(connection);
    }
}

/// Changes the pool while it is used.
async fn change(pool: Connections, server: Server) {
    pause().await;
    match fastrand::u32(..6) {
        0 => pool.resize(fastrand::usize(..=CAPACITY)),
        1 => pool.resize(CAPACITY),
        2 => pool.retain(|_, _| !chance(30)),
        3 => pool.clear(),
        4 => pool.put(Connection::foreign(&server)),
        _ => drop(pool.fill().within(Duration::from_millis(1)).await),
    }
}

/// Runs the storm, as the main future of a hub.
async fn blow(pool: Connections, server: Server) {
    let tasks = (0..TASKS).map(|n| {
        let (pool, server) = (pool.clone(), server.clone());
        match n % 20 {
            0 => spawn(change(pool, server)),
            1 => spawn(get_and_put(pool)),
            _ => spawn(use_one(pool)),
        }
    });
    let tasks: Vec<Greenlet<()>> = tasks.collect();
    for _ in 0..TASKS / 10 {
        pause().await;
        // A task that holds an item without a guard is not killed.
        let victim = fastrand::usize(..TASKS);
        if victim % 20 != 1 {
            let victim = tasks[victim].handle();
            if chance(20) { victim.abort() } else { victim.kill_now() }
        }
        if chance(10) {
            pool.resize(CAPACITY);
        }
    }
    // A task that changes the pool may have left it with a small capacity.
    joinall(tasks.iter().step_by(20)).await;
    pool.resize(CAPACITY);
    joinall(&tasks).await;
}

/// Checks that all items come back, and are dropped.
async fn settle(pool: &Connections, server: &Server) {
    let report = pool.drain(Duration::from_secs(5)).await;
    assert_eq!(report.left, 0, "{:?}", pool.stats());
    assert_eq!(usize::try_from(pool.available()), Ok(CAPACITY));
    let stats = pool.stats();
    assert_eq!((stats.size, stats.idle, stats.in_use, stats.creating), (0, 0, 0, 0), "{stats:?}");
    assert_eq!((server.alive.load(SeqCst), server.foreign.load(SeqCst)), (0, 0));
    assert_eq!(pool.waiting(), 0);
    assert_eq!(server.torn.load(SeqCst), 0, "a half-written connection was handed on");
    let peak = server.peak.load(SeqCst);
    assert!(peak <= CAPACITY, "{peak} were alive at once");
}

#[test]
fn resource_storm_under_each_seed_leaves_no_item_behind() {
    let seeds = std::env::var("SPINNEY_STORM_SEEDS");
    let seeds: u64 = seeds.map_or(200, |text| text.parse().expect("it is a number"));
    for seed in 0..seeds {
        fastrand::seed(seed);
        let server = Server::default();
        let pool = connections(&server);
        // This hub stops in the middle.
        let stops = SimHub::seeded(seed);
        let late = blow(pool.clone(), server.clone()).within(Duration::from_micros(500));
        stops.block_on(late).unwrap_err();
        drop(stops);
        let sim = SimHub::seeded(seed);
        sim.block_on(async {
            pool.resize(CAPACITY);
            blow(pool.clone(), server.clone()).await;
            settle(&pool, &server).await;
        });
    }
}

#[test]
fn resource_storm_on_threads_leaves_no_item_behind() {
    for _ in 0..10 {
        let server = Server::default();
        let pool = connections(&server);
        let stops = hub(2);
        let late = blow(pool.clone(), server.clone()).within(Duration::from_millis(2));
        _ = stops.block_on(late);
        stops.shutdown(Duration::ZERO);
        hub(4).block_on(in_time(async {
            pool.resize(CAPACITY);
            blow(pool.clone(), server.clone()).await;
            settle(&pool, &server).await;
        }));
    }
}
