//! The promises of maps on how far they run ahead of their reader, and on the room for others.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use spinney::{Group, Pool, yield_now};
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Count, behind, blow_up, gate, let_others_run, stuck};

/// An endless input, and how many items were taken from it.
fn counted(pulled: &Count) -> impl Iterator<Item = usize> + Send + use<> {
    let pulled = pulled.clone();
    (0..).inspect(move |_| pulled.add())
}

on_every_hub! {
    async fn imap_of_an_endless_input_is_bounded(hub) {
        let pool = Pool::on(hub, 4);
        let results = pool.imap(|n: u32| async move { 2 * n }, 0..);
        let results: Vec<_> = results.take(5).map(Result::unwrap).collect().await;
        assert_eq!(results, [0, 2, 4, 6, 8]);
    }

    async fn imap_of_a_group_over_an_endless_input_is_bounded(hub) {
        let group = Group::on(hub);
        let results = group.imap_unordered(|n: u32| async move { 2 * n }, 0..);
        assert_eq!(results.take(5).filter(Result::is_ok).count().await, 5);
    }

    async fn open_items_never_exceed_maxsize(hub) {
        let (pool, pulled) = (Pool::on(hub, 10), Count::to(4));
        let _results = pool.mapper().maxsize(3).imap(|n| async move { n }, counted(&pulled));
        pulled.reached().await;
        let_others_run().await;
        // And one is taken ahead.
        assert_eq!(pulled.get(), 4);
    }

    async fn running_items_never_exceed_maxsize(hub) {
        let (pool, pulled) = (Pool::on(hub, 10), Count::to(4));
        let _results = pool
            .mapper()
            .maxsize(3)
            .imap_unordered(|_| std::future::pending::<()>(), counted(&pulled));
        pulled.reached().await;
        let_others_run().await;
        assert_eq!((pulled.get(), pool.len()), (4, 3));
    }

    async fn one_more_is_open_while_the_reader_waits(hub) {
        let (pool, pulled) = (Pool::on(hub, 10), Count::to(5));
        let mut results = pool
            .mapper()
            .maxsize(3)
            .imap(|_| std::future::pending::<()>(), counted(&pulled));
        assert!(poll_once(results.next()).await.is_none());
        pulled.reached().await;
        let_others_run().await;
        assert_eq!((pulled.get(), pool.len()), (5, 4));
    }

    async fn each_read_result_makes_room_for_one_item(hub) {
        let (pool, pulled) = (Pool::on(hub, 10), Count::to(3));
        let mut results = pool.mapper().maxsize(3).imap(|n| async move { n }, counted(&pulled));
        pulled.reached().await;
        let_others_run().await;
        for n in 0..20 {
            assert_eq!(results.next().await.unwrap().unwrap(), n);
            let_others_run().await;
            assert!(pulled.get() <= n + 6, "{} pulled, {} read", pulled.get(), n + 1);
        }
    }

    async fn reading_one_result_starts_one_item(hub) {
        let (pool, pulled) = (Pool::on(hub, 10), Count::to(4));
        let mut results = pool.mapper().maxsize(3).imap(|n| async move { n }, counted(&pulled));
        let_others_run().await;
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        pulled.reached().await;
        drop(results);
    }

    async fn default_maxsize_is_twice_the_capacity(hub) {
        let (pool, pulled) = (Pool::on(hub, 4), Count::to(9));
        let _results = pool.imap(|n| async move { n }, counted(&pulled));
        pulled.reached().await;
        let_others_run().await;
        assert_eq!(pulled.get(), 9);
    }

    async fn default_maxsize_of_a_list_is_four_times_the_capacity(hub) {
        let (pool, pulled) = (Pool::on(hub, 4), Count::to(17));
        let _results = pool.map(|n| async move { n }, counted(&pulled));
        pulled.reached().await;
        let_others_run().await;
        assert_eq!(pulled.get(), 17);
    }

    async fn reader_of_a_list_is_woken_in_batches(hub) {
        let (pool, mut polls) = (Pool::on(hub, 1), 0);
        let work = |n| async move { yield_now().await; n };
        let mut list = pin!(pool.mapper().maxsize(100).map(work, 0..1000));
        let list = poll_fn(|cx| {
            polls += 1;
            list.as_mut().poll(cx)
        });
        assert_eq!(list.await.unwrap(), (0..1000).collect::<Vec<_>>());
        assert!(polls < 100, "{polls} polls");
    }

    async fn reader_of_a_list_makes_room_for_waiting_items(hub) {
        let (pool, meeting) = (Pool::on(hub, 12), Count::to(12));
        let meet = move |n| {
            let meeting = meeting.clone();
            async move { if n >= 2 { meeting.meet().await } }
        };
        assert_eq!(pool.mapper().maxsize(12).map(meet, 0..14).await.unwrap().len(), 14);
    }

    async fn unbounded_runs_ahead_of_its_reader(hub) {
        let (pool, pulled) = (Pool::on(hub, 2), Count::to(500));
        let results = pool.mapper().unbounded().imap(|n| async move { n }, counted(&pulled));
        pulled.reached().await;
        drop(results);
    }

    async fn maxsize_zero_starts_items_for_a_waiting_reader_only(hub) {
        let (pool, started) = (Pool::on(hub, 2), Count::to(1));
        let map = { let started = started.clone(); move |n| { started.add(); async move { n } } };
        let mut results = pool.mapper().maxsize(0).imap(map, 0..10);
        let_others_run().await;
        assert_eq!(started.get(), 0);
        for n in 0..5 {
            assert_eq!(results.next().await.unwrap().unwrap(), n);
        }
    }

    async fn unread_unbounded_map_runs_to_the_end_of_its_input(hub) {
        let (pool, ran) = (Pool::on(hub, 2), Count::to(5));
        let here = ran.clone();
        pool.mapper().maxsize(0).imap(move |_| { here.add(); async {} }, 0..5).detach();
        ran.reached().await;
    }

    async fn failed_unbounded_map_runs_to_the_end_of_its_input(hub) {
        let (pool, ran) = (Pool::on(hub, 2), Count::to(5));
        let here = ran.clone();
        let work = move |n| {
            here.add();
            async move { if n == 0 { blow_up("no luck") } }
        };
        assert!(pool.mapper().maxsize(0).map(work, 0..5).await.is_err());
        ran.reached().await;
    }

    async fn maxsize_below_the_capacity_loses_no_result(hub) {
        let pool = Pool::on(hub, 4);
        for maxsize in 0..6 {
            let results = pool.mapper().maxsize(maxsize).map(|n| async move { yield_now().await; n }, 0..20);
            assert_eq!(results.await.unwrap(), (0..20).collect::<Vec<_>>());
        }
    }

    async fn unread_map_holds_no_slot(hub) {
        let pool = Pool::on(hub, 1);
        let _results = pool.imap(|n| async move { n }, 0..);
        assert_eq!(pool.spawn(async { 42 }).await.await.unwrap(), 42);
        assert_eq!(pool.spawn(async { 42 }).await.await.unwrap(), 42);
    }

    async fn map_at_its_bound_holds_no_slot(hub) {
        let (pool, pulled) = (Pool::on(hub, 2), Count::to(4));
        pool.spawn(stuck(gate(), ())).await.detach();
        let _results = pool.imap(|n| async move { n }, counted(&pulled));
        pulled.reached().await;
        assert_eq!(pool.spawn(async { 42 }).await.await.unwrap(), 42);
    }

    async fn unread_map_does_not_keep_its_pool_busy(hub) {
        let pool = Pool::on(hub, 2);
        let _results = pool.imap(|n| async move { n }, 0..);
        pool.wait_idle().await.unwrap();
    }

    async fn resize_up_runs_more_items_of_a_map(hub) {
        let (pool, meeting) = (Pool::on(hub, 1), Count::to(3));
        let meet = move |_| {
            let meeting = meeting.clone();
            async move { meeting.meet().await }
        };
        let mut map = pool.mapper().maxsize(3).map(meet, 0..3);
        assert!(poll_once(&mut map).await.is_none());
        pool.resize(3);
        assert_eq!(map.await.unwrap().len(), 3);
    }

    async fn resize_down_makes_a_map_free_its_slots(hub) {
        let (pool, started, open) = (Pool::on(hub, 3), Count::to(3), gate());
        let (one, opened) = (started.clone(), Arc::clone(&open));
        let work = move |_| {
            one.add();
            behind(Arc::clone(&opened), ())
        };
        let _results = pool.mapper().unbounded().imap(work, 0..1000);
        started.reached().await;
        pool.resize(1);
        let (running, count) = (pool.clone(), started.clone());
        let mut spawn = Box::pin(pool.spawn(async move { (running.len(), count.get()) }));
        assert!(poll_once(&mut spawn).await.is_none());
        open.set();
        let (running, before) = spawn.await.await.unwrap();
        assert_eq!(running, 1, "more than one runs in the one slot");
        assert!(before <= 4, "{before} items came first");
    }
}
