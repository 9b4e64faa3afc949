//! The promises of maps on failed, killed and dropped items.

use std::sync::Arc;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use spinney::{ItemError, Pool, yield_now};
use spinney_tests::tools::{Count, Why, behind, blow_up, gate, let_others_run, stuck};
use spinney_tests::{Dropped, on_every_hub};

/// Fails at `at`.
fn fails_at(at: u32) -> impl Fn(u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
    move |n| {
        Box::pin(async move {
            yield_now().await;
            if n == at { blow_up("no luck") } else { n }
        })
    }
}

/// Values, and the texts of failures.
fn plain<T>(result: Result<T, ItemError>) -> Result<T, String> {
    result.map_err(|error| error.into_error().why())
}

fn no_luck<T>() -> Result<T, String> {
    Err("panicked: no luck".to_owned())
}

on_every_hub! {
    async fn failed_item_keeps_its_place(hub) {
        let results = Pool::on(hub, 2).imap(fails_at(1), 0..4).map(plain);
        let results: Vec<_> = results.collect().await;
        assert_eq!(results, [Ok(0), no_luck(), Ok(2), Ok(3)]);
    }

    async fn failed_item_does_not_affect_unordered_others(hub) {
        let results = Pool::on(hub, 2).imap_unordered(fails_at(1), 0..4).map(plain);
        let mut results: Vec<_> = results.collect().await;
        results.sort_unstable();
        assert_eq!(results, [Ok(0), Ok(2), Ok(3), no_luck()]);
    }

    async fn map_reports_the_first_failure_in_order(hub) {
        let late = gate();
        let failed = Arc::clone(&late);
        let work = move |n| {
            let failed = Arc::clone(&failed);
            async move {
                match n {
                    0 => 0,
                    1 => blow_up(behind(failed, "first in order").await),
                    _ => {
                        failed.set();
                        blow_up("first in time")
                    }
                }
            }
        };
        let failure = Pool::on(hub, 3).map(work, 0..3).await.unwrap_err();
        let message = failure.panicked().unwrap().message();
        assert_eq!((failure.index(), message.as_deref()), (1, Some("first in order")));
    }

    async fn map_fails_while_others_run(hub) {
        let work = |n| async move {
            match n {
                0 => blow_up("at once"),
                _ => std::future::pending::<()>().await,
            }
        };
        let pool = Pool::on(hub, 10);
        let failure = pool.mapper().maxsize(100).map(work, 0..).await.unwrap_err();
        let message = failure.panicked().unwrap().message();
        assert_eq!((failure.index(), message.as_deref()), (0, Some("at once")));
    }

    async fn remaining_items_run_on_after_a_failure(hub) {
        let (pool, ran) = (Pool::on(hub, 1), Count::to(5));
        let one = ran.clone();
        let work = move |n| {
            one.add();
            async move { if n == 0 { blow_up("no luck") } }
        };
        pool.map(work, 0..5).await.unwrap_err();
        ran.reached().await;
        pool.wait_idle().await.unwrap();
    }

    async fn panicking_function_fails_its_item_alone(hub) {
        let work = |n: u32| {
            if n == 1 { blow_up("no luck") }
            async move { n }
        };
        let results: Vec<_> = Pool::on(hub, 2).imap(work, 0..3).map(plain).collect().await;
        assert_eq!(results, [Ok(0), no_luck(), Ok(2)]);
    }

    async fn panicking_input_ends_the_stream_after_its_items(hub) {
        let input = (0..4).map(|n| if n == 2 { blow_up("no luck") } else { n });
        let pool = Pool::on(hub, 2);
        let results = pool.imap(|n: u32| async move { yield_now().await; n }, input);
        let results: Vec<_> = results.map(plain).collect().await;
        assert_eq!(results, [Ok(0), Ok(1), no_luck()]);
    }

    async fn panicking_input_loses_no_unordered_result(hub) {
        let input = (0..4).map(|n| if n == 2 { blow_up("no luck") } else { n });
        let work = |n: u32| async move { yield_now().await; n };
        let results = Pool::on(hub, 2).imap_unordered(work, input).map(plain);
        let mut results: Vec<_> = results.collect().await;
        results.sort_unstable();
        assert_eq!(results, [Ok(0), Ok(1), no_luck()]);
    }

    async fn panicking_input_fails_a_map(hub) {
        let input = (0..4).map(|n| if n == 2 { blow_up("no luck") } else { n });
        let mapped = Pool::on(hub, 2).map(|n: u32| async move { n }, input).await;
        assert_eq!(plain(mapped), no_luck());
    }

    async fn dropped_stream_kills_its_items(hub) {
        let (pool, dropped, started) = (Pool::on(hub, 3), Dropped::default(), Count::to(3));
        let (guards, one) = (dropped.clone(), started.clone());
        let work = move |_| { one.add(); stuck(gate(), guards.guard()) };
        let results = pool.imap(work, 0..);
        started.reached().await;
        drop(results);
        pool.wait_idle().await.unwrap();
        assert_eq!((dropped.count(), pool.available()), (3, 3));
    }

    async fn dropped_stream_takes_no_further_items(hub) {
        let (pool, pulled) = (Pool::on(hub, 2), Count::to(4));
        let one = pulled.clone();
        let items = (0..).inspect(move |_| one.add());
        let mut results = pool.imap(|n: u32| async move { yield_now().await; n }, items);
        results.next().await.unwrap().unwrap();
        drop(results);
        pool.wait_idle().await.unwrap();
        let before = pulled.get();
        let_others_run().await;
        assert_eq!(pulled.get(), before);
    }

    async fn dropped_stream_drops_its_unread_results(hub) {
        let (pool, dropped, made) = (Pool::on(hub, 2), Dropped::default(), Count::to(4));
        let (guards, one) = (dropped.clone(), made.clone());
        let work = move |_| {
            let guard = guards.guard();
            one.add();
            async move { guard }
        };
        let results = pool.imap(work, 0..);
        made.reached().await;
        drop(results);
        pool.wait_idle().await.unwrap();
        assert_eq!(dropped.count(), made.get());
    }

    async fn dropped_stream_leaves_the_queue_for_a_slot(hub) {
        let pool = Pool::on(hub, 1);
        let holder = pool.spawn(stuck(gate(), ())).await;
        let mut results = pool.imap(|n: u32| async move { n }, 0..);
        assert!(poll_once(results.next()).await.is_none());
        drop(results);
        holder.kill_now();
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.waiting(), pool.available()), (0, 1));
    }

    async fn dropped_map_kills_its_items(hub) {
        let (pool, dropped, started) = (Pool::on(hub, 2), Dropped::default(), Count::to(2));
        let (guards, one) = (dropped.clone(), started.clone());
        let map = pool.map(move |_| { one.add(); stuck(gate(), guards.guard()) }, 0..2);
        started.reached().await;
        drop(map);
        pool.wait_idle().await.unwrap();
        assert_eq!((dropped.count(), pool.available()), (2, 2));
    }

    async fn dropped_stream_does_not_affect_its_pool(hub) {
        let (pool, open, started) = (Pool::on(hub, 2), gate(), gate());
        let other = pool.spawn(behind(Arc::clone(&open), 42)).await;
        let start = Arc::clone(&started);
        let results = pool.imap(move |_: u32| stuck(Arc::clone(&start), ()), 0..);
        started.wait().await;
        drop(results);
        open.set();
        assert_eq!(other.await.unwrap(), 42);
    }

    async fn detached_map_runs_to_the_end_of_its_input(hub) {
        let (pool, ran, open) = (Pool::on(hub, 2), Count::to(20), gate());
        let (one, opened) = (ran.clone(), Arc::clone(&open));
        let work = move |_| {
            let (one, opened) = (one.clone(), Arc::clone(&opened));
            async move { behind(opened, one).await.add() }
        };
        pool.imap(work, 0..20).detach();
        open.set();
        ran.reached().await;
        pool.wait_idle().await.unwrap();
    }

    async fn detached_map_keeps_its_pool_alive(hub) {
        let (pool, ran, open) = (Pool::on(hub, 2), Count::to(20), gate());
        let (one, opened) = (ran.clone(), Arc::clone(&open));
        let work = move |_| {
            let (one, opened) = (one.clone(), Arc::clone(&opened));
            async move { behind(opened, one).await.add() }
        };
        let results = pool.imap(work, 0..20);
        drop(pool);
        results.detach();
        open.set();
        ran.reached().await;
    }

    async fn map_detached_half_read_releases_its_pool_at_its_end(hub) {
        let pool = Pool::on(hub, 2);
        let member = pool.spawn(stuck(gate(), ())).await;
        let mut results = pool.mapper().maxsize(20).imap(|n: u32| async move { n }, 0..20);
        let_others_run().await;
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        drop(pool);
        results.detach();
        assert!(member.await.unwrap_err().is_killed());
    }

    async fn stream_keeps_its_pool_alive(hub) {
        let results = Pool::on(hub, 2).imap(|n: u32| async move { yield_now().await; n }, 0..20);
        let results: Vec<_> = results.map(Result::unwrap).collect().await;
        assert_eq!(results, (0..20).collect::<Vec<_>>());
    }

    async fn kill_of_the_pool_fails_running_items_of_a_map(hub) {
        let (pool, started) = (Pool::on(hub, 2), Count::to(2));
        let one = started.clone();
        let work = move |n: u32| {
            one.add();
            async move {
                if n < 2 { std::future::pending::<()>().await }
                n
            }
        };
        let results = pool.imap(work, 0..5);
        started.reached().await;
        pool.kill_now();
        let results: Vec<_> = results.map(plain).collect().await;
        let killed = || Err("killed".to_owned());
        assert_eq!(results, [killed(), killed(), Ok(2), Ok(3), Ok(4)]);
    }

    async fn panicking_destructor_in_a_kill_fails_its_item(hub) {
        let (pool, started) = (Pool::on(hub, 1), gate());
        let start = Arc::clone(&started);
        let work = move |_: u32| stuck(Arc::clone(&start), spinney_tests::tools::panics_on_drop());
        let results = pool.imap(work, 0..1);
        started.wait().await;
        pool.kill_now();
        let results: Vec<Result<(), _>> = results.map(plain).collect().await;
        assert_eq!(results, [Err("panicked: the destructor".to_owned())]);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }
}
