//! Waiting for and stopping a [`ThreadPool`]: [`join`](ThreadPool::join), and step by step
//! [`close`](ThreadPool::close), [`kill`](ThreadPool::kill), [`shutdown`](ThreadPool::shutdown) and
//! [`drain`](ThreadPool::drain).

use std::panic::Location;
use std::time::Duration;

use spinney_greenlet::{GreenletExit, Report};
use spinney_hub::Within;
use spinney_sync::BudgetedAwait;

use crate::{InsideThreadPool, ThreadPool};

/// How long a shutdown waits for running closures after the queue was emptied.
const LIMIT: Duration = Duration::from_secs(1);

impl ThreadPool {
    /// Waits until there has been a moment since the call in which no closure ran or waited in the
    /// queue. The pool stays open.
    ///
    /// # Errors
    ///
    /// [`InsideThreadPool`] if the caller is a closure of the pool, which would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// Python: `gevent.threadpool.ThreadPool.join`.
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = Result<(), InsideThreadPool>> {
        let at = Location::caller();
        BudgetedAwait::around(async move {
            if self.is_inside() {
                return Err(InsideThreadPool);
            }
            self.workers().wait_idle("ThreadPool::join", at).await;
            Ok(())
        })
    }

    /// The outcomes of everything that was put into the pool so far: closures, and items of maps.
    ///
    /// A closure that is killed while it waits counts as started and killed. Closures that the pool
    /// did not accept, because it was closed or had no thread, count as refused; `waiting` is the
    /// number of [`waiting`](Self::waiting).
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool; }
    /// use spinney::{ThreadPool, block_on};
    ///
    /// block_on(async {
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

    /// Refuses all later calls, and those that wait for a place in the queue. Closures in the queue
    /// run, and started maps go on: to the end of their input, or until the pool is
    /// [killed](Self::kill). The threads exit when nothing is left. Closing again is a no-op.
    pub fn close(&self) -> Report {
        self.workers().close();
        self.stats()
    }

    /// Whether the pool was closed.
    pub fn is_closed(&self) -> bool {
        self.workers().is_closed()
    }

    /// Kills the closures that wait in the queue, and waits until the others have finished: a
    /// started closure cannot be stopped. The pool stays open, and maps go on with their next
    /// items. On a [closed](Self::close) pool this ends maps as well: the next item of each fails
    /// as killed; and the threads have exited when it returns.
    ///
    /// The call itself kills; the future only waits, without a limit; [`drain`](Self::drain) has
    /// one. If the caller is a closure of the pool it does not wait, not even for the other
    /// closures: two closures that kill their pool would wait for each other.
    ///
    /// # Cancel safety
    ///
    /// The kills go ahead even if the future is dropped.
    ///
    /// Python: `gevent.threadpool.ThreadPool.kill`, which empties the queue by running it, like
    /// [`join`](Self::join) here.
    #[track_caller]
    pub fn kill(&self) -> impl Future<Output = Report> {
        self.kill_with(GreenletExit::new())
    }

    /// Kills the closures that wait in the queue like [`kill`](Self::kill), with a reason.
    ///
    /// # Cancel safety
    ///
    /// The kills go ahead even if the future is dropped.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "like all kills")]
    pub fn kill_with(&self, exit: GreenletExit) -> impl Future<Output = Report> {
        let at = Location::caller();
        self.workers().kill(&exit);
        BudgetedAwait::around(async move {
            if !self.is_inside() {
                self.workers().wait_idle("ThreadPool::kill", at).await;
                if self.workers().killed.is_set() {
                    self.workers().join("ThreadPool::kill", at).await;
                }
            }
            self.stats()
        })
    }

    /// [Closes](Self::close) the pool, kills the closures that wait in the queue for the reason
    /// `exit`, ends the maps, and waits until the threads have exited, at most for a second: a
    /// closure that still runs then is reported as running.
    ///
    /// The call itself closes and kills; the future only waits. If the caller is a closure of the
    /// pool it does not wait.
    ///
    /// # Cancel safety
    ///
    /// The kills go ahead even if the future is dropped.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "like all kills")]
    pub fn shutdown(&self, exit: GreenletExit) -> impl Future<Output = Report> {
        let at = Location::caller();
        self.workers().shut_down(&exit);
        BudgetedAwait::around(async move {
            if !self.is_inside() {
                // The report shows whether the threads have exited.
                let _in_time = self.workers().join("ThreadPool::shutdown", at).within(LIMIT).await;
            }
            self.stats()
        })
    }

    /// [Closes](Self::close) the pool and waits until the closures, and the started maps, have
    /// finished. After `grace` the rest is [shut down](Self::shutdown), without waiting for running
    /// closures: they cannot be stopped, and are reported as running. A map whose results are not
    /// read takes the whole grace. If nothing is left, the threads have exited as well.
    ///
    /// The call itself closes the pool.
    ///
    /// # Errors
    ///
    /// [`InsideThreadPool`] if the caller is a closure of the pool, which would wait for itself;
    /// the pool is not closed then.
    ///
    /// # Cancel safety
    ///
    /// The pool stays closed when the future is dropped; closures and maps go on.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool; }
    /// use std::time::Duration;
    /// use spinney::{ThreadPool, block_on};
    ///
    /// block_on(async {
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
        BudgetedAwait::around(async move {
            if inside {
                return Err(InsideThreadPool);
            }
            let workers = self.workers();
            // The report shows whether all have finished.
            let _in_time = workers.wait_drained("ThreadPool::drain", at).within(grace).await;
            workers.shut_down(&GreenletExit::because("the thread pool was drained"));
            if self.stats().running == 0 {
                let _in_time = workers.join("ThreadPool::drain", at).within(LIMIT).await;
            }
            Ok(self.stats())
        })
    }
}
