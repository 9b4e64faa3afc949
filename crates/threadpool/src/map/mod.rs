//! Maps: one function over many items, on the threads of a pool.
//!
//! Each item is a greenlet of its own, but must not cost a closure. A map stands in the pool's
//! queue once for each thread that it may use. A thread that takes such a *turn* runs one item
//! after the other of the shared input, as long as nothing else waits for the thread and the
//! results are read; otherwise the map moves to the end of the queue after an item. The next item
//! is taken from the input ahead, so an empty input needs no thread, and the end of the input is
//! known when it is reached.

mod imap;
mod results;
mod turn;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

pub use imap::{ThreadImap, ThreadMap, ThreadTryImap, ThreadTryMap};
use results::{Limits, Order, Results};
use spinney_greenlet::Inherited;
use spinney_greenlet::map::{
    Attempts, ItemCallback, ItemEvent, Map, OnItem, Once, Retry, TryImap, TryMap,
};
use turn::{Items, MapJob};

use crate::ThreadPool;

impl ThreadPool {
    /// Runs `func` on each of `items`, on as many threads as there are, and returns the results in
    /// input order.
    ///
    /// It starts at the call. After a failure no further item starts; of several failures it
    /// reports that of the first item in input order.
    ///
    /// The first item is taken at the call, the others by the threads, one at a time and one ahead.
    /// An iterator that panics ends the map with that panic; a `func` that panics fails its item. A
    /// pool that is killed before the end of `items` fails the map.
    ///
    /// For one computation that splits into many small ones, rayon's `par_iter` costs less per
    /// item.
    ///
    /// # Errors
    ///
    /// When awaited, [`ItemError`](spinney_greenlet::map::ItemError) with the index of the failed
    /// item.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no further items; running items run to their end.
    ///
    /// Python: `gevent.threadpool.ThreadPool.map`, which runs all items even after a failure.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool; }
    /// use spinney::{ThreadPool, block_on};
    ///
    /// let pool = ThreadPool::new(2);
    /// let cubes = block_on(pool.map(|n: u64| n.pow(3), 0..1000));
    /// assert_eq!(cubes.unwrap()[999], 999 * 999 * 999);
    /// ```
    #[doc(alias = "par_iter")]
    #[track_caller]
    pub fn map<I, F, T>(&self, func: F, items: I) -> ThreadMap<T>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.mapper().map(func, items)
    }

    /// Runs `func` on each of `items` like [`map`](Self::map), and returns the results as a stream
    /// in input order.
    ///
    /// Work goes on while the results are not read, up to a [bound](ThreadMapper::maxsize); so
    /// `items` may be endless. After a failed item the stream goes on. A pool that is killed before
    /// the end of `items` is the last failure of the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items; running items run to their end.
    ///
    /// Python: `gevent.threadpool.ThreadPool.imap`.
    #[track_caller]
    pub fn imap<I, F, T>(&self, func: F, items: I) -> ThreadImap<T>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.mapper().imap(func, items)
    }

    /// Runs `func` on each of `items` like [`imap`](Self::imap), and returns the results in the
    /// order of completion.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items; running items run to their end.
    ///
    /// Python: `gevent.threadpool.ThreadPool.imap_unordered`.
    #[track_caller]
    pub fn imap_unordered<I, F, T>(&self, func: F, items: I) -> ThreadImap<T>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.mapper().imap_unordered(func, items)
    }

    /// Runs `func`, which returns a `Result`, on each of `items`, and returns the values in input
    /// order, or the first error. After an error no further item starts, and it returns when the
    /// running ones have finished. Other policies are methods of the result, for example
    /// `try_map(..).collect_all()`; see [`ThreadTryMap`].
    ///
    /// # Errors
    ///
    /// When awaited, the first [`TaskError`](spinney_greenlet::map::TaskError): the error that the
    /// function returned, or the failure of the item; with the item's index.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no further items; running items run to their end.
    #[track_caller]
    pub fn try_map<I, F, T, E>(&self, func: F, items: I) -> ThreadTryMap<T, E>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.mapper().try_map(func, items)
    }

    /// Runs `func`, which returns a `Result`, on each of `items` like [`imap`](Self::imap), and
    /// returns the results as a stream in input order. After an error the stream goes on.
    ///
    /// Unlike in `imap`, an item's result is one `Result` rather than two nested ones, and an error
    /// counts as a failure: for [`ThreadMapper::retry`] and [`ThreadMapper::on_item`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items; running items run to their end.
    #[track_caller]
    pub fn try_imap<I, F, T, E>(&self, func: F, items: I) -> ThreadTryImap<T, E>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.mapper().try_imap(func, items)
    }

    /// Runs `func` on each of `items` like [`try_imap`](Self::try_imap), and returns the results in
    /// the order of completion.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items; running items run to their end.
    #[track_caller]
    pub fn try_imap_unordered<I, F, T, E>(&self, func: F, items: I) -> ThreadTryImap<T, E>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.mapper().try_imap_unordered(func, items)
    }

    /// Returns the settings of one map, to be changed before it starts.
    pub fn mapper(&self) -> ThreadMapper {
        let pool = self.clone();
        ThreadMapper {
            pool,
            maxsize: None,
            limit: None,
            on_item: None,
            inherits: false,
            attempts: Once,
        }
    }
}

/// The settings of one map over threads; its verbs start the map. Dropping it starts nothing.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool; }
/// use spinney::{ThreadPool, block_on};
///
/// block_on(async {
///     let pool = ThreadPool::new(2);
///     let mut doubled = pool.mapper().maxsize(3).imap(|n: u32| 2 * n, 0..);
///     assert_eq!(doubled.next().await.unwrap().unwrap(), 0);
///     assert_eq!(doubled.next().await.unwrap().unwrap(), 2);
/// });
/// ```
#[must_use = "a mapper does nothing until one of its verbs is called"]
pub struct ThreadMapper<R = Once> {
    pool: ThreadPool,
    /// `None` for the default.
    maxsize: Option<usize>,
    limit: Option<Duration>,
    on_item: Option<ItemCallback>,
    inherits: bool,
    attempts: R,
}

impl<R> ThreadMapper<R> {
    /// How many items may run, or have finished without being read; one more while the reader
    /// waits. Default: twice the number of threads, and any number for a list of results, which is
    /// read at the end. One further item is taken from the input ahead.
    ///
    /// With 0 an item starts only while the reader waits.
    ///
    /// Python: `gevent.threadpool.ThreadPool.imap(maxsize)`.
    pub fn maxsize(mut self, maxsize: usize) -> Self {
        self.maxsize = Some(maxsize);
        self
    }

    /// Lets any number of unread results accumulate: gevent's default.
    pub fn unbounded(self) -> Self {
        self.maxsize(usize::MAX)
    }

    /// Limits the time of each item. Default: no limit. An item that takes longer fails as killed,
    /// with the reason [`Timeout`](spinney_hub::Timeout), and its result is dropped; but it cannot
    /// be stopped, and keeps its thread until it returns. It is not [tried again](Self::retry);
    /// otherwise each try has the whole time.
    ///
    /// The limit applies to the wait for an item: a map whose results are not read does not limit
    /// its items.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool; }
    /// use std::sync::mpsc::channel;
    /// use std::time::Duration;
    ///
    /// use spinney::{ThreadPool, block_on};
    ///
    /// let (end, ended) = channel::<()>();
    /// let ended = std::sync::Mutex::new(ended);
    /// let pool = ThreadPool::new(1);
    /// let map = pool.mapper().timeout(Duration::from_millis(1));
    /// let late = block_on(map.map(move |_| ended.lock().unwrap().recv(), [()]));
    /// assert!(late.unwrap_err().to_string().ends_with("timed out after 1ms"));
    /// drop(end);
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Starts each item with the [locals](spinney_greenlet::Local) that the caller has when the map
    /// starts. Default: none. Each item sets its own values.
    pub fn inherit_locals(mut self) -> Self {
        self.inherits = true;
        self
    }

    /// Calls `callback` with the outcome of each item, once it has finished: to show progress, for
    /// example. An item that is [tried again](Self::retry) also calls it after each failed try, with
    /// the number of tries and the [delay](ItemEvent::retry_after) for which it waits.
    ///
    /// The thread of the item makes the call, before the result can be read; for an item that
    /// [timed out](Self::timeout), the reader makes it. An item that is refused before it starts
    /// counts, and so does an input that panics. A panic of `callback` is contained; the panic hook
    /// reports it.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool; }
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    ///
    /// use spinney::{ThreadPool, block_on};
    ///
    /// let failed = Arc::new(AtomicUsize::new(0));
    /// let count = Arc::clone(&failed);
    /// let pool = ThreadPool::new(2);
    /// let mapper = pool.mapper().on_item(move |item| {
    ///     count.fetch_add(usize::from(item.outcome.is_err()), Relaxed);
    /// });
    /// let parsed = mapper.try_map(|text: &str| text.parse::<u8>(), ["1", "x", "3"]);
    /// block_on(parsed.collect_all());
    /// assert_eq!(failed.load(Relaxed), 1);
    /// ```
    pub fn on_item<C>(mut self, callback: C) -> Self
    where
        C: Fn(ItemEvent) + Send + Sync + 'static,
    {
        self.on_item = Some(Box::new(callback));
        self
    }
}

impl ThreadMapper {
    /// Tries an item again if it panicked, or if its function returned an error. Default: one try.
    /// The items must be `Clone`. The item keeps its thread during the delays; a
    /// [time limit](Retry::try_timeout) of the policy does not end a running function.
    ///
    /// A mapper that retries has only the verbs for functions that return a `Result`: for the other
    /// verbs an `Err` is a value.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_greenlet::map::Retry; pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool;
    /// # }
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    /// use spinney::{Retry, ThreadPool, block_on};
    ///
    /// static TRIES: AtomicU32 = AtomicU32::new(0);
    ///
    /// fn fetch(page: u32) -> Result<u32, &'static str> {
    ///     if TRIES.fetch_add(1, Relaxed) < 2 { Err("busy") } else { Ok(page) }
    /// }
    ///
    /// let pages = ThreadPool::new(1).mapper().retry(Retry::times(2)).try_map(fetch, 7..=7);
    /// assert_eq!(block_on(pages).unwrap(), [7]);
    /// ```
    pub fn retry<E>(self, policy: Retry<E>) -> ThreadMapper<Retry<E>> {
        let Self { pool, maxsize, limit, on_item, inherits, attempts: Once } = self;
        ThreadMapper { pool, maxsize, limit, on_item, inherits, attempts: policy }
    }

    /// Starts the map, and returns the results as a list; see [`ThreadPool::map`].
    #[track_caller]
    pub fn map<I, F, T>(self, func: F, items: I) -> ThreadMap<T>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        Map::new(self.start(Order::Input, true, func, items, |_| false))
    }

    /// Starts the map, and returns the results in input order; see [`ThreadPool::imap`].
    #[track_caller]
    pub fn imap<I, F, T>(self, func: F, items: I) -> ThreadImap<T>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.start(Order::Input, false, func, items, |_| false)
    }

    /// Starts the map, and returns the results in the order of completion; see
    /// [`ThreadPool::imap_unordered`].
    #[track_caller]
    pub fn imap_unordered<I, F, T>(self, func: F, items: I) -> ThreadImap<T>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.start(Order::Completion, false, func, items, |_| false)
    }
}

/// The verbs for functions that return a `Result`.
impl<R> ThreadMapper<R> {
    /// Starts the map, and returns the results in input order; see [`ThreadPool::try_imap`].
    #[track_caller]
    pub fn try_imap<I, F, T, E>(self, func: F, items: I) -> ThreadTryImap<T, E>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: Send + 'static,
        R: Attempts<I::Item, Result<T, E>>,
    {
        TryImap::new(self.start(Order::Input, false, func, items, Result::is_err))
    }

    /// Starts the map, and returns the results in the order of completion; see
    /// [`ThreadPool::try_imap_unordered`].
    #[track_caller]
    pub fn try_imap_unordered<I, F, T, E>(self, func: F, items: I) -> ThreadTryImap<T, E>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: Send + 'static,
        R: Attempts<I::Item, Result<T, E>>,
    {
        TryImap::new(self.start(Order::Completion, false, func, items, Result::is_err))
    }

    /// Starts the map, and returns all values, or the first error; see [`ThreadPool::try_map`].
    #[track_caller]
    pub fn try_map<I, F, T, E>(self, func: F, items: I) -> ThreadTryMap<T, E>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: Send + 'static,
        R: Attempts<I::Item, Result<T, E>>,
    {
        TryMap::new(self.try_imap_unordered(func, items))
    }

    #[track_caller]
    fn start<I, F, T>(
        self,
        order: Order,
        is_list: bool,
        func: F,
        items: I,
        is_error: fn(&T) -> bool,
    ) -> ThreadImap<T>
    where
        I: IntoIterator<Item: Send + 'static, IntoIter: Send + 'static>,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
        R: Attempts<I::Item, T>,
    {
        let (workers, at) = (self.pool.workers(), Location::caller());
        let (input, capacity) = (items.into_iter(), self.pool.capacity());
        let default = if is_list { usize::MAX } else { capacity.saturating_mul(2).max(1) };
        // Further threads than items would find nothing to do.
        let threads = input.size_hint().1.unwrap_or(usize::MAX).max(1);
        let maxsize = self.maxsize.unwrap_or(default);
        let limits = Limits { order, maxsize, threads, is_list, item: self.limit };
        let on_item = self.on_item.map(|callback| OnItem::new(callback, is_error));
        let results = Results::new(limits, on_item, Arc::clone(workers));
        let locals = self.inherits.then(Inherited::capture);
        let items = Items { again: self.attempts.again(), locals };
        let source = MapJob::start(func, input, items, results, workers, at);
        ThreadImap::new(source, self.pool, at)
    }
}

impl<R> fmt::Debug for ThreadMapper<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadMapper")
            .field("pool", &self.pool)
            .field("maxsize", &self.maxsize)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
