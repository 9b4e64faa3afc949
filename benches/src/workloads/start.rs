//! D1 to D6: where a user starts. Items through a pool, as the first program of each library writes
//! it: on all cores, with its own entry point, and with 100 slots.
//!
//! "in" is a program whose main future is itself a task of the runtime; the others run it on the
//! thread of `main`. On spinney the entry point is `spinney::block_on`, on tokio `#[tokio::main]`.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_util::{StreamExt, stream};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use spinney::hub::Executor;
use spinney::map::Imap;
use spinney::{LocalHub, Pool};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::answers::sum_below;
use crate::load::Load;
use crate::on;
use crate::stopwatch::{Outcome, Stopwatch};
use crate::target::Target;
use crate::workload::Workload;
use crate::workloads::work::{compute_2_us, compute_20_us};

const SLOTS: usize = 100;

/// The names of the rivals that goals name.
const JOIN_SET: &str = "tokio JoinSet";
const JOIN_SET_IN: &str = "tokio JoinSet, in";
const RAYON: &str = "rayon";

/// D1: no item waits.
pub(super) fn trivial() -> Workload {
    workload::<Trivial>("D1", "trivial items", 200_000, SLOTS)
        .rival(RAYON, |load| rayon(load, |n| n))
        .goals([0.2, 0.55, 0.35])
}

/// D2: every item yields once.
pub(super) fn yielding() -> Workload {
    workload::<Yielding>("D2", "items that yield once", 200_000, SLOTS).goals([0.4, 0.65, 0.6])
}

/// D3: every item computes for 2 us.
pub(super) fn short() -> Workload {
    workload::<Short>("D3", "items that compute for 2 us", 200_000, SLOTS)
        .rival(RAYON, |load| rayon(load, compute_2_us))
        .goals([0.55, 0.58, 0.65])
        .target(Target::wall("block_on imap_unordered").of(RAYON).at_most(1.15))
}

/// D4: every item computes for 20 us.
pub(super) fn long() -> Workload {
    workload::<Long>("D4", "items that compute for 20 us", 20_000, SLOTS)
        .rival(RAYON, |load| rayon(load, compute_20_us))
        .goals([0.8, 0.95, 0.95])
        .target(Target::wall("block_on imap_unordered").of(RAYON).at_most(1.03))
}

/// D5: every item sleeps for 1 to 5 ms.
pub(super) fn sleeping() -> Workload {
    workload::<Sleeping>("D5", "items that sleep for 1 to 5 ms, 1000 slots", 100_000, 1000)
        .target(Target::cpu("block_on imap_unordered").of(JOIN_SET))
}

/// D6: the 99th percentile of the time from `spawn` to the first poll, while other tasks run.
pub(super) fn latency() -> Workload {
    let load = Load { items: 100_000, slots: SLOTS };
    let title = "99th percentile of the time from spawn to the first poll, beside items of 20 us";
    Workload::new("D6", title, load, u64::from)
        .rival(JOIN_SET, |load| on::tokio_main(delays_of_join_set(load)))
        .rival(JOIN_SET_IN, |load| on::tokio_threads(delays_of_join_set(load)))
        .ours("block_on spawn", |load| spinney::block_on(delays_of_spawn(load)))
        .ours("block_on spawn, in", |load| on::hub(move |_| delays_of_spawn(load)))
        .ours("tokio spawn", |load| on::tokio_main(delays_of_spawn(load)))
        .ours("tokio spawn, in", |load| on::tokio_threads(delays_of_spawn(load)))
        .target(Target::wall("block_on spawn").of(JOIN_SET))
        .target(Target::wall("tokio spawn").of(JOIN_SET))
}

/// All ways to run `W` for each number.
fn workload<W: Work>(id: &'static str, title: &'static str, items: u32, slots: usize) -> Workload {
    Workload::new(id, title, Load { items, slots }, sum_below)
        .rival(JOIN_SET, |load| on::tokio_main(join_set::<W>(load)))
        .rival(JOIN_SET_IN, |load| on::tokio_threads(join_set::<W>(load)))
        .rival("tokio buffer_unordered, in", |load| on::tokio_threads(buffered_tasks::<W>(load)))
        .rival("smol buffer_unordered", |load| smol::block_on(buffered_smol::<W>(load)))
        .rival("buffer_unordered in place", |load| on::tokio_main(buffered::<W>(load)))
        .rival("for_each_concurrent in place", |load| on::tokio_main(concurrent::<W>(load)))
        .ours("block_on imap_unordered", |load| spinney::block_on(imap::<W, Spinney>(load)))
        .ours("block_on imap_unordered, in", |load| on::hub(move |_| imap::<W, Spinney>(load)))
        .ours("block_on spawn", |load| spinney::block_on(spawn::<W, Spinney>(load)))
        .ours("block_on spawn, in", |load| on::hub(move |_| spawn::<W, Spinney>(load)))
        .ours("LocalHub imap_unordered", |load| {
            on::local_hub(|hub: LocalHub| {
                sum(Pool::on(&hub, load.slots).imap_unordered(W::run::<Spinney>, load.numbers()))
            })
        })
        .ours("tokio imap_unordered", |load| on::tokio_main(imap::<W, Tokio>(load)))
        .ours("tokio imap_unordered, in", |load| on::tokio_threads(imap::<W, Tokio>(load)))
        .ours("tokio spawn", |load| on::tokio_main(spawn::<W, Tokio>(load)))
        .ours("tokio spawn, in", |load| on::tokio_threads(spawn::<W, Tokio>(load)))
}

impl Workload {
    /// The goals beside `JoinSet` of maps, of `spawn`, and of maps on tokio; `spawn` on tokio is to
    /// be no slower.
    fn goals(self, [imap, spawn, tokio_imap]: [f64; 3]) -> Self {
        self.target(Target::wall("block_on imap_unordered").of(JOIN_SET).at_most(imap))
            .target(Target::wall("block_on imap_unordered, in").of(JOIN_SET_IN))
            .target(Target::wall("block_on spawn").of(JOIN_SET).at_most(spawn))
            .target(Target::wall("tokio imap_unordered").of(JOIN_SET).at_most(tokio_imap))
            .target(Target::wall("tokio spawn").of(JOIN_SET).at_most(0.95))
            .target(Target::wall("tokio spawn, in").of(JOIN_SET_IN))
    }
}

async fn imap<W: Work, S: Sleeps>(load: Load) -> u64 {
    sum(Pool::new(load.slots).imap_unordered(W::run::<S>, load.numbers())).await
}

async fn sum<X: Executor>(mut results: Imap<u64, X>) -> u64 {
    let mut sum = 0;
    while let Some(result) = results.next().await {
        sum += result.expect("a number is no panic");
    }
    sum
}

async fn spawn<W: Work, S: Sleeps>(load: Load) -> u64 {
    let pool = Pool::new(load.slots);
    let mut greenlets = Vec::new();
    for n in load.numbers() {
        greenlets.push(pool.spawn(W::run::<S>(n)).await);
    }
    let mut sum = 0;
    for greenlet in greenlets {
        sum += greenlet.await.expect("a number is no panic");
    }
    sum
}

async fn join_set<W: Work>(load: Load) -> u64 {
    let slots = Arc::new(Semaphore::new(load.slots));
    let mut set = JoinSet::new();
    for n in load.numbers() {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
        set.spawn(async move {
            let _slot = slot;
            W::run::<Tokio>(n).await
        });
    }
    let mut sum = 0;
    while let Some(result) = set.join_next().await {
        sum += result.expect("a number is no panic");
    }
    sum
}

async fn buffered_tasks<W: Work>(load: Load) -> u64 {
    let tasks = stream::iter(load.numbers()).map(|n| tokio::spawn(W::run::<Tokio>(n)));
    let results = tasks.buffer_unordered(load.slots);
    results.fold(0, async |sum, n| sum + n.expect("a number is no panic")).await
}

async fn buffered_smol<W: Work>(load: Load) -> u64 {
    let tasks = stream::iter(load.numbers()).map(|n| smol::spawn(W::run::<Smol>(n)));
    tasks.buffer_unordered(load.slots).fold(0, async |sum, n| sum + n).await
}

async fn buffered<W: Work>(load: Load) -> u64 {
    let items = stream::iter(load.numbers()).map(W::run::<Tokio>);
    items.buffer_unordered(load.slots).fold(0, async |sum, n| sum + n).await
}

async fn concurrent<W: Work>(load: Load) -> u64 {
    let sum = Cell::new(0);
    let add = async |n| {
        let n = W::run::<Tokio>(n).await;
        sum.set(sum.get() + n);
    };
    stream::iter(load.numbers()).for_each_concurrent(load.slots, add).await;
    sum.get()
}

fn rayon(load: Load, work: fn(u64) -> u64) -> u64 {
    load.numbers().into_par_iter().map(work).sum()
}

/// One task in ten is a probe.
const PROBES: u64 = 10;

/// What a task did: nothing but to note when it was polled first, or work.
#[expect(clippy::unused_async, reason = "the body of a task")]
async fn probe(n: u64, spawned: Instant) -> Option<Duration> {
    if n % PROBES == 0 {
        return Some(spawned.elapsed());
    }
    compute_20_us(n);
    None
}

async fn delays_of_spawn(load: Load) -> Outcome {
    let stopwatch = Stopwatch::start();
    let pool = Pool::new(load.slots);
    let mut greenlets = Vec::new();
    for n in load.numbers() {
        let slot = pool.slot().await.expect("the pool is never closed");
        greenlets.push(slot.spawn(probe(n, Instant::now())));
    }
    let mut delays = Vec::new();
    for greenlet in greenlets {
        delays.push(greenlet.await.expect("a probe does not panic"));
    }
    percentile(stopwatch, load, delays)
}

async fn delays_of_join_set(load: Load) -> Outcome {
    let stopwatch = Stopwatch::start();
    let slots = Arc::new(Semaphore::new(load.slots));
    let mut set = JoinSet::new();
    for n in load.numbers() {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
        let spawned = Instant::now();
        set.spawn(async move {
            let _slot = slot;
            probe(n, spawned).await
        });
    }
    let mut delays = Vec::new();
    while let Some(delay) = set.join_next().await {
        delays.push(delay.expect("a probe does not panic"));
    }
    percentile(stopwatch, load, delays)
}

/// The 99th percentile of the probes' delays, as if each item had taken it.
fn percentile(stopwatch: Stopwatch, load: Load, delays: Vec<Option<Duration>>) -> Outcome {
    let answer = delays.len() as u64;
    let mut delays: Vec<_> = delays.into_iter().flatten().collect();
    delays.sort_unstable();
    let wall = delays[delays.len() * 99 / 100] * load.items;
    Outcome { wall, ..stopwatch.stop(answer) }
}

/// What an item does.
trait Work: 'static {
    fn run<S: Sleeps>(n: u64) -> impl Future<Output = u64> + Send + 'static;
}

struct Trivial;
struct Yielding;
struct Short;
struct Long;
struct Sleeping;

impl Work for Trivial {
    async fn run<S: Sleeps>(n: u64) -> u64 {
        n
    }
}

impl Work for Yielding {
    async fn run<S: Sleeps>(n: u64) -> u64 {
        futures_lite::future::yield_now().await;
        n
    }
}

impl Work for Short {
    async fn run<S: Sleeps>(n: u64) -> u64 {
        compute_2_us(n)
    }
}

impl Work for Long {
    async fn run<S: Sleeps>(n: u64) -> u64 {
        compute_20_us(n)
    }
}

impl Work for Sleeping {
    async fn run<S: Sleeps>(n: u64) -> u64 {
        S::sleep(Duration::from_micros(fastrand::Rng::with_seed(n).u64(1_000..5_000))).await;
        n
    }
}

/// The timers of a runtime.
trait Sleeps: 'static {
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;
}

struct Spinney;
struct Tokio;
struct Smol;

impl Sleeps for Spinney {
    async fn sleep(time: Duration) {
        spinney::sleep(time).await;
    }
}

impl Sleeps for Tokio {
    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl Sleeps for Smol {
    async fn sleep(time: Duration) {
        Timer::after(time).await;
    }
}
