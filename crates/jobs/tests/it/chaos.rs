//! A worker on a broker that loses connections, delivers twice and in any order, and whose results
//! are out of reach now and then.

use std::sync::Arc;
use std::time::Duration;

use spinney_greenlet::map::Retry;
use spinney_hub::{Clock, Spawn, sleep};
use spinney_jobs::{Terms, Worker};
use spinney_pool::Pool;
use spinney_sim::SimHub;

use crate::broker::{Broker, Message};

const JOBS: usize = 40;

#[test]
fn no_job_is_lost_or_run_twice_at_once_on_a_bad_broker() {
    SimHub::check(0..300, |sim| {
        let broker = Broker::default();
        let mut rng = fastrand::Rng::with_seed(sim.choose("seed", 1 << 30) as u64);
        broker.state().rng = Some(rng.fork());
        sim.block_on(async {
            for n in 0..JOBS {
                let eta = rng.bool().then(|| Clock::current().now() + millis(rng.u64(0..500)));
                let soft_limit = (rng.u8(..) < 32).then_some(millis(30));
                let hard_limit = (rng.u8(..) < 32).then_some(millis(40));
                let terms = Terms { eta, soft_limit, hard_limit, ..Terms::default() };
                broker.send(&format!("job-{n}"), terms);
                if rng.u8(..) < 40 {
                    broker.send(&format!("job-{n}"), terms);
                }
            }
            let worker = worker(&broker);
            let handle = worker.handle();
            let (chaos, mut dice) = (broker.clone(), rng.fork());
            sim.spawn(async move {
                for _ in 0..10 {
                    sleep(millis(dice.u64(1..200))).await;
                    chaos.lose_connection();
                    handle.revoke(&format!("job-{}", dice.usize(..JOBS)), dice.bool());
                }
                while chaos.left() > 0 {
                    sleep(millis(50)).await;
                }
                handle.stop(Duration::ZERO);
            });
            let of = broker.clone();
            let report = worker.run(move |job| work(of.clone(), job)).await;
            assert_eq!((report.active, report.settling, report.reserved), (0, 0, 0), "{report:?}");
        });
        for n in 0..JOBS {
            assert!(!broker.settled(&format!("job-{n}")).is_empty(), "job-{n} is lost");
        }
    });
}

fn worker(broker: &Broker) -> Worker<Broker> {
    let retry = Retry::times(2).delays(std::iter::repeat(millis(30)));
    Worker::builder(&Pool::new(4)).prefetch(2).retry(retry).build(broker.clone())
}

async fn work(broker: Broker, job: Arc<Message>) -> Result<&'static str, &'static str> {
    let dice = broker.state().rng.as_mut().unwrap().u64(..);
    broker.running(&job.id, sleep(millis(dice % 60))).await;
    match dice % 7 {
        0 => Err("no luck"),
        1 => panic!("bad luck"),
        _ => Ok("luck"),
    }
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
