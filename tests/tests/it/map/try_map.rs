//! The promises of maps of tasks that return a `Result`, and of their policies.

use std::sync::Arc;

use spinney::{Pool, TaskError};
use spinney_tests::tools::{behind, blow_up, gate, let_others_run, stuck};
use spinney_tests::{Dropped, on_every_hub};

on_every_hub! {
    async fn all_values_come_in_order(hub) {
        let gates = [gate(), gate(), gate()];
        let (pass, pool) = (gates.clone(), Pool::on(hub, 3));
        let work = move |n: usize| {
            let (mine, next) = (Arc::clone(&pass[n]), n.checked_sub(1).map(|n| Arc::clone(&pass[n])));
            async move {
                mine.wait().await;
                if let Some(next) = next {
                    next.set();
                }
                Ok::<_, ()>(n)
            }
        };
        gates[2].set();
        assert_eq!(pool.try_map(work, 0..3).await.unwrap(), [0, 1, 2]);
        assert!(pool.try_map(|n: u32| async move { Ok::<_, ()>(n) }, []).await.unwrap().is_empty());
    }

    async fn the_first_error_kills_the_others(hub) {
        let (pool, dropped, started) = (Pool::on(hub, 2), Dropped::default(), gate());
        let (guard, first) = (Arc::new(dropped.guard()), Arc::clone(&started));
        let work = move |n: usize| {
            let (guard, started) = (Arc::clone(&guard), Arc::clone(&first));
            async move {
                if n == 0 {
                    stuck(Arc::clone(&started), guard).await;
                }
                started.wait().await;
                Err::<(), _>("no luck")
            }
        };
        // Held until the end: it is not its drop that kills them.
        let mut map = pool.try_map(work, 0..);
        let error = (&mut map).await.unwrap_err();
        assert_eq!(error.index(), 1);
        assert!(matches!(*error, TaskError::Returned("no luck")));
        assert_eq!(error.to_string(), "item 1 failed: no luck");
        pool.wait_idle().await.unwrap();
        let_others_run().await;
        while dropped.count() == 0 {
            spinney::yield_now().await;
        }
        drop(map);
        assert_eq!((pool.len(), pool.free_count()), (0, 2));
    }

    async fn a_panic_is_an_error(hub) {
        let pool = Pool::on(hub, 1);
        let work = |n: u32| async move { if n == 1 { blow_up("no luck") } else { Ok::<_, ()>(n) } };
        let error = pool.try_map(work, 0..3).await.unwrap_err();
        assert_eq!(error.index(), 1);
        assert!(matches!(&*error, TaskError::Failed(failure) if failure.is_panic()));
    }

    async fn collect_all_gives_each_in_order(hub) {
        let (pool, late) = (Pool::on(hub, 3), gate());
        let opened = Arc::clone(&late);
        let work = move |n: usize| {
            let late = Arc::clone(&opened);
            async move {
                match n {
                    0 => behind(late, Ok(0)).await,
                    1 => Err("no luck"),
                    2 => { late.set(); blow_up("no luck at all") }
                    _ => Ok(n),
                }
            }
        };
        let all = pool.try_map(work, 0..4).collect_all().await;
        assert_eq!(all.len(), 4);
        assert_eq!(*all[0].as_ref().unwrap(), 0);
        assert_eq!(all[1].as_ref().unwrap_err().to_string(), "item 1 failed: no luck");
        assert_eq!(all[2].as_ref().unwrap_err().to_string(), "item 2 panicked: no luck at all");
        assert_eq!(*all[3].as_ref().unwrap(), 3);
    }

    async fn first_success_kills_the_others(hub) {
        let (pool, dropped, started) = (Pool::on(hub, 3), Dropped::default(), gate());
        let (guard, first) = (Arc::new(dropped.guard()), Arc::clone(&started));
        let work = move |n: usize| {
            let (guard, started) = (Arc::clone(&guard), Arc::clone(&first));
            async move {
                match n {
                    0 => stuck(Arc::clone(&started), guard).await,
                    1 => return Err("no luck"),
                    _ => started.wait().await,
                }
                Ok(n)
            }
        };
        // As above.
        let mut map = pool.try_map(work, 0..).first_success();
        assert!((&mut map).await.unwrap() >= 2);
        pool.wait_idle().await.unwrap();
        while dropped.count() == 0 {
            spinney::yield_now().await;
        }
        drop(map);
    }

    async fn where_none_succeeds_all_errors_come_in_order(hub) {
        let pool = Pool::on(hub, 2);
        let errors = pool.try_map(|n: usize| async move { Err::<(), _>(n) }, 0..4).first_success();
        let errors = errors.await.unwrap_err();
        assert_eq!(errors.len(), 4);
        for (n, error) in errors.into_iter().enumerate() {
            assert_eq!(error.index(), n);
            assert!(matches!(error.into_error(), TaskError::Returned(value) if value == n));
        }
    }

    async fn dropping_it_kills_what_it_started(hub) {
        let (pool, dropped, started) = (Pool::on(hub, 1), Dropped::default(), gate());
        let (guard, set) = (Arc::new(dropped.guard()), Arc::clone(&started));
        let work = move |_: u32| {
            let stuck = stuck(Arc::clone(&set), Arc::clone(&guard));
            async move { stuck.await; Ok::<(), ()>(()) }
        };
        let map = pool.try_map(work, 0..3);
        started.wait().await;
        drop(map.collect_all());
        pool.wait_idle().await.unwrap();
        while dropped.count() == 0 {
            spinney::yield_now().await;
        }
        assert_eq!((pool.len(), pool.free_count()), (0, 1));
    }
}
