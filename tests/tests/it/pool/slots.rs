//! The rule of pools: running + free = capacity, whatever happens, and a member has left before any
//! waiter sees its end.

use std::sync::Arc;

use futures_lite::future::poll_once;
use spinney::Pool;
use spinney::task::spawn_on;
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Count, behind, blow_up, gate, stuck};

/// Asserts that no slot of `pool` is lost, and that all can be used.
macro_rules! assert_whole {
    ($pool:expr, $capacity:expr) => {{
        $pool.wait_idle().await.unwrap();
        assert_eq!(($pool.len(), $pool.available()), (0, $capacity));
        // All of them and this task.
        let meeting = Count::to($capacity + 1);
        for _ in 0..$capacity {
            let meeting = meeting.clone();
            $pool.try_spawn(async move { meeting.meet().await }).unwrap().detach();
        }
        assert!($pool.try_spawn(async {}).is_err());
        meeting.meet().await;
    }};
}

on_every_hub! {
    async fn members_take_one_slot_each(hub) {
        let pool = Pool::on(hub, 3);
        pool.spawn(stuck(gate(), ())).await.detach();
        assert_eq!((pool.len(), pool.available()), (1, 2));
        pool.spawn(stuck(gate(), ())).await.detach();
        assert_eq!((pool.len(), pool.available()), (2, 1));
    }

    async fn return_frees_the_slot(hub) {
        let pool = Pool::on(hub, 2);
        pool.spawn(async {}).await.await.unwrap();
        assert_whole!(pool, 2);
    }

    async fn panic_frees_the_slot(hub) {
        let pool = Pool::on(hub, 2);
        pool.spawn(async { blow_up("no luck") }).await.await.unwrap_err();
        assert_whole!(pool, 2);
    }

    async fn kill_frees_the_slot(hub) {
        let (pool, started) = (Pool::on(hub, 2), gate());
        let greenlet = pool.spawn(stuck(Arc::clone(&started), ())).await;
        started.wait().await;
        greenlet.kill_now();
        assert_whole!(pool, 2);
    }

    async fn kill_before_the_first_poll_frees_the_slot(hub) {
        let pool = Pool::on(hub, 2);
        pool.spawn(stuck(gate(), ())).await.kill_now();
        assert_whole!(pool, 2);
    }

    async fn dropped_greenlet_frees_the_slot_at_its_end(hub) {
        let (pool, open) = (Pool::on(hub, 2), gate());
        drop(pool.spawn(behind(Arc::clone(&open), ())).await);
        assert_eq!((pool.len(), pool.available()), (1, 1));
        open.set();
        assert_whole!(pool, 2);
    }

    async fn unpolled_spawn_takes_no_slot(hub) {
        let pool = Pool::on(hub, 2);
        drop(pool.spawn(async {}));
        assert_whole!(pool, 2);
    }

    async fn refused_spawn_takes_no_slot(hub) {
        let pool = Pool::on(hub, 1);
        let holder = pool.spawn(stuck(gate(), ())).await;
        assert!(pool.try_spawn(async {}).is_err());
        holder.kill_now();
        assert_whole!(pool, 1);
    }

    async fn concurrent_panics_kills_and_drops_leak_no_slot(hub) {
        let pool = Pool::on(hub, 3);
        for n in 0..60 {
            let mut spawn = Box::pin(pool.spawn(async move {
                spinney::yield_now().await;
                if n % 3 == 0 {
                    blow_up("no luck");
                }
            }));
            if n % 4 == 0 {
                drop(poll_once(&mut spawn).await);
                continue;
            }
            let greenlet = spawn.await;
            if n % 5 == 0 {
                greenlet.kill_now();
            }
        }
        assert_whole!(pool, 3);
    }

    async fn member_has_left_before_its_waiter_is_woken(hub) {
        let pool = Pool::on(hub, 1);
        for n in 0..200 {
            assert_eq!(pool.spawn(async move { n }).await.await.unwrap(), n);
            assert_eq!((pool.len(), pool.available()), (0, 1));
        }
    }

    async fn member_has_left_before_its_join_returns(hub) {
        let pool = Pool::on(hub, 1);
        for _ in 0..200 {
            let greenlet = pool.spawn(async {}).await;
            let handle = greenlet.handle().clone();
            spawn_on(hub, handle.join()).await.unwrap();
            assert!(!pool.contains(&handle));
        }
    }

    async fn killed_member_has_left_before_its_kill_returns(hub) {
        let pool = Pool::on(hub, 1);
        for _ in 0..200 {
            pool.spawn(stuck(gate(), ())).await.kill().await;
            assert_eq!((pool.len(), pool.available()), (0, 1));
        }
    }

    async fn joined_pool_has_a_free_slot(hub) {
        let pool = Pool::on(hub, 1);
        for _ in 0..200 {
            pool.spawn(async {}).await.detach();
            pool.join().await.unwrap();
            assert_eq!((pool.len(), pool.available()), (0, 1));
        }
    }

    async fn killed_pool_has_a_free_slot(hub) {
        let pool = Pool::on(hub, 1);
        for _ in 0..200 {
            pool.spawn(stuck(gate(), ())).await.detach();
            pool.kill().await;
            assert_eq!((pool.len(), pool.available()), (0, 1));
        }
    }
}
