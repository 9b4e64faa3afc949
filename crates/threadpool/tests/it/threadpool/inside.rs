//! Closures that use their own pool.

use std::thread;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::block_on;
use spinney_hub::{Hub, LocalHub};
use spinney_threadpool::{InsideThreadPool, ThreadPool};

#[test]
fn apply_from_inside_runs_in_place() {
    let pool = ThreadPool::new(1);
    let own = pool.clone();
    let nested = pool.submit(move || {
        let here = thread::current().id();
        let inner = || block_on(own.apply(move || thread::current().id()));
        assert_eq!(inner().unwrap(), here);
        assert!(block_on(own.apply(|| panic!("no luck"))).unwrap_err().is_panic());
        own.is_inside()
    });
    assert!(nested.wait().unwrap());
    assert!(!pool.is_inside());
}

#[test]
fn closure_of_another_pool_is_not_inside() {
    let (pool, other) = (ThreadPool::new(1), ThreadPool::new(1));
    let asked = other.clone();
    let elsewhere = pool.submit(move || {
        let here = thread::current().id();
        block_on(asked.apply(move || thread::current().id())).unwrap() != here
    });
    assert!(elsewhere.wait().unwrap());
}

#[test]
fn spawn_from_inside_waits_for_no_place() {
    let pool = ThreadPool::builder().capacity(1).queue(0).build();
    let own = pool.clone();
    let outer = pool.submit(move || (0..10).map(|n| own.submit(move || n)).collect::<Vec<_>>());
    let inner = outer.wait().unwrap().into_iter();
    assert!(inner.map(|result| result.wait().unwrap()).eq(0..10));
    // No closure has left a place that it did not take.
    assert!(pool.is_empty());
    assert!(pool.try_spawn(|| ()).is_ok());
}

#[test]
fn map_from_inside_needs_no_other_thread() {
    let pool = ThreadPool::new(1);
    let own = pool.clone();
    let mapped = pool.submit(move || {
        let list = block_on(own.map(|n: u32| 2 * n, 0..100)).unwrap();
        let streamed: Vec<_> = block_on(own.imap(|n: u32| 2 * n, 0..100).collect());
        let streamed: Vec<u32> = streamed.into_iter().map(Result::unwrap).collect();
        list == streamed && list.len() == 100
    });
    assert!(mapped.wait().unwrap());
}

#[test]
fn kill_from_inside_closes_the_pool_and_waits_for_nothing() {
    for killers in [1, 2] {
        let pool = ThreadPool::new(2);
        let kill = || {
            let own = pool.clone();
            pool.submit(move || {
                block_on(crate::end(&own));
                assert!(block_on(own.apply(|| 42)).is_ok(), "the closure did not run in place");
                own.submit(|| ()).wait().unwrap_err();
            })
        };
        let results: Vec<_> = (0..killers).map(|_| kill()).collect();
        for result in results {
            // The second kill may have come too late.
            assert!(result.wait().is_ok() || killers == 2);
        }
        block_on(crate::end(&pool));
        assert_eq!(pool.threads(), 0);
    }
}

#[test]
fn join_or_drain_inside_the_pool_is_an_error() {
    let pool = ThreadPool::new(1);
    let own = pool.clone();
    let waits = pool.submit(move || {
        assert_eq!(block_on(own.join()), Err(InsideThreadPool));
        assert_eq!(block_on(own.drain(Duration::ZERO)), Err(InsideThreadPool));
    });
    waits.wait().unwrap();
    assert_eq!(pool.submit(|| 42).wait().unwrap(), 42, "the pool was changed");
}

#[test]
fn hubs_and_greenlets_work_inside() {
    let pool = ThreadPool::new(1);
    let local = pool.submit(|| {
        LocalHub::new().block_on(async {
            let greenlet = spinney_greenlet::spawn(async { 40 });
            greenlet.await.unwrap() + 2
        })
    });
    assert_eq!(local.wait().unwrap(), 42);
    let shared = pool.submit(|| {
        let hub = Hub::builder().threads(1).build().unwrap();
        hub.block_on(async { spinney_greenlet::spawn(async { 42 }).await.unwrap() })
    });
    assert_eq!(shared.wait().unwrap(), 42);
}

#[test]
fn closure_is_inside_while_it_blocks_and_its_tasks_are_not() {
    let hub = Hub::builder().threads(1).build().unwrap();
    let pool = ThreadPool::new(1);
    let (asked, asks) = (pool.clone(), hub.clone());
    let closure = pool.submit(move || {
        let own = asked.clone();
        let task = spinney_greenlet::spawn_on(&asks, async move { own.is_inside() });
        (asks.block_on(task).unwrap(), asks.block_on(async { asked.is_inside() }))
    });
    assert_eq!(closure.wait().unwrap(), (false, true));
}

#[test]
fn closure_is_on_the_hub_of_its_caller() {
    let hub = Hub::builder().threads(1).name("caller").build().unwrap();
    let pool = ThreadPool::new(1);
    let name = || thread::current().name().unwrap_or_default().to_owned();
    let nested = move || {
        let greenlet = spinney_greenlet::spawn(async move { name() });
        spinney_hub::block_on(greenlet).unwrap()
    };
    hub.block_on(async {
        assert_eq!(pool.spawn(nested).await.await.unwrap(), "caller-0");
        assert_eq!(pool.map(move |_| nested(), 0..1).await.unwrap(), ["caller-0"]);
        assert_eq!(spinney_threadpool::unblock(nested).await.unwrap(), "caller-0");
    });
    assert!(
        pool.submit(nested).wait().unwrap().starts_with("spinney-"),
        "a closure of a plain thread is on a hub"
    );
}
