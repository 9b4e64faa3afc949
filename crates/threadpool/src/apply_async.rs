//! [`ThreadPool::apply_async`]: a callback for a closure's result.

use spinney_greenlet::{Greenlet, pair, spawn};
use spinney_hub::contain;

use crate::ThreadPool;

impl ThreadPool {
    /// Runs `closure` on a thread as soon as there is a place for it, and then `callback` on its
    /// result, if it has one: on the hub that the pool was [built](crate::ThreadPoolBuilder::hub)
    /// with, or else on the one that is current at the call. Returns at once. `apply_async`.
    ///
    /// The greenlet that it returns is one of that hub, and ends as the closure did, after the
    /// callback. It keeps the pool alive until then. Killed, it leaves the closure to itself, and
    /// nobody is called. A callback that panics harms nobody; the panic hook reports it.
    ///
    /// # Panics
    ///
    /// If the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    ///
    /// ```
    /// use spinney_threadpool::ThreadPool;
    ///
    /// spinney_hub::block_on(async {
    ///     let pool = ThreadPool::new(1).unwrap();
    ///     let sum = pool.apply_async(|| 40 + 2, |sum| println!("{sum}"));
    ///     assert_eq!(sum.await.unwrap(), 42);
    /// });
    /// ```
    pub fn apply_async<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
        callback: impl FnOnce(&T) + Send + 'static,
    ) -> Greenlet<T> {
        let pool = self.clone();
        let called = async move {
            let result = pool.spawn(closure).await.await;
            match result {
                Ok(value) => {
                    contain(|| callback(&value));
                    value
                }
                Err(failure) => failure.resume().await,
            }
        };
        match &self.owner.workers.settings.hub {
            Some(hub) => {
                let (task, greenlet) = pair(called, ());
                hub.spawn(Box::pin(task));
                greenlet
            }
            None => spawn(called),
        }
    }
}
