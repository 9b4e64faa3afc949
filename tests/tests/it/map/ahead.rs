//! The promises of maps that take one item ahead: the end of the input needs no slot.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::poll_once;
use futures_lite::{StreamExt, stream};
use spinney::gevent::GroupExt as _;
use spinney::map::from_stream;
use spinney::{Failure, Pool, sleep, yield_now};
use spinney_tests::tools::{Count, behind, blow_up, gate, let_others_run, polled, stuck};
use spinney_tests::{SimHub, on_every_hub};

on_every_hub! {
    async fn map_of_empty_input_needs_no_slot(hub) {
        for pool in [Pool::on(hub, 0), Pool::on(hub, 1)] {
            let _holder = pool.try_slot();
            let none: Vec<u32> = Vec::new();
            assert!(pool.map(|n| async move { n }, none).await.unwrap().is_empty());
            let none = from_stream(stream::empty::<u32>());
            assert!(pool.map(|n| async move { n }, none).await.unwrap().is_empty());
            assert!(pool.imap(|n: u32| async move { n }, []).next().await.is_none());
            assert_eq!(pool.waiting(), 0);
        }
    }

    async fn map_of_empty_input_succeeds_on_a_closed_pool(hub) {
        let pool = Pool::on(hub, 1);
        pool.close();
        let none = from_stream(stream::empty::<u32>());
        assert!(pool.map(|n| async move { n }, none).await.unwrap().is_empty());
        let none: [u32; 0] = [];
        assert!(pool.map(|n| async move { n }, none).await.unwrap().is_empty());
        let error = pool.map(|n| async move { n }, [1]).await.unwrap_err();
        assert_eq!((error.index(), error.killed().is_some()), (0, true));
    }

    async fn finished_map_ends_while_others_wait(hub) {
        let (pool, started, open) = (Pool::on(hub, 1), gate(), gate());
        let (start, opened) = (Arc::clone(&started), Arc::clone(&open));
        let wait = move |n| polled(Arc::clone(&start), behind(Arc::clone(&opened), n));
        let mut results = pool.imap(wait, 0..1);
        started.wait().await;
        let mut others: Vec<_> =
            (0..4).map(|_| Box::pin(pool.spawn(stuck(gate(), ())))).collect();
        for other in &mut others { assert!(poll_once(other).await.is_none()); }
        open.set();
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        assert!(results.next().await.is_none());
        drop(others);
        pool.kill().await;
    }

    async fn one_item_is_taken_ahead_of_a_slot(hub) {
        let (pool, pulled) = (Pool::on(hub, 1), Count::to(1));
        let holder = pool.slot().await.unwrap();
        let count = pulled.clone();
        let map = pool.map(|n: u32| async move { n }, (0..3).inspect(move |_| count.add()));
        pulled.reached().await;
        while pool.waiting() == 0 { yield_now().await; }
        let_others_run().await;
        assert_eq!((pulled.get(), pool.waiting()), (1, 1));
        drop(holder);
        assert_eq!(map.await.unwrap(), [0, 1, 2]);
    }

    async fn input_panic_ahead_of_a_slot_fails_its_item(hub) {
        let pool = Pool::on(hub, 1);
        let _holder = pool.slot().await.unwrap();
        let items = (0..).map(|n: u32| if n == 0 { blow_up("no luck") } else { n });
        let error = pool.map(|n| async move { n }, items).await.unwrap_err();
        let message = error.panicked().unwrap().message();
        assert_eq!((error.index(), message.as_deref()), (0, Some("no luck")));
        assert_eq!((pool.len(), pool.waiting()), (1, 0));
    }

    async fn item_taken_ahead_is_killed_with_its_map(hub) {
        let pool = Pool::on(hub, 1);
        let holder = pool.slot().await.unwrap();
        let mut results = pool.imap(|n: u32| async move { n }, 0..3);
        assert!(poll_once(results.next()).await.is_none());
        let_others_run().await;
        pool.close();
        pool.kill().await;
        let error = results.next().await.unwrap().unwrap_err();
        assert!(error.index() == 0 && matches!(*error, Failure::Killed(_)));
        assert!(results.next().await.is_none());
        drop(holder);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }
}

#[test]
fn map_ends_with_its_last_item() {
    let sim = SimHub::new();
    let (pool, second) = (Pool::on(&sim, 2), Duration::from_secs(1));
    let start = sim.now();
    sim.block_on(async {
        let map = pool.map(move |_| sleep(2 * second), 0..2);
        let mut map = Box::pin(map);
        assert!(poll_once(&mut map).await.is_none());
        let_others_run().await;
        for _ in 0..4 {
            pool.apply_async(sleep(100 * second)).detach();
        }
        map.await.unwrap();
    });
    assert_eq!(sim.now() - start, 2 * second);
}

#[test]
fn ready_stream_is_read_like_an_iterator() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 3);
    let started = Count::to(1);
    let items = stream::iter(0..100);
    let count = started.clone();
    let work = move |n: u32| {
        count.add();
        async move { n }
    };
    let sum = sim.block_on(async {
        let results = pool.imap_unordered(work, from_stream(items));
        results.fold(0, |sum, result| sum + result.unwrap()).await
    });
    assert_eq!((sum, started.get()), (4950, 100));
}
