//! [`ThreadImap`]: the results of a running map, one by one.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_core::Stream;
use spinney_greenlet::map::{
    Indexed, ItemError, ItemStream, Map, NextItem, Read, TryImap, TryMap, item_result,
};
use spinney_hub::{Sleep, sleep_until};
use spinney_sync::{BudgetedAwait, Wait};

use super::results::Taken;
use super::turn::Source;
use crate::ThreadPool;

/// The results of a running map, one by one: a stream.
///
/// After a failed item the stream goes on; at the end it returns `None` at every poll. It keeps its
/// pool alive. Dropping it takes no further items, removes the map from the pool's queue, and drops
/// the results of running items; [`detach`](Self::detach) lets the map run on.
///
/// A closure of the pool that reads it runs items itself rather than waiting for a thread.
///
/// Python: `gevent.pool.IMap`, `gevent.pool.IMapUnordered`.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool; }
/// use spinney::{ThreadPool, block_on};
///
/// block_on(async {
///     let pool = ThreadPool::new(2);
///     let mut halves = pool.imap(|n: u32| 100 / n, [4, 0, 5]);
///     assert_eq!(halves.next().await.unwrap().unwrap(), 25);
///     assert_eq!(halves.next().await.unwrap().unwrap_err().index(), 1);
///     assert_eq!(halves.next().await.unwrap().unwrap(), 20);
///     assert!(halves.next().await.is_none());
/// });
/// ```
#[must_use = "dropping a stream ends its map: read it, or call `detach()`"]
pub struct ThreadImap<T> {
    source: Arc<dyn Source<T>>,
    /// The results to read next. The mutex is never locked: it makes the stream `Sync` even if `T`
    /// is not.
    taken: Mutex<Taken<T>>,
    /// `None` once it is detached.
    pool: Option<ThreadPool>,
    /// Whether the map was stopped.
    stopped: bool,
    /// Wakes the reader at the deadline of the next item.
    alarm: Option<(Instant, Pin<Box<Sleep>>)>,
    budgeted: BudgetedAwait,
    /// The line that started the map.
    at: &'static Location<'static>,
}

/// The results of a running map over threads, all together: a future of a list. Dropping it
/// unfinished takes no further items.
///
/// After a failure no further item starts. The map fails with the first failed item in input order,
/// once all items before it have finished; it does not wait for running items behind it.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool; }
/// use spinney::{ThreadPool, block_on};
///
/// block_on(async {
///     let pool = ThreadPool::new(2);
///     assert_eq!(pool.map(|n: u32| n + 1, 0..3).await.unwrap(), [1, 2, 3]);
/// });
/// ```
pub type ThreadMap<T> = Map<T, ThreadImap<T>>;

/// The results of a running map over threads whose function returns a `Result`, one by one: a
/// stream like [`ThreadImap`], with one `Result` for the function's own error and for the failure
/// of the item.
pub type ThreadTryImap<T, E> = TryImap<ThreadImap<Result<T, E>>>;

/// A running map over threads whose function returns a `Result`: a future of all values in order,
/// or of the first error. After an error no further item starts, and it returns when the running
/// ones have finished, or have [timed out](crate::ThreadMapper::timeout).
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool; }
/// use spinney::{ThreadPool, block_on};
///
/// block_on(async {
///     let pool = ThreadPool::new(2);
///     let parsed = || pool.try_map(|text: &str| text.parse::<u8>(), ["1", "x"]);
///     assert_eq!(parsed().await.unwrap_err().index(), 1);
///     assert_eq!(parsed().collect_all().await.len(), 2);
///     assert_eq!(parsed().first_success().await.unwrap(), 1);
/// });
/// ```
pub type ThreadTryMap<T, E> = TryMap<T, E, ThreadImap<Result<T, E>>>;

impl<T> ThreadImap<T> {
    /// The results of a map that was started on the line `at`.
    pub(super) fn new(
        source: Arc<dyn Source<T>>,
        pool: ThreadPool,
        at: &'static Location<'static>,
    ) -> Self {
        let (taken, budgeted) = (Mutex::new(Taken::new()), BudgetedAwait::default());
        Self { source, taken, pool: Some(pool), stopped: false, alarm: None, budgeted, at }
    }

    /// Waits for the next result; `None` at the end. The same as `StreamExt::next`, without the
    /// trait.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    #[expect(clippy::should_implement_trait, reason = "streams use this name")]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<T, ItemError>>> {
        let read = Read::of(self);
        async { read.await.map(item_result) }
    }

    /// The same results, each with the index of its item in the input.
    pub fn indexed(self) -> Indexed<Self> {
        Indexed::new(self)
    }

    /// How many times items were tried again so far; see
    /// [`ThreadMapper::retry`](crate::ThreadMapper::retry).
    pub fn retries(&self) -> usize {
        ItemStream::retries(self)
    }

    /// Detaches the map: it runs to the end of its input without a reader, and drops its results.
    /// It keeps its pool alive until then.
    pub fn detach(self) {
        ItemStream::detach(self);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<NextItem<T>> {
        loop {
            let taken = self.taken.get_mut().unwrap_or_else(PoisonError::into_inner);
            let (polled, threads) = self.source.results().poll_next(cx, taken);
            if threads > 0 {
                Arc::clone(&self.source).put(threads);
            }
            if polled.is_ready() {
                return polled;
            }
            let is_own = || self.pool.as_ref().is_some_and(ThreadPool::is_inside);
            let goes_on = (!self.stopped && is_own() && self.source.assist()) || self.times_out(cx);
            if !goes_on {
                return Poll::Pending;
            }
        }
    }

    /// Fails the items that have timed out, and sets the alarm for the next. Returns whether there
    /// may be something to read.
    fn times_out(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.source.results().time_out() else {
            self.alarm = None;
            return false;
        };
        if self.alarm.as_ref().is_none_or(|(set, _)| *set != deadline) {
            self.alarm = Some((deadline, Box::pin(sleep_until(deadline))));
        }
        self.alarm.as_mut().is_some_and(|(_, alarm)| alarm.as_mut().poll(cx).is_ready())
    }
}

impl<T> ItemStream for ThreadImap<T> {
    type Output = T;

    fn poll_indexed(&mut self, cx: &mut Context<'_>) -> Poll<NextItem<T>> {
        let mut budgeted = std::mem::take(&mut self.budgeted);
        let polled = budgeted.poll(cx, |cx| self.poll_read(cx));
        self.budgeted = budgeted;
        if polled.is_pending() {
            Wait::note("a map started", self.at);
        }
        polled
    }

    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.stopped, true) {
            self.source.results().abandon();
        }
        let over = self.poll_read(cx);
        if over.is_pending() {
            Wait::note("the items that run in a map started", self.at);
        }
        over.map(|_| ())
    }

    fn rest(&mut self) {}

    fn retries(&self) -> usize {
        self.source.results().retries.load(Relaxed)
    }

    fn detach(mut self) {
        let threads = self.source.results().detach(self.pool.take());
        Arc::clone(&self.source).put(threads);
    }

    /// After this no further item starts.
    fn leave(self) {}
}

impl<T> Stream for ThreadImap<T> {
    type Item = Result<T, ItemError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(ready!(self.poll_indexed(cx)).map(item_result))
    }
}

/// No field is structurally pinned.
impl<T> Unpin for ThreadImap<T> {}

impl<T> Drop for ThreadImap<T> {
    fn drop(&mut self) {
        if self.pool.is_some() && !self.stopped {
            self.source.results().abandon();
        }
    }
}

impl<T> fmt::Debug for ThreadImap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.results().describe(f, "ThreadImap")
    }
}
