//! [`Mapper`]: the settings of one map.

use std::fmt;
use std::hash::Hash;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spinney_greenlet::map::{ItemCallback, ItemEvent, OnItem};
use spinney_greenlet::{Inherited, SpawnContext};

use super::feeder::Feeder;
use super::imap::Imap;
use super::input::Input;
use super::item_policy::ItemPolicy;
use super::per_item::{Alike, Asks, PerItem};
use super::results::{Order, Results};
use super::shared::MapShared;
use super::{Attempts, IntoSource, Map, Once, Retry, TryImap, TryMap};
use crate::{RunsMap, TaskSet};

/// The bound on open items in a group without a limit.
const UNLIMITED_MAXSIZE: usize = 1000;

/// The default bound on open items: twice as many as can run. A list reads its results in batches,
/// and has room for one more of these on either side.
fn default_maxsize<X>(tasks: &TaskSet<X>, whole: bool) -> usize {
    let times = if whole { 4 } else { 2 };
    tasks.limit().map_or(UNLIMITED_MAXSIZE, |limit| limit.saturating_mul(times))
}

/// The settings of one map; its verbs start the map. Dropping it starts nothing.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pool::Pool; }
/// use spinney::{Pool, block_on};
///
/// block_on(async {
///     let pool = Pool::new(10);
///     let mut doubled = pool.mapper().maxsize(3).imap(|n| async move { 2 * n }, 0..);
///     assert_eq!(doubled.next().await.unwrap().unwrap(), 0);
///     assert_eq!(doubled.next().await.unwrap().unwrap(), 2);
/// });
/// ```
#[must_use = "a mapper does nothing until one of its verbs is called"]
pub struct Mapper<X = spinney_hub::Hub, R = Once, Q = Alike> {
    tasks: TaskSet<X>,
    /// `None` for the default.
    maxsize: Option<usize>,
    limit: Option<Duration>,
    on_item: Option<ItemCallback>,
    inherits: bool,
    attempts: R,
    asks: Q,
}

impl<X, R, Q> Mapper<X, R, Q> {
    /// Sets how many items may be open, that is, running or finished and unread; one more may while
    /// the reader waits. Default: twice the capacity, four times for a [list](Self::map); 1000
    /// without a limit.
    ///
    /// With 0, an item starts only while the reader waits for one.
    ///
    /// Python: `gevent.pool.Group.imap(maxsize)`.
    pub fn maxsize(mut self, maxsize: usize) -> Self {
        self.maxsize = Some(maxsize);
        self
    }

    /// Lets any number of results accumulate unread: gevent's default.
    pub fn unbounded(self) -> Self {
        self.maxsize(usize::MAX)
    }

    /// Limits the time of each item; the default is no limit. An item that takes longer is dropped
    /// where it waits, and fails: killed, with [`Timeout`](spinney_hub::Timeout) as its reason. For
    /// an item that is [tried again](Self::retry), the limit applies to each try.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Lets each item start with the [locals](spinney_greenlet::Local) that the caller has when the
    /// map starts; by default they are empty. Each item sets values of its own.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_greenlet::greenlet_local; pub use spinney_hub::block_on; pub use spinney_pool::Pool;
    /// # }
    /// use spinney::{Pool, block_on, greenlet_local};
    ///
    /// greenlet_local!(static REQUEST: u32 = 0;);
    ///
    /// block_on(async {
    ///     REQUEST.set(17);
    ///     let request = |_| async { REQUEST.get() };
    ///     let pool = Pool::new(2);
    ///     assert_eq!(pool.map(request, 0..2).await.unwrap(), [0, 0]);
    ///     assert_eq!(pool.mapper().inherit_locals().map(request, 0..2).await.unwrap(), [17, 17]);
    /// });
    /// ```
    pub fn inherit_locals(mut self) -> Self {
        self.inherits = true;
        self
    }

    /// Calls `callback` with the outcome of each item, once it has finished: to show progress, for
    /// example. An item that is [tried again](Self::retry) also calls it after each failed try, with
    /// the number of tries and the [delay](ItemEvent::retry_after) for which it waits.
    ///
    /// The call is made where the item has finished, before its result can be read. Items that are
    /// refused before they start count, and so does an input that panics. A panic of `callback`
    /// changes nothing; the panic hook reports it. The item's slot is taken during the call, unless
    /// the item waits for a retry without one, so `callback` should be short.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pool::Pool; }
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    ///
    /// use spinney::{Pool, block_on};
    ///
    /// block_on(async {
    ///     let pool = Pool::new(2);
    ///     let (done, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    ///     let (one, error) = (Arc::clone(&done), Arc::clone(&failed));
    ///     let mapper = pool.mapper().on_item(move |item| {
    ///         one.fetch_add(usize::from(item.is_final()), Relaxed);
    ///         error.fetch_add(usize::from(item.outcome.is_err()), Relaxed);
    ///     });
    ///     let parsed = mapper.try_map(|text: &str| async { text.parse::<u8>() }, ["1", "x", "3"]);
    ///     parsed.collect_all().await;
    ///     assert_eq!((done.load(Relaxed), failed.load(Relaxed)), (3, 1));
    /// });
    /// ```
    pub fn on_item<C>(mut self, callback: C) -> Self
    where
        C: Fn(ItemEvent) + Send + Sync + 'static,
    {
        self.on_item = Some(Box::new(callback));
        self
    }

    /// Counts each item among the tasks with the same key, for the pool's limits per key. Up to
    /// [`maxsize`](Self::maxsize) items wait in the pool's queue; an item whose key is full does
    /// not hold up the others.
    ///
    /// A panic of `key` fails its item.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pool::Pool; }
    /// use spinney::{Pool, block_on};
    ///
    /// block_on(async {
    ///     // At most ten pages at once, and at most two of one host.
    ///     let pool = Pool::builder().per_key(2).pool(10);
    ///     let pages = [("a.org", "/"), ("a.org", "/news"), ("b.org", "/")];
    ///     let mapper = pool.mapper().key(|page: &(&'static str, &str)| page.0);
    ///     let lengths = mapper.map(|(host, path)| async move { host.len() + path.len() }, pages);
    ///     assert_eq!(lengths.await.unwrap(), [6, 10, 6]);
    /// });
    /// ```
    pub fn key<A, K: Hash>(
        self,
        key: impl Fn(&A) -> K + Send + Sync + 'static,
    ) -> Mapper<X, R, PerItem<A>>
    where
        Q: Into<PerItem<A>>,
    {
        self.asking(|asks| asks.set_key(key))
    }

    /// Sets the number of slots of each item, which count as that many running tasks. A weight
    /// above the pool's capacity fails its item; a weight of 0 counts as 1.
    pub fn weight<A>(
        self,
        weight: impl Fn(&A) -> usize + Send + Sync + 'static,
    ) -> Mapper<X, R, PerItem<A>>
    where
        Q: Into<PerItem<A>>,
    {
        self.asking(|asks| asks.weight = Some(Box::new(weight)))
    }

    /// Places each item before others with a smaller priority, subject to the pool's
    /// [order](crate::Pool::set_order). Within one map this applies to the
    /// [`maxsize`](Self::maxsize) items that wait in the queue.
    pub fn priority<A>(
        self,
        priority: impl Fn(&A) -> i32 + Send + Sync + 'static,
    ) -> Mapper<X, R, PerItem<A>>
    where
        Q: Into<PerItem<A>>,
    {
        self.asking(|asks| asks.priority = Some(Box::new(priority)))
    }

    fn asking<A>(self, set: impl FnOnce(&mut PerItem<A>)) -> Mapper<X, R, PerItem<A>>
    where
        Q: Into<PerItem<A>>,
    {
        let Self { tasks, maxsize, limit, on_item, inherits, attempts, asks } = self;
        let mut asks = asks.into();
        set(&mut asks);
        Mapper { tasks, maxsize, limit, on_item, inherits, attempts, asks }
    }
}

impl<X> Mapper<X> {
    pub(crate) fn new(tasks: TaskSet<X>) -> Self {
        let (attempts, asks) = (Once, Alike);
        Self { tasks, maxsize: None, limit: None, on_item: None, inherits: false, attempts, asks }
    }
}

impl<X, Q> Mapper<X, Once, Q> {
    /// Retries an item whose task returned an error, panicked or exceeded its time limit; the
    /// default is one try. The items must be `Clone`: an item is cloned for each try but the last.
    ///
    /// During a delay the item frees its slot, so that other items run, and waits in the queue
    /// again; the next try counts as a start. If the reader is a member of the pool, the item need
    /// not wait: it shares the reader's slot. [`Retry::keep_slot`] keeps the slot. The item stays a
    /// member meanwhile, so `join`, `drain` and `kill` include it.
    ///
    /// A mapper with retries only has the verbs for tasks that return a `Result`: to the other
    /// verbs an `Err` is an ordinary value. So this does not compile:
    ///
    /// ```compile_fail,E0599
    /// use spinney_pool::Pool;
    /// use spinney_pool::map::Retry;
    ///
    /// let pool = Pool::new(1);
    /// let _ = pool.mapper().retry(Retry::times(5)).imap(|n: u32| async move { Err::<(), _>(n) }, 0..3);
    /// ```
    pub fn retry<E>(self, policy: Retry<E>) -> Mapper<X, Retry<E>, Q> {
        let Self { tasks, maxsize, limit, on_item, inherits, attempts: Once, asks } = self;
        Mapper { tasks, maxsize, limit, on_item, inherits, attempts: policy, asks }
    }

    /// Starts the map, and returns the results as a list, in the order of `items`; see
    /// [`TaskSet::map`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no further items, and kills the running ones.
    ///
    /// Python: `gevent.pool.Group.map`.
    #[track_caller]
    pub fn map<I, F, Fut>(self, func: F, items: I) -> Map<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
        Q: Asks<I::Item>,
    {
        Map::new(self.start(Order::Input, true, func, items, |_| false))
    }

    /// Starts the map, and returns the results as a stream, in the order of `items`; see
    /// [`TaskSet::imap`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills the running ones.
    ///
    /// Python: `gevent.pool.Group.imap`.
    #[track_caller]
    pub fn imap<I, F, Fut>(self, func: F, items: I) -> Imap<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
        Q: Asks<I::Item>,
    {
        self.start(Order::Input, false, func, items, |_| false)
    }

    /// Starts the map, and returns the results as a stream, in the order of completion; see
    /// [`TaskSet::imap_unordered`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills the running ones.
    ///
    /// Python: `gevent.pool.Group.imap_unordered`.
    #[track_caller]
    pub fn imap_unordered<I, F, Fut>(self, func: F, items: I) -> Imap<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
        Q: Asks<I::Item>,
    {
        self.start(Order::Completion, false, func, items, |_| false)
    }
}

/// The verbs of maps whose tasks return a `Result`.
impl<X, R, Q> Mapper<X, R, Q> {
    /// Starts a map of tasks that return a `Result`, and returns the results as a stream, in the
    /// order of `items`; see [`TaskSet::try_imap`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills the running ones.
    #[track_caller]
    pub fn try_imap<I, F, Fut, T, E>(self, func: F, items: I) -> TryImap<T, E, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        X: RunsMap<I, F, Fut>,
        R: Attempts<I::Item, Result<T, E>>,
        Q: Asks<I::Item>,
    {
        TryImap::new(self.start(Order::Input, false, func, items, Result::is_err))
    }

    /// Starts a map of tasks that return a `Result`, and returns the results as a stream, in the
    /// order of completion; see [`TaskSet::try_imap_unordered`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream takes no further items, and kills the running ones.
    #[track_caller]
    pub fn try_imap_unordered<I, F, Fut, T, E>(self, func: F, items: I) -> TryImap<T, E, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        X: RunsMap<I, F, Fut>,
        R: Attempts<I::Item, Result<T, E>>,
        Q: Asks<I::Item>,
    {
        TryImap::new(self.start(Order::Completion, false, func, items, Result::is_err))
    }

    /// Starts a map of tasks that return a `Result`, and returns all values, or the first error
    /// that occurs; see [`TaskSet::try_map`].
    ///
    /// # Errors
    ///
    /// When awaited, the first [`TaskError`](super::TaskError) that occurs, with the index of its
    /// item.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no further items, and kills the running ones.
    #[track_caller]
    pub fn try_map<I, F, Fut, T, E>(self, func: F, items: I) -> TryMap<T, E, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        X: RunsMap<I, F, Fut>,
        R: Attempts<I::Item, Result<T, E>>,
        Q: Asks<I::Item>,
    {
        TryMap::new(self.try_imap_unordered(func, items))
    }

    #[track_caller]
    fn start<I, F, Fut>(
        self,
        order: Order,
        whole: bool,
        func: F,
        items: I,
        is_error: fn(&Fut::Output) -> bool,
    ) -> Imap<Fut::Output, X>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
        R: Attempts<I::Item, Fut::Output>,
        Q: Asks<I::Item>,
    {
        let maxsize = self.maxsize.unwrap_or_else(|| default_maxsize(&self.tasks, whole));
        let core = &self.tasks.core;
        let on_item = self.on_item.map(|callback| OnItem::new(callback, is_error));
        let results = Results::new(order, maxsize, whole, core.hub.is_local(), on_item);
        let results = Arc::new(results);
        let locals = self.inherits.then(Inherited::capture);
        let shared = MapShared {
            func: Some(func),
            policy: ItemPolicy::of(self.limit, self.attempts.again()),
            asks: self.asks.per_item(),
            hook: core.settings.hook.clone(),
            context: SpawnContext::here(Location::caller()),
            locals,
            results: Arc::clone(&results),
            members: Arc::clone(&core.members),
            input: Mutex::new(Input::new(items.into_source())),
        };
        self.tasks.inner().count_items(results.outcomes());
        core.hub.spawn(Feeder::new(Arc::new(shared), core));
        Imap::new(results, self.tasks)
    }
}

impl<X, R, Q> fmt::Debug for Mapper<X, R, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapper")
            .field("tasks", &self.tasks)
            .field("maxsize", &self.maxsize)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
