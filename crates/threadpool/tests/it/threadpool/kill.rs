//! `kill`, and dropping the pool.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use futures_lite::future::{block_on, poll_once};
use spinney_greenlet::Failure;
use spinney_test_support::Gate;
use spinney_threadpool::{ThreadPool, ThreadPoolClosed};

/// Whether it was killed because its pool was closed.
fn is_refused(failure: &Failure) -> bool {
    let Failure::Killed(exit) = failure else { return false };
    let Some(reason) = exit.reason() else { return false };
    reason.is::<ThreadPoolClosed>()
}

#[test]
fn kill_refuses_the_queue_and_waits_for_the_running() {
    block_on(async {
        let (pool, gate, ran) = (ThreadPool::new(2), Gate::default(), counter());
        let mut running = Vec::new();
        for _ in 0..2 {
            let (gate, ran) = (gate.clone(), Arc::clone(&ran));
            running.push(pool.spawn(move || (gate.pass(), ran.fetch_add(1, SeqCst))).await);
        }
        gate.wait_for(2);
        let mut queued = Vec::new();
        for _ in 0..10 {
            queued.push(pool.spawn(|| panic!("it ran")).await);
        }
        {
            let mut kill = pin!(crate::end(&pool));
            assert!(poll_once(kill.as_mut()).await.is_none());
            for result in queued {
                assert!(
                    is_refused(&result.await.unwrap_err()),
                    "the closure was not killed immediately"
                );
            }
            assert_eq!((pool.threads(), pool.len()), (2, 2));
            gate.open();
            kill.await;
        }
        assert_eq!((ran.load(SeqCst), pool.threads(), pool.len()), (2, 0, 0));
        for result in running {
            result.await.unwrap();
        }
    });
}

#[test]
fn spawn_after_a_kill_returns_a_killed_result() {
    block_on(async {
        let pool = ThreadPool::new(2);
        pool.apply(|| ()).await.unwrap();
        crate::end(&pool).await;
        for _ in 0..200 {
            let refused = pool.spawn(|| panic!("it ran")).await;
            assert!(refused.is_ready());
            assert!(is_refused(&refused.await.unwrap_err()));
        }
        let failure = pool.apply(|| panic!("it ran")).await.unwrap_err();
        assert!(failure.to_string().ends_with(") was killed: the thread pool was closed"));
        assert_eq!((pool.threads(), pool.len()), (0, 0));
    });
}

#[test]
fn spawn_that_waits_for_a_place_is_refused_by_a_kill() {
    const PLACES: usize = 1 + 64;
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        for _ in 0..PLACES {
            let gate = gate.clone();
            pool.spawn(move || gate.pass()).await.detach();
        }
        gate.wait_for(1);
        let mut waiting = pin!(pool.spawn(|| panic!("it ran")));
        assert!(poll_once(waiting.as_mut()).await.is_none());
        let mut kill = pin!(crate::end(&pool));
        assert!(poll_once(kill.as_mut()).await.is_none());
        assert!(is_refused(&waiting.await.await.unwrap_err()));
        gate.open();
        kill.await;
        assert_eq!(gate.counts(), (1, 1));
    });
}

#[test]
fn kill_of_an_unused_or_killed_pool_is_ready() {
    block_on(async {
        let pool = ThreadPool::new(2);
        assert!(poll_once(crate::end(&pool)).await.is_some());
        assert!(poll_once(crate::end(&pool)).await.is_some());
        let used = ThreadPool::new(2);
        used.apply(|| ()).await.unwrap();
        crate::end(&used).await;
        assert!(poll_once(crate::end(&used)).await.is_some());
    });
}

#[test]
fn kill_with_a_dropped_wait_goes_ahead() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let held = gate.clone();
        let running = pool.spawn(move || held.pass()).await;
        gate.wait_for(1);
        assert!(poll_once(crate::end(&pool)).await.is_none());
        assert!(is_refused(&pool.apply(|| panic!("it ran")).await.unwrap_err()));
        gate.open();
        running.await.unwrap();
        crate::end(&pool).await;
        assert_eq!(pool.threads(), 0);
    });
}

#[test]
fn kill_returns_after_the_threads_have_exited() {
    struct AtTheEnd(Arc<AtomicUsize>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            // Gives a kill that does not wait for this closure the time to return.
            (0..100).for_each(|_| thread::yield_now());
            self.0.fetch_add(1, SeqCst);
        }
    }
    thread_local! {
        static END: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }
    for _ in 0..50 {
        block_on(async {
            let (pool, gate, ended) = (ThreadPool::new(3), Gate::default(), counter());
            for _ in 0..3 {
                let (gate, end) = (gate.clone(), AtTheEnd(Arc::clone(&ended)));
                let mark = move || {
                    END.set(Some(end));
                    gate.pass();
                };
                pool.spawn(mark).await.detach();
            }
            gate.wait_for(3);
            gate.open();
            crate::end(&pool).await;
            assert_eq!(ended.load(SeqCst), 3);
        });
    }
}

#[test]
fn dropped_pool_finishes_running_closures_only() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let held = gate.clone();
        let running = pool
            .spawn(move || {
                held.pass();
                42
            })
            .await;
        gate.wait_for(1);
        let queued = pool.spawn(|| panic!("it ran")).await;
        let other = pool.clone();
        drop(pool);
        assert!(!queued.is_ready(), "the closure was killed while a handle remained");
        drop(other);
        assert!(is_refused(&queued.await.unwrap_err()));
        assert!(!running.is_ready());
        gate.open();
        assert_eq!(running.await.unwrap(), 42);
    });
}

#[test]
fn threads_of_a_dropped_pool_exit() {
    struct Tells(Sender<()>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    thread_local! {
        static END: RefCell<Option<Tells>> = const { RefCell::new(None) };
    }
    let (send, ended) = channel();
    let pool = ThreadPool::new(1);
    let mark = move || END.set(Some(Tells(send)));
    block_on(pool.apply(mark)).unwrap();
    drop(pool);
    ended.recv().unwrap();
}

#[test]
fn closure_may_drop_the_last_handle_of_its_own_pool() {
    block_on(async {
        let (pool, gate) = (ThreadPool::new(1), Gate::default());
        let (own, held) = (pool.clone(), gate.clone());
        let last = move || {
            held.pass();
            drop(own);
            42
        };
        let result = pool.spawn(last).await;
        drop(pool);
        gate.open();
        assert_eq!(result.await.unwrap(), 42);
    });
}

#[test]
fn arguments_of_refused_closures_are_dropped_once() {
    block_on(async {
        let (pool, gate, counted) = (ThreadPool::new(1), Gate::default(), Arc::new(()));
        let held = gate.clone();
        pool.spawn(move || held.pass()).await.detach();
        gate.wait_for(1);
        for _ in 0..10 {
            let argument = Arc::clone(&counted);
            pool.spawn(move || drop(argument)).await.detach();
        }
        assert_eq!(Arc::strong_count(&counted), 11);
        drop(pool);
        assert_eq!(Arc::strong_count(&counted), 1);
        gate.open();
    });
}

fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}
