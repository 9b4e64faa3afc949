//! `apply_async`.

use std::panic::panic_any;
use std::sync::mpsc::channel;
use std::thread;

use spinney_greenlet::Failure;
use spinney_hub::{Hub, LocalHub, yield_now};
use spinney_test_support::Gate;
use spinney_threadpool::ThreadPool;
use spinney_threadpool::gevent::ThreadPoolExt;

#[test]
fn callback_runs_on_the_caller_s_hub_before_the_result() {
    let pool = ThreadPool::new(1);
    let (send, receive) = channel();
    LocalHub::new().block_on(async {
        let callback = move |sum: &u32| send.send((*sum, thread::current().id())).unwrap();
        assert_eq!(pool.apply_async_cb(|| 42, callback).await.unwrap(), 42);
    });
    assert_eq!(receive.try_recv(), Ok((42, thread::current().id())));
}

#[test]
fn callback_runs_on_the_pool_s_hub_if_it_has_one() {
    let hub = Hub::builder().threads(1).name("calls").build().unwrap();
    let pool = ThreadPool::builder().capacity(1).hub(hub).build();
    let (send, receive) = channel();
    let name = move |_: &u32| send.send(thread::current().name().map(str::to_owned)).unwrap();
    pool.apply_async_cb(|| 42, name).detach();
    assert_eq!(receive.recv().unwrap().as_deref(), Some("calls-0"));
}

#[test]
fn failure_calls_no_callback_and_fails_the_greenlet() {
    let pool = ThreadPool::new(1);
    LocalHub::new().block_on(async {
        let called = |_: &u32| unreachable!("there is no result");
        let panicked = pool.apply_async_cb(|| panic_any(17_u8), called).await.unwrap_err();
        let Failure::Panicked(panic) = panicked else { panic!("it was not killed") };
        assert_eq!(panic.into_payload().unwrap().downcast_ref(), Some(&17_u8));
        crate::end(&pool).await;
        let killed = pool.apply_async_cb(|| 42, called).await.unwrap_err();
        assert!(killed.to_string().ends_with(") was killed: the thread pool was closed"));
    });
}

#[test]
fn panicking_callback_affects_nothing_else() {
    let pool = ThreadPool::new(1);
    LocalHub::new().block_on(async {
        let called = |_: &u32| panic!("a panic of a callback");
        assert_eq!(pool.apply_async_cb(|| 42, called).await.unwrap(), 42);
    });
}

#[test]
fn apply_async_keeps_the_pool_alive_and_waits() {
    LocalHub::new().block_on(async {
        let pool = ThreadPool::builder().capacity(1).queue(0).build();
        let sums: Vec<_> = (0..10).map(|n| pool.apply_async(move || n)).collect();
        drop(pool);
        for (n, sum) in sums.into_iter().enumerate() {
            assert_eq!(sum.await.unwrap(), n);
        }
    });
}

#[test]
fn killed_greenlet_takes_only_a_closure_without_a_place() {
    LocalHub::new().block_on(async {
        let pool = ThreadPool::builder().capacity(1).queue(1).build();
        let (gate, (send, receive)) = (Gate::default(), channel());
        let held = gate.clone();
        let first = pool.apply_async(move || held.pass());
        let later = ["has a place", "waits for one"].map(|name| {
            let send = send.clone();
            pool.apply_async(move || send.send(name).unwrap())
        });
        yield_now().await;
        gate.wait_for(1);
        for greenlet in later {
            greenlet.kill().await;
        }
        gate.open();
        first.await.unwrap();
        pool.join().await.unwrap();
        assert_eq!(receive.try_iter().collect::<Vec<_>>(), ["has a place"]);
    });
}
