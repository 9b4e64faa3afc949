//! Three programs that are slower than they should be, and a timeline of each: the pictures of
//! docs/trace.md.
//!
//! `cargo run --example timelines -- FOLDER` writes the pages there; without a folder nothing is
//! written.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use spinney::task::joinall;
use spinney::task::named;
use spinney::trace::Timeline;
use spinney::{Hub, Pool, Semaphore, block_on, sleep, spawn};

/// A pool whose consumer is slow: the slots stand empty while results are not read.
async fn slow_consumer() {
    let pool = Pool::new(3);
    let fetch = |_: u32| sleep(Duration::from_millis(2));
    let mut pages = pool.mapper().maxsize(4).imap(fetch, 0..24);
    while pages.next().await.is_some() {
        sleep(Duration::from_millis(4)).await;
    }
}

/// A lock that is held over a wait: of eight tasks one gets on at a time.
async fn lock_convoy() {
    let lock = std::sync::Arc::new(Semaphore::new(1));
    let pool = Pool::new(8);
    let work = move |n: u32| {
        let lock = std::sync::Arc::clone(&lock);
        let work = async move {
            for _ in 0..3 {
                let _held = lock.acquire().await;
                sleep(Duration::from_millis(2)).await;
            }
        };
        named(format!("worker {n}"), work)
    };
    pool.map(work, 0..8).await.expect("no worker fails");
}

/// A task that computes without an await: it holds one of the two threads of the hub.
async fn blocked_thread() {
    let hog = spawn(named("hog", async {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(40) {
            std::hint::spin_loop();
        }
    }));
    let ticks = (0..6).map(|n| {
        let tick = async {
            for _ in 0..10 {
                sleep(Duration::from_millis(4)).await;
            }
        };
        spawn(named(format!("tick {n}"), tick))
    });
    joinall(ticks).await;
    hog.detach();
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let hub = Hub::builder().threads(2).name("hub").build()?;
    let record = |name: &str, scenario: &dyn Fn()| -> Result<(), Box<dyn Error>> {
        let timeline = Timeline::start(100_000)?;
        scenario();
        println!("{name} was recorded: {}", timeline.len() > 50);
        if let Some(folder) = &folder {
            timeline.save(folder.join(format!("{name}.html")))?;
        }
        Ok(())
    };
    record("slow-consumer", &|| hub.enter(|| block_on(slow_consumer())))?;
    record("lock-convoy", &|| hub.enter(|| block_on(lock_convoy())))?;
    record("blocked-thread", &|| hub.enter(|| block_on(blocked_thread())))
}
