//! Hubs inside tokio's runtimes, and runtimes inside hubs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use spinney_hub::{
    Clock, Hub, LocalHub, Spawn, TokioHub, Within, block_on, interval, now, sleep, spawn, yield_now,
};
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

/// A runtime whose time stands still while a task runs.
fn paused() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn runtimes() -> [Runtime; 2] {
    [current_thread(), multi_thread()]
}

fn current() -> String {
    format!("{:?}", Hub::current())
}

const TOKIO: &str = "Hub { tokio: true }";

/// Runs `code` as a task of the current runtime, spawned with tokio itself.
async fn in_task<T: Send + 'static>(code: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::spawn(async { code() }).await.unwrap()
}

#[test]
fn shared_clock_is_waited_for_outside_of_its_runtime() {
    let runtime = multi_thread();
    let clock = runtime.block_on(async { Clock::shared() });
    assert!(clock.tells_time_of(&Clock::default()) && clock != Clock::default());
    let start = clock.now();
    // On this thread, which is in no runtime.
    LocalHub::new().block_on(clock.sleep_until(start + 2 * MS));
    assert!(clock.now() >= start + 2 * MS);
}

#[test]
fn runtime_is_current_in_its_main_future_and_tasks() {
    for runtime in runtimes() {
        runtime.block_on(async {
            assert_eq!(current(), TOKIO);
            assert!(format!("{:?}", Clock::current()).contains("tokio"));
            assert_eq!(in_task(current).await, TOKIO);
            let (send, receive) = async_channel::bounded(1);
            spawn(async move { send.try_send(Handle::current().runtime_flavor()).unwrap() });
            let flavour = receive.recv().await.unwrap();
            assert_eq!(flavour, Handle::current().runtime_flavor());
        });
    }
}

#[test]
fn paused_clock_is_followed_without_a_scope() {
    paused().block_on(async {
        let start = Instant::now();
        sleep(HOUR).await;
        let late = in_task(|| sleep(HOUR).within(MS)).await.await;
        assert_eq!(late.unwrap_err().limit(), MS);
        let mut ticks = interval(HOUR);
        ticks.tick().await;
        assert!(start.elapsed() < HOUR);
    });
}

#[test]
fn now_is_the_time_of_the_innermost_hub() {
    let runtime = paused();
    let ahead = runtime.block_on(async {
        sleep(HOUR).await;
        assert_eq!(now(), Clock::current().now());
        let inside = in_task(|| LocalHub::new().block_on(async { now() })).await;
        assert!(inside + HOUR / 2 < now());
        now()
    });
    assert!(now() + HOUR / 2 < ahead);
    LocalHub::new().block_on(async {
        assert!(now() + HOUR / 2 < ahead);
        let _entered = runtime.enter();
        assert_eq!(now(), ahead);
    });
}

#[test]
fn local_hub_inside_a_runtime_is_the_innermost() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let inside = in_task(|| {
                let hub = LocalHub::new();
                hub.block_on(async { (current(), format!("{:?}", Clock::current())) })
            });
            let (hub, clock) = inside.await;
            assert_eq!(hub, "Hub { local: true }");
            assert!(clock.contains("system"), "{clock}");
        });
    }
}

#[test]
fn runtime_inside_a_local_hub_is_the_innermost() {
    LocalHub::new().block_on(async {
        for runtime in runtimes() {
            assert_eq!(runtime.block_on(async { current() }), TOKIO);
            let _entered = runtime.enter();
            assert_eq!(current(), TOKIO);
        }
        assert_eq!(current(), "Hub { local: true }");
    });
}

#[test]
fn last_entered_of_nested_runtimes_is_current() {
    let (outer, inner) = (multi_thread(), current_thread());
    let _outer = outer.enter();
    LocalHub::new().block_on(async {
        assert_eq!(current(), "Hub { local: true }");
        let _inner = inner.enter();
        let (send, receive) = channel();
        spawn(async move { send.send(Handle::current().runtime_flavor()).unwrap() });
        inner.block_on(yield_now());
        assert_eq!(receive.recv(), Ok(RuntimeFlavor::CurrentThread));
    });
}

#[test]
fn block_on_works_in_tasks_of_a_multi_thread_runtime() {
    let runtime = multi_thread();
    let nest = || {
        let (send, receive) = async_channel::bounded(1);
        spawn(async move {
            sleep(MS).await;
            send.send(Handle::current().id()).await.unwrap();
        });
        let inner = block_on(async {
            assert_eq!(current(), TOKIO);
            block_on(sleep(MS));
            receive.recv().await.unwrap()
        });
        assert_eq!(inner, Handle::current().id());
    };
    runtime.block_on(async {
        nest();
        in_task(nest).await;
        tokio::task::spawn_blocking(nest).await.unwrap();
        in_task(move || tokio::task::block_in_place(nest)).await;
        let hub = Hub::builder().threads(1).build().unwrap();
        assert_eq!(
            in_task(move || hub.block_on(async { current() })).await,
            "Hub { threads: 1, tasks: 0 }"
        );
    });
    let _entered = runtime.enter();
    nest();
}

#[test]
fn block_on_in_a_current_thread_task_names_the_fix() {
    let runtime = current_thread();
    let refused = || {
        let panic = catch_unwind(|| block_on(async {})).unwrap_err();
        panic.downcast_ref::<&str>().unwrap().contains("await the future instead")
    };
    runtime.block_on(async {
        assert!(refused());
        assert!(in_task(refused).await);
        let nest = || {
            block_on(async {
                sleep(MS).await;
                block_on(sleep(MS));
                current()
            })
        };
        assert_eq!(tokio::task::spawn_blocking(nest).await.unwrap(), TOKIO);
    });
    let _entered = runtime.enter();
    assert_eq!(block_on(async { current() }), TOKIO);
}

#[test]
fn panic_of_the_blocked_future_propagates() {
    for runtime in runtimes() {
        let _entered = runtime.enter();
        let panic = catch_unwind(|| block_on(async { panic!("no luck") })).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"no luck"));
    }
}

#[test]
fn destructor_may_block_on_a_multi_thread_runtime() {
    struct Blocks;
    impl Drop for Blocks {
        fn drop(&mut self) {
            block_on(sleep(MS));
        }
    }
    let runtime = multi_thread();
    runtime.block_on(in_task(|| drop(Blocks)));
}

#[test]
fn handle_of_a_runtime_works_on_any_thread() {
    let runtime = multi_thread();
    let hub = Hub::from(TokioHub::new(runtime.handle().clone()));
    assert_eq!(
        hub.block_on(async { (current(), Handle::current().id()) }),
        (TOKIO.to_owned(), runtime.handle().id())
    );
    assert_eq!(hub.enter(|| Handle::current().id()), runtime.handle().id());
    let (send, receive) = channel();
    hub.spawn(async move { send.send(current()).unwrap() });
    assert_eq!(receive.recv().unwrap(), TOKIO);
    drop(runtime);
    let (send, receive) = channel::<()>();
    hub.spawn(async move { drop(send) });
    receive.recv().unwrap_err();
}

#[test]
fn system_clock_of_a_runtime_without_timers_is_followed() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let hub = TokioHub::new(runtime.handle().clone()).with_system_clock();
    runtime.block_on(hub.scope(async {
        sleep(MS).await;
        let (send, receive) = async_channel::bounded(1);
        spawn(async move {
            sleep(MS).await;
            send.try_send(()).unwrap();
        });
        receive.recv().await.unwrap();
    }));
}

#[test]
fn sleep_on_a_runtime_without_timers_panics_clearly() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let slept = catch_unwind(AssertUnwindSafe(|| runtime.block_on(sleep(MS))));
    let panic = slept.unwrap_err();
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap();
    assert!(said.contains("timers are disabled") && said.contains("enable_time"), "{said}");
}

#[test]
fn dropping_the_last_handle_in_a_task_waits_for_nothing() {
    for runtime in runtimes() {
        let hub = Hub::builder().threads(1).shutdown_limit(HOUR).build().unwrap();
        let (started, is_started) = channel();
        let (release, released) = channel::<()>();
        hub.spawn(async move {
            started.send(()).unwrap();
            let _gone = released.recv();
        });
        is_started.recv().unwrap();
        runtime.block_on(in_task(move || drop(hub)));
        drop(release);
    }
}
