//! The promises of [`ThreadPool`](spinney_threadpool::ThreadPool).

#[path = "../gate/mod.rs"]
mod gate;

/// Results, and from where it can be used.
mod runs;

/// How many threads there are, and how many closures wait.
mod size;

/// `kill`, and dropping the pool.
mod ends;

/// Panics, wherever they come from.
mod panics;
