//! [`Imap`] and [`Map`]: what a map gives.

use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use spinney_greenlet::{Failure, Handle};
use spinney_hub::{Executor, WakeDelay};
use spinney_sync::{GiveWay, Wait as WaitNote};

use super::ItemError;
use super::results::{Hand, Results, Wish};
use crate::in_place::{Frame, Holder, Turn};
use crate::{Reentry, TaskSet};

/// The results of a running map, one by one: a stream. `gevent.pool.IMap`,
/// `gevent.pool.IMapUnordered`.
///
/// A failed item comes out as its failure, and the stream goes on; after the end it says "end"
/// again. It keeps its pool alive. Dropping it takes no further items, and kills those that are
/// running; [`detach`](Self::detach) lets them run.
///
/// A member that reads a map of its own pool runs the items within its own reads, one at a time,
/// while no slot comes for the map; see [`Reentry`](crate::Reentry). A read that began an item
/// returns when that has finished.
#[must_use = "dropping a stream kills its map: read it, or say `detach()`"]
pub struct Imap<T, X: Executor = spinney_hub::Hub> {
    results: Arc<Results<T, X>>,
    hand: Hand<T>,
    /// None once it is detached.
    tasks: Option<TaskSet<X>>,
    /// Among the waits of the greenlet that reads, if that is a member.
    turn: Option<Turn>,
    delay: WakeDelay,
    give_way: GiveWay,
    /// The line that started it.
    at: &'static Location<'static>,
}

impl<T, X: Executor> Imap<T, X> {
    #[track_caller]
    pub(crate) fn new(results: Arc<Results<T, X>>, tasks: TaskSet<X>) -> Self {
        let at = Location::caller();
        let (hand, delay) = (Hand::default(), WakeDelay::default());
        let (tasks, give_way) = (Some(tasks), GiveWay::default());
        Self { results, hand, tasks, turn: None, delay, give_way, at }
    }

    /// The same results, each with the place of its item in the input.
    ///
    /// ```
    /// use spinney_pool::Pool;
    ///
    /// spinney_hub::block_on(async {
    ///     let pool = Pool::new(2);
    ///     let mut lengths = pool.imap_unordered(|word: &str| async { word.len() }, ["a", "bc"]).indexed();
    ///     while let Some((index, length)) = lengths.next().await {
    ///         assert_eq!(length.unwrap(), index + 1);
    ///     }
    /// });
    /// ```
    pub fn indexed(self) -> Indexed<T, X> {
        Indexed { imap: self }
    }

    /// How often an item was tried again so far; see [`Retry`](super::Retry).
    pub fn retries(&self) -> usize {
        self.results.retries.load(Relaxed)
    }

    /// Lets the map run on, to the end of its input, without a reader: its results are dropped as
    /// they come. It keeps its pool alive until then.
    pub fn detach(mut self) {
        let tasks = self.tasks.take();
        self.results.detach(tasks, std::mem::take(&mut self.hand));
    }

    /// Lets the map run on for as long as its pool has other handles.
    pub(crate) fn let_go(mut self) {
        self.tasks = None;
        self.results.detach(None, std::mem::take(&mut self.hand));
    }

    /// Waits for the next result; None when there will be no more. What `StreamExt::next` does,
    /// without the trait.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped: an item that the reader was running within this wait stays
    /// in the map, and goes on in the next slot or the next read.
    #[expect(clippy::should_implement_trait, reason = "it is the name that streams have for it")]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<T, ItemError>>> {
        let mut read = self.next_indexed();
        poll_fn(move |cx| Pin::new(&mut read).poll(cx).map(|next| next.map(item_result)))
    }

    /// Waits for the next result, with the place of its item.
    pub(super) fn next_indexed(
        &mut self,
    ) -> impl Future<Output = Option<(usize, Result<T, Failure>)>> {
        let read = Read(self);
        poll_fn(move |cx| read.0.poll_indexed(cx))
    }

    /// Kills what is running, and waits until all that the map started has ended. An item that has
    /// begun in place goes on there, or in a slot.
    pub(super) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stop();
        ready!(self.poll_in_place(cx));
        // A map without a reader has no further results: what can be had is its end.
        let over = self.results.poll_take(cx, &mut self.hand, false);
        if over.is_pending() {
            WaitNote::note("the items that a map killed", self.at);
        }
        over.map(|_| ())
    }

    /// Takes no further items, and kills those that are running, once.
    fn stop(&mut self) {
        if !self.results.is_abandoned() {
            self.results.abandon(std::mem::take(&mut self.hand));
        }
    }

    pub(crate) fn poll_indexed(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(usize, Result<T, Failure>)>> {
        let mut give_way = std::mem::take(&mut self.give_way);
        let polled = give_way.poll_whole(cx, |cx| self.poll_read(cx));
        self.give_way = give_way;
        polled
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Result<T, Failure>)>> {
        loop {
            if let Some(next) = self.results.read(&mut self.hand) {
                return Poll::Ready(Some(next));
            }
            if !ready!(self.poll_take(cx)) {
                return Poll::Ready(None);
            }
        }
    }

    /// Takes what can be read; false when there will be no more. Apart from what reads it one by
    /// one, which is short without.
    #[inline(never)]
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        ready!(self.poll_in_place(cx));
        let mut taken = self.results.poll_take(cx, &mut self.hand, self.delay.is_on());
        if self.delay.is_on() && taken.is_pending() && !self.delay.poll(cx) {
            taken = self.results.poll_take(cx, &mut self.hand, false);
        }
        if taken.is_ready() {
            self.turn = None;
            self.delay.start();
        } else {
            WaitNote::note("a map started", self.at);
            self.wish(cx);
        }
        taken
    }

    /// Wishes for an item to run in place, if the reader may.
    fn wish(&mut self, cx: &Context<'_>) {
        if let Some((holder, _)) = self.place(cx) {
            self.results.wish(Wish::new(holder));
        }
    }

    /// The member within whose poll this is polled, and the current greenlet, if that may run an
    /// item in place and it is its turn.
    fn place(&mut self, cx: &Context<'_>) -> Option<(Holder, Handle)> {
        let place = self.tasks.as_ref().and_then(|tasks| {
            let may_run = tasks.core.settings.reentry != Reentry::Wait && tasks.is_on_hub();
            let holder = if may_run { Holder::around(tasks.inner()) } else { None };
            Some((holder?, Handle::current()?, tasks.slots()))
        });
        let Some((holder, current, slots)) = place else {
            // If the stream changed hands, the other waits of the member do without it.
            self.turn = None;
            return None;
        };
        let is_first = Turn::of(&mut self.turn, slots, &current).poll(cx.waker());
        is_first.then_some((holder, current))
    }

    /// Polls the item that has begun in place. Ready when that has finished, if no item has begun, or
    /// if the reader may not run it.
    fn poll_in_place(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.results.has_begun() {
            return Poll::Ready(());
        }
        let Some((holder, around)) = self.place(cx) else { return Poll::Ready(()) };
        let Some(mut begun) = ready!(self.results.poll_begun(cx)) else { return Poll::Ready(()) };
        let below = std::mem::take(&mut begun.below);
        let frame = Frame { child: begun.child.id(), around, holder, below };
        let (polled, below) = frame.run(|| Pin::new(&mut begun.task).poll(cx));
        begun.below = below;
        if polled.is_pending() {
            self.results.park_again(cx, begun);
        }
        polled
    }

    /// The read was dropped: another wait of the greenlet may have the turn.
    fn rest(&mut self) {
        self.turn = None;
        self.results.withdraw();
    }
}

impl<T, X: Executor> Stream for Imap<T, X> {
    type Item = Result<T, ItemError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(ready!(self.poll_indexed(cx)).map(item_result))
    }
}

fn item_result<T>((index, result): (usize, Result<T, Failure>)) -> Result<T, ItemError> {
    result.map_err(|failure| ItemError::new(index, failure))
}

/// A read in progress. Dropping it gives the turn up.
struct Read<'a, T, X: Executor>(&'a mut Imap<T, X>);

impl<T, X: Executor> Drop for Read<'_, T, X> {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// Nothing of it is pinned in place.
impl<T, X: Executor> Unpin for Imap<T, X> {}

impl<T, X: Executor> Drop for Imap<T, X> {
    fn drop(&mut self) {
        if self.tasks.is_some() {
            self.stop();
            self.results.drop_parked();
        }
    }
}

impl<T, X: Executor> fmt::Debug for Imap<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.results.describe(f, "Imap")
    }
}

/// The results of a running map, each with the place of its item in the input; see
/// [`Imap::indexed`]. Dropping it is as dropping the [`Imap`].
#[must_use = "dropping a stream kills its map: read it"]
pub struct Indexed<T, X: Executor = spinney_hub::Hub> {
    imap: Imap<T, X>,
}

impl<T, X: Executor> Indexed<T, X> {
    /// Waits for the next result, with the place of its item; None when there will be no more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[expect(clippy::should_implement_trait, reason = "it is the name that streams have for it")]
    pub fn next(&mut self) -> impl Future<Output = Option<(usize, Result<T, Failure>)>> {
        self.imap.next_indexed()
    }
}

impl<T, X: Executor> Stream for Indexed<T, X> {
    type Item = (usize, Result<T, Failure>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.imap.poll_indexed(cx)
    }
}

impl<T, X: Executor> fmt::Debug for Indexed<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indexed").field("imap", &self.imap).finish()
    }
}

/// The results of a running map, all together: a future. Dropping it unfinished takes no further
/// items, and kills those that are running.
///
/// Of several failures it ends with the one of the first item in order, when all before that have
/// ended. The rest then runs on for as long as the pool lives.
#[must_use = "dropping a map kills it: await it"]
pub struct Map<T, X: Executor = spinney_hub::Hub> {
    /// None once it has ended.
    stream: Option<Imap<T, X>>,
    list: Vec<T>,
}

impl<T, X: Executor> Map<T, X> {
    pub(crate) fn new(stream: Imap<T, X>) -> Self {
        Self { stream: Some(stream), list: Vec::new() }
    }
}

/// # Panics
///
/// If it is polled again after it was done.
impl<T, X: Executor> Future for Map<T, X> {
    type Output = Result<Vec<T>, ItemError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let stream = this.stream.as_mut().expect("a map is polled until it is done");
            let result = ready!(Pin::new(stream).poll_next(cx));
            match result {
                Some(Ok(value)) => this.list.push(value),
                Some(Err(failure)) => {
                    this.stream.take().into_iter().for_each(Imap::let_go);
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
impl<T, X: Executor> Unpin for Map<T, X> {}

impl<T, X: Executor> fmt::Debug for Map<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("read", &self.list.len()).field("rest", &self.stream).finish()
    }
}
