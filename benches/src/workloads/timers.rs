//! W7: many tasks, each of which sleeps ten times for 1 to 50 ms. The ideal, for 200,000 tasks, is
//! 0.446 s or 2230 ns per item: the longest sum of ten.

use std::time::{Duration, Instant};

use async_io::Timer;
use fastrand::Rng;
use futures_lite::StreamExt;
use futures_util::stream::FuturesUnordered;
use spinney::{Group, sleep};
use tokio::task::JoinSet;

use crate::load::Load;
use crate::on;
use crate::target::Target;
use crate::workload::Workload;

const SLEEPS: u32 = 10;

/// Shared code for both hubs, whose bounds on the future differ.
macro_rules! group {
    ($hub:expr, $load:expr) => {{
        let group = Group::on(&$hub);
        let spawn = |n| group.spawn(sleeper(n, sleep));
        let tasks: Vec<_> = $load.numbers().map(spawn).collect();
        let mut slept = 0;
        for task in tasks {
            slept += task.await.expect("a sleeper does not panic");
        }
        slept / u64::from(SLEEPS)
    }};
}

/// Shared code for both executors, which have no trait in common.
macro_rules! all {
    ($executor:expr, $load:expr) => {{
        let spawn = |n| $executor.spawn(sleeper(n, Timer::after));
        let tasks: Vec<_> = $load.numbers().map(spawn).collect();
        let mut slept = 0;
        for task in tasks {
            slept += task.await;
        }
        slept / u64::from(SLEEPS)
    }};
}

pub(super) fn workload() -> Workload {
    let load = Load { items: 200_000, slots: usize::MAX };
    let title = "tasks with ten random sleeps of 1 to 50 ms each; ideally 0.446 s, 2230 ns an item";
    Workload::new("W7", title, load, u64::from)
        .rival("async-executor", |load| on::executor_with_io(1, async |hub| all!(hub, load)))
        .rival("async-executor, 2 threads", |load| {
            on::executor_with_io(2, async |hub| all!(hub, load))
        })
        .rival("static executor", |load| on::static_executor_with_io(async |hub| all!(hub, load)))
        .rival("tokio", |load| on::tokio_with_io(tokio(load)))
        .rival("futures in place", |load| on::executor_with_io(1, async |_| in_place(load).await))
        .ours("LocalHub", |load| on::local_hub(async |hub| group!(hub, load)))
        .ours("TokioHub", |load| on::tokio_hub(async |hub| group!(hub, load)))
        .on_hub("Hub", |load| on::hub(|hub| async move { group!(hub, load) }))
        .target(Target::cpu("LocalHub").of("async-executor").at_most(0.75))
        .target(Target::cpu("Hub, 1 thread").of("async-executor"))
        .target(Target::cpu("TokioHub").of("tokio"))
}

/// Sleeps, and returns how many sleeps were long enough.
async fn sleeper<T: Future>(number: u64, sleep: fn(Duration) -> T) -> u64 {
    let mut random = Rng::with_seed(number);
    let mut slept = 0;
    for _ in 0..SLEEPS {
        let time = Duration::from_micros(random.u64(1_000..50_000));
        let start = Instant::now();
        sleep(time).await;
        slept += u64::from(start.elapsed() >= time);
    }
    slept
}

async fn tokio(load: Load) -> u64 {
    let mut set = JoinSet::new();
    for n in load.numbers() {
        set.spawn(sleeper(n, tokio::time::sleep));
    }
    set.join_all().await.into_iter().sum::<u64>() / u64::from(SLEEPS)
}

async fn in_place(load: Load) -> u64 {
    let sleepers: FuturesUnordered<_> = load.numbers().map(|n| sleeper(n, Timer::after)).collect();
    sleepers.fold(0, |slept, more| slept + more).await / u64::from(SLEEPS)
}
