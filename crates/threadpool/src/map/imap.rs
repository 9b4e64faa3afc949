//! [`ThreadImap`] and [`ThreadMap`]: what a map gives.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use spinney_greenlet::Failure;
use spinney_sync::{GiveWay, Wait};

use super::job::Source;
use super::results::Done;
use crate::ThreadPool;

/// The results of a running map, one by one: a stream. `gevent.pool.IMap`,
/// `gevent.pool.IMapUnordered`.
///
/// A failed item comes out as its failure, and the stream goes on; after the end it says "end"
/// again. It keeps its pool alive. Dropping it takes no further items, and drops the results of
/// those that are running; [`detach`](Self::detach) lets the map run on.
///
/// A closure of the pool that reads it runs items itself rather than wait for a thread.
///
/// ```
/// use futures_lite::StreamExt;
/// use spinney_threadpool::ThreadPool;
///
/// spinney_hub::block_on(async {
///     let pool = ThreadPool::new(2).unwrap();
///     let mut halves = pool.imap(|n: u32| 100 / n, [4, 0, 5]);
///     assert_eq!(halves.next().await.unwrap().unwrap(), 25);
///     assert!(halves.next().await.unwrap().unwrap_err().is_panic());
///     assert_eq!(halves.next().await.unwrap().unwrap(), 20);
///     assert!(halves.next().await.is_none());
/// });
/// ```
#[must_use = "dropping a stream ends its map: read it, or say `detach()`"]
pub struct ThreadImap<T> {
    source: Arc<dyn Source<T>>,
    /// What is read next, once all is done. Never locked: so that it can be shared if `T` cannot.
    rest: Mutex<Done<T>>,
    /// None once it is detached.
    pool: Option<ThreadPool>,
    give_way: GiveWay,
    /// The line that started it.
    at: &'static Location<'static>,
}

impl<T> ThreadImap<T> {
    #[track_caller]
    pub(crate) fn start(source: Arc<dyn Source<T>>, pool: ThreadPool) -> Self {
        let threads = source.results().take_on();
        let (rest, give_way) = (Mutex::default(), GiveWay::default());
        let imap = Self { source, rest, pool: Some(pool), give_way, at: Location::caller() };
        put(&imap.source, imap.pool.as_ref(), threads);
        imap
    }

    /// Lets the map run on, to the end of its input, without a reader: its results are dropped as
    /// they come. It keeps its pool alive until then.
    pub fn detach(self) {
        let pool = self.pool.clone();
        self.let_go(pool);
    }

    fn poll_result(&mut self, cx: &Context<'_>) -> Poll<Option<Result<T, Failure>>> {
        let rest = self.rest.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (polled, threads) = self.source.results().poll_next(cx, rest);
            put(&self.source, self.pool.as_ref(), threads);
            let is_own = || self.pool.as_ref().is_some_and(|pool| pool.owner.workers.is_inside());
            let assists = polled.is_pending() && is_own() && self.source.assist();
            if !assists {
                return polled;
            }
        }
    }

    /// Lets the map run on, for as long as `pool` and other handles let it.
    fn let_go(mut self, pool: Option<ThreadPool>) {
        let threads = self.source.results().detach(pool);
        put(&self.source, self.pool.as_ref(), threads);
        self.pool = None;
    }
}

/// Puts a map in the queue of its pool, once for each of `threads`.
fn put<T>(source: &Arc<dyn Source<T>>, pool: Option<&ThreadPool>, threads: usize) {
    let Some(pool) = pool else { return };
    for _ in 0..threads {
        pool.owner.workers.push(Arc::clone(source).as_work());
    }
}

impl<T> Stream for ThreadImap<T> {
    type Item = Result<T, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut give_way = std::mem::take(&mut self.give_way);
        let polled = give_way.poll(cx, |cx| self.poll_result(cx));
        self.give_way = give_way;
        if polled.is_pending() {
            Wait::note("a map started", self.at);
        }
        polled
    }
}

/// Nothing of it is pinned in place.
impl<T> Unpin for ThreadImap<T> {}

impl<T> Drop for ThreadImap<T> {
    fn drop(&mut self) {
        if self.pool.is_some() {
            self.source.results().abandon();
        }
    }
}

impl<T> fmt::Debug for ThreadImap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.results().describe(f, "ThreadImap")
    }
}

/// The results of a running map, all together: a future. Dropping it unfinished takes no further
/// items.
///
/// Of several failures it ends with the one of the first item in order, when all before that have
/// ended. The rest then runs on for as long as the pool lives.
///
/// ```
/// use spinney_threadpool::ThreadPool;
///
/// spinney_hub::block_on(async {
///     let pool = ThreadPool::new(2).unwrap();
///     assert_eq!(pool.map(|n: u32| n + 1, 0..3).await.unwrap(), [1, 2, 3]);
/// });
/// ```
#[must_use = "dropping a map ends it: await it"]
pub struct ThreadMap<T> {
    /// None once it has ended.
    stream: Option<ThreadImap<T>>,
    list: Vec<T>,
}

impl<T> ThreadMap<T> {
    pub(crate) fn new(stream: ThreadImap<T>) -> Self {
        Self { stream: Some(stream), list: Vec::new() }
    }
}

/// # Panics
///
/// If it is polled again after it was done.
impl<T> Future for ThreadMap<T> {
    type Output = Result<Vec<T>, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let stream = this.stream.as_mut().expect("a map is polled until it is done");
            match ready!(Pin::new(stream).poll_next(cx)) {
                Some(Ok(value)) => this.list.push(value),
                Some(Err(failure)) => {
                    this.stream.take().into_iter().for_each(|stream| stream.let_go(None));
                    return Poll::Ready(Err(failure));
                }
                None => {
                    this.stream = None;
                    return Poll::Ready(Ok(std::mem::take(&mut this.list)));
                }
            }
        }
    }
}

/// Nothing of it is pinned in place.
impl<T> Unpin for ThreadMap<T> {}

impl<T> fmt::Debug for ThreadMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ThreadMap");
        text.field("read", &self.list.len()).field("rest", &self.stream).finish()
    }
}
