//! Runs a main future on each of the executors that are compared.

use async_executor::{Executor, StaticExecutor};
use futures_lite::future;
use spinney::{Hub, LocalHub, spawn_on};
use tokio::runtime::{Builder, Runtime};

/// Runs `main` on spinney's [`LocalHub`].
pub fn local_hub<F: Future>(main: impl FnOnce(LocalHub) -> F) -> F::Output {
    let hub = LocalHub::new();
    hub.block_on(main(hub.clone()))
}

/// Runs `main` as a task of spinney's global [`Hub`]: the calling thread sleeps meanwhile.
///
/// # Panics
///
/// If `main` does.
pub fn hub<F>(main: impl FnOnce(Hub) -> F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let hub = Hub::global();
    let main = spawn_on(&hub, main(hub.clone()));
    future::block_on(main).expect("the main future does not panic")
}

/// Runs `main` on this thread beside the threads of spinney's global [`Hub`], as
/// `spinney::block_on` does.
pub fn hub_block_on<F: Future>(main: impl FnOnce(Hub) -> F) -> F::Output {
    let hub = Hub::global();
    hub.block_on(main(hub.clone()))
}

/// Runs `main` on async-executor's multi-threaded executor, but on this thread alone.
pub fn executor<T>(main: impl AsyncFnOnce(&Executor<'static>) -> T) -> T {
    let executor = Executor::new();
    future::block_on(executor.run(main(&executor)))
}

/// As [`executor`], with async-io's reactor on this thread.
pub fn executor_with_timers<T>(main: impl AsyncFnOnce(&Executor<'static>) -> T) -> T {
    let executor = Executor::new();
    async_io::block_on(executor.run(main(&executor)))
}

/// Runs `main` on async-executor's executor for statics, on this thread alone.
pub fn static_executor<T>(main: impl AsyncFnOnce(&'static StaticExecutor) -> T) -> T {
    static EXECUTOR: StaticExecutor = StaticExecutor::new();
    future::block_on(EXECUTOR.run(main(&EXECUTOR)))
}

/// Runs `main` on tokio's executor for one thread.
pub fn tokio<F: Future>(main: F) -> F::Output {
    tokio_runtime().block_on(main)
}

/// As [`tokio()`], with its timers.
///
/// # Panics
///
/// If the system refuses.
pub fn tokio_with_timers<F: Future>(main: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime on one thread starts none").block_on(main)
}

/// A tokio runtime on one thread, with two more for blocking work.
///
/// # Panics
///
/// If the system refuses.
#[must_use]
pub fn tokio_runtime() -> Runtime {
    let runtime = Builder::new_current_thread().max_blocking_threads(2).build();
    runtime.expect("a runtime on one thread starts none")
}
