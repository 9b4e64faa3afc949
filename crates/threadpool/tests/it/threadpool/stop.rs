//! `close`, `kill` and `shutdown`, the report, and their effect on maps.

use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use spinney_greenlet::{GreenletExit, Report};
use spinney_hub::{LocalHub, Within};
use spinney_test_support::Gate;
use spinney_threadpool::{ThreadPool, ThreadPoolClosed, ThreadResult};

const LONG: Duration = Duration::from_secs(60);

fn held(pool: &ThreadPool, gate: &Gate) -> ThreadResult<()> {
    let gate = gate.clone();
    pool.submit(move || gate.pass())
}

#[test]
fn closed_pool_runs_its_queue_and_refuses_later_calls() {
    let (pool, gate) = (ThreadPool::new(1), Gate::default());
    let started = [held(&pool, &gate), held(&pool, &gate)];
    gate.wait_for(1);
    let report = pool.close();
    assert_eq!((report.running, report.waiting), (1, 1));
    assert!(pool.is_closed());
    let full = pool.try_spawn(|| 42).unwrap_err();
    assert!(full.is_closed());
    assert_eq!(full.into_closure()(), 42);
    assert!(block_on(pool.spawn_within(LONG, || ())).unwrap_err().is_closed());
    assert!(pool.submit(|| ()).wait().unwrap_err().is_killed());
    let refused = block_on(pool.map(|n: u32| n, 0..3)).unwrap_err();
    assert!(refused.killed().unwrap().reason().unwrap().is::<ThreadPoolClosed>());
    assert!(block_on(pool.map(|n: u32| n, 0..0)).unwrap().is_empty());
    gate.open();
    for result in started {
        result.wait().unwrap();
    }
    while pool.threads() > 0 {
        thread::yield_now();
    }
    let stats = pool.stats();
    assert_eq!((stats.succeeded, stats.refused, stats.started), (2, 1, 2));
}

#[test]
fn started_map_goes_on_in_a_closed_pool() {
    block_on(async {
        let pool = ThreadPool::new(1);
        let mut results = pool.mapper().maxsize(1).imap(|n: u32| n, 0..20);
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        pool.close();
        for n in 1..20 {
            assert_eq!(results.next().await.unwrap().unwrap(), n);
        }
        assert!(results.next().await.is_none());
    });
}

#[test]
fn kill_ends_the_queue_and_leaves_the_pool_open() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let running = held(&pool, &gate);
        gate.wait_for(1);
        let queued = pool.spawn(|| panic!("it ran")).await;
        let mapped = pool.map(|n: u32| n, 0..3);
        {
            let mut kill = pin!(pool.kill_with(GreenletExit::because("enough")));
            assert!(queued.await.unwrap_err().to_string().ends_with(" was killed: enough"));
            assert!(poll_once(kill.as_mut()).await.is_none());
            gate.open();
            assert_eq!(kill.await.killed, 1);
        }
        running.await.unwrap();
        assert_eq!(mapped.await.unwrap(), [0, 1, 2]);
        assert_eq!(pool.apply(|| 42).await.unwrap(), 42);
    });
}

#[test]
fn shutdown_does_not_wait_for_a_running_closure() {
    LocalHub::new().block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let running = held(&pool, &gate);
        gate.wait_for(1);
        let queued = pool.spawn(|| panic!("it ran")).await;
        let stopped = pool.shutdown(GreenletExit::because("enough")).within(LONG).await;
        let report = stopped.unwrap();
        assert_eq!((report.running, report.killed, report.waiting), (1, 1, 0));
        assert!(queued.await.unwrap_err().to_string().ends_with(" was killed: enough"));
        gate.open();
        running.await.unwrap();
    });
}

#[test]
fn drain_waits_for_a_map_whose_results_are_read_late() {
    LocalHub::new().block_on(async {
        let pool = ThreadPool::new(1);
        let mut results = pool.mapper().maxsize(1).imap(|n: u32| n, 0..3);
        {
            let mut drain = pin!(pool.drain(LONG));
            assert!(poll_once(drain.as_mut()).await.is_none());
            for n in 0..3 {
                assert_eq!(results.next().await.unwrap().unwrap(), n);
            }
            let report = drain.await.unwrap();
            assert_eq!((report.succeeded, report.running), (3, 0));
        }
        assert!(results.next().await.is_none());
        let unread = ThreadPool::new(1);
        let mut results = unread.mapper().maxsize(1).imap(|n: u32| n, 0..3);
        unread.drain(Duration::from_millis(5)).await.unwrap();
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        assert_eq!(results.next().await.unwrap().unwrap_err().index(), 1);
        assert_eq!(unread.threads(), 0);
    });
}

#[test]
fn finished_map_is_complete_despite_a_later_kill() {
    for closed in [true, false] {
        block_on(async {
            let (pool, gate) = (ThreadPool::new(1), Gate::default());
            let mapped = pool.map(|n: u32| n, [7]);
            let running = held(&pool, &gate);
            gate.wait_for(1);
            if closed {
                pool.close();
            }
            let mut kill = pin!(pool.kill());
            assert!(poll_once(kill.as_mut()).await.is_none());
            assert_eq!(mapped.await.unwrap(), [7]);
            gate.open();
            kill.await;
            running.await.unwrap();
        });
    }
}

#[test]
fn map_of_an_empty_input_needs_no_thread() {
    let pool = ThreadPool::new(0);
    assert!(block_on(pool.map(|n: u32| n, Vec::new())).unwrap().is_empty());
    assert_eq!((pool.len(), pool.stats()), (0, Report::default()));
}

#[test]
fn map_ends_with_its_last_item_without_its_thread() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let mut results = pool.imap(|n: u32| n, [7]);
        let running = held(&pool, &gate);
        gate.wait_for(1);
        assert_eq!(results.next().await.unwrap().unwrap(), 7);
        assert!(
            poll_once(results.next()).await.expect("the end of the map is not known").is_none()
        );
        gate.open();
        running.await.unwrap();
    });
}

#[test]
fn dropped_maps_leave_the_queue_immediately() {
    let (pool, gate, held_by) = (ThreadPool::new(1), Gate::default(), Arc::new(()));
    let running = held(&pool, &gate);
    gate.wait_for(1);
    for _ in 0..20_000 {
        let mine = Arc::clone(&held_by);
        drop(pool.map(move |_: u32| Arc::clone(&mine), 0..2));
        assert_eq!((pool.len(), Arc::strong_count(&held_by)), (1, 1));
    }
    let waiting = pool.map(|n: u32| n, 0..2);
    assert_eq!((pool.len(), pool.waiting()), (2, 1));
    gate.open();
    running.wait().unwrap();
    assert_eq!(block_on(waiting).unwrap(), [0, 1]);
}

#[test]
fn failed_map_starts_no_further_item() {
    let (pool, gate) = (ThreadPool::new(1), Gate::default());
    let passes = gate.clone();
    gate.open();
    let run = move |n: u32| {
        passes.pass();
        assert_ne!(n, 1, "no luck");
    };
    assert_eq!(block_on(pool.map(run, 0..1000)).unwrap_err().index(), 1);
    block_on(pool.join()).unwrap();
    assert_eq!(gate.counts().0, 2);
}

#[test]
fn dropped_apply_kills_an_unstarted_closure() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let running = held(&pool, &gate);
        gate.wait_for(1);
        assert!(poll_once(pool.apply(|| panic!("it ran"))).await.is_none());
        assert_eq!(pool.len(), 1);
        gate.open();
        running.await.unwrap();
        assert_eq!(pool.stats().killed, 1);
    });
}

#[test]
fn spawn_within_returns_the_closure_at_its_limit() {
    LocalHub::new().block_on(async {
        let pool = ThreadPool::builder().capacity(1).queue(0).build();
        let gate = Gate::default();
        let running = held(&pool, &gate);
        gate.wait_for(1);
        let full = pool.spawn_within(Duration::from_millis(1), || 42).await.unwrap_err();
        assert!(!full.is_closed());
        assert_eq!((full.into_closure()(), pool.len(), pool.waiting()), (42, 1, 0));
        gate.open();
        running.await.unwrap();
        assert_eq!(pool.spawn_within(LONG, || 42).await.unwrap().await.unwrap(), 42);
    });
}

#[test]
fn stats_count_closures_and_items_by_outcome() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        pool.apply(|| ()).await.unwrap();
        pool.apply(|| panic!("no luck")).await.unwrap_err();
        let mapped = pool.imap(|n: u32| assert_ne!(n, 1), 0..3);
        assert_eq!(futures_lite::StreamExt::count(mapped).await, 3);
        let running = held(&pool, &gate);
        gate.wait_for(1);
        let [cancelled, aborted] = [pool.spawn(|| ()).await, pool.spawn(|| ()).await];
        let waiting = pool.spawn(|| ()).await;
        assert!(cancelled.cancel());
        aborted.handle().abort();
        let stats = pool.stats();
        assert_eq!((stats.succeeded, stats.failed), (3, 2));
        assert_eq!((stats.killed, stats.aborted), (1, 1));
        assert_eq!((stats.running, stats.waiting, stats.started), (1, 1, 8));
        gate.open();
        running.await.unwrap();
        waiting.await.unwrap();
        assert_eq!(pool.stats().succeeded, 5);
    });
}

#[test]
fn killed_closure_in_the_queue_frees_its_place() {
    let pool = ThreadPool::builder().capacity(1).queue(1).build();
    let gate = Gate::default();
    let running = held(&pool, &gate);
    gate.wait_for(1);
    let queued = pool.submit(|| panic!("it ran"));
    assert!(pool.try_spawn(|| ()).is_err());
    queued.handle().kill_now();
    assert_eq!((queued.is_ready(), pool.len(), pool.waiting()), (true, 1, 0));
    block_on(queued.handle().join());
    let next = pool.try_spawn(|| 42).unwrap();
    gate.open();
    running.wait().unwrap();
    assert_eq!(next.wait().unwrap(), 42);
    assert!(queued.wait().unwrap_err().is_killed());
}
