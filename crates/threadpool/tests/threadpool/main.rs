//! The promises of [`ThreadPool`](spinney_threadpool::ThreadPool).

#[path = "../gate/mod.rs"]
mod gate;

/// Results, and from where it can be used.
mod runs;

/// How many threads there are, and how many closures wait.
mod size;

/// What a thread has moved to the front of the queue.
mod front;

/// Changing the number of threads, and threads that are idle.
mod resize;

/// Names, stacks, hooks, and threads that cannot be started.
mod builder;

/// What closures may do to their own pool.
mod inside;

/// `apply_async`.
mod callbacks;

/// `map`, `imap`, `imap_unordered`.
mod map;

/// `kill`, and dropping the pool.
mod ends;

/// `join` and `drain`.
mod drain;

/// Panics, wherever they come from.
mod panics;
