//! Greenlets that kill each other at random moments: each finishes once, and leaves nothing behind.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use futures_lite::future::zip;
use spinney::gevent::PoolExt as _;
use spinney::task::joinall;
use spinney::task::{killall, spawn_on};
use spinney::{Greenlet, Handle, Pool, catch_exit, greenlet_local, shield, yield_now};
use spinney_tests::{Replay, SimHub};

greenlet_local!(
    static KEPT: Option<Arc<()>> = None;
);

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All participants.
#[derive(Clone, Default)]
struct Storm {
    greenlets: Arc<Mutex<Vec<Handle>>>,
    /// Cloned into everything that must not leak.
    token: Arc<()>,
    /// How often each greenlet's links have been called.
    ends: Arc<Mutex<Vec<usize>>>,
}

impl Storm {
    /// A few turns, with a kill of some greenlet in each.
    fn turns(&self, rng: &mut Rng) -> Work {
        let (storm, mut rng) = (self.clone(), rng.fork());
        Box::pin(async move {
            for _ in 0..rng.usize(0..4) {
                let victim = rng.choice(storm.greenlets.lock().unwrap().iter()).cloned();
                if let Some(victim) = victim {
                    victim.kill_now();
                }
                yield_now().await;
            }
        })
    }

    /// Turns, inside any combination of catchers and shields.
    fn work(&self, rng: &mut Rng, depth: usize) -> Work {
        let inner = if depth == 0 { self.turns(rng) } else { self.work(rng, depth - 1) };
        let other = self.turns(rng);
        match rng.u32(0..7) {
            0 => Box::pin(async move {
                if let Err(exit) = catch_exit(inner).await {
                    other.await;
                    exit.resume::<()>().await;
                }
            }),
            1 => Box::pin(async move {
                drop(catch_exit(inner).await);
                other.await;
            }),
            2 => Box::pin(shield(other)),
            3 => Box::pin(async move {
                zip(shield(other), inner).await;
            }),
            4 => {
                let token = Arc::clone(&self.token);
                Box::pin(async move {
                    KEPT.set(Some(token));
                    inner.await;
                })
            }
            5 => Box::pin(async move {
                zip(catch_exit(other), inner).await.0.unwrap_or_default();
            }),
            _ => inner,
        }
    }

    /// Adds a participant, and links to it.
    fn note(&self, greenlet: &Handle) {
        let mut ends = self.ends.lock().unwrap();
        let n = ends.len();
        ends.push(0);
        drop(ends);
        let told = Arc::clone(&self.ends);
        greenlet.link(move |_| told.lock().unwrap()[n] += 1);
        self.greenlets.lock().unwrap().push(greenlet.clone());
    }
}

fn rage(seed: u64, size: usize) {
    let replay = Replay(seed);
    let (sim, mut rng, storm) = (SimHub::seeded(seed), Rng::with_seed(seed), Storm::default());
    let pool = Pool::on(&sim, 1 + size / 8);
    let mut unstarted = Vec::new();
    sim.block_on(async {
        for _ in 0..size {
            let work = storm.work(&mut rng, 2);
            let greenlet = match rng.u32(0..6) {
                0 | 1 => pool.spawn(work).await,
                2 | 3 => spawn_on(&sim, work),
                _ => Greenlet::new(work),
            };
            storm.note(&greenlet);
            match rng.u32(0..4) {
                0 => unstarted.push(greenlet),
                1 => drop((greenlet.start_later(Duration::from_secs(rng.u64(0..3))), greenlet)),
                2 => drop((greenlet.start(), greenlet)),
                _ => greenlet.detach(),
            }
        }
        killall(&unstarted).await;
        let all = storm.greenlets.lock().unwrap().clone();
        assert_eq!(joinall(all).await.len(), size);
        pool.join().await.unwrap();
    });
    sim.run_until_idle();
    assert_eq!((pool.len(), pool.free_count(), sim.pending()), (0, 1 + size / 8, 0));
    assert!(storm.ends.lock().unwrap().iter().all(|ends| *ends == 1), "a greenlet finished twice");
    assert_eq!(Arc::strong_count(&storm.token), 1, "a future or a local was leaked");
    replay.passed();
}

#[test]
fn small_kill_storms_leave_nothing_behind() {
    (0..1000).for_each(|seed| rage(seed, 60));
}

#[test]
fn large_kill_storms_leave_nothing_behind() {
    (0..5).for_each(|seed| rage(seed, 10_000));
}
