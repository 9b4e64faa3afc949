//! How items are created: slowly, for callers that leave, and after failures.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney::pile::ResourceError;
use spinney::task::joinall;
use spinney::time::Clock;
use spinney::{ResourcePool, Within, sleep, spawn};
use spinney_sim::SimHub;
use spinney_tests::tools::{Gauge, Log, blow_up, gate};
use spinney_tests::{Dropped, on_every_hub, smol_block_on};

const SECOND: Duration = Duration::from_secs(1);

on_every_hub! {
    async fn create_continues_when_its_caller_leaves(_hub) {
        let (open, made) = (gate(), Arc::new(AtomicUsize::new(0)));
        let (opened, count) = (Arc::clone(&open), Arc::clone(&made));
        let create = move || {
            let opened = Arc::clone(&opened);
            count.fetch_add(1, SeqCst);
            async move { opened.wait().await; Ok::<_, Infallible>("a connection") }
        };
        let pool = ResourcePool::builder(create).max_size(1).build();
        for _ in 0..3 {
            assert!(poll_once(pool.item()).await.is_none());
        }
        open.set();
        assert_eq!(*pool.item().await.unwrap(), "a connection");
        assert_eq!((made.load(SeqCst), pool.len(), pool.available()), (1, 1, 1));
    }

    async fn caller_that_creates_takes_an_item_that_comes_back(_hub) {
        let tries = AtomicUsize::new(0);
        let create = move || {
            let nth = tries.fetch_add(1, SeqCst);
            async move {
                if nth > 0 {
                    pending::<()>().await;
                }
                Ok::<_, Infallible>(nth)
            }
        };
        let pool = ResourcePool::builder(create).max_size(2).build();
        let first = pool.item().await.unwrap();
        let mut second = Box::pin(pool.item());
        assert!(poll_once(&mut second).await.is_none());
        drop(first);
        assert_eq!(*second.await.unwrap(), 0);
        assert_eq!((pool.len(), pool.stats().creating, pool.available()), (2, 1, 2));
    }
}

#[test]
fn create_slower_than_every_caller_finishes() {
    let sim = SimHub::new();
    let create = || async {
        sleep(SECOND).await;
        Ok::<_, Infallible>(())
    };
    let pool = ResourcePool::builder(create).max_size(1).build();
    let served = sim.block_on(async {
        let users = (0..20).map(|n| {
            let pool = pool.clone();
            spawn(async move {
                sleep(Duration::from_millis(100) * n).await;
                pool.item().within(SECOND / 2).await.is_ok()
            })
        });
        let users: Vec<_> = users.collect();
        joinall(&users).await;
        users.into_iter().filter(|user| user.is_successful()).count()
    });
    assert_eq!((served, pool.stats().created), (20, 1));
    assert!(pool.stats().waits.count() >= 13, "{:?}", pool.stats());
}

#[test]
fn create_outside_of_hubs_continues_with_the_next_caller() {
    let (open, made) = (gate(), Arc::new(AtomicUsize::new(0)));
    let (opened, count) = (Arc::clone(&open), Arc::clone(&made));
    let create = move || {
        let opened = Arc::clone(&opened);
        count.fetch_add(1, SeqCst);
        async move {
            opened.wait().await;
            Ok::<_, Infallible>(())
        }
    };
    let pool = ResourcePool::builder(create).max_size(1).build();
    smol_block_on(async {
        assert!(poll_once(pool.item()).await.is_none());
        assert_eq!((pool.len(), pool.stats().creating), (1, 1));
        open.set();
        pool.item().await.unwrap();
    });
    assert_eq!((made.load(SeqCst), pool.len(), pool.available()), (1, 1, 1));
}

#[test]
fn create_on_a_stopped_hub_is_begun_again() {
    let dropped = Dropped::default();
    let (tries, guards) = (AtomicUsize::new(0), dropped.clone());
    let create = move || {
        let (nth, guard) = (tries.fetch_add(1, SeqCst), guards.guard());
        async move {
            if nth == 0 {
                pending::<()>().await;
            }
            Ok::<_, Infallible>(guard)
        }
    };
    let pool = ResourcePool::builder(create).max_size(1).build();
    let hub = spinney_tests::hub(1);
    hub.block_on(async { assert!(poll_once(pool.item()).await.is_none()) });
    assert_eq!((dropped.count(), pool.len()), (0, 1));
    hub.shutdown(Duration::ZERO);
    assert_eq!((dropped.count(), pool.len()), (1, 0));
    SimHub::new().block_on(pool.item()).unwrap();
}

#[test]
fn create_timeout_ends_a_create_without_a_caller() {
    let (sim, dropped) = (SimHub::new(), Dropped::default());
    let guards = dropped.clone();
    let create = move || {
        let guard = guards.guard();
        async move {
            pending::<()>().await;
            Ok::<_, Infallible>(guard)
        }
    };
    let pool = ResourcePool::builder(create).create_timeout(5 * SECOND).build();
    sim.block_on(async {
        assert!(pool.item().within(SECOND).await.is_err());
        sleep(4 * SECOND + SECOND / 2).await;
        assert_eq!((dropped.count(), pool.len(), pool.stats().failed), (1, 0, 1));
        let error = pool.item().await.map(drop).unwrap_err();
        assert_eq!(error.to_string(), "the pool could not create an item: timed out after 5s");
    });
}

#[test]
fn dead_server_gets_one_create_per_delay() {
    let (sim, asked) = (SimHub::new(), Log::default());
    let (start, log) = (sim.block_on(async { Clock::current().now() }), asked.clone());
    let create = move || {
        log.add(Clock::current().now().duration_since(start).as_millis());
        ready(Err::<(), _>("refused"))
    };
    let pool = ResourcePool::builder(create).max_size(50).build();
    sim.block_on(async {
        let users: Vec<_> = (0..6)
            .map(|_| {
                let pool = pool.clone();
                spawn(async move { pool.item().await.map(drop) })
            })
            .collect();
        joinall(&users).await;
        for user in users {
            assert_eq!(user.await.unwrap(), Err(ResourceError::Create("refused")));
        }
    });
    assert_eq!(asked.take(), [0, 100, 300, 700, 1500, 3100]);
    assert_eq!((pool.stats().failed, pool.len(), pool.available()), (6, 0, 50));
}

#[test]
fn first_success_ends_the_delay_for_all() {
    let sim = SimHub::new();
    let tries = AtomicUsize::new(0);
    let create = move || ready(Some(tries.fetch_add(1, SeqCst)).filter(|nth| *nth > 0).ok_or(()));
    let pool = ResourcePool::builder(create).max_size(9).backoff(|_| SECOND).build();
    sim.block_on(async {
        pool.item().await.map(drop).unwrap_err();
        let users = (0..9).map(|_| pool.item());
        let users: Vec<_> = spinney_tests::tools::all(users.map(Box::pin).collect()).await;
        assert!(users.iter().all(Result::is_ok));
    });
    assert_eq!((sim.elapsed(), pool.len()), (SECOND, 9));
}

#[test]
fn max_creating_bounds_creations() {
    let (sim, gauge) = (SimHub::new(), Gauge::default());
    let creating = gauge.clone();
    let create = move || {
        let creating = creating.clone();
        async move {
            let _creating = creating.enter();
            sleep(SECOND).await;
            Ok::<_, Infallible>(())
        }
    };
    let pool = ResourcePool::builder(create).max_size(10).max_creating(3).build();
    sim.block_on(async {
        let users = (0..10).map(|_| Box::pin(pool.item()));
        let _users = spinney_tests::tools::all(users.collect()).await;
    });
    assert_eq!((gauge.peak(), sim.elapsed(), pool.len()), (3, 4 * SECOND, 10));
}

#[test]
fn panic_of_a_create_goes_to_one_caller() {
    let sim = SimHub::new();
    let tries = AtomicUsize::new(0);
    let create = move || {
        let nth = tries.fetch_add(1, SeqCst);
        async move {
            sleep(SECOND).await;
            if nth == 0 {
                blow_up("no luck");
            }
            Ok::<_, Infallible>(nth)
        }
    };
    let pool = ResourcePool::builder(create).max_size(1).build();
    sim.block_on(async {
        let own = pool.clone();
        let failed = spawn(async move { own.item().await.map(drop) });
        assert!(failed.await.unwrap_err().is_panic());
        assert_eq!(*pool.item().await.unwrap(), 1);
    });
    assert_eq!((pool.stats().failed, pool.available()), (1, 1));
}

#[test]
fn refill_maintains_the_minimum_size() {
    let sim = SimHub::new();
    let tries = AtomicUsize::new(0);
    let create = move || ready(Some(tries.fetch_add(1, SeqCst)).filter(|nth| *nth != 4).ok_or(()));
    let builder = ResourcePool::builder(create).min_size(3).refill(true);
    let pool = builder.backoff(|_| SECOND).build();
    sim.block_on(async {
        pool.fill().await.unwrap();
        pool.item().await.unwrap().discard();
        sleep(SECOND / 2).await;
        assert_eq!((pool.len(), pool.stats().idle), (3, 3));
        // The next create fails at first.
        pool.item().await.unwrap().discard();
        sleep(SECOND / 2).await;
        assert_eq!((pool.len(), pool.stats().failed), (2, 1));
        sleep(SECOND).await;
        assert_eq!(pool.len(), 3);
    });
    assert_eq!(sim.pending(), 0);
}

#[test]
fn backoff_that_panics_stops_no_task() {
    let sim = SimHub::new();
    let create = || async {
        sleep(SECOND).await;
        Err::<(), _>("no")
    };
    let backoff = |_| blow_up("backoff");
    let pool = ResourcePool::builder(create).max_size(1).backoff(backoff).build();
    sim.block_on(async {
        // The creation continues without its caller.
        assert!(pool.item().within(SECOND / 2).await.is_err());
        sleep(SECOND).await;
        let stats = pool.stats();
        assert_eq!((stats.failed, stats.size, stats.creating, pool.available()), (1, 0, 0, 1));
        // The next one has a caller, which gets the panic.
        let user = pool.clone();
        let failure = spawn(async move { user.item().await.map(drop) }).await.unwrap_err();
        assert!(failure.is_panic() && failure.to_string().contains("backoff"), "{failure}");
        assert_eq!((pool.stats().failed, pool.available()), (2, 1));
    });
}

#[test]
fn refiller_gives_way_while_create_fails() {
    const MS: Duration = Duration::from_millis(1);
    let sim = SimHub::new();
    let builder = ResourcePool::builder(|| async { Err::<(), _>("no") }).max_size(2);
    let pool = builder.min_size(1).refill(true).backoff(|_| Duration::ZERO).build();
    sim.block_on(async {
        assert!(pool.item().await.is_err());
        sleep(10 * MS).await;
        let failed = pool.stats().failed;
        assert!((10..=12).contains(&failed), "once a millisecond: {failed}");
    });
}

#[test]
fn failure_of_the_refiller_goes_to_a_waiting_caller() {
    let sim = SimHub::new();
    let builder = ResourcePool::builder(|| async { Err::<(), _>("no") }).max_size(2);
    let pool = builder.min_size(1).refill(true).backoff(|nth| SECOND * nth).build();
    sim.block_on(async {
        for failed in 1..5 {
            assert!(pool.item().await.is_err());
            assert_eq!(pool.stats().failed, failed);
        }
    });
    assert_eq!(sim.elapsed(), SECOND * (1 + 2 + 3));
}

#[test]
fn items_that_expire_at_once_are_replaced_in_time() {
    let sim = SimHub::new();
    let builder = ResourcePool::builder(|| async { Ok::<_, Infallible>(()) }).max_size(2);
    let pool = builder.min_size(1).refill(true).max_age(Duration::ZERO).build();
    sim.block_on(async {
        drop(pool.item().await.unwrap());
        sleep(Duration::from_millis(10)).await;
        let created = pool.stats().created;
        assert!((10..=13).contains(&created), "once a millisecond: {created}");
    });
}
