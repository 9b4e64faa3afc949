//! The promises of `spinney-threadpool`.

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
    mod map;
    mod panics;
    mod resize;
    mod runs;
    mod size;
}

/// [`unblock`](spinney_threadpool::unblock).
mod unblock;
