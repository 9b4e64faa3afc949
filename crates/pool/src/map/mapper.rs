//! [`Mapper`]: the settings of one map.

use std::sync::Arc;

use super::Feed;
use super::feeder::Feeder;
use super::imap::{Imap, Map};
use super::job::Job;
use super::results::{Order, Results};
use crate::Crew;

/// How far the maps of a group without a limit run ahead of who reads them.
const UNLIMITED_MAXSIZE: usize = 1000;

/// The settings of one map; its verbs start it. Dropping it starts nothing.
///
/// ```
/// use futures_lite::StreamExt;
/// use spinney_pool::Pool;
///
/// spinney_hub::block_on(async {
///     let pool = Pool::new(10);
///     let doubled = pool.mapper().maxsize(3).imap(|n| async move { 2 * n }, 0..);
///     let first: Vec<u32> = doubled.take(4).map(Result::unwrap).collect().await;
///     assert_eq!(first, [0, 2, 4, 6]);
/// });
/// ```
#[derive(Debug)]
#[must_use = "a mapper does nothing until one of its verbs is called"]
pub struct Mapper<X = spinney_hub::Hub> {
    crew: Crew<X>,
    maxsize: usize,
}

impl<X> Mapper<X> {
    pub(crate) fn new(crew: Crew<X>) -> Self {
        let maxsize = crew.limit().map_or(UNLIMITED_MAXSIZE, |limit| limit.saturating_mul(2));
        Self { crew, maxsize }
    }

    /// How many items may be running, or done and not read yet; one more while the reader waits.
    /// Default: twice the capacity; 1000 where that has no limit. `maxsize`.
    ///
    /// Zero starts an item only while the reader waits for one.
    pub fn maxsize(mut self, maxsize: usize) -> Self {
        self.maxsize = maxsize;
        self
    }

    /// Lets any number of results pile up unread: gevent's default.
    pub fn unbounded(self) -> Self {
        self.maxsize(usize::MAX)
    }

    /// Starts the map, and gives the results as a list; see [`Crew::map`].
    pub fn map<I, F, Fut>(self, func: F, items: I) -> Map<Fut::Output, X>
    where
        I: IntoIterator,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: Feed<I::IntoIter, F, Fut>,
    {
        Map::new(self.imap(func, items))
    }

    /// Starts the map, and gives the results in the order of `items`; see [`Crew::imap`].
    pub fn imap<I, F, Fut>(self, func: F, items: I) -> Imap<Fut::Output, X>
    where
        I: IntoIterator,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: Feed<I::IntoIter, F, Fut>,
    {
        self.start(Order::Input, func, items.into_iter())
    }

    /// Starts the map, and gives the results as they come; see [`Crew::imap_unordered`].
    pub fn imap_unordered<I, F, Fut>(self, func: F, items: I) -> Imap<Fut::Output, X>
    where
        I: IntoIterator,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: Feed<I::IntoIter, F, Fut>,
    {
        self.start(Order::Completion, func, items.into_iter())
    }

    fn start<I, F, Fut>(self, order: Order, func: F, items: I) -> Imap<Fut::Output, X>
    where
        I: Iterator,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: Feed<I, F, Fut>,
    {
        let results = Arc::new(Results::new(order, self.maxsize));
        let job = Arc::new(Job::new(func, items, Arc::clone(&results)));
        self.crew.core.hub.spawn(Feeder::new(job, &self.crew.core));
        Imap::new(results, self.crew)
    }
}
