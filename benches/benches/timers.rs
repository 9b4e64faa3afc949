//! How late sleepers wake: 100,000 of them on one thread, all asleep for as long.

use std::error::Error;
use std::time::{Duration, Instant};

use async_io::Timer;
use spinney::{joinall, sleep, spawn_on};
use spinney_benches::{Args, on};

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::read()?;
    let sleepers = args.items(100_000);
    let asleep = Duration::from_secs(if args.is_quick() { 1 } else { 10 });
    println!("timers: {sleepers} sleepers, each asleep for {asleep:?}\n");
    for (name, rival) in RIVALS {
        let late = rival(sleepers, asleep).saturating_sub(asleep);
        let percent = 100.0 * late.as_secs_f64() / asleep.as_secs_f64();
        println!("{name:<16} late by {late:>9.1?}, {percent:.2} %");
    }
    Ok(())
}

/// Puts so many to sleep for so long, and tells when the last has woken.
type Rival = fn(u32, Duration) -> Duration;

const RIVALS: [(&str, Rival); 3] =
    [("LocalHub", local_hub), ("async-executor", executor), ("tokio", tokio)];

fn local_hub(sleepers: u32, asleep: Duration) -> Duration {
    on::local_hub(async |hub| {
        let start = Instant::now();
        let sleepers = (0..sleepers).map(|_| spawn_on(&hub, sleep(asleep)));
        joinall(sleepers).await;
        start.elapsed()
    })
}

fn executor(sleepers: u32, asleep: Duration) -> Duration {
    on::executor_with_timers(async |executor| {
        let start = Instant::now();
        let sleepers = (0..sleepers).map(|_| {
            executor.spawn(async move {
                Timer::after(asleep).await;
            })
        });
        for sleeper in sleepers.collect::<Vec<_>>() {
            sleeper.await;
        }
        start.elapsed()
    })
}

fn tokio(sleepers: u32, asleep: Duration) -> Duration {
    on::tokio_with_timers(async {
        let start = Instant::now();
        let sleepers = (0..sleepers).map(|_| tokio::spawn(tokio::time::sleep(asleep)));
        for sleeper in sleepers.collect::<Vec<_>>() {
            sleeper.await.expect("a sleeper does not panic");
        }
        start.elapsed()
    })
}
