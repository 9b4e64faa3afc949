//! [`Worker`]: runs one item after the other in one slot.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Failure, GreenletExit, Handle};
use spinney_hub::contain;

use super::job::Job;
use super::results::{Results, Room};
use super::source::Source;
use super::terms::Tries;
use crate::Membership;
use crate::roster::Roster;

/// How many items that never wait are run before others get a turn.
const BATCH: usize = 32;

pin_project! {
    /// A member of a crew that runs a map's items, one after the other. It ends when the input
    /// does, when too many results are unread, or when somebody else waits for its slot. Dropping
    /// it fails the item that it is at.
    pub struct Worker<S: Source, F, Fut: Future, X> {
        job: Arc<Job<S, F, Fut::Output, X>>,
        roster: Arc<Roster>,
        // Its key among the workers.
        key: usize,
        // Whether it has a slot of the crew's, and not one that is lent to it for one item.
        seated: bool,
        started: bool,
        // The item whose result is owed.
        index: Option<usize>,
        // That item, until it is started.
        item: Option<S::Item>,
        // Its tries, where there are terms.
        tries: Option<Box<Tries<S::Item>>>,
        #[pin]
        future: Option<Fut>,
    }

    impl<S: Source, F, Fut: Future, X> PinnedDrop for Worker<S, F, Fut, X> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Some(index) = this.index.take() else { return };
            let dropped = catch_unwind(AssertUnwindSafe(|| {
                this.future.set(None);
                *this.item = None;
                *this.tries = None;
            }));
            let failure = match dropped {
                Ok(()) => Failure::Killed(Handle::current().and_then(|me| me.exit()).unwrap_or_default()),
                Err(payload) => Failure::panicked(payload),
            };
            this.job.results.deliver(index, Err(failure));
        }
    }
}

impl<S: Source, F, Fut: Future, X> Worker<S, F, Fut, X> {
    pub(crate) fn new(
        job: Arc<Job<S, F, Fut::Output, X>>,
        roster: &Arc<Roster>,
        index: usize,
        item: S::Item,
        seated: bool,
    ) -> Self {
        Self {
            key: job.results.enlist(),
            job,
            roster: Arc::clone(roster),
            seated,
            started: false,
            index: Some(index),
            item: Some(item),
            tries: None,
            future: None,
        }
    }

    /// Ends the map with its item, which has not started.
    pub(crate) fn refuse(mut self, why: GreenletExit) {
        let (index, item) = (self.index.take(), self.item.take());
        contain(|| drop(item));
        self.job.results.exhaust();
        let index = index.expect("a new worker has an item");
        self.job.results.deliver(index, Err(Failure::Killed(why)));
    }

    /// What goes with its slot.
    pub(crate) fn seat(&self, membership: Membership) -> Seat<Fut::Output, X> {
        let results = Arc::clone(&self.job.results);
        let enlisted = Enlisted { results, key: self.key, seated: self.seated };
        Seat { _membership: membership, _enlisted: enlisted }
    }
}

impl<S, F, Fut, X> Future for Worker<S, F, Fut, X>
where
    S: Source,
    F: Fn(S::Item) -> Fut,
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
            let Some((index, item)) = this.job.pull(cx) else { return Poll::Ready(()) };
            *this.index = Some(index);
            *this.item = Some(item);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S, F, Fut, X> Worker<S, F, Fut, X>
where
    S: Source,
    F: Fn(S::Item) -> Fut,
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
        let may_stay = *this.seated && !S::WAITS;
        let stay = may_stay && !this.roster.is_wanted_back(results.is_feeder_queued());
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

    /// Runs the item that it is at, on the terms of the map.
    fn poll_item(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Fut::Output, Failure>> {
        loop {
            let result = match catch_unwind(AssertUnwindSafe(|| self.as_mut().poll_try(cx))) {
                Ok(polled) => ready!(polled),
                Err(payload) => Err(Failure::panicked(payload)),
            };
            let mut this = self.as_mut().project();
            if result.is_err() {
                // Should its destructor panic after another panic, the first is the one to report.
                contain(|| this.future.set(None));
            }
            let (Some(terms), Some(tries), Some(index)) =
                (&this.job.terms, this.tries.as_mut(), *this.index)
            else {
                return Poll::Ready(result);
            };
            if !tries.is_again(terms, index, &result) {
                let tries = this.tries.take();
                contain(|| drop(tries));
                return Poll::Ready(result);
            }
            this.job.results.retries.fetch_add(1, Relaxed);
            contain(|| drop(result));
        }
    }

    /// Makes one try, which may panic.
    fn poll_try(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Fut::Output, Failure>> {
        let mut this = self.project();
        let mut item = this.item.take();
        if let Some(terms) = &this.job.terms {
            if let Some(item) = &item {
                *this.tries = Some(Box::new(Tries::new(terms, item)));
            } else if let Some(tries) = this.tries {
                item = ready!(tries.poll_next(terms, cx));
            }
        }
        if let Some(item) = item {
            let func = this.job.func();
            this.future.set(Some(func(item)));
        }
        let future = this.future.as_mut().as_pin_mut().expect("a worker is at an item");
        match (future.poll(cx), this.tries) {
            (Poll::Ready(result), _) => {
                this.future.set(None);
                Poll::Ready(Ok(result))
            }
            (Poll::Pending, Some(tries)) => tries.poll_limit(cx).map(Err),
            (Poll::Pending, None) => Poll::Pending,
        }
    }
}

impl<S: Source, F, Fut: Future, X> fmt::Debug for Worker<S, F, Fut, X> {
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
    seated: bool,
}

impl<T, X> Drop for Enlisted<T, X> {
    fn drop(&mut self) {
        self.results.dismiss(self.key, self.seated);
    }
}
