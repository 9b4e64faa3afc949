//! [`Imap`]: the results of a running map.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use spinney_greenlet::Handle;
use spinney_greenlet::map::{ItemError, ItemStream, NextItem, Read, item_result};
use spinney_hub::{Executor, WakeDelay};
use spinney_sync::{BudgetedAwait, Wait as WaitNote};

use super::Indexed;
use super::results::{InPlaceRequest, ReadBuffer, Results};
use crate::in_place::{Frame, Holder, Turn};
use crate::{Reentry, TaskSet};

/// The results of a running map, one by one: a stream.
///
/// After a failed item the stream goes on; at the end it returns `None` at every poll. It keeps its
/// pool alive. Dropping it takes no further items, and kills the running ones;
/// [`detach`](Self::detach) lets them run.
///
/// A member that reads a map of its own pool runs the items within its own reads, one at a time,
/// while the map has no slot; see [`Reentry`](crate::Reentry). A read that began an item returns
/// when that item has finished.
///
/// An item may also run as a task of the hub in the slot of its reader: below 128 tasks in place on
/// one stack, or if another task has taken the item's slot in the delay before its next try. When
/// such a read is dropped, the item goes on beside the reader until it has finished or waits for a
/// further try; no other item of the map starts in that slot meanwhile.
///
/// Python: `gevent.pool.IMap`, `gevent.pool.IMapUnordered`.
#[doc(alias("buffered", "buffer_unordered", "async_stream"))]
#[must_use = "dropping a stream kills its map: read it, or call `detach()`"]
pub struct Imap<T, X: Executor = spinney_hub::Hub> {
    results: Arc<Results<T, X>>,
    read_buffer: ReadBuffer<T>,
    /// `None` once it is detached.
    tasks: Option<TaskSet<X>>,
    /// The turn among the waits of the reading greenlet, if that is a member.
    turn: Option<Turn>,
    delay: WakeDelay,
    budgeted: BudgetedAwait,
    /// The line that started the map.
    at: &'static Location<'static>,
}

impl<T, X: Executor> Imap<T, X> {
    #[track_caller]
    pub(crate) fn new(results: Arc<Results<T, X>>, tasks: TaskSet<X>) -> Self {
        let at = Location::caller();
        let (read_buffer, delay) = (ReadBuffer::default(), WakeDelay::default());
        let (tasks, budgeted) = (Some(tasks), BudgetedAwait::default());
        Self { results, read_buffer, tasks, turn: None, delay, budgeted, at }
    }

    /// The same results, each with the index of its item in the input.
    ///
    /// ```
    /// # mod spinney { pub use spinney_hub::block_on; pub use spinney_pool::Pool; }
    /// use spinney::{Pool, block_on};
    ///
    /// block_on(async {
    ///     let pool = Pool::new(2);
    ///     let mut lengths = pool.imap_unordered(|word: &str| async { word.len() }, ["a", "bc"]).indexed();
    ///     while let Some((index, length)) = lengths.next().await {
    ///         assert_eq!(length.unwrap(), index + 1);
    ///     }
    /// });
    /// ```
    pub fn indexed(self) -> Indexed<T, X> {
        Indexed::new(self)
    }

    /// How many times items were tried again so far; see [`Retry`](super::Retry).
    pub fn retries(&self) -> usize {
        ItemStream::retries(self)
    }

    /// Detaches the map: it runs to the end of its input without a reader, and drops its results.
    /// It keeps its pool alive until then.
    pub fn detach(self) {
        ItemStream::detach(self);
    }

    /// Waits for the next result; `None` at the end. The same as `StreamExt::next`, without the
    /// trait.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: an item that the reader was running within this
    /// wait stays in the map, and goes on in the next slot or the next read.
    #[expect(clippy::should_implement_trait, reason = "streams use this name")]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<T, ItemError>>> {
        let read = Read::of(self);
        async { read.await.map(item_result) }
    }

    /// Takes no further items, and kills the running ones, once.
    fn stop(&mut self) {
        if !self.results.is_abandoned() {
            self.results.abandon(std::mem::take(&mut self.read_buffer));
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<NextItem<T>> {
        loop {
            if let Some(next) = self.results.read(&mut self.read_buffer) {
                return Poll::Ready(Some(next));
            }
            if !ready!(self.poll_take(cx)) {
                return Poll::Ready(None);
            }
        }
    }

    /// Takes the readable results; `false` at the end of the map. In a function of its own, so that
    /// the common path, which reads one by one, stays short.
    #[inline(never)]
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        ready!(self.poll_in_place(cx));
        let mut taken = self.results.poll_take(cx, &mut self.read_buffer, self.delay.is_on());
        if self.delay.is_on() && taken.is_pending() && !self.delay.poll(cx) {
            taken = self.results.poll_take(cx, &mut self.read_buffer, false);
        }
        if taken.is_ready() {
            self.turn = None;
            self.delay.start();
        } else {
            WaitNote::note("a map started", self.at);
            self.request_in_place(cx);
        }
        taken
    }

    /// Requests an item to run in place, if the reader may run one.
    fn request_in_place(&mut self, cx: &Context<'_>) {
        if let Some((holder, _)) = self.place(cx) {
            self.results.request_in_place(InPlaceRequest::new(holder));
        }
    }

    /// The member within whose poll this is polled, and the current greenlet, if that may run an
    /// item in place and has the turn.
    fn place(&mut self, cx: &Context<'_>) -> Option<(Holder, Handle)> {
        let place = self.tasks.as_ref().and_then(|tasks| {
            let may_run = tasks.core.settings.reentry != Reentry::Wait && tasks.is_on_hub();
            let holder = if may_run { Holder::around(tasks.inner()) } else { None };
            Some((holder?, Handle::current()?, tasks.slots()))
        });
        let Some((holder, current, slots)) = place else {
            // If the stream changed hands, other waits of the member may have the turn.
            self.turn = None;
            return None;
        };
        let is_first = Turn::of(&mut self.turn, slots, &current).poll(cx.waker());
        is_first.then_some((holder, current))
    }

    /// Polls the item that has begun in place. Ready when it has finished, if no item has begun, or
    /// if the reader may not run it.
    fn poll_in_place(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.results.has_begun() {
            return Poll::Ready(());
        }
        let Some((holder, around)) = self.place(cx) else { return Poll::Ready(()) };
        let Some(mut begun) = ready!(self.results.poll_begun(cx)) else { return Poll::Ready(()) };
        let below = std::mem::take(&mut begun.below);
        let ticket = self.results.queued_ticket();
        let frame = Frame { child: begun.child.id(), around, holder, ticket, below };
        let (polled, below) = frame.run(|| Pin::new(&mut begun.task).poll(cx));
        begun.below = below;
        if polled.is_pending() {
            self.results.park_again(cx, begun);
        }
        polled
    }
}

impl<T, X: Executor> ItemStream for Imap<T, X> {
    type Output = T;

    fn poll_indexed(&mut self, cx: &mut Context<'_>) -> Poll<NextItem<T>> {
        let mut budgeted = std::mem::take(&mut self.budgeted);
        let polled = budgeted.poll_whole(cx, |cx| self.poll_read(cx));
        self.budgeted = budgeted;
        polled
    }

    /// Kills what is running, and waits until everything that the map started has finished. An item
    /// that has begun in place goes on there, or in a slot.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stop();
        ready!(self.poll_in_place(cx));
        // A map without a reader has no further results: the only news is its end.
        let over = self.results.poll_take(cx, &mut self.read_buffer, false);
        if over.is_pending() {
            WaitNote::note("the items that a map killed", self.at);
        }
        over.map(|_| ())
    }

    /// Another wait of the greenlet may have the turn.
    fn rest(&mut self) {
        self.turn = None;
        self.results.withdraw();
    }

    fn retries(&self) -> usize {
        self.results.retries.load(Relaxed)
    }

    fn detach(mut self) {
        let tasks = self.tasks.take();
        self.results.detach(tasks, std::mem::take(&mut self.read_buffer));
    }

    /// The rest of the map runs on as long as the pool has other handles.
    fn leave(mut self) {
        self.tasks = None;
        self.results.detach(None, std::mem::take(&mut self.read_buffer));
    }
}

impl<T, X: Executor> Stream for Imap<T, X> {
    type Item = Result<T, ItemError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(ready!(self.poll_indexed(cx)).map(item_result))
    }
}

/// No field is structurally pinned.
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
