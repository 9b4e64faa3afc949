//! [`ThreadPoolExt`]: gevent's spellings, and the verbs that differ there.

use spinney_greenlet::{Failure, Greenlet, pair, spawn};
use spinney_hub::contain;

use crate::{ThreadMap, ThreadPool};

/// What gevent's `ThreadPool` has under other names, and the verbs that return at once.
///
/// ```
/// use spinney_threadpool::ThreadPool;
/// use spinney_threadpool::gevent::ThreadPoolExt;
///
/// spinney_hub::block_on(async {
///     let pool = ThreadPool::new(1);
///     let sum = pool.apply_async_cb(|| 40 + 2, |sum| println!("{sum}"));
///     assert_eq!(sum.await.unwrap(), 42);
///     let squares = pool.map_async(|n: u32| n * n, 0..3);
///     assert_eq!(squares.await.unwrap(), [0, 1, 4]);
///     assert_eq!((pool.maxsize(), pool.size()), (1, 1));
/// });
/// ```
pub trait ThreadPoolExt {
    /// How many threads there are at most: [`ThreadPool::capacity`].
    fn maxsize(&self) -> usize;

    /// Changes how many threads there are at most: [`ThreadPool::resize`].
    fn set_maxsize(&self, maxsize: usize);

    /// How many threads are alive: [`ThreadPool::threads`].
    fn size(&self) -> usize;

    /// Runs `closure` on a thread as soon as there is a place for it, and returns immediately.
    ///
    /// The greenlet that it returns is one of the hub that the pool was
    /// [built](crate::ThreadPoolBuilder::hub) with, otherwise of the hub that is current at the call, and
    /// ends as the closure does. It keeps the pool alive until then. A kill of the greenlet lets the closure
    /// run on.
    ///
    /// # Panics
    ///
    /// If the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    fn apply_async<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Greenlet<T>;

    /// Runs `closure` as [`apply_async`](Self::apply_async) does, and calls `callback` with the result, in
    /// the greenlet, right before that ends; not if the closure fails. A panic of `callback` is contained;
    /// the panic hook reports it.
    ///
    /// # Panics
    ///
    /// If the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    fn apply_async_cb<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
        callback: impl FnOnce(&T) + Send + 'static,
    ) -> Greenlet<T>;

    /// Runs `func` on each of `items` as [`ThreadPool::map`] does, in the background. The greenlet that it
    /// returns is as that of [`apply_async`](Self::apply_async); it fails as the map does, and a kill of it
    /// drops the map.
    ///
    /// # Panics
    ///
    /// If the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
    fn map_async<I, F, T>(&self, func: F, items: I) -> Greenlet<Vec<T>>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static;

    /// Runs `func` as [`map_async`](Self::map_async) does, and calls `callback` with the list as
    /// [`apply_async_cb`](Self::apply_async_cb) does.
    ///
    /// # Panics
    ///
    /// If the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
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

/// A greenlet that ends as `result` does, on the hub of `pool`, or on the current one.
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
