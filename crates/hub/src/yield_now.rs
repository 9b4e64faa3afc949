//! [`yield_now`]: lets everyone else have a turn.

/// Gives way to the other tasks that are ready to run, then goes on. gevent's `sleep(0)`,
/// `gevent.idle` without priorities.
///
/// # Cancel safety
///
/// Nothing is lost when it is dropped.
pub async fn yield_now() {
    futures_lite::future::yield_now().await;
}
