//! [`Worker`]: runs one item after the other in one slot.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Failure, Handle};
use spinney_hub::contain;

use super::job::Job;
use super::results::{Results, Room};
use crate::Membership;
use crate::roster::Roster;

/// How many items that never wait are run before others get a turn.
const BATCH: usize = 32;

pin_project! {
    /// A member of a crew that runs a map's items, one after the other. It ends when the input
    /// does, when too many results are unread, or when somebody else waits for its slot. Dropping
    /// it fails the item that it is at.
    pub struct Worker<I: Iterator, F, Fut: Future, X> {
        job: Arc<Job<I, F, Fut::Output, X>>,
        roster: Arc<Roster>,
        // Its key among the workers.
        key: usize,
        started: bool,
        // The item whose result is owed.
        index: Option<usize>,
        // That item, until it is started.
        item: Option<I::Item>,
        #[pin]
        future: Option<Fut>,
    }

    impl<I: Iterator, F, Fut: Future, X> PinnedDrop for Worker<I, F, Fut, X> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Some(index) = this.index.take() else { return };
            let dropped = catch_unwind(AssertUnwindSafe(|| {
                this.future.set(None);
                *this.item = None;
            }));
            let failure = match dropped {
                Ok(()) => Failure::Killed(Handle::current().and_then(|me| me.exit()).unwrap_or_default()),
                Err(payload) => Failure::panicked(payload),
            };
            this.job.results.deliver(index, Err(failure));
        }
    }
}

impl<I: Iterator, F, Fut: Future, X> Worker<I, F, Fut, X> {
    pub(crate) fn new(
        job: Arc<Job<I, F, Fut::Output, X>>,
        roster: &Arc<Roster>,
        index: usize,
        item: I::Item,
    ) -> Self {
        Self {
            key: job.results.enlist(),
            job,
            roster: Arc::clone(roster),
            started: false,
            index: Some(index),
            item: Some(item),
            future: None,
        }
    }

    /// What goes with its slot.
    pub(crate) fn seat(&self, membership: Membership) -> Seat<Fut::Output, X> {
        let results = Arc::clone(&self.job.results);
        Seat { _membership: membership, _enlisted: Enlisted { results, key: self.key } }
    }
}

impl<I, F, Fut, X> Future for Worker<I, F, Fut, X>
where
    I: Iterator,
    F: Fn(I::Item) -> Fut,
    Fut: Future,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.as_mut().start() {
            return Poll::Ready(());
        }
        for _ in 0..BATCH {
            let at_item = self.index.is_some();
            let room = ready!(self.as_mut().finish_item(cx));
            match room {
                Room::Opened => {}
                // The reader may be about to make room: it gets one turn for that.
                Room::Full if at_item => break,
                Room::Full | Room::Over => return Poll::Ready(()),
            }
            let this = self.as_mut().project();
            let Some((index, item)) = this.job.pull() else { return Poll::Ready(()) };
            *this.index = Some(index);
            *this.item = Some(item);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<I, F, Fut, X> Worker<I, F, Fut, X>
where
    I: Iterator,
    F: Fn(I::Item) -> Fut,
    Fut: Future,
{
    /// Makes itself known, at its first poll; false if the map is over.
    fn start(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        let first = !std::mem::replace(this.started, true);
        !first || this.job.results.start(*this.key, Handle::current())
    }

    /// Runs the item that it is at, if it is at one, and leaves its result. Then asks whether it may
    /// take another one in the same slot.
    fn finish_item(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Room> {
        let result = match *self.as_mut().project().index {
            Some(_) => Some(ready!(self.as_mut().poll_item(cx))),
            None => None,
        };
        let this = self.project();
        let results = &this.job.results;
        let stay = !this.roster.is_wanted_back(results.is_feeder_queued());
        Poll::Ready(match (this.index.take().zip(result), stay) {
            (Some((index, result)), true) => results.deliver_and_open(index, result),
            (Some((index, result)), false) => {
                results.deliver(index, result);
                Room::Over
            }
            (None, true) => results.open(),
            (None, false) => Room::Over,
        })
    }

    /// Runs the item that it is at. A panic of its future, or of the function that makes it, is
    /// its result.
    fn poll_item(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Fut::Output, Failure>> {
        let mut this = self.project();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            if let Some(item) = this.item.take() {
                let func = this.job.func();
                this.future.set(Some(func(item)));
            }
            let future = this.future.as_mut().as_pin_mut().expect("a worker is at an item");
            let result = ready!(future.poll(cx));
            this.future.set(None);
            Poll::Ready(result)
        }));
        polled.map_or_else(
            |payload| {
                // Should its destructor panic as well, the first panic is the one to report.
                contain(|| this.future.set(None));
                Poll::Ready(Err(Failure::panicked(payload)))
            },
            |polled| polled.map(Ok),
        )
    }
}

impl<I: Iterator, F, Fut: Future, X> fmt::Debug for Worker<I, F, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("item", &self.index).finish_non_exhaustive()
    }
}

/// A worker's place in its crew and among its map's workers. Dropping it leaves both, the crew
/// first: when a map is over, none of its workers holds a slot any more.
#[derive(Debug)]
pub struct Seat<T, X> {
    _membership: Membership,
    _enlisted: Enlisted<T, X>,
}

#[derive(Debug)]
struct Enlisted<T, X> {
    results: Arc<Results<T, X>>,
    key: usize,
}

impl<T, X> Drop for Enlisted<T, X> {
    fn drop(&mut self) {
        self.results.dismiss(self.key);
    }
}
