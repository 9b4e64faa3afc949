//! [`ThreadPool::apply_async`]: a closure's result in a greenlet, and a callback for it.

use spinney_greenlet::{Greenlet, pair, spawn};
use spinney_hub::contain;

use crate::ThreadPool;

impl ThreadPool {
    /// Runs `closure` on a thread as soon as there is a place for it, and returns at once.
    /// `apply_async`.
    ///
    /// The greenlet that it returns is one of the hub that the pool was
    /// [built](crate::ThreadPoolBuilder::hub) with, or else of the one that is current at the call,
    /// and ends as the closure did. It keeps the pool alive until then. Killed, it leaves the
    /// closure to itself.
    ///
    /// # Panics
    ///
    /// If the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    #[track_caller]
    pub fn apply_async<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Greenlet<T> {
        self.apply_async_cb(closure, |_| ())
    }

    /// As [`apply_async`](Self::apply_async), and calls `callback` with the result, in the
    /// greenlet, right before that ends; not if the closure fails. `apply_async(callback)`.
    ///
    /// A callback that panics harms nobody; the panic hook reports it.
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
    ///     let sum = pool.apply_async_cb(|| 40 + 2, |sum| println!("{sum}"));
    ///     assert_eq!(sum.await.unwrap(), 42);
    /// });
    /// ```
    #[track_caller]
    pub fn apply_async_cb<T: Send + 'static>(
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
