//! Members that use their own pool, under limits.

use std::time::Duration;

use spinney_hub::{Within, sleep};
use spinney_pool::{Pool, Rate};
use spinney_sim::SimHub;

const SECOND: Duration = Duration::from_secs(1);

/// Runs `parent` as a member of `pool` to its end, within a day.
fn run<T: 'static>(
    sim: &SimHub,
    pool: &Pool<SimHub>,
    parent: impl Future<Output = T> + 'static,
) -> T {
    let applied = pool.apply(parent).within(86_400 * SECOND);
    sim.block_on(applied).expect("the member finishes").unwrap()
}

#[test]
fn child_in_place_waits_for_a_rate_but_for_no_slot() {
    let sim = SimHub::new();
    let pool = Pool::builder().rate(Rate::per(1, SECOND)).pool_on(&sim, 1);
    let inner = pool.clone();
    run(&sim, &pool, async move {
        for _ in 0..3 {
            inner.apply(async {}).await.unwrap();
        }
    });
    assert_eq!(sim.elapsed(), 3 * SECOND);
}

#[test]
fn child_passes_a_head_that_waits_for_capacity() {
    let sim = SimHub::new();
    let pool = Pool::builder().rate(Rate::per(1, SECOND)).pool_on(&sim, 1);
    let (inner, stranger) = (pool.clone(), pool.clone());
    sim.block_on(async {
        let parent = pool.spawn(async move {
            sleep(2 * SECOND).await;
            inner.apply(async { 7 }).await.unwrap()
        });
        let parent = parent.await;
        // It has been the head since the first second.
        let waiting = spinney_greenlet::spawn_on(&sim, async move {
            drop(stranger.slot().priority(9).await.unwrap());
        });
        assert_eq!(parent.await.unwrap(), 7);
        waiting.await.unwrap();
        assert_eq!(sim.elapsed(), 3 * SECOND, "the start of the child counts");
    });
}

#[test]
fn child_with_its_members_key_needs_no_further_permit() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).pool_on(&sim, 1);
    let inner = pool.clone();
    let parent = async move {
        let child = inner.slot().key("a").spawn(async { 7 });
        child.await.await.unwrap()
    };
    let parent = pool.slot().key("a").spawn(parent);
    assert_eq!(sim.block_on(async { parent.await.await.unwrap() }), 7);
    assert!(sim.block_on(pool.slot().key("a")).is_ok());
}

#[test]
fn child_with_a_full_key_waits_for_it() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).pool_on(&sim, 2);
    let inner = pool.clone();
    sim.block_on(async {
        let other = pool.slot().key("b").await.unwrap();
        let parent = pool.spawn(async move {
            inner.slot().key("b").spawn(async {}).await.await.unwrap();
        });
        let parent = parent.await;
        sleep(5 * SECOND).await;
        assert_eq!(pool.len(), 2);
        drop(other);
        parent.await.unwrap();
        drop(pool.slot().key("b").try_now().unwrap());
    });
}

#[test]
fn child_keeps_its_key_when_it_gets_a_slot() {
    let sim = SimHub::new();
    let pool = Pool::builder().per_key(1).pool_on(&sim, 3);
    let inner = pool.clone();
    sim.block_on(async {
        let held = pool.slot().weight(2).await.unwrap();
        let parent = pool.spawn(async move {
            inner.slot().key("a").spawn(sleep(4 * SECOND)).await.await.unwrap();
        });
        let parent = parent.await;
        sleep(SECOND).await;
        assert_eq!(pool.waiting(), 1, "the child runs in place, and waits for a slot");
        drop(held);
        sleep(SECOND).await;
        assert_eq!((pool.len(), pool.waiting()), (2, 0), "the child has a slot");
        drop(pool.slot().key("a").await.unwrap());
        assert_eq!(sim.elapsed(), 4 * SECOND);
        parent.await.unwrap();
        drop(pool.slot().key("a").try_now().unwrap());
    });
}

#[test]
fn pause_holds_up_children_and_none_is_lost() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    let inner = pool.clone();
    run(&sim, &pool, async move {
        inner.pause_for(5 * SECOND);
        inner.apply(async {}).await.unwrap();
    });
    assert_eq!(sim.elapsed(), 5 * SECOND);
}

#[test]
fn child_heavier_than_its_members_slot_waits_for_slots() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 3);
    let inner = pool.clone();
    sim.block_on(async {
        let held = pool.slot().await.unwrap();
        let parent = pool.spawn(async move {
            inner.slot().weight(2).spawn(async {}).await.await.unwrap();
        });
        let parent = parent.await;
        sleep(SECOND).await;
        assert_eq!((pool.len(), pool.waiting()), (2, 1));
        drop(held);
        parent.await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 3));
    });
}

#[test]
fn child_is_not_shed() {
    let sim = SimHub::new();
    let pool = Pool::builder().max_waiting(0).pool_on(&sim, 1);
    let inner = pool.clone();
    assert_eq!(run(&sim, &pool, async move { inner.apply(async { 7 }).await.unwrap() }), 7);
}

#[test]
fn deep_chain_of_children_finishes_under_every_limit() {
    fn descend(pool: Pool<SimHub>, depth: u32) -> std::pin::Pin<Box<dyn Future<Output = u32>>> {
        Box::pin(async move {
            if depth == 0 {
                return 0;
            }
            let child = descend(pool.clone(), depth - 1);
            1 + pool.slot().key("a").spawn(child).await.await.unwrap()
        })
    }
    let sim = SimHub::new();
    let pool = Pool::builder().rate(Rate::per(10, SECOND)).per_key(1).pool_on(&sim, 1);
    let chain = descend(pool.clone(), 300);
    assert_eq!(run(&sim, &pool, chain), 300);
    assert_eq!((pool.len(), pool.waiting()), (0, 0));
}
