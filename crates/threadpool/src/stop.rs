//! How a [`ThreadPool`] is waited for and stopped: [`join`](ThreadPool::join), and rung by rung
//! [`close`](ThreadPool::close), [`kill`](ThreadPool::kill), [`shutdown`](ThreadPool::shutdown) and
//! [`drain`](ThreadPool::drain).

use std::panic::Location;
use std::time::Duration;

use spinney_greenlet::{GreenletExit, Report};
use spinney_hub::Within;
use spinney_sync::GiveWay;

use crate::{InsideThreadPool, ThreadPool};

/// How long a stop waits for closures that run after their queue was dropped.
const LIMIT: Duration = Duration::from_secs(1);

impl ThreadPool {
    /// Waits until no closure has run or waited in the queue at least once since the call. The pool stays
    /// open.
    ///
    /// # Errors
    ///
    /// [`InsideThreadPool`] if the caller is a closure of the pool, which would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    ///
    /// Python: `gevent.threadpool.ThreadPool.join`.
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = Result<(), InsideThreadPool>> {
        let at = Location::caller();
        GiveWay::around(async move {
            if self.is_inside() {
                return Err(InsideThreadPool);
            }
            self.workers().wait_idle("ThreadPool::join", at).await;
            Ok(())
        })
    }

    /// What became of everything that was put to the pool so far: closures, and items of maps.
    ///
    /// A closure that is killed while it waits counts as started and killed. Refused are closures that the
    /// pool did not take because it was closed, or had no thread; `waiting` counts as
    /// [`waiting`](Self::waiting) does.
    ///
    /// ```
    /// use spinney_threadpool::ThreadPool;
    ///
    /// spinney_hub::block_on(async {
    ///     let pool = ThreadPool::new(2);
    ///     pool.map(|n: u32| n * n, 0..3).await.unwrap();
    ///     pool.apply(|| panic!("no luck")).await.unwrap_err();
    ///     let stats = pool.stats();
    ///     assert_eq!((stats.started, stats.succeeded, stats.failed), (4, 3, 1));
    /// });
    /// ```
    pub fn stats(&self) -> Report {
        self.workers().report()
    }

    /// Refuses all calls from now on, and those that wait for a place in the queue. Closures in the queue
    /// run, and maps that were started go on: to the end of their input, or until the pool is
    /// [killed](Self::kill). The threads end when there is nothing left. Closing again is a no-op.
    pub fn close(&self) -> Report {
        self.workers().close();
        self.stats()
    }

    /// Whether the pool was closed.
    pub fn is_closed(&self) -> bool {
        self.workers().is_closed()
    }

    /// Kills the closures that wait in the queue, and waits until the others have finished: a started
    /// closure cannot be stopped. The pool stays open, and maps go on with their next items. Once the pool
    /// is [closed](Self::close), this ends maps, too: the next item of each fails as killed; and the threads
    /// have ended when it returns.
    ///
    /// The call itself kills; the future only waits, however long that takes: [`drain`](Self::drain) does
    /// not. Called by a closure of the pool it waits for nothing, not even for the other closures: two that
    /// kill their pool would wait for each other.
    ///
    /// # Cancel safety
    ///
    /// The kills go ahead when it is dropped.
    ///
    /// Python: `gevent.threadpool.ThreadPool.kill`, which runs the queue empty, as
    /// [`join`](Self::join) does here.
    #[track_caller]
    pub fn kill(&self) -> impl Future<Output = Report> {
        self.kill_with(GreenletExit::new())
    }

    /// Kills the closures that wait in the queue as [`kill`](Self::kill) does, for a reason.
    ///
    /// # Cancel safety
    ///
    /// The kills go ahead when it is dropped.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "as all kills")]
    pub fn kill_with(&self, exit: GreenletExit) -> impl Future<Output = Report> {
        let at = Location::caller();
        self.workers().kill(&exit);
        GiveWay::around(async move {
            if !self.is_inside() {
                self.workers().wait_idle("ThreadPool::kill", at).await;
                if self.workers().killed.is_set() {
                    self.workers().join("ThreadPool::kill", at).await;
                }
            }
            self.stats()
        })
    }

    /// [Closes](Self::close) the pool, kills the closures that wait in the queue for the reason `exit`, ends
    /// the maps, and waits until the threads have ended. A closure that runs for more than a second is not
    /// waited for, but reported as running.
    ///
    /// The call itself closes and kills; the future only waits. Called by a closure of the pool it waits for
    /// nothing.
    ///
    /// # Cancel safety
    ///
    /// The kills go ahead when it is dropped.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "as all kills")]
    pub fn shutdown(&self, exit: GreenletExit) -> impl Future<Output = Report> {
        let at = Location::caller();
        self.workers().shut_down(&exit);
        GiveWay::around(async move {
            if !self.is_inside() {
                // Whether the threads have ended is what the report says.
                let _in_time = self.workers().join("ThreadPool::shutdown", at).within(LIMIT).await;
            }
            self.stats()
        })
    }

    /// [Closes](Self::close) the pool and waits until the closures, and the maps that were started, have
    /// finished. What is left after `grace` is [shut down](Self::shutdown), but what runs then is not waited
    /// for: it cannot be stopped, and is reported as running. A map whose results are not read takes that
    /// long. If nothing is left, the threads have ended, too.
    ///
    /// The call itself closes the pool.
    ///
    /// # Errors
    ///
    /// [`InsideThreadPool`] if the caller is a closure of the pool, which would wait for itself; the pool is
    /// not closed then.
    ///
    /// # Cancel safety
    ///
    /// The pool stays closed when this is dropped; closures and maps go on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use spinney_threadpool::ThreadPool;
    ///
    /// spinney_hub::block_on(async {
    ///     let pool = ThreadPool::new(1);
    ///     for _ in 0..3 {
    ///         pool.spawn(|| ()).await.detach();
    ///     }
    ///     let report = pool.drain(Duration::from_secs(60)).await.unwrap();
    ///     assert_eq!((report.succeeded, report.killed, report.running), (3, 0, 0));
    /// });
    /// ```
    #[track_caller]
    pub fn drain(&self, grace: Duration) -> impl Future<Output = Result<Report, InsideThreadPool>> {
        let at = Location::caller();
        let inside = self.is_inside();
        if !inside {
            self.workers().close();
        }
        GiveWay::around(async move {
            if inside {
                return Err(InsideThreadPool);
            }
            let workers = self.workers();
            // Whether all have finished is what the report says.
            let _in_time = workers.wait_drained("ThreadPool::drain", at).within(grace).await;
            workers.shut_down(&GreenletExit::because("the thread pool was drained"));
            if self.stats().running == 0 {
                let _in_time = workers.join("ThreadPool::drain", at).within(LIMIT).await;
            }
            Ok(self.stats())
        })
    }
}
