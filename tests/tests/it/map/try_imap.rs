//! The promises of streams of results of tasks that return a `Result`.

use std::sync::Arc;

use futures_lite::StreamExt;
use spinney::map::TaskError;
use spinney::{ItemError, Pool};
use spinney_tests::tools::{Count, behind, blow_up, gate, stuck};
use spinney_tests::{Dropped, on_every_hub};

/// Values, and the texts of errors.
fn texts<T, E: std::fmt::Display>(
    results: Vec<Result<T, ItemError<TaskError<E>>>>,
) -> Vec<Result<T, String>> {
    results.into_iter().map(|result| result.map_err(|error| error.to_string())).collect()
}

async fn odd_fails_and_four_panics(n: usize) -> Result<usize, &'static str> {
    match n {
        4 => blow_up("no luck"),
        _ if n % 2 == 1 => Err("odd"),
        _ => Ok(n),
    }
}

on_every_hub! {
    async fn try_imap_yields_errors_in_place_and_goes_on(hub) {
        let pool = Pool::on(hub, 3);
        let mut results = texts(pool.try_imap(odd_fails_and_four_panics, 0..6).collect().await);
        let panicked = results.remove(4).unwrap_err();
        assert!(panicked.starts_with("item 4, greenlet "), "{panicked}");
        assert!(panicked.ends_with(", panicked: no luck"), "{panicked}");
        let [one, three, five] = [1, 3, 5].map(|n| Err(format!("item {n} failed: odd")));
        assert_eq!(results, [Ok(0), one, Ok(2), three, five]);
        assert_eq!((pool.len(), pool.available()), (0, 3));
    }

    async fn try_imap_unordered_yields_results_as_they_finish(hub) {
        let (pool, open) = (Pool::on(hub, 2), gate());
        let late = Arc::clone(&open);
        let work = move |n: usize| {
            let late = Arc::clone(&late);
            async move { if n == 0 { behind(late, Ok(n)).await } else { Err(n) } }
        };
        let mut results = pool.try_imap_unordered(work, 0..3);
        for n in 1..3 {
            let error = results.next().await.unwrap().unwrap_err();
            assert_eq!((error.index(), error.returned()), (n, Some(&n)));
        }
        open.set();
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        assert!(results.next().await.is_none() && results.next().await.is_none());
    }

    async fn try_imap_names_the_killed_item(hub) {
        let (pool, started) = (Pool::on(hub, 1), gate());
        let start = Arc::clone(&started);
        let work = move |_: u32| {
            let stuck = stuck(Arc::clone(&start), ());
            async move { stuck.await; Ok::<(), ()>(()) }
        };
        let mut results = pool.try_imap(work, 0..1);
        started.wait().await;
        pool.kill().await;
        let error = results.next().await.unwrap().unwrap_err();
        assert!(error.killed().is_some() && error.returned().is_none());
        assert_eq!(error.index(), 0);
    }

    async fn dropped_try_imap_kills_its_items(hub) {
        let (pool, dropped, started) = (Pool::on(hub, 2), Dropped::default(), Count::to(2));
        let (guards, one) = (dropped.clone(), started.clone());
        let work = move |_| {
            one.add();
            let stuck = stuck(gate(), guards.guard());
            async move { stuck.await; Ok::<(), ()>(()) }
        };
        let results = pool.try_imap(work, 0..);
        started.reached().await;
        drop(results);
        pool.wait_idle().await.unwrap();
        assert_eq!((dropped.count(), pool.available()), (2, 2));
    }

    async fn detached_try_imap_runs_on_after_an_error(hub) {
        let (pool, ran) = (Pool::on(hub, 2), Count::to(10));
        let one = ran.clone();
        let work = move |n: usize| {
            one.add();
            async move { if n == 0 { Err("no luck") } else { Ok(()) } }
        };
        pool.try_imap_unordered(work, 0..10).detach();
        ran.reached().await;
        pool.wait_idle().await.unwrap();
    }
}
