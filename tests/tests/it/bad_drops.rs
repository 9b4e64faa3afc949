//! Panicking destructors, and other unexpected panics in foreign code: nothing else is affected.

use std::any::Any;
use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use futures_lite::{StreamExt, stream};
use spinney::map::from_stream;
use spinney::task::{GreenletExit, Iwait, spawn_on};
use spinney::{GreenPile, GreenPool, Pool, ResourcePool, block_on, sleep, yield_now};
use spinney_greenlet::pair;
use spinney_sim::SimHub;
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Count, OnDrop, Why, behind, blow_up, gate, let_others_run, stuck};

/// Panics when it is dropped, unless that would abort the process.
#[derive(Debug)]
struct BadDrop;

/// Always panics when it is dropped.
struct WorseDrop;

impl Drop for WorseDrop {
    fn drop(&mut self) {
        blow_up("a destructor")
    }
}

impl Drop for BadDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            blow_up("a destructor");
        }
    }
}

/// An iterator that panics, and panics again when it is dropped.
struct BadInput(BadDrop);

impl Iterator for BadInput {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        blow_up("an iterator")
    }
}

on_every_hub! {
    async fn panicking_drop_of_a_map_function_affects_nothing_else(hub) {
        let (pool, bad) = (Pool::on(hub, 1), BadDrop);
        let work = move |n: u32| {
            let _bad = &bad;
            async move { n }
        };
        assert!(pool.map(work, Vec::new()).await.unwrap().is_empty());
        assert_eq!(pool.map(|n| async move { n }, [1]).await.unwrap(), [1]);
    }

    async fn input_that_panics_twice_fails_its_map_with_the_first(hub) {
        let pool = Pool::on(hub, 1);
        let failure = pool.map(|n| async move { n }, BadInput(BadDrop)).await.unwrap_err();
        assert_eq!(failure.into_error().why(), "panicked: an iterator");
    }

    async fn detached_map_survives_results_that_panic_when_dropped(hub) {
        let (pool, count) = (Pool::on(hub, 1), Count::to(20));
        let counts = count.clone();
        let work = move |_| {
            counts.add();
            async { BadDrop }
        };
        pool.imap(work, 0..20).detach();
        count.reached().await;
        pool.wait_idle().await.unwrap();
    }

    async fn callback_with_a_panicking_payload_strands_no_waiter(hub) {
        let open = gate();
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), ()));
        greenlet.link(|_| std::panic::resume_unwind(Box::new(BadDrop)));
        open.set();
        greenlet.await.unwrap();
    }

    async fn panicking_guard_strands_no_waiter(hub) {
        let (task, greenlet) = pair(yield_now(), BadDrop);
        spawn_on(hub, task).detach();
        greenlet.await.unwrap();
    }

    async fn stream_survives_an_item_whose_future_panics_when_dropped(hub) {
        let (pool, started) = (Pool::on(hub, 1), Arc::new(AtomicUsize::new(0)));
        let starts = Arc::clone(&started);
        let work = move |n: usize| {
            starts.fetch_add(1, SeqCst);
            let bad = (n == 0).then(|| BadDrop);
            async move {
                yield_now().await;
                drop(bad);
            }
        };
        let results = pool.imap(work, 0..3).collect::<Vec<_>>().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
        assert_eq!(started.load(SeqCst), 3);
    }

    async fn panicking_drop_of_an_expired_item_keeps_no_other(_hub) {
        let count = Count::to(2);
        let counts = count.clone();
        let create = move || {
            let counts = counts.clone();
            std::future::ready(Ok::<_, Infallible>((OnDrop::new(move || counts.add()), BadDrop)))
        };
        let limit = Duration::from_millis(50);
        let pool = ResourcePool::builder(create).idle_timeout(limit).build();
        let (first, second) = (pool.item().await, pool.item().await);
        drop(first);
        sleep(limit / 5).await;
        drop(second);
        count.reached().await;
        // Each is counted until it has been dropped.
        while !pool.is_empty() {
            yield_now().await;
        }
    }

    async fn kill_ends_a_closed_map_with_a_panicking_item_ahead(hub) {
        let pool = Pool::on(hub, 1);
        pool.spawn(stuck(gate(), ())).await.detach();
        let items = stream::iter(0..3).map(|_| BadDrop);
        let mut results = pool.imap(|bad| async move { std::mem::forget(bad) }, from_stream(items));
        let_others_run().await;
        pool.close();
        pool.kill().await;
        assert!(results.next().await.unwrap().unwrap_err().is_killed());
        assert!(results.next().await.is_none());
    }
}

#[test]
fn hub_stop_ends_a_map_with_a_panicking_item_ahead() {
    let hub = spinney_tests::hub(1);
    let pool = Pool::on(&hub, 1);
    let mut results = hub.block_on(async {
        pool.spawn(std::future::pending::<()>()).await.detach();
        let items = stream::iter(0..3).map(|_| BadDrop);
        let results = pool.imap(|bad| async move { std::mem::forget(bad) }, from_stream(items));
        let_others_run().await;
        results
    });
    hub.shutdown(Duration::ZERO);
    let read = async { while results.next().await.is_some() {} };
    block_on(read);
}

#[test]
fn panicking_drop_of_a_reason_affects_no_hub() {
    #[derive(Debug)]
    struct BadReason(BadDrop);

    impl fmt::Display for BadReason {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a bad one")
        }
    }
    impl Error for BadReason {}

    let sim = SimHub::new();
    let greenlet = spawn_on(&sim, std::future::pending::<()>());
    sim.block_on(yield_now());
    greenlet.kill_now_with(GreenletExit::because(BadReason(BadDrop)));
    greenlet.detach();
    sim.run_until_idle();
    assert_eq!(sim.pending(), 0);
}

#[test]
fn panicking_drop_of_a_result_spares_the_dropper() {
    let sim = SimHub::new();
    let greenlets = |several: usize| (0..several).map(|_| spawn_on(&sim, async { WorseDrop }));
    let (set, list): (Iwait<_>, Vec<_>) = (greenlets(3).collect(), greenlets(3).collect());
    let pool = GreenPool::on(&sim, 3);
    let piles = [GreenPile::on(&pool), GreenPile::on(&pool).in_spawn_order()];
    for pile in &piles {
        sim.block_on(async {
            for _ in 0..3 {
                pile.spawn(async { WorseDrop }).await;
            }
        });
    }
    sim.run_until_idle();
    drop((set, list, piles));
}

#[test]
fn item_and_check_may_both_panic_during_a_panic() {
    let sim = SimHub::new();
    let pool = ResourcePool::builder(|| ready(Ok::<_, Infallible>(WorseDrop)))
        .recycle(|_, _| blow_up("a check"))
        .keep_after_failure(true)
        .build();
    let item = || sim.block_on(pool.item()).unwrap();
    drop(item());
    let comes_back = AssertUnwindSafe(|| {
        let _item = item();
        blow_up("a user")
    });
    let payload = catch_unwind(comes_back).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "a user");
    assert_eq!((pool.len(), pool.available()), (0, 4));
}

#[test]
fn item_is_returned_although_its_thread_exits() {
    thread_local! {
        static KEPT: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
    }
    let create = || ready(Ok::<_, Infallible>(()));
    let pool = ResourcePool::builder(create).idle_timeout(Duration::from_secs(3600)).build();
    let user = pool.clone();
    let ends = thread::spawn(move || {
        // Set first, so that the thread's state of hubs is destroyed before it.
        KEPT.set(None);
        let item = block_on(user.item()).unwrap();
        KEPT.set(Some(Box::new(item)));
    });
    ends.join().unwrap();
    assert_eq!((pool.len(), pool.available()), (1, 4));
}
