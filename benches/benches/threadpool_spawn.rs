//! Closures on two threads: trivial ones and ones of 50 us, submitted one by one and then
//! collected, or mapped; and one round trip at a time.

use std::error::Error;
use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_lite::future;
use spinney::ThreadPool;
use spinney_benches::{Args, Contest, on, sum_below};

const THREADS: usize = 2;
/// How long a closure that computes takes.
const COMPUTES: Duration = Duration::from_micros(50);

/// What a closure does: returns its number, at once or after a while.
type Work = fn(u32) -> u64;

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::read()?;
    contest("threadpool_spawn trivial", 1_000_000, u64::from).run(&args)?;
    let in_line: fn(u32) -> u64 = |closures| (0..closures).map(compute).sum();
    contest("threadpool_spawn 50 us", 10_000, compute).rival("in line", in_line).run(&args)?;
    Contest::new("threadpool_spawn round trip", 20_000, sum_below)
        .rival("rayon", rayon_round_trips)
        .rival("crossbeam", crossbeam_round_trips)
        .rival("blocking", |closures| future::block_on(blocking_round_trips(closures)))
        .rival("tokio", |closures| on::tokio(tokio_round_trips(closures)))
        .rival("ThreadPool wait", spinney_waits)
        .rival("ThreadPool", |closures| future::block_on(spinney_round_trips(closures)))
        .run(&args)?;
    Ok(())
}

fn contest(name: &'static str, closures: u32, work: Work) -> Contest {
    Contest::new(name, closures, sum_below)
        .rival("blocking", move |closures| future::block_on(blocking(closures, work)))
        .rival("tokio", move |closures| on::tokio(tokio(closures, work)))
        .rival("rayon", move |closures| rayon(closures, work))
        .rival("crossbeam", move |closures| crossbeam(closures, work))
        .rival("threadpool", move |closures| threadpool(closures, work))
        .rival("ThreadPool unbounded", move |closures| {
            future::block_on(spinney(&unbounded_pool(), closures, work))
        })
        .rival("ThreadPool bounded", move |closures| {
            future::block_on(spinney(&spinney_pool(), closures, work))
        })
        .rival("ThreadPool map", move |closures| future::block_on(spinney_map(closures, work)))
}

/// As much work as took 50 us when nothing else ran.
fn compute(number: u32) -> u64 {
    static STEPS: OnceLock<u32> = OnceLock::new();
    let steps = *STEPS.get_or_init(|| {
        let steps = 10_000_000;
        let start = Instant::now();
        take_steps(steps);
        let share = COMPUTES.as_secs_f64() / start.elapsed().as_secs_f64();
        // Cut off on purpose: it is a small positive number.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let steps = (f64::from(steps) * share) as u32;
        steps
    });
    take_steps(steps);
    u64::from(number)
}

fn take_steps(steps: u32) {
    let mut state = black_box(1_u64);
    for _ in 0..steps {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    black_box(state);
}

async fn blocking(closures: u32, work: Work) -> u64 {
    let tasks: Vec<_> = (0..closures).map(|n| blocking::unblock(move || work(n))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await;
    }
    sum
}

async fn blocking_round_trips(closures: u32) -> u64 {
    let mut sum = 0;
    for n in 0..closures {
        sum += u64::from(blocking::unblock(move || n).await);
    }
    sum
}

async fn tokio(closures: u32, work: Work) -> u64 {
    let spawn = |n| tokio::task::spawn_blocking(move || work(n));
    let tasks: Vec<_> = (0..closures).map(spawn).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.expect("a number is no panic");
    }
    sum
}

async fn tokio_round_trips(closures: u32) -> u64 {
    let mut sum = 0;
    for n in 0..closures {
        let task = tokio::task::spawn_blocking(move || n);
        sum += u64::from(task.await.expect("a number is no panic"));
    }
    sum
}

fn rayon(closures: u32, work: Work) -> u64 {
    let pool = rayon_pool();
    let (done, all_done) = mpsc::channel();
    for n in 0..closures {
        let done = done.clone();
        pool.spawn(move || done.send(work(n)).expect("the main thread waits for all"));
    }
    drop(done);
    all_done.iter().sum()
}

fn rayon_round_trips(closures: u32) -> u64 {
    let pool = rayon_pool();
    (0..closures).map(|n| pool.install(move || u64::from(n))).sum()
}

fn rayon_pool() -> rayon::ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(THREADS).build();
    pool.expect("the system grants two threads")
}

/// Two threads that take jobs from a channel, and put results in another: what one would write by
/// hand.
fn on_channels<R>(work: Work, use_them: impl FnOnce(Jobs, Sums) -> R) -> R {
    let (jobs, todo) = crossbeam_channel::unbounded();
    let (done, sums) = crossbeam_channel::unbounded();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (todo, done) = (todo.clone(), done.clone());
            scope.spawn(move || {
                todo.iter().try_for_each(|n| done.send(work(n))).expect("somebody counts");
            });
        }
        drop(done);
        use_them(jobs, sums)
    })
}

type Jobs = crossbeam_channel::Sender<u32>;
type Sums = crossbeam_channel::Receiver<u64>;

fn crossbeam(closures: u32, work: Work) -> u64 {
    on_channels(work, |jobs, sums| {
        (0..closures).try_for_each(|n| jobs.send(n)).expect("the threads are there");
        drop(jobs);
        sums.iter().sum()
    })
}

fn crossbeam_round_trips(closures: u32) -> u64 {
    on_channels(u64::from, |jobs, sums| {
        let round_trip = |n| {
            jobs.send(n).expect("the threads are there");
            sums.recv().expect("the threads are there")
        };
        (0..closures).map(round_trip).sum()
    })
}

fn threadpool(closures: u32, work: Work) -> u64 {
    let pool = threadpool::ThreadPool::new(THREADS);
    let (done, all_done) = mpsc::channel();
    for n in 0..closures {
        let done = done.clone();
        pool.execute(move || done.send(work(n)).expect("the main thread waits for all"));
    }
    drop(done);
    all_done.iter().sum()
}

async fn spinney(pool: &ThreadPool, closures: u32, work: Work) -> u64 {
    let mut results = Vec::new();
    for n in 0..closures {
        results.push(pool.spawn(move || work(n)).await);
    }
    let mut sum = 0;
    for result in results {
        sum += result.await.expect("a number is no panic");
    }
    sum
}

async fn spinney_map(closures: u32, work: Work) -> u64 {
    let numbers = spinney_pool().map(work, 0..closures).await;
    numbers.expect("a number is no panic").into_iter().sum()
}

async fn spinney_round_trips(closures: u32) -> u64 {
    let pool = spinney_pool();
    let mut sum = 0;
    for n in 0..closures {
        sum += u64::from(pool.apply(move || n).await.expect("a number is no panic"));
    }
    sum
}

/// As a plain thread does it.
fn spinney_waits(closures: u32) -> u64 {
    let pool = spinney_pool();
    let round_trip = |n| pool.submit(move || n).wait().expect("a number is no panic");
    (0..closures).map(|n| u64::from(round_trip(n))).sum()
}

fn spinney_pool() -> ThreadPool {
    ThreadPool::new(THREADS).expect("two are enough")
}

/// As all its rivals are.
fn unbounded_pool() -> ThreadPool {
    let pool = ThreadPool::builder().maxsize(THREADS).queue(usize::MAX).build();
    pool.expect("two are enough")
}
