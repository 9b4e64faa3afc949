//! Runs a main future on each of the compared executors.

use async_executor::{Executor, StaticExecutor};
use futures_lite::future;
use spinney::hub::TokioHub;
use spinney::task::spawn_on;
use spinney::{Hub, LocalHub};
use tokio::runtime::{Builder, Runtime};

/// Runs `main` on spinney's [`LocalHub`].
pub(crate) fn local_hub<F: Future>(main: impl FnOnce(LocalHub) -> F) -> F::Output {
    let hub = LocalHub::new();
    hub.block_on(main(hub.clone()))
}

/// Runs `main` as a task of spinney's global [`Hub`]: the calling thread sleeps meanwhile.
///
/// # Panics
///
/// Panics if `main` does.
pub(crate) fn hub<F>(main: impl FnOnce(Hub) -> F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let hub = Hub::global();
    let main = spawn_on(&hub, main(hub.clone()));
    future::block_on(main).expect("the main future does not panic")
}

/// Runs `main` on this thread beside the threads of spinney's global [`Hub`], as
/// `spinney::block_on` does.
pub(crate) fn hub_block_on<F: Future>(main: impl FnOnce(Hub) -> F) -> F::Output {
    let hub = Hub::global();
    hub.block_on(main(hub.clone()))
}

/// Runs `main` on async-executor's multi-threaded executor, but only on this thread.
pub(crate) fn executor<T>(main: impl AsyncFnOnce(&Executor<'static>) -> T) -> T {
    let executor = Executor::new();
    future::block_on(executor.run(main(&executor)))
}

/// Like [`executor`], on this thread and `others` more, with async-io's reactor.
pub(crate) fn executor_with_io<T>(
    threads: usize,
    main: impl AsyncFnOnce(&Executor<'static>) -> T,
) -> T {
    let executor = Executor::new();
    executor_of_threads(&executor, threads, main(&executor))
}

/// Runs `main` on this thread and more threads of `executor`.
pub(crate) fn executor_of_threads<F: Future>(
    executor: &Executor<'static>,
    threads: usize,
    main: F,
) -> F::Output {
    let (is_over, over) = async_channel::bounded::<()>(1);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // The loop ends with the channel.
            scope.spawn(|| async_io::block_on(executor.run(over.recv())).is_err());
        }
        let result = async_io::block_on(executor.run(main));
        drop(is_over);
        result
    })
}

static EXECUTOR: StaticExecutor = StaticExecutor::new();

/// Runs `main` on async-executor's executor for statics, only on this thread.
pub(crate) fn static_executor<T>(main: impl AsyncFnOnce(&'static StaticExecutor) -> T) -> T {
    future::block_on(EXECUTOR.run(main(&EXECUTOR)))
}

/// Like [`static_executor`], with async-io's reactor on this thread.
pub(crate) fn static_executor_with_io<T>(
    main: impl AsyncFnOnce(&'static StaticExecutor) -> T,
) -> T {
    async_io::block_on(EXECUTOR.run(main(&EXECUTOR)))
}

/// Runs `main` on tokio's executor for one thread.
pub(crate) fn tokio<F: Future>(main: F) -> F::Output {
    tokio_runtime().block_on(main)
}

/// Like [`tokio()`], with its timers and its reactor.
///
/// # Panics
///
/// Panics if the system refuses the runtime.
pub(crate) fn tokio_with_io<F: Future>(main: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime on one thread starts none").block_on(main)
}

/// Runs `main` on spinney's [`TokioHub`], over the runtime of [`tokio_with_io`].
pub(crate) fn tokio_hub<F: Future>(main: impl FnOnce(TokioHub) -> F) -> F::Output {
    tokio_with_io(async { main(TokioHub::current()).await })
}

/// Runs `main` as a task of tokio's executor for many threads, on two of them.
///
/// # Panics
///
/// Panics if the system refuses the runtime, or `main` panics.
pub(crate) fn tokio_threads<F>(main: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system grants two threads");
    let main = runtime.spawn(main);
    runtime.block_on(main).expect("the main future does not panic")
}

/// Runs `main` as `#[tokio::main]` does: on this thread, beside a thread for each core.
///
/// # Panics
///
/// Panics if the system refuses the runtime.
pub(crate) fn tokio_main<F: Future>(main: F) -> F::Output {
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.expect("the system grants a thread for each core").block_on(main)
}

/// A tokio runtime on one thread, with two more for blocking work.
///
/// # Panics
///
/// Panics if the system refuses the runtime.
pub(crate) fn tokio_runtime() -> Runtime {
    let runtime = Builder::new_current_thread().max_blocking_threads(2).build();
    runtime.expect("a runtime on one thread starts none")
}
