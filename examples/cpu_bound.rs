//! gevent's "Thread Pool for CPU-Bound Work", and its speed-up over one thread.
//!
//! Each thread is pinned to its own core, if the system allows it.

use std::error::Error;
use std::time::Instant;

use spinney::{ThreadPool, block_on};

const TASKS: [u32; 4] = [100_000, 200_000, 300_000, 400_000];

fn main() -> Result<(), Box<dyn Error>> {
    for (i, value) in block_on(on_threads(&TASKS))?.into_iter().enumerate() {
        println!("Task {i}: {value:.2}");
    }
    // Large enough to take longer than starting the threads.
    let speed_up = speed_up(&TASKS.map(|task| 20 * task))?;
    println!("{speed_up:.2} times as fast as one thread");
    Ok(())
}

/// Work that gains from threads: it computes.
fn cpu_intensive_task(n: u32) -> f64 {
    (0..n).map(|i| f64::from(i).sqrt()).sum()
}

/// The speed-up of `tasks` on a pool over running them in turn.
fn speed_up(tasks: &[u32]) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let expected: Vec<f64> = tasks.iter().map(|&task| cpu_intensive_task(task)).collect();
    let alone = start.elapsed();

    let start = Instant::now();
    let results = block_on(on_threads(tasks))?;
    let together = start.elapsed();

    if results != expected {
        return Err("the threads computed other results".into());
    }
    Ok(alone.as_secs_f64() / together.as_secs_f64())
}

async fn on_threads(tasks: &[u32]) -> Result<Vec<f64>, Box<dyn Error>> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let pin = move |index| {
        // A thread that cannot be pinned runs anyway.
        let _pinned = cores.get(index).is_some_and(|core| core_affinity::set_for_current(*core));
    };
    let pool = ThreadPool::builder().capacity(4).name("cruncher").on_start(pin).build();
    let mut results = Vec::new();
    for &task in tasks {
        results.push(pool.spawn(move || cpu_intensive_task(task)).await);
    }
    let mut values = Vec::new();
    for result in results {
        values.push(result.await?);
    }
    pool.join().await?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::speed_up;

    #[test]
    fn pool_computes_the_same_results() {
        assert!(speed_up(&[10_000, 20_000]).unwrap() > 0.0);
    }
}
