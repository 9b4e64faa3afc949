//! A storm on real threads: random spawns, maps, kills, panics, resizes and drops, from several
//! concurrent tasks. Afterwards every slot is free, and everything was dropped once.
//!
//! It runs for as many seconds as the variable `SPINNEY_STRESS_SECONDS` sets, as `cargo xtask
//! stress` does; otherwise for one storm. `SPINNEY_STRESS_THREADS` sets the number of the hub's
//! threads, 4 by default. With `--nocapture` it prints the number of storms.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use spinney::gevent::PoolExt as _;
use spinney::task::joinall;
use spinney::task::{GreenletExit, spawn_on};
use spinney::{Group, Hub, Pool, block_on, spawn, yield_now};
use spinney_tests::{DropGuard, Dropped, hub, in_time};

const CAPACITY: usize = 5;
const ROUNDS: usize = 400;

#[test]
fn storm_on_threads_leaks_no_slot_and_no_value() {
    let number = |name, default| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a variable is a number"))
    };
    let seconds = number("SPINNEY_STRESS_SECONDS", 0);
    let threads = number("SPINNEY_STRESS_THREADS", 4);
    let (start, mut storm) = (Instant::now(), 0);
    loop {
        blow(storm, threads);
        storm += 1;
        if start.elapsed() >= Duration::from_secs(seconds as u64) {
            break;
        }
    }
    println!("{storm} storms of {} acts", 8 * ROUNDS);
}

/// Eight random actors, and the state that they leave behind.
fn blow(storm: u64, threads: usize) {
    let hub = hub(threads);
    let pool = Pool::on(&hub, CAPACITY);
    let outside = Group::on(&hub);
    let (dropped, made) = (Dropped::default(), Arc::new(AtomicUsize::new(0)));
    hub.block_on(in_time(async {
        let storms = (8 * storm..8 * storm + 8).map(|seed| {
            let storm = Storm {
                rng: Rng::with_seed(seed),
                pool: pool.clone(),
                nests: storm % 2 == 0,
                outside: outside.clone(),
                dropped: dropped.clone(),
                made: Arc::clone(&made),
            };
            spawn_on(&hub, storm.blow())
        });
        let storms: Vec<_> = storms.collect();
        joinall(&storms).await;
        assert!(storms.iter().all(|storm| storm.is_successful()));
        pool.resize(CAPACITY);
        if storm % 2 == 0 {
            pool.shutdown(GreenletExit::new()).await;
        } else {
            pool.drain(Duration::from_millis(10)).await.unwrap();
        }
        pool.wait_idle().await.unwrap();
        assert!(pool.is_empty() && pool.is_closed());
        outside.join().await.unwrap();
    }));
    assert_eq!((pool.len(), pool.free_count(), pool.waiting()), (0, CAPACITY, 0));
    drop((pool, outside));
    // Not a mere drop: a map's feeder may hold the hub at this moment, and is not waited for then.
    hub.shutdown(Duration::ZERO);
    assert_eq!(dropped.count(), made.load(Relaxed));
}

/// One of the random actors.
struct Storm {
    rng: Rng,
    pool: Pool<Hub>,
    /// Whether members map over their own pool. They are then not discarded, because as non-members
    /// they would wait for the slots of members that wait for them.
    nests: bool,
    /// Greenlets that are not members of the pool, or no longer.
    outside: Group<Hub>,
    dropped: Dropped,
    made: Arc<AtomicUsize>,
}

impl Storm {
    async fn blow(mut self) {
        for _ in 0..ROUNDS {
            match self.rng.u32(..17) {
                0..=3 => self.spawn().await,
                4 => {
                    let work = self.work();
                    drop(self.pool.try_spawn(work));
                }
                5 => {
                    let work = self.work();
                    drop(poll_once(self.pool.spawn(work)).await);
                }
                6 => self.map_in_part().await,
                7 => self.map().await,
                8 => self.pool.kill_now(),
                9 => self.pool.resize(self.rng.usize(1..=2 * CAPACITY)),
                10 => self.kill_one(),
                11 => self.add().await,
                12 if !self.nests => self.discard(),
                13 => self.apply_inside().await,
                14 => self.spawn_inside().await,
                15 if self.nests => self.map_inside().await,
                _ => yield_now().await,
            }
        }
    }

    async fn spawn(&mut self) {
        let work = self.work();
        let greenlet = self.pool.spawn(work).await;
        match self.rng.u32(..3) {
            0 => greenlet.detach(),
            1 => greenlet.kill().await,
            _ => drop(greenlet.await),
        }
    }

    /// Reads a few results of a long stream, then drops it.
    async fn map_in_part(&mut self) {
        let guard = Arc::new(self.guard());
        let work = move |n: u32| {
            let guard = Arc::clone(&guard);
            async move {
                yield_now().await;
                drop(guard);
                n
            }
        };
        let mut results = self.pool.imap_unordered(work, 0..);
        for _ in 0..self.rng.u32(..20) {
            results.next().await;
        }
    }

    /// Reads a whole map. Its items may be killed, but each has a result.
    async fn map(&mut self) {
        let results = self.pool.imap(|n: u32| async move { n }, 0..20).collect::<Vec<_>>().await;
        assert_eq!(results.len(), 20);
        for (n, result) in (0..).zip(results) {
            assert!(result.map_or_else(|failure| failure.is_killed(), |value| value == n));
        }
    }

    /// Adds a non-member, or cancels that.
    async fn add(&mut self) {
        let stranger = self.work();
        let stranger = self.outside.spawn(stranger);
        if self.rng.bool() {
            self.pool.add(&stranger).await;
        } else {
            let _ = poll_once(self.pool.add(&stranger)).await;
        }
    }

    fn discard(&mut self) {
        let members = self.pool.members();
        if let Some(member) = self.rng.choice(&members) {
            self.outside.add(member);
            self.pool.discard(member);
        }
    }

    async fn apply_inside(&mut self) {
        let (inside, work) = (self.pool.clone(), self.work());
        drop(self.pool.apply(async move { inside.apply(work).await }).await);
    }

    /// A member spawns into its own pool, which may be full.
    async fn spawn_inside(&mut self) {
        let (inside, work) = (self.pool.clone(), self.work());
        let outer = async move { inside.spawn(work).await.detach() };
        self.pool.spawn(outer).await.detach();
    }

    /// A member maps over its own pool, and so do its items.
    async fn map_inside(&mut self) {
        let (outer, inner) = (self.pool.clone(), self.pool.clone());
        let nested = move |_: u32| {
            let inner = inner.clone();
            async move { drop(inner.map(|_: u32| yield_now(), 0..3).await) }
        };
        let member = async move { drop(outer.map(nested, 0..3).await) };
        self.pool.spawn(member).await.detach();
    }

    fn kill_one(&mut self) {
        let members = self.pool.members();
        if let Some(member) = self.rng.choice(&members) {
            member.kill_now();
        }
    }

    /// Waits for a few turns, or blocks its thread until another task has run, then finishes in one
    /// of the possible ways.
    fn work(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let (guard, turns, panics) = (self.guard(), self.rng.u32(..4), self.rng.u32(..4) == 0);
        let blocks = self.rng.u32(..8) == 0;
        async move {
            let _guard = guard;
            for _ in 0..turns {
                yield_now().await;
            }
            if blocks {
                drop(block_on(spawn(async {})));
            }
            if panics {
                std::panic::resume_unwind(Box::new("a panic that no hook reports"));
            }
        }
    }

    fn guard(&self) -> DropGuard {
        self.made.fetch_add(1, Relaxed);
        self.dropped.guard()
    }
}
