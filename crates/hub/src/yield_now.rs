//! [`yield_now`]: lets the other tasks run.

/// Gives way to the other tasks that are ready to run, then goes on. The same as
/// [`sleep`](crate::sleep) of zero, without the look at the clock.
///
/// # Cancel safety
///
/// Nothing is lost when it is dropped.
///
/// Python: `gevent.sleep(0)`, `gevent.idle` without priorities.
pub async fn yield_now() {
    futures_lite::future::yield_now().await;
}
