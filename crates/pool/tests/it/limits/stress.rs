//! Limits on real threads.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use spinney_hub::{Hub, Within, yield_now};
use spinney_pool::limits::Order;
use spinney_pool::{Pool, Rate};
use spinney_test_support::blow_up;

/// Counts the tasks that are inside, and the most that ever were.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A task that is inside. Dropping it leaves.
struct Inside<'a>(&'a Gauge, usize);

impl Gauge {
    fn enter(&self, weight: usize) -> Inside<'_> {
        self.most.fetch_max(self.now.fetch_add(weight, SeqCst) + weight, SeqCst);
        Inside(self, weight)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(self.1, SeqCst);
    }
}

#[test]
fn no_limit_is_exceeded_and_no_slot_lost_on_threads() {
    const TASKS: usize = 3000;
    let hub = Hub::builder().threads(4).build().unwrap();
    let rate = Rate::per(100_000, Duration::from_secs(1)).burst(50);
    let pool = Pool::builder().per_key(2).rate(rate).order(Order::Aging(20)).pool_on(&hub, 6);
    let gauges: Arc<Vec<Gauge>> = Arc::new((0..9).map(|_| Gauge::default()).collect());
    let feeders = (0..4).map(|feeder| {
        let (pool, gauges) = (pool.clone(), Arc::clone(&gauges));
        spinney_greenlet::spawn_on(&hub, async move {
            for n in 0..TASKS / 4 {
                let key = (n * 7 + feeder) % 8;
                let (own, weight) = (Arc::clone(&gauges), 1 + n % 2);
                let task = async move {
                    let _inside = (own[key].enter(1), own[8].enter(weight));
                    yield_now().await;
                    if n % 11 == 0 {
                        blow_up("no luck");
                    }
                };
                let request = pool.slot().key(&key).weight(weight).priority(i32::from(n % 3 == 0));
                let started = request.spawn(task).await;
                match n % 13 {
                    0 => started.kill_now(),
                    1 => drop(started.await),
                    _ => started.detach(),
                }
                if n % 100 == 50 {
                    pool.pause_for(Duration::from_micros(200));
                }
                if n % 70 == 0 {
                    pool.resize(3 + n % 4);
                }
            }
        })
    });
    let feeders: Vec<_> = feeders.collect();
    let all = async {
        for feeder in feeders {
            feeder.await.unwrap();
        }
        pool.resize(6);
        pool.wait_idle().await.unwrap();
    };
    hub.block_on(all.within(Duration::from_secs(120))).expect("no waiter is forgotten");
    assert!(gauges[..8].iter().all(|gauge| gauge.most.load(SeqCst) <= 2));
    assert!(gauges[8].most.load(SeqCst) <= 6);
    assert_eq!((pool.len(), pool.available(), pool.waiting()), (0, 6, 0));
}
