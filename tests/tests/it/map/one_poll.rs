//! The promises of maps whose items do not wait: a worker runs many of them in one poll.

use std::cell::RefCell;
use std::future::{Ready, pending, ready};
use std::rc::Rc;

use futures_lite::StreamExt;
use spinney::pool::RunsMap;
use spinney::{Failure, LocalHub, Pool, yield_now};
use spinney_tests::tools::{Count, OnDrop, blow_up, gate, let_others_run, stuck};
use spinney_tests::{Dropped, SimHub, on_every_hub, on_one_thread};

on_every_hub! {
    async fn finished_result_is_read_while_the_next_item_waits(hub) {
        for done in 0..40 {
            let map = move |n| async move { if n == done { pending::<()>().await; } n };
            let results = Pool::on(hub, 1).mapper().unbounded().imap(map, 0..);
            let read: Vec<u32> = results.take(done as usize).map(Result::unwrap).collect().await;
            assert!(read.into_iter().eq(0..done));
        }
    }

    async fn finished_result_is_read_after_a_kill(hub) {
        let (pool, started) = (Pool::on(hub, 1), gate());
        let started_by_last = started.clone();
        let map = move |n: u32| {
            let started = started_by_last.clone();
            async move { if n == 5 { stuck(started, ()).await; } n }
        };
        let results = pool.mapper().unbounded().imap_unordered(map, 0..6);
        started.wait().await;
        pool.kill().await;
        let results: Vec<_> = results.collect().await;
        assert!(results[..5].iter().map(|result| *result.as_ref().unwrap()).eq(0..5));
        assert!(matches!(**results[5].as_ref().unwrap_err(), Failure::Killed(_)));
        assert_eq!(results.len(), 6);
    }

    async fn finished_results_come_before_the_panic_of_the_input(hub) {
        for done in 0..40 {
            let items = (0..).inspect(move |n| if *n == done { blow_up("no luck") });
            let results = Pool::on(hub, 1).mapper().unbounded().imap_unordered(ready::<usize>, items);
            let results: Vec<_> = results.collect().await;
            assert_eq!(results.len(), done + 1);
            assert!(results[..done].iter().map(|result| *result.as_ref().unwrap()).eq(0..done));
            assert!(matches!(**results[done].as_ref().unwrap_err(), Failure::Panicked(_)));
        }
    }

    async fn room_left_by_a_waiting_item_goes_to_others(hub) {
        let (pool, pulled) = (Pool::on(hub, 2), Count::to(21));
        let items = { let pulled = pulled.clone(); (0..).inspect(move |_| pulled.add()) };
        let map = |n: u32| async move { if n == 6 { pending::<()>().await; } };
        let _results = pool.mapper().maxsize(20).imap_unordered(map, items);
        pulled.reached().await;
        let_others_run().await;
        // And one is taken ahead.
        assert_eq!(pulled.get(), 21);
    }

    async fn every_result_comes_once_at_any_maxsize(hub) {
        for maxsize in [0, 1, 2, 3, 31, 32, 33, 34, 64, 1000] {
            let pool = Pool::on(hub, 2);
            let results = pool.mapper().maxsize(maxsize).imap(ready::<u32>, 0..100);
            let results: Vec<_> = results.map(Result::unwrap).collect().await;
            assert!(results.into_iter().eq(0..100));
            assert_eq!((pool.len(), pool.available()), (0, 2));
        }
    }

    async fn detached_map_drops_each_of_many_results(hub) {
        let (pool, dropped) = (Pool::on(hub, 1), Count::to(100));
        let all = dropped.clone();
        let map = move |_| {
            let dropped = dropped.clone();
            ready(OnDrop::new(move || dropped.add()))
        };
        pool.imap(map, 0..100).detach();
        all.reached().await;
        pool.wait_idle().await.unwrap();
        assert_eq!((all.get(), pool.len(), pool.available()), (100, 0, 1));
    }
}

on_one_thread! {
    async fn one_item_is_taken_ahead_of_the_running_ones(hub) {
        let (pool, pulled, run) = (Pool::on(hub, 1), Count::to(100), Count::to(100));
        let items = { let pulled = pulled.clone(); (0..).inspect(move |_| pulled.add()) };
        let map = { let run = run.clone(); move |n: u32| { run.add(); ready(n) } };
        let _results = pool.mapper().unbounded().imap(map, items);
        for _ in 0..20 {
            // The first two are the feeder's, and available before its worker has had a turn.
            assert_eq!(pulled.get().max(2), run.get().max(1) + 1);
            yield_now().await;
        }
        run.reached().await;
    }

    async fn no_item_runs_after_one_that_drops_the_results(hub) {
        let (pool, run) = (Pool::on(hub, 1), Count::to(1));
        let results = Rc::new(RefCell::new(None));
        let map = {
            let (results, run) = (Rc::clone(&results), run.clone());
            move |n: u32| {
                run.add();
                if n == 5 { drop(results.take()); }
                ready(n)
            }
        };
        *results.borrow_mut() = Some(pool.mapper().unbounded().imap(map, 0..));
        let_others_run().await;
        assert_eq!((run.get(), pool.len(), pool.available()), (6, 0, 1));
    }

    async fn item_that_detaches_the_results_is_not_the_last(hub) {
        let (pool, dropped) = (Pool::on(hub, 1), Dropped::default());
        let results = Rc::new(RefCell::new(None));
        let map = {
            let (results, dropped) = (Rc::clone(&results), dropped.clone());
            move |n: u32| {
                if n == 5 { results.take().into_iter().for_each(spinney::map::Imap::detach); }
                ready(dropped.guard())
            }
        };
        *results.borrow_mut() = Some(pool.mapper().unbounded().imap(map, 0..100));
        let_others_run().await;
        assert_eq!((dropped.count(), pool.len(), pool.available()), (100, 0, 1));
    }
}

type Items = Box<dyn Iterator<Item = u32>>;
type Work = fn(u32) -> Ready<u32>;

/// Runs a map of one worker beside a task that yields: returns the largest number of items between
/// two turns of that task.
async fn most_items_between_turns<X: RunsMap<Items, Work, Ready<u32>>>(pool: Pool<X>) -> usize {
    let pulled = Count::to(1000);
    let items: Items = Box::new((0..).inspect({
        let pulled = pulled.clone();
        move |_| pulled.add()
    }));
    let _results = pool.mapper().unbounded().imap(ready as Work, items);
    let mut most = 0;
    while pulled.get() < 1000 {
        let before = pulled.get();
        yield_now().await;
        most = most.max(pulled.get() - before);
    }
    most
}

#[test]
fn others_get_a_turn_after_a_batch_of_items() {
    let (local, sim) = (LocalHub::new(), SimHub::new());
    let on_local = local.block_on(most_items_between_turns(Pool::on(&local, 1)));
    let on_sim = sim.block_on(most_items_between_turns(Pool::on(&sim, 1)));
    assert_eq!((on_local, on_sim), (32, 32));
}
