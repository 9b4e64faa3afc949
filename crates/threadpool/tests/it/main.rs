//! The promises of `spinney-threadpool`.

use spinney_greenlet::{GreenletExit, Report};
use spinney_threadpool::{ThreadPool, ThreadPoolClosed};

/// Closes `pool`, kills the waiting closures, and waits for the running ones.
fn end(pool: &ThreadPool) -> impl Future<Output = Report> {
    pool.close();
    pool.kill_with(GreenletExit::because(ThreadPoolClosed))
}

/// [`ThreadResult`](spinney_threadpool::ThreadResult).
mod thread_result;

/// [`ThreadPool`](spinney_threadpool::ThreadPool).
mod threadpool {
    mod apply_async;
    mod builder;
    mod drain;
    mod inside;
    mod items;
    mod kill;
    mod map;
    mod order;
    mod panics;
    mod resize;
    mod runs;
    mod size;
    mod stop;
    mod try_map;
}

/// [`unblock`](spinney_threadpool::unblock).
mod unblock;
