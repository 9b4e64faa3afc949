//! The promises of pools: how many tasks run, which are admitted, and when.

use std::sync::Arc;
use std::thread;

use futures_lite::future::{self, poll_once};
use spinney::task::spawn_on;
use spinney::{Pool, yield_now};
use spinney_tests::tools::{Count, Gauge, Log, all, behind, gate, let_others_run, polled, stuck};
use spinney_tests::{hub, on_every_hub};

on_every_hub! {
    async fn pool_of_capacity_zero_is_full(hub) {
        let pool = Pool::on(hub, 0);
        assert!(pool.try_spawn(async {}).is_err());
        assert_eq!((pool.len(), pool.available(), pool.capacity()), (0, 0, Some(0)));
    }

    async fn pool_of_capacity_zero_admits_after_a_resize(hub) {
        let pool = Pool::on(hub, 0);
        let mut spawn = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut spawn).await.is_none());
        pool.resize(1);
        assert_eq!(spawn.await.await.unwrap(), 42);
    }

    async fn running_members_never_exceed_the_capacity(hub) {
        let (pool, gauge) = (Pool::on(hub, 3), Gauge::default());
        for _ in 0..50 {
            let gauge = gauge.clone();
            let work = async move {
                let _inside = gauge.enter();
                yield_now().await;
                yield_now().await;
            };
            pool.spawn(work).await.detach();
        }
        pool.wait_idle().await.unwrap();
        assert!(gauge.peak() <= 3, "{} ran concurrently", gauge.peak());
    }

    async fn running_members_reach_the_capacity(hub) {
        let (pool, meeting) = (Pool::on(hub, 3), Count::to(3));
        for _ in 0..3 {
            let meeting = meeting.clone();
            pool.spawn(async move { meeting.meet().await }).await.detach();
        }
        pool.wait_idle().await.unwrap();
    }

    async fn spawn_waits_while_the_pool_is_full(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let holder = pool.spawn(behind(Arc::clone(&open), ())).await;
        let mut spawn = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut spawn).await.is_none());
        let_others_run().await;
        assert!(poll_once(&mut spawn).await.is_none());
        assert_eq!((pool.waiting(), pool.is_full()), (1, true));
        open.set();
        holder.await.unwrap();
        assert_eq!(spawn.await.await.unwrap(), 42);
    }

    async fn waiting_spawns_are_served_in_fifo_order(hub) {
        let (pool, open, log) = (Pool::on(hub, 1), gate(), Log::default());
        pool.spawn(behind(Arc::clone(&open), ())).await.detach();
        let mut spawns = Vec::new();
        for n in 0..10 {
            let log = log.clone();
            let mut spawn = Box::pin(pool.spawn(async move { log.add(n) }));
            assert!(poll_once(&mut spawn).await.is_none());
            spawns.push(spawn);
        }
        open.set();
        for greenlet in all(spawns).await {
            greenlet.await.unwrap();
        }
        assert_eq!(log.take(), (0..10).collect::<Vec<_>>());
    }

    async fn dropped_waiting_spawn_passes_its_slot_on(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let holder = pool.spawn(behind(Arc::clone(&open), ())).await;
        let mut first = Box::pin(pool.spawn(async {}));
        let mut second = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut first).await.is_none());
        assert!(poll_once(&mut second).await.is_none());
        open.set();
        holder.await.unwrap();
        drop(first);
        assert_eq!(second.await.await.unwrap(), 42);
    }

    async fn killed_waiter_passes_its_slot_on(hub) {
        let (pool, open, queued) = (Pool::on(hub, 1), gate(), gate());
        let holder = pool.spawn(behind(Arc::clone(&open), ())).await;
        let (entry, set) = (pool.clone(), Arc::clone(&queued));
        let enter = async move { entry.spawn(async {}).await.detach() };
        let waiter = spawn_on(hub, polled(set, enter));
        queued.wait().await;
        let mut next = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut next).await.is_none());
        waiter.kill_now();
        open.set();
        holder.await.unwrap();
        assert_eq!(next.await.await.unwrap(), 42);
    }

    async fn dropped_spawn_never_runs(hub) {
        let (pool, open, ran) = (Pool::on(hub, 1), gate(), gate());
        pool.spawn(behind(Arc::clone(&open), ())).await.detach();
        let set = Arc::clone(&ran);
        let mut spawn = Box::pin(pool.spawn(async move { set.set() }));
        assert!(poll_once(&mut spawn).await.is_none());
        drop(spawn);
        open.set();
        pool.wait_idle().await.unwrap();
        assert!(!ran.is_set());
    }

    async fn full_pool_returns_the_future(hub) {
        let pool = Pool::on(hub, 1);
        pool.spawn(stuck(gate(), ())).await.detach();
        let full = pool.try_spawn(async { 42 }).unwrap_err();
        assert_eq!(full.into_future().await, 42);
    }

    async fn try_spawn_starts_immediately_in_a_free_slot(hub) {
        let pool = Pool::on(hub, 1);
        assert_eq!(pool.try_spawn(async { 42 }).unwrap().await.unwrap(), 42);
    }

    async fn newcomers_do_not_overtake_waiters(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let holder = pool.spawn(behind(Arc::clone(&open), ())).await;
        let mut waiter = Box::pin(pool.spawn(stuck(gate(), ())));
        assert!(poll_once(&mut waiter).await.is_none());
        open.set();
        holder.await.unwrap();
        assert!(pool.try_spawn(async {}).is_err(), "a newcomer took the slot of a waiter");
        waiter.await.detach();
    }

    async fn resize_up_of_a_pool_admits_as_many_as_fit(hub) {
        let pool = Pool::on(hub, 1);
        pool.spawn(stuck(gate(), ())).await.detach();
        let mut spawns: Vec<_> = (0..3).map(|_| Box::pin(pool.spawn(stuck(gate(), ())))).collect();
        for spawn in &mut spawns {
            assert!(poll_once(spawn).await.is_none());
        }
        pool.resize(3);
        let mut entered = Vec::new();
        for spawn in &mut spawns {
            entered.push(poll_once(spawn).await.is_some());
        }
        assert_eq!(entered, [true, true, false]);
    }

    async fn resize_down_lets_running_members_go_on(hub) {
        let (pool, open) = (Pool::on(hub, 3), gate());
        let mut greenlets = Vec::new();
        for n in 0..3 {
            greenlets.push(pool.spawn(behind(Arc::clone(&open), n)).await);
        }
        pool.resize(1);
        assert_eq!((pool.len(), pool.available(), pool.capacity()), (3, -2, Some(1)));
        open.set();
        for (n, greenlet) in greenlets.into_iter().enumerate() {
            assert_eq!(greenlet.await.unwrap(), n);
        }
    }

    async fn resize_down_admits_none_until_enough_have_left(hub) {
        let (pool, last) = (Pool::on(hub, 3), gate());
        let holder = pool.spawn(behind(Arc::clone(&last), ())).await;
        let others = [pool.spawn(stuck(gate(), ())).await, pool.spawn(stuck(gate(), ())).await];
        pool.resize(1);
        let mut spawn = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut spawn).await.is_none());
        for other in others {
            other.kill().await;
        }
        let_others_run().await;
        assert!(poll_once(&mut spawn).await.is_none());
        last.set();
        holder.await.unwrap();
        assert_eq!(spawn.await.await.unwrap(), 42);
    }

    async fn pool_without_a_limit_never_waits(hub) {
        let (pool, meeting) = (Pool::on(hub, usize::MAX), Count::to(200));
        for _ in 0..200 {
            let meeting = meeting.clone();
            pool.try_spawn(async move { meeting.meet().await }).unwrap().detach();
        }
        pool.wait_idle().await.unwrap();
        assert_eq!(pool.capacity(), None);
    }

    async fn tasks_spawn_into_one_pool_while_others_wait_for_it(hub) {
        let (pool, ran) = (Pool::on(hub, 2), Count::to(40));
        for _ in 0..4 {
            let (pool, ran) = (pool.clone(), ran.clone());
            let spawner = async move {
                for _ in 0..10 {
                    let ran = ran.clone();
                    pool.spawn(async move { ran.add() }).await.detach();
                }
            };
            spawn_on(hub, spawner).detach();
        }
        pool.join().await.unwrap();
        ran.reached().await;
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.available(), ran.get()), (0, 2, 40));
    }
}

#[test]
fn several_threads_spawn_into_one_pool() {
    let hub = hub(2);
    let (pool, gauge) = (Pool::on(&hub, 3), Gauge::default());
    let spawner = |first: usize| {
        let mut greenlets = Vec::new();
        for n in first..first + 100 {
            let gauge = gauge.clone();
            let work = async move {
                let _inside = gauge.enter();
                yield_now().await;
                n
            };
            greenlets.push(future::block_on(pool.spawn(work)));
        }
        greenlets.into_iter().map(|g| future::block_on(g).unwrap()).sum::<usize>()
    };
    let sum: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|t| scope.spawn(move || spawner(t * 100))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(sum, (0..400).sum::<usize>());
    assert!(gauge.peak() <= 3, "{} ran concurrently", gauge.peak());
}
