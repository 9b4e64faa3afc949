//! Maps under limits.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::StreamExt;
use spinney_greenlet::map::Retry;
use spinney_hub::{Within, sleep};
use spinney_pool::limits::Order;
use spinney_pool::{Pool, Rate, SlotError};
use spinney_sim::SimHub;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn full_key_holds_up_no_other_items() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).pool_on(&sim, 10);
    sim.block_on(async {
        let mapper = pool.mapper().key(|item: &(u32, u32)| item.0);
        let items = [(0, 0), (0, 1), (0, 2), (1, 3), (2, 4)];
        let work = |(_, item)| async move {
            sleep(SECOND).await;
            item
        };
        let mut results = mapper.imap_unordered(work, items);
        let mut ends = Vec::new();
        while let Some(item) = results.next().await {
            ends.push((sim.elapsed().as_secs(), item.unwrap()));
        }
        ends.sort_unstable();
        assert_eq!(ends, [(1, 0), (1, 3), (1, 4), (2, 1), (3, 2)]);
    });
    assert_eq!((pool.len(), pool.waiting(), pool.stats().succeeded), (0, 0, 5));
}

#[test]
fn each_item_counts_as_a_start() {
    let sim = SimHub::new();
    let pool = Pool::builder().rate(Rate::per(1, SECOND)).pool_on(&sim, 3);
    let squares = sim.block_on(pool.map(|n: u64| async move { n * n }, 0..10));
    assert_eq!(squares.unwrap(), (0..10).map(|n| n * n).collect::<Vec<_>>());
    assert_eq!(sim.elapsed(), 9 * SECOND);
}

#[test]
fn rate_set_while_a_map_runs_applies_immediately() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    sim.block_on(async {
        let work = |n: u32| async move {
            sleep(SECOND).await;
            n
        };
        let mut results = pool.imap(work, 0..5);
        results.next().await.unwrap().unwrap();
        pool.set_rates([Rate::per(1, 10 * SECOND)]);
        assert_eq!(results.count().await, 4);
        // The second item has started by then; the first start that the rate counts is the third item.
        assert_eq!(sim.elapsed(), 23 * SECOND);
    });
}

#[test]
fn weights_and_priorities_are_those_of_the_items() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 3);
    sim.block_on(async {
        let held = pool.slot().weight(3).await.unwrap();
        let (most, now) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let order = Rc::new(RefCell::new(Vec::new()));
        let (gauge, inside, started) = (Rc::clone(&most), Rc::clone(&now), Rc::clone(&order));
        let work = move |(weight, id): (usize, i32)| {
            let (gauge, inside, started) = (gauge.clone(), inside.clone(), started.clone());
            async move {
                started.borrow_mut().push(id);
                inside.set(inside.get() + weight);
                gauge.set(gauge.get().max(inside.get()));
                sleep(SECOND).await;
                inside.set(inside.get() - weight);
            }
        };
        let mapper = pool.mapper().weight(|item: &(usize, i32)| item.0);
        let mapper = mapper.priority(|item: &(usize, i32)| item.1);
        let items = [(2, 0), (1, 1), (2, 2), (1, 3), (3, 4)];
        let results = mapper.imap(work, items);
        sleep(SECOND).await;
        drop(held);
        assert_eq!(results.count().await, 5);
        assert_eq!((most.get(), order.take()), (3, vec![4, 3, 2, 1, 0]));
    });
}

#[test]
fn too_heavy_item_fails_and_the_others_run() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 2);
    let mapper = pool.mapper().weight(|item: &usize| *item);
    let results = mapper.imap(|n| async move { n }, [1, 3, 2]);
    let results: Vec<_> = sim.block_on(results.collect());
    let killed = results[1].as_ref().unwrap_err().killed().unwrap();
    assert_eq!(
        killed.reason().and_then(|reason| reason.downcast_ref::<SlotError>()),
        Some(&SlotError::TooHeavy)
    );
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!((pool.len(), pool.waiting()), (0, 0));
}

#[test]
fn panicking_key_fails_its_item() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).pool_on(&sim, 2);
    let mapper = pool.mapper().key(|item: &u32| {
        if *item == 1 {
            spinney_test_support::blow_up("no key");
        }
        *item
    });
    let results: Vec<_> = sim.block_on(mapper.imap(|n| async move { n }, 0..3).collect());
    let panic = results[1].as_ref().unwrap_err().panicked().unwrap();
    assert_eq!(panic.message().as_deref(), Some("no key"));
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(pool.len(), 0);
}

#[test]
fn dropped_map_leaves_no_request_behind() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).pool_on(&sim, 4);
    sim.block_on(async {
        let mapper = pool.mapper().key(|_: &u32| 0);
        let mut results = mapper.imap(|n| async move { sleep(n * SECOND).await }, 0..);
        assert!(results.next().await.unwrap().is_ok());
        assert!(pool.waiting() > 0);
        drop(results);
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.waiting()), (0, 0));
    });
}

#[test]
fn closed_and_killed_map_refuses_its_queued_items() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).pool_on(&sim, 4);
    sim.block_on(async {
        let mapper = pool.mapper().key(|_: &u32| 0).unbounded();
        let results = mapper.imap(|_| std::future::pending::<()>(), 0..20);
        sleep(SECOND).await;
        pool.close();
        pool.kill().await;
        let results: Vec<_> = results.collect().await;
        assert_eq!(results.len(), 20);
        assert!(results.iter().all(|result| result.as_ref().unwrap_err().killed().is_some()));
        assert_eq!((pool.len(), pool.waiting()), (0, 0));
    });
}

#[test]
fn member_that_reads_runs_items_under_limits() {
    for per_item in [false, true] {
        for rate in [None, Some(Rate::per(1, SECOND))] {
            let sim = SimHub::new();
            let pool = Pool::builder().order(Order::Aging(3)).pool_on(&sim, 1);
            pool.set_rates(rate);
            let inner = pool.clone();
            let parent = async move {
                let work = |n: u32| async move { n };
                let mapper = inner.mapper();
                if per_item {
                    mapper.priority(|n: &u32| i32::from(*n > 3)).map(work, 0..9).await.unwrap()
                } else {
                    mapper.map(work, 0..9).await.unwrap()
                }
            };
            let list = sim.block_on(pool.apply(parent).within(600 * SECOND));
            let list = list.unwrap_or_else(|_| panic!("{per_item} {rate:?} {pool:?}")).unwrap();
            assert_eq!(list, (0..9).collect::<Vec<_>>());
            if rate.is_some() {
                assert_eq!(sim.elapsed(), 9 * SECOND, "per item: {per_item}");
            }
            assert_eq!((pool.len(), pool.waiting(), pool.available()), (0, 0, 1));
        }
    }
}

#[test]
fn delays_of_another_crate_are_accepted() {
    use backon::{BackoffBuilder, ExponentialBuilder};

    let doubling = ExponentialBuilder::default().with_min_delay(SECOND).with_max_times(3);
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    let mapper = pool.mapper().retry(Retry::times(9).delays_from(move || doubling.build()));
    let map = mapper.try_map(|n: u32| async move { Err::<(), _>(n) }, [7]);
    assert_eq!(sim.block_on(map).unwrap_err().returned(), Some(&7));
    assert_eq!((sim.elapsed(), pool.stats().retried), (7 * SECOND, 3));
}

#[test]
fn further_try_is_a_start_and_frees_its_key() {
    let sim = SimHub::new();
    let pool = Pool::builder().rate(Rate::per(1, 5 * SECOND)).per_key(1).pool_on(&sim, 2);
    let tried = Rc::new(Cell::new(0));
    let count = Rc::clone(&tried);
    let work = move |n: u32| {
        count.set(count.get() + 1);
        let fails = n == 0 && count.get() == 1;
        async move { if fails { Err("busy") } else { Ok(n) } }
    };
    let mapper = pool.mapper().key(|_: &u32| "host").retry(Retry::times(1).delays([SECOND]));
    let list = sim.block_on(mapper.try_map(work, 0..2)).unwrap();
    assert_eq!((list, tried.get()), (vec![0, 1], 3));
    assert_eq!(sim.elapsed(), 10 * SECOND);
    assert_eq!((pool.len(), pool.waiting()), (0, 0));
}
