//! The promises of thread pools to tasks of a hub.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use futures_lite::future::poll_once;
use spinney::gevent::ThreadPoolExt;
use spinney::task::GreenletExit;
use spinney::task::joinall;
use spinney::threads::{ThreadImap, ThreadResult};
use spinney::{Failure, Pool, ThreadPool, unblock, yield_now};
use spinney_greenlet::pair;
use spinney_tests::on_every_hub;
use spinney_tests::tools::Why;

/// Waits for other threads without letting the hub idle: a simulated one would report a deadlock.
async fn from_threads<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Some(output) = poll_once(future.as_mut()).await {
            return output;
        }
        thread::yield_now();
        yield_now().await;
    }
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPool::new(threads)
}

on_every_hub! {
    async fn result_of_a_closure_is_returned(_hub) {
        let pool = pool(2);
        let mut results = Vec::new();
        for n in 0..20_u32 {
            results.push(from_threads(pool.spawn(move || n * n)).await);
        }
        for (n, result) in (0..20).zip(results) {
            assert_eq!(from_threads(result).await.unwrap(), n * n);
        }
        from_threads(pool.shutdown(GreenletExit::new())).await;
        assert_eq!((pool.threads(), pool.len()), (0, 0));
    }

    async fn panic_reaches_the_result(_hub) {
        let failure = from_threads(pool(1).apply(|| panic!("no luck"))).await.unwrap_err();
        assert_eq!(failure.why(), "panicked: no luck");
    }

    async fn full_queue_delays_only_the_spawner(hub) {
        let threads = ThreadPool::builder().capacity(1).queue(0).build();
        let (open, pool) = (Arc::new(AtomicBool::new(false)), Pool::on(hub, 2));
        let opened = Arc::clone(&open);
        let hold = move || while !opened.load(SeqCst) { thread::yield_now() };
        let held = threads.spawn(hold).await;
        let mut waiting = pin!(threads.spawn(|| 42));
        assert!(poll_once(waiting.as_mut()).await.is_none());
        // A task of this hub runs meanwhile, and opens the gate.
        let opener = pool.spawn(async move { open.store(true, SeqCst) }).await;
        from_threads(opener).await.unwrap();
        let result = from_threads(waiting).await;
        assert_eq!(from_threads(result).await.unwrap(), 42);
        from_threads(held).await.unwrap();
    }

    async fn callback_gets_the_result(_hub) {
        let called = Arc::new(AtomicBool::new(false));
        let calls = Arc::clone(&called);
        let callback = move |sum: &u32| calls.store(*sum == 42, SeqCst);
        let greenlet = pool(1).apply_async_cb(|| 42, callback);
        assert_eq!(from_threads(greenlet).await.unwrap(), 42);
        assert!(called.load(SeqCst));
    }

    async fn thread_map_returns_all_results_in_order(_hub) {
        let pool = pool(3);
        let list = from_threads(pool.map(|n: u32| n + 1, 0..100)).await.unwrap();
        assert!(list.into_iter().eq(1..101));
        let mut stream: ThreadImap<u32> = pool.imap(|n: u32| n + 1, 0..100);
        for n in 1..101 {
            assert_eq!(from_threads(stream.next()).await.unwrap().unwrap(), n);
        }
        assert!(from_threads(stream.next()).await.is_none());
    }

    async fn thread_imap_unordered_yields_all_results(_hub) {
        let pool = pool(3);
        let mut stream = pool.imap_unordered(|n: u32| n, 0..100);
        let mut seen = Vec::new();
        while let Some(result) = from_threads(stream.next()).await {
            seen.push(result.unwrap());
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..100));
    }

    async fn thread_results_are_joined_with_greenlets(_hub) {
        let pool = pool(1);
        let results: [ThreadResult<u32>; 2] = [pool.spawn(|| 1).await, unblock(|| 2)];
        let (task, greenlet) = pair(async { 3 }, ());
        task.await;
        let handles = results.iter().map(ThreadResult::handle).chain([greenlet.handle()]);
        from_threads(joinall(handles)).await;
        assert!(results.iter().all(ThreadResult::is_successful));
        results.into_iter().for_each(ThreadResult::detach);
    }

    async fn kill_of_a_thread_pool_drops_its_queue(_hub) {
        let (pool, open) = (pool(1), Arc::new(AtomicBool::new(false)));
        let (opened, started) = (Arc::clone(&open), Arc::new(AtomicBool::new(false)));
        let starts = Arc::clone(&started);
        let hold = move || {
            starts.store(true, SeqCst);
            while !opened.load(SeqCst) { thread::yield_now() }
        };
        let held = pool.spawn(hold).await;
        while !started.load(SeqCst) {
            thread::yield_now();
        }
        let mut join = pin!(pool.join());
        assert!(poll_once(join.as_mut()).await.is_none());
        let queued = pool.spawn(|| 42).await;
        pool.close();
        let mut kill = pin!(pool.kill());
        assert!(poll_once(kill.as_mut()).await.is_none());
        assert!(queued.is_ready());
        assert!(matches!(queued.await, Err(Failure::Killed(_))));
        open.store(true, SeqCst);
        from_threads(kill).await;
        from_threads(join).await.unwrap();
        from_threads(held).await.unwrap();
        assert_eq!((pool.threads(), pool.len()), (0, 0));
    }
}

#[test]
fn thread_pool_works_on_plain_threads() {
    let pool = pool(2);
    let sums = thread::scope(|scope| {
        let sum = |n: u32| {
            let pool = &pool;
            scope.spawn(move || pool.submit(move || n + 1).wait().unwrap())
        };
        let threads = [1, 2, 3].map(sum);
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(sums, [2, 3, 4]);
}
