//! How a [`ThreadPool`] comes to its end: `join`, `drain` and `kill`.

use std::panic::Location;
use std::time::Duration;

use spinney_hub::Within;
use spinney_sync::GiveWay;

use crate::{DrainReport, InsideThreadPool, ThreadPool};

impl ThreadPool {
    /// Waits until nothing has been running or in the queue at least once since the call; the pool
    /// stays open. `join`.
    ///
    /// # Errors
    ///
    /// [`InsideThreadPool`] if a closure of the pool asks, which would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = Result<(), InsideThreadPool>> {
        let at = Location::caller();
        GiveWay::around(async move {
            if self.is_inside() {
                return Err(InsideThreadPool);
            }
            if let Some(emptied) = self.owner.workers.unfinished.emptied() {
                emptied.wait_for("ThreadPool::join", at).await;
            }
            Ok(())
        })
    }

    /// Refuses new closures, gives those in the queue and those that are running `grace` to end,
    /// and then does as [`kill`](Self::kill), but without waiting for what is running still: that
    /// cannot be stopped. If all came to their end, so have the threads. A map goes on being fed.
    ///
    /// # Errors
    ///
    /// [`InsideThreadPool`] if a closure of the pool asks, which would wait for itself; nothing
    /// changes then.
    ///
    /// # Cancel safety
    ///
    /// The pool is closed by the first poll. Dropping it then leaves the queue to be run.
    #[track_caller]
    pub fn drain(
        &self,
        grace: Duration,
    ) -> impl Future<Output = Result<DrainReport, InsideThreadPool>> {
        let at = Location::caller();
        GiveWay::around(async move {
            if self.is_inside() {
                return Err(InsideThreadPool);
            }
            let workers = &self.owner.workers;
            let unfinished = workers.close();
            // Whether all have ended is what the counts say.
            let _in_time = workers.join("ThreadPool::drain", at).within(grace).await;
            let killed = workers.kill();
            let running = workers.unfinished.count();
            Ok(DrainReport { ended: unfinished.saturating_sub(killed + running), killed, running })
        })
    }

    /// Refuses new closures and those in the queue, and waits until the threads are done with
    /// what they are running and have ended, without holding up the hub. `kill`, but for the
    /// queue, which gevent runs empty, as [`drain`](Self::drain) does.
    ///
    /// From a closure of the pool itself it waits for nothing, not even for the other threads:
    /// two that kill their pool would wait for each other.
    ///
    /// # Cancel safety
    ///
    /// The pool is closed by the first poll; dropping it then only ends the wait.
    #[track_caller]
    pub fn kill(&self) -> impl Future<Output = ()> {
        let at = Location::caller();
        GiveWay::around(async move {
            self.owner.workers.kill();
            if !self.is_inside() {
                self.owner.workers.join("ThreadPool::kill", at).await;
            }
        })
    }
}
