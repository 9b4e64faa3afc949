//! Kills many parked tasks at once, and waits until all of them are gone.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures_lite::future::yield_now;
use spinney::Group;
use spinney_benches::{Args, Contest, on};
use tokio::task::JoinSet;

/// The one code for both hubs, whose bounds on the future differ.
macro_rules! kill_group {
    ($hub:expr, $tasks:expr) => {{
        let group = Group::on(&$hub);
        let parked = Parked::default();
        let spawn = |_| group.spawn(parked.clone().park()).detach();
        (0..$tasks).for_each(spawn);
        parked.wait_for($tasks).await;
        let start = Instant::now();
        group.kill().await;
        parked.gone(start)
    }};
}

fn main() -> Result<(), Box<dyn Error>> {
    Contest::new("group_kill", 100_000, u64::from)
        .timed_rival("async-executor drop all", executor)
        .timed_rival("tokio abort", |tasks| on::tokio(tokio(tasks)))
        .timed_rival("LocalHub", |tasks| on::local_hub(async |hub| kill_group!(hub, tasks)))
        .timed_rival("Hub", |tasks| on::hub(|hub| async move { kill_group!(hub, tasks) }))
        .run(&Args::read()?)?;
    Ok(())
}

fn executor(tasks: u32) -> (u64, Duration) {
    on::executor(async |executor| {
        let parked = Parked::default();
        let spawned: Vec<_> = (0..tasks).map(|_| executor.spawn(parked.clone().park())).collect();
        parked.wait_for(tasks).await;
        let start = Instant::now();
        drop(spawned);
        while !executor.is_empty() {
            yield_now().await;
        }
        parked.gone(start)
    })
}

async fn tokio(tasks: u32) -> (u64, Duration) {
    let parked = Parked::default();
    let mut set = JoinSet::new();
    for _ in 0..tasks {
        set.spawn(parked.clone().park());
    }
    parked.wait_for(tasks).await;
    let start = Instant::now();
    set.shutdown().await;
    parked.gone(start)
}

/// Tasks that wait for ever. Each holds one of these.
#[derive(Clone, Default)]
struct Parked {
    started: Arc<AtomicU32>,
}

impl Parked {
    async fn park(self) {
        self.started.fetch_add(1, Relaxed);
        std::future::pending::<()>().await;
    }

    async fn wait_for(&self, tasks: u32) {
        while self.started.load(Relaxed) < tasks {
            yield_now().await;
        }
    }

    /// How many have been started and dropped, and the time since `start`.
    fn gone(&self, start: Instant) -> (u64, Duration) {
        let elapsed = start.elapsed();
        let all = Arc::strong_count(&self.started) == 1;
        (if all { u64::from(self.started.load(Relaxed)) } else { 0 }, elapsed)
    }
}
