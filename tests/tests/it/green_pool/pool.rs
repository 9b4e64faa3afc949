//! The promises of `GreenPool`: in place for members, in turn for other callers, and its counts.

use std::iter::zip;
use std::sync::Arc;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use spinney::eventlet::GreenPoolExt as _;
use spinney::pool::InsideGroup;
use spinney::task::spawn_on;
use spinney::{GreenPool, Handle, yield_now};
use spinney_sim::SimHub;
use spinney_tests::tools::{
    Count, Gauge, Log, all, behind, blow_up, gate, let_others_run, polled, stuck,
};
use spinney_tests::{Dropped, on_every_hub};

on_every_hub! {
    async fn member_does_not_wait_behind_waiters(hub) {
        let (pool, open) = (GreenPool::on(hub, 1), gate());
        let (inside, enter) = (pool.clone(), Arc::clone(&open));
        let member = pool.spawn(async move {
            enter.wait().await;
            let inner = inside.spawn(async { 1 }).await;
            (inner.await.unwrap(), inside.waiting())
        });
        let member = member.await;
        let mut waiter = Box::pin(pool.spawn(async { 2 }));
        assert!(poll_once(&mut waiter).await.is_none());
        open.set();
        assert_eq!(member.await.unwrap(), (1, 1));
        assert_eq!(waiter.await.await.unwrap(), 2);
    }

    async fn member_runs_in_place_rather_than_overtake(hub) {
        let (pool, open) = (GreenPool::on(hub, 2), gate());
        let (inside, enter) = (pool.clone(), Arc::clone(&open));
        let member = pool.spawn(async move {
            enter.wait().await;
            inside.resize(1);
            let child = inside.spawn(async { Handle::current().unwrap().parent() }).await;
            (child.is_ready(), child.await.unwrap())
        });
        let member = member.await;
        open.set();
        let me = member.id();
        assert_eq!(member.await.unwrap(), (true, Some(me)));
    }

    async fn greenlet_in_place_is_the_parent_of_its_own(hub) {
        let (pool, log) = (GreenPool::on(hub, 1), Log::default());
        let (first, second) = (pool.clone(), pool.clone());
        let (outer, middle, inner) = (log.clone(), log.clone(), log.clone());
        let parent = || Handle::current().unwrap().parent();
        let me = || Handle::current().unwrap().id();
        let innermost = async move { inner.add(parent()) };
        let between = async move {
            second.spawn_n(innermost).await;
            middle.add(Some(me()));
            middle.add(parent());
        };
        let member = pool.spawn(async move {
            first.spawn_n(between).await;
            outer.add(Some(me()));
        });
        let member = member.await;
        member.join().await;
        let log = log.take();
        assert!(log.iter().all(Option::is_some));
        assert_eq!((log[0], log[2], log[3]), (log[1], log[3], Some(member.id())));
    }

    async fn spawning_members_respect_the_capacity(hub) {
        let (pool, gauge, ran) = (GreenPool::on(hub, 2), Gauge::default(), Count::to(10));
        for _ in 0..10 {
            let (inside, gauge, ran) = (pool.clone(), gauge.clone(), ran.clone());
            let work = async move {
                let _inside = gauge.enter();
                yield_now().await;
                ran.add();
            };
            pool.spawn_n(async move { inside.spawn_n(work).await }).await;
        }
        ran.reached().await;
        pool.waitall().await.unwrap();
        assert!(gauge.peak() <= 2, "{} ran concurrently", gauge.peak());
        assert_eq!((pool.running(), pool.free(), pool.waiting()), (0, 2, 0));
    }

    async fn kill_of_a_member_drops_its_child_in_place(hub) {
        let (pool, dropped, started) = (GreenPool::on(hub, 1), Dropped::default(), gate());
        let inside = pool.clone();
        let work = stuck(Arc::clone(&started), dropped.guard());
        let member = pool.spawn(async move { drop(inside.spawn(work).await) }).await;
        started.wait().await;
        member.kill().await;
        assert_eq!((dropped.count(), pool.running(), pool.free()), (1, 0, 1));
    }

    async fn spawn_n_runs_its_future_to_the_end(hub) {
        let (pool, ran) = (GreenPool::on(hub, 4), Count::to(10));
        for _ in 0..10 {
            let ran = ran.clone();
            pool.spawn_n(async move { ran.add() }).await;
        }
        pool.waitall().await.unwrap();
        assert_eq!(ran.get(), 10);
    }

    async fn spawn_n_reduces_the_free_slots(hub) {
        let (pool, open) = (GreenPool::on(hub, 2), gate());
        for free in [1, 0] {
            pool.spawn_n(behind(Arc::clone(&open), ())).await;
            assert_eq!(pool.free(), free);
        }
        let mut third = Box::pin(pool.spawn_n(async {}));
        assert!(poll_once(&mut third).await.is_none());
        open.set();
        third.await;
        pool.waitall().await.unwrap();
        assert_eq!(pool.free(), 2);
    }

    async fn failed_or_killed_task_frees_its_slot(hub) {
        let pool = GreenPool::on(hub, 1);
        pool.spawn_n(async { blow_up("no luck") }).await;
        pool.spawn(stuck(gate(), ())).await.kill_now();
        assert!(pool.spawn(async { blow_up("again") }).await.await.unwrap_err().is_panic());
        pool.waitall().await.unwrap();
        assert_eq!((pool.running(), pool.free()), (0, 1));
    }

    async fn imap_of_a_small_pool_keeps_the_order(hub) {
        let pool = GreenPool::on(hub, 4);
        let mut threads = Vec::new();
        for n in 0..10 {
            threads.push(pool.spawn(async move { yield_now().await; n }).await);
        }
        for (n, thread) in threads.into_iter().enumerate() {
            assert_eq!(thread.wait().await.unwrap(), n);
        }
    }

    async fn waiting_spawns_are_admitted_in_fifo_order(hub) {
        let (pool, open, log) = (GreenPool::on(hub, 1), gate(), Log::default());
        pool.spawn_n(behind(Arc::clone(&open), ())).await;
        let mut spawns = Vec::new();
        for n in 0..5 {
            let log = log.clone();
            let mut spawn = Box::pin(pool.spawn(async move { log.add(n) }));
            assert!(poll_once(&mut spawn).await.is_none());
            assert_eq!(pool.waiting(), n + 1);
            spawns.push(spawn);
        }
        open.set();
        drop(all(spawns).await);
        pool.waitall().await.unwrap();
        assert_eq!(log.take(), [0, 1, 2, 3, 4]);
    }

    async fn resize_up_admits_as_many_as_fit(hub) {
        let pool = GreenPool::on(hub, 1);
        pool.spawn_n(stuck(gate(), ())).await;
        let mut spawns = Vec::new();
        for _ in 0..5 {
            let mut spawn = Box::pin(pool.spawn(stuck(gate(), ())));
            assert!(poll_once(&mut spawn).await.is_none());
            spawns.push(spawn);
        }
        pool.resize(4);
        assert_eq!((pool.running(), pool.free(), pool.waiting()), (4, 0, 2));
        for (n, spawn) in spawns.iter_mut().enumerate() {
            assert_eq!(poll_once(spawn).await.is_some(), n < 3);
        }
        drop(spawns);
        assert_eq!((pool.running(), pool.free(), pool.waiting()), (4, 0, 0));
    }

    async fn resize_down_admits_none_until_enough_have_finished(hub) {
        let pool = GreenPool::on(hub, 3);
        let mut threads = Vec::new();
        for _ in 0..3 {
            threads.push(pool.spawn(stuck(gate(), ())).await);
        }
        pool.resize(1);
        let mut spawn = Box::pin(pool.spawn(async {}));
        for free in [-2, -1, 0] {
            assert_eq!((pool.free(), pool.capacity()), (free, 1));
            assert!(poll_once(&mut spawn).await.is_none());
            threads.pop().unwrap().kill().await;
        }
        spawn.await.await.unwrap();
        pool.waitall().await.unwrap();
        assert_eq!((pool.running(), pool.free()), (0, 1));
    }

    async fn dropped_spawn_leaves_the_pool_intact(hub) {
        let (pool, dropped) = (GreenPool::on(hub, 1), Dropped::default());
        let holder = pool.spawn(stuck(gate(), ())).await;
        let mut given_up = Box::pin(pool.spawn(stuck(gate(), dropped.guard())));
        let mut next = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut given_up).await.is_none());
        assert!(poll_once(&mut next).await.is_none());
        holder.kill().await;
        // The slot was handed to it already.
        drop(given_up);
        assert_eq!(next.await.await.unwrap(), 42);
        pool.waitall().await.unwrap();
        assert_eq!((dropped.count(), pool.running(), pool.free()), (1, 0, 1));
    }

    async fn waitall_can_be_called_repeatedly(hub) {
        let (pool, ran) = (GreenPool::on(hub, 2), Count::to(15));
        for round in 1..=3 {
            for _ in 0..5 {
                let ran = ran.clone();
                pool.spawn_n(async move { yield_now().await; ran.add() }).await;
            }
            pool.waitall().await.unwrap();
            assert_eq!((ran.get(), pool.running()), (5 * round, 0));
        }
    }

    async fn waitall_by_the_only_member_is_an_error(hub) {
        let pool = GreenPool::on(hub, 1);
        let inside = pool.clone();
        let member = pool.spawn(async move { inside.waitall().await });
        assert_eq!(member.await.wait().await.unwrap(), Err(InsideGroup));
    }

    async fn several_tasks_may_waitall(hub) {
        let (pool, open) = (GreenPool::on(hub, 1), gate());
        pool.spawn_n(behind(Arc::clone(&open), ())).await;
        let waits: Vec<_> = (0..3).map(|_| Box::pin(pool.waitall())).collect();
        let waits = all(waits);
        let opens = async { let_others_run().await; open.set() };
        let (waited, ()) = futures_lite::future::zip(waits, opens).await;
        assert!(waited.iter().all(Result::is_ok));
    }

    async fn waitall_waits_for_a_map_that_is_read(hub) {
        let (pool, ran) = (GreenPool::on(hub, 2), Count::to(20));
        let one = ran.clone();
        let work = move |n: u32| { one.add(); async move { n } };
        let read = pool.imap(work, 0..20).map(Result::unwrap).collect::<Vec<_>>();
        let read = spawn_on(hub, read);
        ran.reached().await;
        assert_eq!(read.await.unwrap(), (0..20).collect::<Vec<_>>());
        pool.waitall().await.unwrap();
        assert_eq!((pool.running(), pool.free(), pool.waiting()), (0, 2, 0));
    }

    async fn map_of_several_inputs_zips_them(hub) {
        let pool = GreenPool::on(hub, 3);
        let sums = pool.imap(|(a, b)| async move { a + b }, zip([1, 2, 3, 4], [10, 20, 30]));
        assert_eq!(sums.map(Result::unwrap).collect::<Vec<i32>>().await, [11, 22, 33]);
    }

    async fn starmap_returns_results_in_tuple_order(hub) {
        let pool = GreenPool::on(hub, 3);
        let pages = [("a", 3_u32), ("b", 2), ("c", 1)];
        let fetch = |(page, turns): (&'static str, u32)| async move {
            for _ in 0..turns {
                yield_now().await;
            }
            page
        };
        let pages = pool.starmap(fetch, pages).map(Result::unwrap);
        assert_eq!(pages.collect::<Vec<_>>().await, ["a", "b", "c"]);
    }

    async fn imap_goes_on_after_a_failed_item(hub) {
        let pool = GreenPool::on(hub, 2);
        let pick = |n: u32| async move { if n == 1 { blow_up("one") } else { n } };
        let results: Vec<_> = pool.imap(pick, 0..3).collect().await;
        assert!(results[1].as_ref().unwrap_err().is_panic());
        assert_eq!((results[0].as_ref().unwrap(), results[2].as_ref().unwrap()), (&0, &2));
    }

    async fn imap_of_no_items_ends_immediately(hub) {
        let pool = GreenPool::on(hub, 1);
        assert!(pool.imap(|n: u32| async move { n }, []).next().await.is_none());
    }

    async fn member_may_read_a_map_of_its_own_full_pool(hub) {
        let pool = GreenPool::on(hub, 1);
        let inside = pool.clone();
        let member = pool.spawn(async move {
            let doubled = inside.imap(|n: u32| async move { 2 * n }, 0..5).map(Result::unwrap);
            doubled.collect::<Vec<_>>().await
        });
        assert_eq!(member.await.await.unwrap(), [0, 2, 4, 6, 8]);
    }

    async fn imap_respects_the_slots_of_the_pool(hub) {
        let (pool, gauge) = (GreenPool::on(hub, 3), Gauge::default());
        let held = gauge.enter();
        let holder = pool.spawn(async move { let _held = held; std::future::pending::<()>().await });
        let holder = holder.await;
        let inside = gauge.clone();
        let work = move |n: u32| {
            let inside = inside.clone();
            async move { let _inside = inside.enter(); yield_now().await; n }
        };
        assert_eq!(pool.imap(work, 0..20).collect::<Vec<_>>().await.len(), 20);
        holder.kill().await;
        assert!(gauge.peak() <= 3, "{} ran concurrently", gauge.peak());
    }

    async fn green_pool_of_capacity_zero_admits_none(hub) {
        let pool = GreenPool::on(hub, 0);
        let mut spawn = Box::pin(pool.spawn(async { 42 }));
        let let_in = polled(gate(), &mut spawn);
        assert!(poll_once(Box::pin(let_in)).await.is_none());
        assert_eq!((pool.running(), pool.free(), pool.waiting()), (0, 0, 1));
        pool.resize(1);
        assert_eq!(spawn.await.await.unwrap(), 42);
    }
}

#[test]
fn deadlock_names_the_line_of_a_spawn_or_a_waitall() {
    let sim = SimHub::new();
    let pool = GreenPool::on(&sim, 1);
    sim.block_on(pool.spawn_n(std::future::pending::<()>()));
    let line = line!() + 1;
    let text = sim.try_block_on(pool.spawn(async {})).unwrap_err().to_string();
    let told = format!("the main future waits for a slot of a pool at {}:{line}:", file!());
    assert!(text.contains(&told), "{told:?} is missing in:\n{text}");
    let line = line!() + 1;
    let text = sim.try_block_on(pool.waitall()).unwrap_err().to_string();
    let told = format!("the main future waits for Semaphore::wait_idle at {}:{line}:", file!());
    assert!(text.contains(&told), "{told:?} is missing in:\n{text}");
}
