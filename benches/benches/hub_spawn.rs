//! What a bare task costs: spawned detached, run, and counted; a thousand of them at a time.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use futures_lite::future::yield_now;
use spinney::Spawn;
use spinney_benches::{Args, Contest, on};

const AT_A_TIME: u32 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    Contest::new("hub_spawn", 300_000, u64::from)
        .rival("async-executor", executor)
        .rival("static executor", static_executor)
        .rival("tokio", tokio)
        .rival("LocalHub", |tasks| {
            on::local_hub(|hub| spawn_all(tasks, move |task| hub.spawn(task)))
        })
        .rival("Hub", |tasks| on::hub(|hub| spawn_all(tasks, move |task| hub.spawn(task))))
        .run(&Args::read()?)?;
    Ok(())
}

fn executor(tasks: u32) -> u64 {
    on::executor(async |executor| spawn_all(tasks, |task| executor.spawn(task).detach()).await)
}

fn static_executor(tasks: u32) -> u64 {
    on::static_executor(async |executor| {
        spawn_all(tasks, |task| executor.spawn(task).detach()).await
    })
}

fn tokio(tasks: u32) -> u64 {
    on::tokio(spawn_all(tasks, |task| drop(tokio::spawn(task))))
}

/// Counts itself.
struct Task(Arc<AtomicU32>);

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.0.fetch_add(1, Relaxed);
        Poll::Ready(())
    }
}

async fn spawn_all(tasks: u32, spawn: impl Fn(Task)) -> u64 {
    let done = Arc::new(AtomicU32::new(0));
    let mut spawned = 0;
    while spawned < tasks {
        let end = tasks.min(spawned + AT_A_TIME);
        (spawned..end).for_each(|_| spawn(Task(Arc::clone(&done))));
        spawned = end;
        while done.load(Relaxed) < spawned {
            yield_now().await;
        }
    }
    u64::from(done.load(Relaxed))
}
