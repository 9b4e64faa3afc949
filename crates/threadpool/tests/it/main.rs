//! The promises of `spinney-threadpool`.

use spinney_greenlet::{GreenletExit, Report};
use spinney_threadpool::{ThreadPool, ThreadPoolClosed};

/// Closes `pool`, kills what waits in its queue, and waits for what runs.
fn end(pool: &ThreadPool) -> impl Future<Output = Report> {
    pool.close();
    pool.kill_with(GreenletExit::because(ThreadPoolClosed))
}

/// [`ThreadResult`](spinney_threadpool::ThreadResult).
mod thread_result;

/// [`ThreadPool`](spinney_threadpool::ThreadPool).
mod threadpool {
    mod builder;
    mod callbacks;
    mod drain;
    mod ends;
    mod front;
    mod inside;
    mod items;
    mod map;
    mod panics;
    mod resize;
    mod runs;
    mod size;
    mod stop;
    mod try_map;
}

/// [`unblock`](spinney_threadpool::unblock).
mod unblock;
