//! The promises of maps on their input: streams, tuples, and the index of each item.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::future::poll_once;
use futures_lite::{StreamExt, stream};
use spinney::map::from_stream;
use spinney::{Group, Pool, sleep, yield_now};
use spinney_tests::tools::{Count, Log, behind, blow_up, gate, let_others_run};
use spinney_tests::{Dropped, SimHub, on_every_hub};

on_every_hub! {
    async fn map_runs_over_a_stream(hub) {
        let items = || from_stream(stream::iter(0..5));
        let pool = Pool::on(hub, 2);
        assert_eq!(pool.map(|n| async move { 2 * n }, items()).await.unwrap(), [0, 2, 4, 6, 8]);
        let group = Group::on(hub);
        assert_eq!(group.map(|n| async move { 2 * n }, items()).await.unwrap(), [0, 2, 4, 6, 8]);
        let mut all: Vec<_> =
            pool.imap_unordered(|n: i32| async move { n }, items()).map(Result::unwrap).collect().await;
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        assert_eq!((pool.len(), pool.available()), (0, 2));
    }

    async fn stream_may_be_empty_or_endless(hub) {
        let pool = Pool::on(hub, 2);
        let none = pool.map(|n: u32| async move { n }, from_stream(stream::empty()));
        assert!(none.await.unwrap().is_empty());
        let pulled = Count::to(1);
        let endless = stream::repeat(7).inspect({ let pulled = pulled.clone(); move |_| pulled.add() });
        let results = pool.mapper().maxsize(3).imap(|n| async move { n }, from_stream(endless));
        let results: Vec<_> = results.take(5).map(Result::unwrap).collect().await;
        assert_eq!(results, [7; 5]);
        assert!(pulled.get() <= 10, "{} items were taken", pulled.get());
    }

    async fn pending_stream_holds_no_slot(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let items = stream::unfold(Some(behind(Arc::clone(&open), 42)), |wait| async move { Some((wait?.await, None)) });
        let mut map = pool.map(|n| async move { n }, from_stream(Box::pin(items)));
        assert!(poll_once(&mut map).await.is_none());
        let_others_run().await;
        assert_eq!((pool.len(), pool.available(), pool.waiting()), (0, 1, 0));
        assert_eq!(pool.spawn(async { 1 }).await.await.unwrap(), 1);
        open.set();
        assert_eq!(map.await.unwrap(), [42]);
    }

    async fn panicking_stream_ends_the_map_after_its_items(hub) {
        let items = stream::iter(0..4).map(|n| if n == 2 { blow_up("no luck") } else { n });
        let pool = Pool::on(hub, 2);
        let results = pool.imap(|n: u32| async move { yield_now().await; n }, from_stream(items));
        let results: Vec<_> = results.collect().await;
        assert_eq!(results.len(), 3);
        assert!(results[..2].iter().all(Result::is_ok));
        assert_eq!(results[2].as_ref().unwrap_err().to_string(), "item 2 panicked: no luck");
        assert_eq!((pool.len(), pool.available()), (0, 2));
    }

    async fn input_stream_is_dropped_when_the_reader_leaves(hub) {
        let (pool, dropped) = (Pool::on(hub, 1), Dropped::default());
        let guard = dropped.guard();
        let items = stream::pending::<u32>().inspect(move |_| { let _ = &guard; });
        let mut results = pool.imap(|n| async move { n }, from_stream(items));
        assert!(poll_once(results.next()).await.is_none());
        drop(results);
        let_others_run().await;
        while dropped.count() == 0 {
            yield_now().await;
        }
        assert_eq!((pool.len(), pool.available(), pool.waiting()), (0, 1, 0));
    }

    async fn ended_stream_is_not_polled_again(hub) {
        let log = Log::default();
        let polls = log.clone();
        let mut left = 3;
        let items = stream::poll_fn(move |_| {
            polls.add(left);
            left -= 1;
            Poll::Ready((left >= 0).then_some(left))
        });
        let pool = Pool::on(hub, 2);
        assert_eq!(pool.map(|n: i32| async move { n }, from_stream(items)).await.unwrap(), [2, 1, 0]);
        assert_eq!(log.take(), [3, 2, 1, 0]);
    }

    async fn closure_may_destructure_tuples(hub) {
        let pool = Pool::on(hub, 2);
        let sums = pool.map(|(a, b): (u32, u32)| async move { a + b }, (0..3).zip(10..));
        assert_eq!(sums.await.unwrap(), [10, 12, 14]);
    }

    async fn indexed_results_have_the_index_of_their_item(hub) {
        let gates = [gate(), gate(), gate()];
        let behind_gates = gates.clone();
        let pool = Pool::on(hub, 3);
        let work = move |n: usize| behind(Arc::clone(&behind_gates[n]), 10 * n);
        let mut results = pool.imap_unordered(work, 0..3).indexed();
        for n in [2, 0, 1] {
            gates[n].set();
            let (index, result) = results.next().await.unwrap();
            assert_eq!((index, result.unwrap()), (n, 10 * n));
        }
        assert!(results.next().await.is_none());
        let fails = |n: usize| async move { if n == 1 { blow_up("no luck") } };
        let results = pool.imap(fails, 0..3).indexed();
        let failed: Vec<_> = results.filter(|(_, result)| result.is_err()).collect().await;
        assert_eq!((failed.len(), failed[0].0), (1, 1));
    }

    async fn error_names_its_item(hub) {
        let pool = Pool::on(hub, 2);
        let fails = |n: usize| async move { if n >= 3 { blow_up("the item") } };
        let error = pool.map(fails, 0..9).await.unwrap_err();
        let message = error.panicked().unwrap().message();
        assert_eq!((error.index(), message.as_deref()), (3, Some("the item")));
        let text = error.to_string();
        assert!(text.starts_with("item 3, greenlet ") && text.ends_with("), panicked: the item"));
        let input = (0..9).map(|n| if n == 4 { blow_up("the input") } else { n });
        let error = pool.map(|n: usize| async move { n }, input).await.unwrap_err();
        assert_eq!((error.index(), error.to_string()), (4, "item 4 panicked: the input".to_owned()));
        assert!(spinney::Failure::from(error).is_panic());
    }
}

#[test]
fn items_start_when_the_stream_yields_them() {
    let sim = SimHub::new();
    let (pool, log) = (Pool::on(&sim, 1), Log::default());
    let items = stream::unfold(0, |n| async move {
        sleep(Duration::from_secs(3)).await;
        (n < 4).then_some((n, n + 1))
    });
    let (clock, started) = (sim.clone(), log.clone());
    let work = move |n: u64| {
        started.add((n, clock.elapsed().as_secs()));
        sleep(Duration::from_secs(if n == 1 { 4 } else { 1 }))
    };
    let items: Pin<Box<dyn stream::Stream<Item = u64>>> = Box::pin(items);
    sim.block_on(pool.map(work, from_stream(items))).unwrap();
    // The third had to wait for its slot, so the fourth was taken later.
    assert_eq!(log.take(), [(0, 3), (1, 6), (2, 10), (3, 13)]);
    assert_eq!(sim.elapsed(), Duration::from_secs(16));
}

#[test]
fn map_leaves_the_queue_while_its_input_is_pending() {
    let sim = SimHub::new();
    let (pool, open) = (Pool::on(&sim, 2), gate());
    sim.block_on(async {
        let busy = pool.spawn(behind(Arc::clone(&open), ())).await;
        let (send, receive) = smol::channel::unbounded::<u32>();
        let inside = pool.clone();
        let read = async move { inside.map(|n| async move { n }, from_stream(receive)).await };
        let reader = pool.spawn(read).await;
        let_others_run().await;
        send.send(1).await.unwrap();
        let_others_run().await;
        open.set();
        busy.await.unwrap();
        let_others_run().await;
        assert_eq!(pool.spawn(async { 7 }).await.await.unwrap(), 7);
        send.close();
        assert_eq!(reader.await.unwrap().unwrap(), [1]);
    });
}
