//! [`ThreadMapper`]: the settings of one map.

use std::sync::Arc;

use super::imap::{ThreadImap, ThreadMap};
use super::job::MapJob;
use super::results::{Limits, Order, Results};
use crate::ThreadPool;

/// The settings of one map; its verbs start it. Dropping it starts nothing.
///
/// ```
/// use futures_lite::StreamExt;
/// use spinney_threadpool::ThreadPool;
///
/// spinney_hub::block_on(async {
///     let pool = ThreadPool::new(2).unwrap();
///     let doubled = pool.mapper().maxsize(3).imap(|n: u32| 2 * n, 0..);
///     let first: Vec<u32> = doubled.take(4).map(Result::unwrap).collect().await;
///     assert_eq!(first, [0, 2, 4, 6]);
/// });
/// ```
#[derive(Debug)]
#[must_use = "a mapper does nothing until one of its verbs is called"]
pub struct ThreadMapper {
    pool: ThreadPool,
    maxsize: Option<usize>,
}

impl ThreadMapper {
    pub(crate) fn new(pool: ThreadPool) -> Self {
        Self { pool, maxsize: None }
    }

    /// How many items may be running, or done and not read yet; one more while the reader waits.
    /// Default: twice the number of threads, and any number for a list of results, which is read
    /// at the end. `maxsize`.
    ///
    /// Zero starts an item only while the reader waits for one.
    pub fn maxsize(mut self, maxsize: usize) -> Self {
        self.maxsize = Some(maxsize);
        self
    }

    /// Lets any number of results pile up unread: gevent's default.
    pub fn unbounded(self) -> Self {
        self.maxsize(usize::MAX)
    }

    /// Starts the map, and gives the results as a list; see [`ThreadPool::map`].
    #[track_caller]
    pub fn map<I, F, T>(self, func: F, items: I) -> ThreadMap<T>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let maxsize = self.maxsize.unwrap_or(usize::MAX);
        let whole = maxsize == usize::MAX;
        ThreadMap::new(self.start(Order::Input, maxsize, whole, func, items.into_iter()))
    }

    /// Starts the map, and gives the results in the order of `items`; see [`ThreadPool::imap`].
    #[track_caller]
    pub fn imap<I, F, T>(self, func: F, items: I) -> ThreadImap<T>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let maxsize = self.stream_maxsize();
        self.start(Order::Input, maxsize, false, func, items.into_iter())
    }

    /// Starts the map, and gives the results as they come; see [`ThreadPool::imap_unordered`].
    #[track_caller]
    pub fn imap_unordered<I, F, T>(self, func: F, items: I) -> ThreadImap<T>
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let maxsize = self.stream_maxsize();
        self.start(Order::Completion, maxsize, false, func, items.into_iter())
    }

    fn stream_maxsize(&self) -> usize {
        self.maxsize.unwrap_or_else(|| self.pool.maxsize().saturating_mul(2))
    }

    #[track_caller]
    fn start<I, F, T>(
        self,
        order: Order,
        maxsize: usize,
        whole: bool,
        func: F,
        items: I,
    ) -> ThreadImap<T>
    where
        I: Iterator + Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        // More threads than items would find nothing to do.
        let items_at_most = items.size_hint().1.unwrap_or(usize::MAX).max(1);
        let threads = self.pool.maxsize().min(items_at_most);
        let results = Results::new(order, Limits { maxsize, threads, whole });
        ThreadImap::start(Arc::new(MapJob::new(func, items, results)), self.pool)
    }
}
