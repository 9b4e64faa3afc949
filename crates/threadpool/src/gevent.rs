//! [`ThreadPoolExt`]: gevent's spellings, and the verbs that differ in gevent.

use spinney_greenlet::{Failure, Greenlet, pair, spawn};
use spinney_hub::contain;

use crate::{ThreadMap, ThreadPool};

/// The verbs of gevent's `ThreadPool` with other names here, and those that do not wait.
///
/// Python: `gevent.threadpool.ThreadPool`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool;
/// #     pub mod gevent { pub use spinney_threadpool::gevent::ThreadPoolExt; }
/// # }
/// use spinney::{ThreadPool, block_on};
/// use spinney::gevent::ThreadPoolExt;
///
/// block_on(async {
///     let pool = ThreadPool::new(1);
///     let sum = pool.apply_async_cb(|| 40 + 2, |sum| println!("{sum}"));
///     assert_eq!(sum.await.unwrap(), 42);
///     let squares = pool.map_async(|n: u32| n * n, 0..3);
///     assert_eq!(squares.await.unwrap(), [0, 1, 4]);
///     assert_eq!((pool.maxsize(), pool.size()), (1, 1));
/// });
/// ```
pub trait ThreadPoolExt {
    /// The largest number of threads: [`ThreadPool::capacity`].
    ///
    /// Python: `gevent.threadpool.ThreadPool.maxsize`.
    fn maxsize(&self) -> usize;

    /// Changes the largest number of threads: [`ThreadPool::resize`].
    ///
    /// Python: setting `gevent.threadpool.ThreadPool.maxsize`.
    fn set_maxsize(&self, maxsize: usize);

    /// How many threads are alive: [`ThreadPool::threads`].
    ///
    /// Python: `gevent.threadpool.ThreadPool.size`.
    fn size(&self) -> usize;

    /// Runs `closure` on a thread as soon as there is a place in the queue, and returns
    /// immediately.
    ///
    /// The returned greenlet belongs to the hub that the pool was
    /// [built](crate::ThreadPoolBuilder::hub) with, otherwise to the hub that is current at the call.
    /// It finishes with the closure's result, and keeps the pool alive until then. A kill of the
    /// greenlet does not stop a closure that has a place in the queue; one that waits for a place
    /// never runs.
    ///
    /// # Panics
    ///
    /// Panics if the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    ///
    /// Python: `gevent.threadpool.ThreadPool.apply_async`.
    fn apply_async<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Greenlet<T>;

    /// Runs `closure` like [`apply_async`](Self::apply_async), and calls `callback` with the
    /// result, in the greenlet, right before the greenlet finishes. A failed closure does not call
    /// it. A panic of `callback` is contained; the panic hook reports it.
    ///
    /// # Panics
    ///
    /// Panics if the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    ///
    /// Python: `gevent.threadpool.ThreadPool.apply_async(callback)`.
    fn apply_async_cb<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
        callback: impl FnOnce(&T) + Send + 'static,
    ) -> Greenlet<T>;

    /// Runs `func` on each of `items` like [`ThreadPool::map`], in the background, and returns a
    /// greenlet like [`apply_async`](Self::apply_async). The greenlet fails if the map fails, and
    /// killing it drops the map.
    ///
    /// # Panics
    ///
    /// Panics if the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    ///
    /// Python: `gevent.threadpool.ThreadPool.map_async`.
    fn map_async<I, F, T>(&self, func: F, items: I) -> Greenlet<Vec<T>>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static;

    /// Runs `func` like [`map_async`](Self::map_async), and calls `callback` with the list like
    /// [`apply_async_cb`](Self::apply_async_cb).
    ///
    /// # Panics
    ///
    /// Panics if the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    ///
    /// Python: `gevent.threadpool.ThreadPool.map_async(callback)`.
    fn map_async_cb<I, F, T>(
        &self,
        func: F,
        items: I,
        callback: impl FnOnce(&Vec<T>) + Send + 'static,
    ) -> Greenlet<Vec<T>>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static;
}

impl ThreadPoolExt for ThreadPool {
    fn maxsize(&self) -> usize {
        self.capacity()
    }

    fn set_maxsize(&self, maxsize: usize) {
        self.resize(maxsize);
    }

    fn size(&self) -> usize {
        self.threads()
    }

    #[track_caller]
    fn apply_async<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Greenlet<T> {
        self.apply_async_cb(closure, |_| ())
    }

    #[track_caller]
    fn apply_async_cb<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
        callback: impl FnOnce(&T) + Send + 'static,
    ) -> Greenlet<T> {
        let pool = self.clone();
        in_background(self, async move { pool.spawn(closure).await.await }, callback)
    }

    #[track_caller]
    fn map_async<I, F, T>(&self, func: F, items: I) -> Greenlet<Vec<T>>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.map_async_cb(func, items, |_| ())
    }

    #[track_caller]
    fn map_async_cb<I, F, T>(
        &self,
        func: F,
        items: I,
        callback: impl FnOnce(&Vec<T>) + Send + 'static,
    ) -> Greenlet<Vec<T>>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let map: ThreadMap<T> = self.map(func, items);
        in_background(self, async move { Ok(map.await?) }, callback)
    }
}

/// A greenlet that finishes like `result`, on the hub of `pool`, or on the current one.
#[track_caller]
fn in_background<T: Send + 'static>(
    pool: &ThreadPool,
    result: impl Future<Output = Result<T, Failure>> + Send + 'static,
    callback: impl FnOnce(&T) + Send + 'static,
) -> Greenlet<T> {
    let called = async move {
        match result.await {
            Ok(value) => {
                contain(|| callback(&value));
                value
            }
            Err(failure) => failure.resume().await,
        }
    };
    match &pool.workers().settings.hub {
        Some(hub) => {
            let (task, greenlet) = pair(called, ());
            hub.spawn(Box::pin(task));
            greenlet
        }
        None => spawn(called),
    }
}
