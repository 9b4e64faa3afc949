//! The promises of `GreenPool` and `GreenPile`.

use std::sync::Arc;

use futures_lite::StreamExt;
use futures_lite::future::{poll_once, zip};
use spinney::eventlet::GreenPoolExt as _;
use spinney::pool::InsideGroup;
use spinney::task::spawn_on;
use spinney::{GreenPile, GreenPool, Handle, yield_now};
use spinney_tests::tools::{
    Count, Gauge, Why, behind, blow_up, gate, let_others_run, polled, stuck,
};
use spinney_tests::{Dropped, on_every_hub};

on_every_hub! {
    async fn pile_yields_results_in_completion_order(hub) {
        let gates = [gate(), gate(), gate()];
        let pile = GreenPile::on(&GreenPool::on(hub, 3));
        for (n, open) in gates.iter().enumerate() {
            pile.spawn(behind(Arc::clone(open), n)).await;
        }
        for n in [2, 0, 1] {
            assert!(poll_once(pile.next()).await.is_none());
            gates[n].set();
            assert_eq!(pile.next().await.unwrap().unwrap(), n);
        }
    }

    async fn empty_pile_has_no_result(hub) {
        let pile = GreenPile::<(), _>::on(&GreenPool::on(hub, 3));
        assert!(pile.next().await.is_none());
    }

    async fn exhausted_pile_goes_on_with_the_next_spawn(hub) {
        let pile = GreenPile::on(&GreenPool::on(hub, 3));
        for n in 0..3 {
            pile.spawn(async move { n }).await;
            assert_eq!(pile.next().await.unwrap().unwrap(), n);
            assert!(pile.next().await.is_none());
        }
    }

    async fn length_of_a_pile_counts_untaken_results(hub) {
        let pile = GreenPile::on(&GreenPool::on(hub, 3));
        assert!(pile.is_empty());
        for n in 0..3 {
            pile.spawn(async {}).await;
            assert_eq!(pile.len(), n + 1);
        }
        for n in (0..3).rev() {
            pile.next().await.unwrap().unwrap();
            assert_eq!(pile.len(), n);
        }
    }

    async fn pile_goes_on_after_a_failed_task(hub) {
        let pile = GreenPile::on(&GreenPool::on(hub, 1));
        pile.spawn(async { blow_up("no luck") }).await;
        assert_eq!(pile.next().await.unwrap().unwrap_err().why(), "panicked: no luck");
        pile.spawn(async { 42 }).await;
        assert_eq!(pile.next().await.unwrap().unwrap(), 42);
    }

    async fn killed_task_of_a_pile_fails_as_killed(hub) {
        let pile = GreenPile::on(&GreenPool::on(hub, 1));
        pile.spawn(stuck(gate(), ())).await.kill_now();
        assert!(pile.next().await.unwrap().unwrap_err().is_killed());
    }

    async fn pile_is_a_stream(hub) {
        let pile = GreenPile::on(&GreenPool::on(hub, 2));
        for n in 0..5 {
            pile.spawn(async move { n }).await;
        }
        let mut results: Vec<_> = pile.map(Result::unwrap).collect().await;
        results.sort_unstable();
        assert_eq!(results, [0, 1, 2, 3, 4]);
    }

    async fn each_result_of_a_pile_goes_to_one_reader(hub) {
        let pile = GreenPile::on(&GreenPool::on(hub, 4));
        let open = gate();
        for n in 0..4 {
            pile.spawn(behind(Arc::clone(&open), n)).await;
        }
        let read = async || {
            let mut results = Vec::new();
            while let Some(result) = pile.next().await {
                results.push(result.unwrap());
                yield_now().await;
            }
            results
        };
        let opens = async { open.set() };
        let reads = zip(read(), read());
        let ((mut results, more), ()) = zip(reads, opens).await;
        results.extend(more);
        results.sort_unstable();
        assert_eq!(results, [0, 1, 2, 3]);
    }

    async fn dropped_pile_kills_its_tasks(hub) {
        let (pool, dropped) = (GreenPool::on(hub, 3), Dropped::default());
        let pile = GreenPile::on(&pool);
        for _ in 0..3 {
            pile.spawn(stuck(gate(), dropped.guard())).await;
        }
        drop(pile);
        pool.waitall().await.unwrap();
        assert_eq!((dropped.count(), pool.running(), pool.free()), (3, 0, 3));
    }

    async fn dropped_pile_does_not_affect_its_pool(hub) {
        let (pool, open) = (GreenPool::on(hub, 3), gate());
        let (pile, other) = (GreenPile::on(&pool), GreenPile::on(&pool));
        pile.spawn(stuck(gate(), ())).await;
        other.spawn(behind(Arc::clone(&open), 1)).await;
        let greenlet = pool.spawn(behind(Arc::clone(&open), 2)).await;
        drop(pile);
        let_others_run().await;
        open.set();
        assert_eq!(other.next().await.unwrap().unwrap(), 1);
        assert_eq!(greenlet.await.unwrap(), 2);
    }

    async fn two_piles_share_a_pool(hub) {
        let (pool, gauge) = (GreenPool::on(hub, 2), Gauge::default());
        let (low, high) = (GreenPile::on(&pool), GreenPile::on(&pool));
        for n in 0..20 {
            let gauge = gauge.clone();
            let work = async move {
                let _inside = gauge.enter();
                yield_now().await;
                n
            };
            if n < 10 { low.spawn(work).await } else { high.spawn(work).await };
        }
        let mut results: Vec<_> = low.map(Result::unwrap).collect().await;
        results.sort_unstable();
        assert_eq!(results, (0..10).collect::<Vec<_>>());
        let mut results: Vec<_> = high.map(Result::unwrap).collect().await;
        results.sort_unstable();
        assert_eq!(results, (10..20).collect::<Vec<_>>());
        assert!(gauge.peak() <= 2, "{} ran concurrently", gauge.peak());
    }

    async fn spawn_by_a_member_of_a_full_pool_runs_in_place(hub) {
        let pool = GreenPool::on(hub, 1);
        let inside = pool.clone();
        let outer = pool.spawn(async move {
            let me = Handle::current().unwrap();
            let inner = inside.spawn(async { 42 }).await;
            assert!(inner.is_ready() && Handle::current().unwrap() == me);
            (inner.await.unwrap(), inside.running())
        });
        assert_eq!(outer.await.await.unwrap(), (42, 1));
    }

    async fn panic_in_place_fails_the_greenlet_in_place(hub) {
        let pool = GreenPool::on(hub, 1);
        let inside = pool.clone();
        let outer = pool.spawn(async move { inside.spawn(async { blow_up("no luck") }).await.await });
        assert!(outer.await.await.unwrap().unwrap_err().is_panic());
    }

    async fn greenlet_in_place_spawns_in_place(hub) {
        let pool = GreenPool::on(hub, 1);
        let (inside, further) = (pool.clone(), pool.clone());
        let innermost = async move { further.spawn(async { 42 }).await.await.unwrap() };
        let outer = pool.spawn(async move { inside.spawn(innermost).await.await.unwrap() }).await;
        assert_eq!(outer.await.unwrap(), 42);
    }

    async fn spawn_by_a_member_of_a_pool_with_room_takes_a_slot(hub) {
        let (pool, meeting) = (GreenPool::on(hub, 2), Count::to(2));
        let inside = pool.clone();
        let outer = pool.spawn(async move {
            let other = meeting.clone();
            inside.spawn(async move { other.meet().await }).await.detach();
            meeting.meet().await;
        });
        outer.await.await.unwrap();
    }

    async fn waitall_waits_for_waiting_spawns(hub) {
        let (pool, open, ran) = (GreenPool::on(hub, 1), gate(), Count::to(6));
        let holder = pool.spawn(behind(Arc::clone(&open), ())).await;
        for _ in 0..5 {
            let (entry, one, queued) = (pool.clone(), ran.clone(), gate());
            let spawner = async move { entry.spawn(async move { one.add() }).await.detach() };
            spawn_on(hub, polled(Arc::clone(&queued), spawner)).detach();
            queued.wait().await;
        }
        let mut last = Box::pin(pool.spawn({ let one = ran.clone(); async move { one.add() } }));
        assert!(poll_once(&mut last).await.is_none());
        let mut all = Box::pin(pool.waitall());
        assert!(poll_once(&mut all).await.is_none());
        open.set();
        holder.await.unwrap();
        let (greenlet, waited) = zip(last, all).await;
        waited.unwrap();
        assert!(greenlet.is_ready());
        assert_eq!((pool.running(), pool.waiting(), pool.free()), (0, 0, 1));
    }

    async fn waitall_of_an_idle_pool_returns_immediately(hub) {
        assert_eq!(GreenPool::on(hub, 1).waitall().await, Ok(()));
    }

    async fn waitall_counts_the_items_of_a_map(hub) {
        let (pool, open, started) = (GreenPool::on(hub, 1), gate(), gate());
        let (opened, start) = (Arc::clone(&open), Arc::clone(&started));
        let work = move |n: u32| polled(Arc::clone(&start), behind(Arc::clone(&opened), n));
        let mut results = pool.imap(work, 0..1);
        started.wait().await;
        let mut all = Box::pin(pool.waitall());
        assert!(poll_once(&mut all).await.is_none());
        open.set();
        all.await.unwrap();
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
    }

    async fn waitall_by_a_member_is_an_error(hub) {
        let pool = GreenPool::on(hub, 2);
        let inside = pool.clone();
        let member = pool.spawn(async move { inside.waitall().await }).await;
        assert_eq!(member.await.unwrap(), Err(InsideGroup));
    }

    async fn waitall_by_a_greenlet_in_place_is_an_error(hub) {
        let pool = GreenPool::on(hub, 1);
        let (inside, further) = (pool.clone(), pool.clone());
        let innermost = async move { further.waitall().await };
        let outer = pool.spawn(async move { inside.spawn(innermost).await.await.unwrap() }).await;
        assert_eq!(outer.await.unwrap(), Err(InsideGroup));
    }

    async fn free_is_negative_above_the_capacity(hub) {
        let (pool, open) = (GreenPool::on(hub, 3), gate());
        for _ in 0..3 {
            pool.spawn(behind(Arc::clone(&open), ())).await.detach();
        }
        pool.resize(1);
        assert_eq!((pool.capacity(), pool.running(), pool.free()), (1, 3, -2));
        open.set();
        pool.waitall().await.unwrap();
        assert_eq!((pool.running(), pool.free()), (0, 1));
    }

    async fn waiting_spawns_are_counted(hub) {
        let pool = GreenPool::on(hub, 1);
        pool.spawn(stuck(gate(), ())).await.detach();
        let mut spawn = Box::pin(pool.spawn(async {}));
        assert!(poll_once(&mut spawn).await.is_none());
        assert_eq!((pool.running(), pool.free(), pool.waiting()), (1, 0, 1));
        drop(spawn);
        assert_eq!(pool.waiting(), 0);
    }
}
