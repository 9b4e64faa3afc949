//! The promises of `on_item`: the items it is called for, when, and the effect of a panic in it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::{StreamExt, stream};
use spinney::Retry;
use spinney::map::from_stream;
use spinney::map::{ItemEvent, Mapper, TaskError};
use spinney::pool::SlotError;
use spinney::{Failure, Pool, block_on, yield_now};
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Count, Log, blow_up, gate, stuck};

/// An item's index and outcome, as text.
type Told = Log<(usize, &'static str)>;

fn text(item: &ItemEvent) -> &'static str {
    if !item.is_final() {
        return "retry";
    }
    match &item.outcome {
        Ok(()) => "done",
        Err(TaskError::Returned(())) => "error",
        Err(TaskError::Failed(Failure::Panicked(_))) => "panic",
        Err(TaskError::Failed(Failure::Killed(_))) => "kill",
        Err(TaskError::Failed(Failure::Aborted(_))) => "abort",
    }
}

/// A mapper of `pool` that logs each item.
fn telling<X>(pool: &Pool<X>) -> (Told, Mapper<X>) {
    let told = Told::default();
    let log = told.clone();
    (told, pool.mapper().on_item(move |item| log.add((item.index, text(&item)))))
}

fn sorted(told: &Told) -> Vec<(usize, &'static str)> {
    let mut told = told.take();
    told.sort_unstable();
    told
}

async fn odd_is_an_error(n: usize) -> Result<usize, ()> {
    yield_now().await;
    if n % 2 == 1 { Err(()) } else { Ok(n) }
}

on_every_hub! {
    async fn on_item_is_called_once_for_each_item(hub) {
        let pool = Pool::on(hub, 3);
        let work = |n: usize| async move {
            if n % 3 == 0 { yield_now().await }
            if n == 5 { blow_up("no luck") }
        };
        let all = |at: usize| (0..40).map(move |n| (n, if n == at { "panic" } else { "done" }));
        let (told, mapper) = telling(&pool);
        assert_eq!(mapper.imap(work, 0..40).count().await, 40);
        assert_eq!(sorted(&told), all(5).collect::<Vec<_>>());
        let (told, mapper) = telling(&pool);
        assert_eq!(mapper.imap_unordered(work, 0..40).count().await, 40);
        assert_eq!(sorted(&told), all(5).collect::<Vec<_>>());
        let (told, mapper) = telling(&pool);
        mapper.map(|_: usize| async {}, from_stream(stream::iter(0..40))).await.unwrap();
        assert_eq!(sorted(&told), all(40).collect::<Vec<_>>());
    }

    async fn on_item_counts_an_err_as_failure_in_try_maps_only(hub) {
        let pool = Pool::on(hub, 2);
        let (told, mapper) = telling(&pool);
        mapper.try_map(odd_is_an_error, 0..4).collect_all().await;
        assert_eq!(sorted(&told), [(0, "done"), (1, "error"), (2, "done"), (3, "error")]);
        let (told, mapper) = telling(&pool);
        assert_eq!(mapper.try_imap(odd_is_an_error, 0..2).count().await, 2);
        assert_eq!(sorted(&told), [(0, "done"), (1, "error")]);
        let (told, mapper) = telling(&pool);
        assert_eq!(mapper.map(odd_is_an_error, 0..2).await.unwrap(), [Ok(0), Err(())]);
        assert_eq!(sorted(&told), [(0, "done"), (1, "done")]);
    }

    async fn on_item_is_called_before_the_result_can_be_read(hub) {
        let pool = Pool::on(hub, 3);
        let told = Arc::new([const { AtomicUsize::new(0) }; 60]);
        let one = Arc::clone(&told);
        let mapper = pool.mapper().on_item(move |item| { one[item.index].fetch_add(1, SeqCst); });
        let work = |n: usize| async move { if n % 7 == 0 { yield_now().await } n };
        let mut results = mapper.imap_unordered(work, 0..60);
        while let Some(result) = results.next().await {
            assert_eq!(told[result.unwrap()].load(SeqCst), 1);
        }
    }

    async fn on_item_sees_each_try_and_its_delay(hub) {
        let (pool, told) = (Pool::on(hub, 1), Log::default());
        let log = told.clone();
        let mapper = pool.mapper().on_item(move |item| {
            log.add((item.index, text(&item), item.tries, item.retry_after));
        });
        let tries = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let work = move |n: usize| {
            let fails = tries[n].fetch_add(1, SeqCst) < [3, 1, 0][n];
            async move { if fails { Err("busy") } else { Ok(()) } }
        };
        let delays = [Duration::ZERO, Duration::from_millis(1)];
        mapper.retry(Retry::times(2).delays(delays)).try_map(work, 0..3).collect_all().await;
        let mut told = told.take();
        // Other items run during a delay.
        told.sort_by_key(|(index, _, tries, _)| (*index, *tries));
        let [first, second] = delays.map(Some);
        assert_eq!(told, [
            (0, "retry", 1, first), (0, "retry", 2, second), (0, "error", 3, None),
            (1, "retry", 1, first), (1, "done", 2, None),
            (2, "done", 1, None),
        ]);
    }

    async fn on_item_counts_no_try_for_a_kill_during_a_delay(hub) {
        let (pool, told, delayed) = (Pool::on(hub, 1), Log::default(), Count::to(1));
        let (log, one) = (told.clone(), delayed.clone());
        let mapper = pool.mapper().on_item(move |item| {
            log.add((text(&item), item.tries));
            if !item.is_final() { one.add(); }
        });
        let mapper = mapper.retry(Retry::times(1).delays([Duration::from_secs(3600)]));
        let map = mapper.try_map(|_: usize| async { Err::<(), _>("busy") }, 0..1);
        delayed.reached().await;
        drop(map);
        pool.join().await.unwrap();
        assert_eq!(told.take(), [("retry", 1), ("kill", 1)]);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn panicking_on_item_loses_no_result(hub) {
        let pool = Pool::on(hub, 2);
        let noisy = || pool.mapper().on_item(|_| blow_up("the callback"));
        let values = noisy().map(|n: usize| async move { yield_now().await; n }, 0..20).await;
        assert_eq!(values.unwrap(), (0..20).collect::<Vec<_>>());
        let results = noisy().try_imap(odd_is_an_error, 0..20);
        assert_eq!(results.filter(Result::is_ok).count().await, 10);
        assert_eq!((pool.len(), pool.available()), (0, 2));
    }

    async fn on_item_is_called_for_killed_items(hub) {
        let (pool, started) = (Pool::on(hub, 2), Count::to(2));
        let (told, mapper) = telling(&pool);
        let one = started.clone();
        let results = mapper.imap(move |_: usize| { one.add(); stuck(gate(), ()) }, 0..);
        started.reached().await;
        drop(results);
        pool.wait_idle().await.unwrap();
        assert_eq!(sorted(&told), [(0, "kill"), (1, "kill")]);
    }

    async fn on_item_is_called_for_a_refused_item(hub) {
        let pool = Pool::on(hub, 1);
        let refused = Log::default();
        let log = refused.clone();
        let mapper = pool.mapper().on_item(move |item| {
            let Err(TaskError::Failed(Failure::Killed(exit))) = item.outcome else { unreachable!() };
            let is_refusal = exit.reason().is_some_and(<dyn Error + Send + Sync>::is::<SlotError>);
            log.add((item.index, item.tries, is_refusal));
        });
        pool.close();
        mapper.map(|_: usize| async {}, 0..3).await.unwrap_err();
        assert_eq!(refused.take(), [(0, 0, true)]);
    }

    async fn on_item_is_called_for_a_panicking_input(hub) {
        let pool = Pool::on(hub, 1);
        let (told, mapper) = telling(&pool);
        let input = (0..4).map(|n| if n == 1 { blow_up("no luck") } else { n });
        assert_eq!(mapper.imap(|_: usize| async {}, input).count().await, 2);
        assert_eq!(sorted(&told), [(0, "done"), (1, "panic")]);
    }
}

#[test]
fn on_item_may_use_its_pool() {
    let (pool, seen) = (Pool::new(2), Log::default());
    let (inside, log) = (pool.clone(), seen.clone());
    let mapper = pool.mapper().on_item(move |_| {
        log.add(!inside.members().is_empty() && inside.stats().running > 0 && !inside.is_empty());
    });
    block_on(mapper.map(|_: usize| async {}, 0..3)).unwrap();
    assert_eq!(seen.take(), [true; 3]);
}
