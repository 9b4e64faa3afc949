//! A queue of jobs in one pool, with priorities, weights, a rate, a pause, and cancellation by id.
//! Jobs are submitted while others run; the pool's queue is the job queue.
//!
//! ```text
//! cargo run --example job_queue
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use spinney::pool::{Order, SlotError};
use spinney::task::{GreenletExit, spawn_on};
use spinney::{Failure, Greenlet, Pool, Rate, sleep};
use spinney_sim::SimHub;

const MS: Duration = Duration::from_millis(1);

/// A job of a client.
#[derive(Clone, Copy)]
struct Job {
    id: u32,
    priority: i32,
    weight: usize,
    time: Duration,
}

/// Runs jobs. Dropping it kills the remaining jobs.
struct JobQueue {
    hub: SimHub,
    pool: Pool<SimHub>,
    jobs: BTreeMap<u32, Greenlet<Result<u32, Failure>>>,
}

impl JobQueue {
    /// Creates a queue that runs four jobs of weight 1 at once, starts one every 10 ms, and has at
    /// most 20 waiting jobs. An urgent job overtakes at most 5 earlier ones for each step of its
    /// priority.
    fn new(hub: &SimHub) -> Self {
        let pool = Pool::builder()
            .rate(Rate::per(1, 10 * MS))
            .order(Order::Aging(5))
            .max_waiting(20)
            .pool_on(hub, 4);
        Self { hub: hub.clone(), pool, jobs: BTreeMap::new() }
    }

    /// Adds a job to the queue, without waiting for it.
    fn submit(&mut self, job: Job) {
        let pool = self.pool.clone();
        let queued = spawn_on(&self.hub, async move {
            let request = pool.slot().weight(job.weight).priority(job.priority);
            let work = async move {
                sleep(job.time).await;
                job.id
            };
            // A kill of this task removes the job from the queue, or kills it.
            request.spawn(work).await.kill_on_drop().await
        });
        self.jobs.insert(job.id, queued);
    }

    /// Removes a job from the queue, or kills it if it runs. Later jobs move up.
    fn cancel(&self, id: u32) {
        if let Some(job) = self.jobs.get(&id) {
            job.kill_now_with(GreenletExit::because("the client cancelled it"));
        }
    }

    /// Waits until a job has finished, and describes its outcome.
    async fn outcome(&mut self, id: u32) -> String {
        let Some(job) = self.jobs.remove(&id) else { return format!("job {id}: unknown") };
        match job.await {
            Ok(Ok(id)) => format!("job {id}: done"),
            Ok(Err(Failure::Killed(exit))) | Err(Failure::Killed(exit)) => {
                let shed =
                    exit.reason().and_then(|reason| reason.downcast_ref::<SlotError>()).is_some();
                format!(
                    "job {id}: {}",
                    if shed { "refused, come again later" } else { "cancelled" }
                )
            }
            Ok(Err(failure)) | Err(failure) => format!("job {id}: {failure}"),
        }
    }
}

fn main() {
    // A virtual clock: the example takes no time, and runs in the same order each time.
    let hub = SimHub::new();
    hub.block_on(async {
        let mut queue = JobQueue::new(&hub);
        // Maintenance: jobs are submitted, and none starts.
        queue.pool.pause_for(100 * MS);
        for id in 0..24 {
            let (priority, weight) = (i32::from(id == 5), if id % 6 == 0 { 3 } else { 1 });
            queue.submit(Job { id, priority, weight, time: 50 * MS });
        }
        sleep(MS).await;
        queue.cancel(2);
        for id in [0, 2, 5, 19, 23] {
            let outcome = queue.outcome(id).await;
            println!("{:>4} ms  {outcome}", hub.elapsed().as_millis());
        }
        let stats = queue.pool.stats();
        assert_eq!((stats.shed, stats.paused), (4, 100 * MS));
        assert_eq!(queue.outcome(23).await, "job 23: unknown");
        println!("refused {}, paused for {:?}", stats.shed, stats.paused);
    });
}
