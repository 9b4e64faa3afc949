//! The promises of maps: the results, their order, and the state afterwards.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::{poll_once, zip};
use spinney::{Group, Pool, sleep, yield_now};
use spinney_tests::tools::{Count, Gauge, behind, gate, stuck};
use spinney_tests::{SEEDS, SimHub, on_every_hub};

on_every_hub! {
    async fn map_returns_results_in_input_order(hub) {
        let gates = [gate(), gate(), gate()];
        let pool = Pool::on(hub, 3);
        let (pass, open) = (gates.clone(), gates.clone());
        // Each lets its predecessor go on.
        let work = move |n: usize| {
            let (mine, before) = (Arc::clone(&pass[n]), n.checked_sub(1).map(|n| Arc::clone(&pass[n])));
            async move {
                mine.wait().await;
                if let Some(before) = before {
                    before.set();
                }
                n
            }
        };
        open[2].set();
        assert_eq!(pool.map(work, 0..3).await.unwrap(), [0, 1, 2]);
    }

    async fn imap_yields_results_in_input_order(hub) {
        let gates = [gate(), gate(), gate()];
        let pool = Pool::on(hub, 3);
        let behind_gates = gates.clone();
        let mut results = pool.imap(move |n| behind(Arc::clone(&behind_gates[n]), n), 0..3);
        gates[2].set();
        gates[1].set();
        assert!(poll_once(results.next()).await.is_none());
        gates[0].set();
        let results: Vec<_> = results.map(Result::unwrap).collect().await;
        assert_eq!(results, [0, 1, 2]);
    }

    async fn imap_unordered_yields_results_in_completion_order(hub) {
        let gates = [gate(), gate(), gate()];
        let pool = Pool::on(hub, 3);
        let behind_gates = gates.clone();
        let mut results = pool.imap_unordered(move |n| behind(Arc::clone(&behind_gates[n]), n), 0..3);
        for n in [1, 2, 0] {
            assert!(poll_once(results.next()).await.is_none());
            gates[n].set();
            assert_eq!(results.next().await.unwrap().unwrap(), n);
        }
        assert!(results.next().await.is_none());
    }

    async fn map_goes_on_without_a_read(hub) {
        let (pool, done) = (Pool::on(hub, 2), Count::to(4));
        let one = done.clone();
        let results = pool.imap(move |n| { one.add(); async move { n } }, 0..);
        done.reached().await;
        let results: Vec<_> = results.take(6).map(Result::unwrap).collect().await;
        assert_eq!(results, [0, 1, 2, 3, 4, 5]);
    }

    async fn map_of_no_items_is_empty(hub) {
        let pool = Pool::on(hub, 2);
        assert!(pool.map(|n: u32| async move { n }, []).await.unwrap().is_empty());
    }

    async fn imap_of_no_items_ends(hub) {
        let pool = Pool::on(hub, 2);
        assert!(pool.imap(|n: u32| async move { n }, []).next().await.is_none());
    }

    async fn ended_stream_stays_ended(hub) {
        let pool = Pool::on(hub, 2);
        for mut results in [
            pool.imap(|n: u32| async move { n }, 0..1),
            pool.imap_unordered(|n: u32| async move { n }, 0..1),
        ] {
            assert_eq!(results.next().await.unwrap().unwrap(), 0);
            assert!(results.next().await.is_none());
            assert!(results.next().await.is_none());
        }
    }

    async fn each_result_comes_exactly_once(hub) {
        let pool = Pool::on(hub, 8);
        let work = |n: u32| async move {
            if n % 3 == 0 {
                yield_now().await;
            }
            n
        };
        let mut results: Vec<_> =
            pool.imap_unordered(work, 0..1000).map(Result::unwrap).collect().await;
        results.sort_unstable();
        assert_eq!(results, (0..1000).collect::<Vec<_>>());
    }

    async fn running_items_never_exceed_the_capacity(hub) {
        let (pool, gauge) = (Pool::on(hub, 3), Gauge::default());
        let measure = gauge.clone();
        let work = move |_: u32| {
            let measure = measure.clone();
            async move {
                let _inside = measure.enter();
                yield_now().await;
            }
        };
        zip(pool.map(work.clone(), 0..30), pool.map(work, 0..30)).await.0.unwrap();
        assert!(gauge.peak() <= 3, "{} ran concurrently", gauge.peak());
    }

    async fn map_uses_all_slots_of_its_pool(hub) {
        let (pool, meeting) = (Pool::on(hub, 3), Count::to(3));
        let meet = move |_| { let meeting = meeting.clone(); async move { meeting.meet().await } };
        assert_eq!(pool.map(meet, 0..3).await.unwrap().len(), 3);
    }

    async fn map_of_a_group_runs_all_items_concurrently(hub) {
        let (group, meeting) = (Group::on(hub), Count::to(100));
        let meet = move |n| { let meeting = meeting.clone(); async move { meeting.meet().await; n } };
        assert_eq!(group.map(meet, 0..100).await.unwrap(), (0..100).collect::<Vec<_>>());
    }

    async fn items_need_not_be_clone_or_sync(hub) {
        struct Item(Cell<u32>);
        let pool = Pool::on(hub, 2);
        let items = (0..10).map(|n| Item(Cell::new(n)));
        let work = |item: Item| async move {
            item.0.set(item.0.get() + 1);
            item
        };
        let sum: u32 = pool.map(work, items).await.unwrap().iter().map(|item| item.0.get()).sum();
        assert_eq!(sum, 55);
    }

    async fn pool_is_empty_after_a_map(hub) {
        let pool = Pool::on(hub, 2);
        for n in 0..20 {
            pool.map(|n| async move { n }, 0..n).await.unwrap();
            assert_eq!((pool.len(), pool.available()), (0, 2), "after {n} items");
        }
    }

    async fn pool_of_one_slot_is_empty_after_a_map(hub) {
        let pool = Pool::on(hub, 1);
        for n in 0..20 {
            pool.map(|n| async move { n }, 0..n).await.unwrap();
            assert_eq!((pool.len(), pool.available()), (0, 1), "after {n} items");
        }
    }

    async fn pool_is_empty_after_the_end_of_a_stream(hub) {
        let pool = Pool::on(hub, 2);
        for n in 0..20 {
            let mut results = pool.imap_unordered(|n| async move { yield_now().await; n }, 0..n);
            while results.next().await.is_some() {}
            assert_eq!((pool.len(), pool.available()), (0, 2), "after {n} items");
        }
    }

    async fn two_maps_and_a_spawner_all_go_on(hub) {
        let pool = Pool::on(hub, 1);
        let work = |n: u32| async move { yield_now().await; n };
        let maps = zip(pool.map(work, 0..50), pool.map(work, 50..100));
        let ((low, high), greenlet) = zip(maps, pool.spawn(async { 42 })).await;
        assert_eq!(low.unwrap(), (0..50).collect::<Vec<_>>());
        assert_eq!(high.unwrap(), (50..100).collect::<Vec<_>>());
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn waiting_spawn_is_admitted_between_two_items(hub) {
        let (pool, started, open) = (Pool::on(hub, 1), Count::to(1), gate());
        let (one, opened) = (started.clone(), Arc::clone(&open));
        let work = move |_| {
            one.add();
            behind(Arc::clone(&opened), ())
        };
        let _results = pool.mapper().unbounded().imap(work, 0..1000);
        started.reached().await;
        let count = started.clone();
        let mut spawn = Box::pin(pool.spawn(async move { count.get() }));
        assert!(poll_once(&mut spawn).await.is_none());
        open.set();
        // The current item, and one more if the map's own place in the queue was ahead.
        let before = spawn.await.await.unwrap();
        assert!(before <= 2, "{before} items came first");
    }

    async fn map_waits_for_its_turn_in_the_queue(hub) {
        let pool = Pool::on(hub, 1);
        let holder = pool.spawn(stuck(gate(), ())).await;
        let mut map = pool.map(|n| async move { n }, 0..3);
        assert!(poll_once(&mut map).await.is_none());
        holder.kill().await;
        assert_eq!(map.await.unwrap(), [0, 1, 2]);
    }
}

#[test]
fn two_maps_take_turns() {
    for sim in (0..SEEDS).map(SimHub::seeded) {
        sim.block_on(async {
            let (pool, started, open) = (Pool::on(&sim, 1), Count::to(1), gate());
            let (one, opened) = (started.clone(), Arc::clone(&open));
            let work = move |_| {
                one.add();
                let opened = Arc::clone(&opened);
                async move {
                    opened.wait().await;
                    yield_now().await;
                }
            };
            let _results = pool.mapper().unbounded().imap(work, 0..1000);
            started.reached().await;
            let map =
                pool.mapper().unbounded().map(move |_| std::future::ready(started.get()), 0..10);
            // Until no task has work left.
            sleep(Duration::from_secs(1)).await;
            open.set();
            let before = map.await.unwrap();
            assert!(before[9] < 100, "it had to wait for this many items: {before:?}");
        });
    }
}
