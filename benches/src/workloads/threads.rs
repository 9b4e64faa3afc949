//! W9: closures on two threads: trivial ones and ones of 50 us, submitted one by one and then
//! collected, or mapped; and single round trips.

use std::hint::spin_loop;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;

use futures_lite::future;
use spinney::ThreadPool;

use crate::answers::sum_below;
use crate::load::Load;
use crate::on;
use crate::target::Target;
use crate::workload::Workload;
use crate::workloads::work::compute_50_us;

/// The work of a closure: returns its number, immediately or after a while.
type Work = fn(u64) -> u64;

/// W9a: closures without work.
pub(super) fn trivial() -> Workload {
    let load = Load { items: 1_000_000, slots: 2 };
    let workload = Workload::new("W9a", "trivial closures on two threads", load, sum_below);
    submitted(workload, |number| number)
        .target(Target::wall("ThreadPool unbounded").of("blocking").at_most(0.5))
        .target(Target::wall("ThreadPool bounded").of("blocking").at_most(0.5))
        .target(Target::wall("ThreadPool map").of("blocking").at_most(0.15))
        .target(Target::wall("ThreadPool map").of("rayon"))
}

/// W9c: closures that compute.
pub(super) fn computing() -> Workload {
    let load = Load { items: 10_000, slots: 2 };
    let title = "closures of 50 us on two threads; a speed-up of 1.85 is 0.54 of the time in line";
    let in_line = |load: Load| load.numbers().map(compute_50_us).sum::<u64>();
    let workload = Workload::new("W9c", title, load, sum_below).rival("in line", in_line);
    submitted(workload, compute_50_us)
        .target(Target::wall("ThreadPool unbounded").of("in line").at_most(0.54))
        .target(Target::wall("ThreadPool map").of("in line").at_most(0.54))
}

/// W9b: one round trip at a time.
pub(super) fn round_trips() -> Workload {
    round_trip_rivals("W9b", "one round trip to a thread at a time", 20_000, |run, load| run(load))
        .target(Target::wall("ThreadPool wait").of("rayon"))
        .target(Target::wall("ThreadPool apply").of("rayon"))
}

/// The same while one core is busy.
pub(super) fn round_trips_when_busy() -> Workload {
    round_trip_rivals(
        "W9b-busy",
        "the same, while another thread keeps a core busy",
        5_000,
        while_busy,
    )
    .target(Target::wall("ThreadPool wait").of("blocking"))
    .target(Target::wall("ThreadPool apply").of("blocking"))
}

fn submitted(workload: Workload, work: Work) -> Workload {
    workload
        .rival("blocking", move |load| future::block_on(blocking(load, work)))
        .rival("tokio", move |load| on::tokio(tokio(load, work)))
        .rival("rayon", move |load| rayon(load, work))
        .rival("crossbeam", move |load| crossbeam(load, work))
        .rival("threadpool", move |load| threadpool(load, work))
        .ours("ThreadPool unbounded", move |load| {
            future::block_on(spinney(&unbounded_pool(load), load, work))
        })
        .ours("ThreadPool bounded", move |load| {
            future::block_on(spinney(&spinney_pool(load), load, work))
        })
        .ours("ThreadPool map", move |load| future::block_on(spinney_map(load, work)))
}

/// How a function with all round trips is run.
type Around = fn(fn(Load) -> u64, Load) -> u64;

fn round_trip_rivals(
    id: &'static str,
    title: &'static str,
    items: u32,
    around: Around,
) -> Workload {
    let load = Load { items, slots: 2 };
    let run = move |rival: fn(Load) -> u64| move |load| around(rival, load);
    Workload::new(id, title, load, sum_below)
        .rival("rayon", run(rayon_round_trips))
        .rival("crossbeam", run(crossbeam_round_trips))
        .rival("blocking", run(|load| future::block_on(blocking_round_trips(load))))
        .rival("tokio", run(|load| on::tokio(tokio_round_trips(load))))
        .ours("ThreadPool wait", run(spinney_waits))
        .ours("ThreadPool apply", run(|load| future::block_on(spinney_round_trips(load))))
}

fn while_busy(run: fn(Load) -> u64, load: Load) -> u64 {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                spin_loop();
            }
        });
        let answer = run(load);
        is_over.store(true, Relaxed);
        answer
    })
}

async fn blocking(load: Load, work: Work) -> u64 {
    let tasks: Vec<_> = load.numbers().map(|n| blocking::unblock(move || work(n))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await;
    }
    sum
}

async fn blocking_round_trips(load: Load) -> u64 {
    let mut sum = 0;
    for n in load.numbers() {
        sum += blocking::unblock(move || n).await;
    }
    sum
}

async fn tokio(load: Load, work: Work) -> u64 {
    let spawn = |n| tokio::task::spawn_blocking(move || work(n));
    let tasks: Vec<_> = load.numbers().map(spawn).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("a number is no panic");
    }
    sum
}

async fn tokio_round_trips(load: Load) -> u64 {
    let mut sum = 0;
    for n in load.numbers() {
        let task = tokio::task::spawn_blocking(move || n);
        sum += task.await.expect("a number is no panic");
    }
    sum
}

fn rayon(load: Load, work: Work) -> u64 {
    let pool = rayon_pool(load);
    let (done, all_done) = mpsc::channel();
    for n in load.numbers() {
        let done = done.clone();
        pool.spawn(move || done.send(work(n)).expect("the main thread waits for all"));
    }
    drop(done);
    all_done.iter().sum()
}

fn rayon_round_trips(load: Load) -> u64 {
    let pool = rayon_pool(load);
    load.numbers().map(|n| pool.install(move || n)).sum()
}

fn rayon_pool(load: Load) -> rayon::ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(load.slots).build();
    pool.expect("the system grants two threads")
}

/// Two threads that take jobs from a channel, and put results into another: the hand-written
/// version.
fn on_channels<R>(load: Load, work: Work, use_them: impl FnOnce(Jobs, Sums) -> R) -> R {
    let (jobs, todo) = crossbeam_channel::unbounded();
    let (done, sums) = crossbeam_channel::unbounded();
    std::thread::scope(|scope| {
        for _ in 0..load.slots {
            let (todo, done) = (todo.clone(), done.clone());
            scope.spawn(move || {
                todo.iter().try_for_each(|n| done.send(work(n))).expect("the main thread counts");
            });
        }
        drop(done);
        use_them(jobs, sums)
    })
}

type Jobs = crossbeam_channel::Sender<u64>;
type Sums = crossbeam_channel::Receiver<u64>;

fn crossbeam(load: Load, work: Work) -> u64 {
    on_channels(load, work, |jobs, sums| {
        load.numbers().try_for_each(|n| jobs.send(n)).expect("the threads run");
        drop(jobs);
        sums.iter().sum()
    })
}

fn crossbeam_round_trips(load: Load) -> u64 {
    on_channels(
        load,
        |number| number,
        |jobs, sums| {
            let round_trip = |n| {
                jobs.send(n).expect("the threads run");
                sums.recv().expect("the threads run")
            };
            load.numbers().map(round_trip).sum()
        },
    )
}

fn threadpool(load: Load, work: Work) -> u64 {
    let pool = threadpool::ThreadPool::new(load.slots);
    let (done, all_done) = mpsc::channel();
    for n in load.numbers() {
        let done = done.clone();
        pool.execute(move || done.send(work(n)).expect("the main thread waits for all"));
    }
    drop(done);
    all_done.iter().sum()
}

async fn spinney(pool: &ThreadPool, load: Load, work: Work) -> u64 {
    let mut results = Vec::new();
    for n in load.numbers() {
        results.push(pool.spawn(move || work(n)).await);
    }
    let mut sum = 0;
    for result in results {
        sum += result.await.expect("a number is no panic");
    }
    sum
}

async fn spinney_map(load: Load, work: Work) -> u64 {
    let numbers = spinney_pool(load).map(work, load.numbers()).await;
    numbers.expect("a number is no panic").into_iter().sum()
}

async fn spinney_round_trips(load: Load) -> u64 {
    let pool = spinney_pool(load);
    let mut sum = 0;
    for n in load.numbers() {
        sum += pool.apply(move || n).await.expect("a number is no panic");
    }
    sum
}

/// Like a plain thread.
fn spinney_waits(load: Load) -> u64 {
    let pool = spinney_pool(load);
    let round_trip = |n| pool.submit(move || n).wait().expect("a number is no panic");
    load.numbers().map(round_trip).sum()
}

fn spinney_pool(load: Load) -> ThreadPool {
    ThreadPool::new(load.slots)
}

/// Like all its rivals.
fn unbounded_pool(load: Load) -> ThreadPool {
    ThreadPool::builder().capacity(load.slots).queue(usize::MAX).build()
}
