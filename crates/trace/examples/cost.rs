//! Prints what observation costs a greenlet and an item of a map, on one thread: the table of
//! docs/trace.md. `cargo run --release --package spinney-trace --example cost`

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use spinney_hub::{LocalHub, yield_now};
use spinney_pool::Pool;
use spinney_trace::{Timeline, start};

const TASKS: u32 = 50_000;

/// The fastest of this many runs counts: others on the machine only make a run slower.
const RUNS: usize = 15;

type Workload = (&'static str, fn(&LocalHub));

const WORKLOADS: [Workload; 5] = [
    ("a greenlet that does nothing", |hub| spawn(hub, false)),
    ("a greenlet that yields once", |hub| spawn(hub, true)),
    ("an item that does nothing", |hub| map(hub, false, 0)),
    ("an item that yields once", |hub| map(hub, true, 0)),
    ("an item of 2 us that yields once", |hub| map(hub, true, 6000)),
];

/// Spawns greenlets into a pool.
fn spawn(hub: &LocalHub, yields: bool) {
    hub.block_on(async {
        let pool = Pool::on(hub, 100);
        for _ in 0..TASKS {
            pool.spawn(work(yields, 0)).await.detach();
        }
        pool.join().await.expect("no greenlet fails");
    });
}

/// Maps items in a pool.
fn map(hub: &LocalHub, yields: bool, steps: u32) {
    let pool = Pool::on(hub, 100);
    let mapped = pool.map(move |_| work(yields, steps), 0..TASKS);
    hub.block_on(mapped).expect("no item fails");
}

async fn work(yields: bool, steps: u32) {
    if yields {
        yield_now().await;
    }
    for step in 0..steps {
        black_box(step);
    }
}

/// Nanoseconds a task, of each workload.
fn measure() -> [f64; WORKLOADS.len()] {
    let hub = LocalHub::new();
    WORKLOADS.map(|(_, run)| {
        let times = (0..RUNS).map(|_| {
            let began = Instant::now();
            run(&hub);
            began.elapsed().as_secs_f64() * 1e9 / f64::from(TASKS)
        });
        times.fold(f64::INFINITY, f64::min)
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let off = measure();
    start()?;
    let on = measure();
    let _timeline = Timeline::start(100_000)?;
    let recorded = measure();
    println!("| | off | after `start` | with a timeline |\n|---|---|---|---|");
    for (n, (title, _)) in WORKLOADS.iter().enumerate() {
        let (on, recorded) = (on[n] - off[n], recorded[n] - off[n]);
        println!("| {title} | {:.0} ns | +{on:.0} ns | +{recorded:.0} ns |", off[n]);
    }
    Ok(())
}
