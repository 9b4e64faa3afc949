//! [`Worker`]: runs one item after the other in one slot.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Failure, GreenletExit, Handle};

use super::job::Job;
use super::results::{Results, Room};
use super::run::Run;
use super::shift::Shift;
use super::source::Source;
use crate::Membership;
use crate::hook::Hooking;
use crate::members::Members;
use crate::task_set::Core;

pin_project! {
    /// A member of a group that runs a map's items, one after the other. It ends when the input
    /// does, when too many results are unread, or when somebody else waits for its slot. Dropping
    /// it fails the item that it is at.
    pub struct Worker<S: Source, F, Fut: Future, X> {
        job: Arc<Job<S, F, Fut::Output, X>>,
        members: Arc<Members>,
        // Its key among the workers.
        key: usize,
        // Whether it has a slot of its own, and not one that it shares with the reader for one item.
        seated: bool,
        started: bool,
        hooking: Option<Box<Hooking>>,
        #[pin]
        run: Run<S::Item, Fut>,
    }

    impl<S: Source, F, Fut: Future, X> PinnedDrop for Worker<S, F, Fut, X> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(failed) = this.run.give_up() {
                this.job.results.deliver(failed);
            }
        }
    }
}

impl<S: Source, F, Fut: Future, X> Worker<S, F, Fut, X> {
    pub(crate) fn new(
        job: Arc<Job<S, F, Fut::Output, X>>,
        core: &Core<X>,
        index: usize,
        item: S::Item,
        seated: bool,
    ) -> Self {
        Self {
            key: job.results.enlist(),
            job,
            members: Arc::clone(&core.members),
            seated,
            started: false,
            hooking: Hooking::of(&core.settings.hook),
            run: Run::new(index, item),
        }
    }

    /// Ends the map with its item, which has not started.
    pub(crate) fn refuse(mut self, why: GreenletExit) {
        let refused = self.run.refuse(why);
        self.job.results.exhaust();
        self.job.results.deliver_refused(refused);
    }

    /// Makes the guard of its task of its membership.
    pub(crate) fn seat(
        &self,
    ) -> impl FnOnce(Membership) -> Seat<Fut::Output, X> + use<S, F, Fut, X> {
        let results = Arc::clone(&self.job.results);
        let enlisted = Enlisted { results, key: self.key, seated: self.seated };
        |membership| Seat { _membership: membership, _enlisted: enlisted }
    }

    /// The hook has panicked: that is the result of the item that it is at. If it is at none, the
    /// panic goes on.
    fn fail(self: Pin<&mut Self>, payload: Box<dyn Any + Send>) {
        let this = self.project();
        match this.run.give_up() {
            Some((index, _)) => {
                this.job.results.deliver((index, Err(Failure::panicked(payload))));
            }
            None => resume_unwind(payload),
        }
    }

    /// Makes itself known, at its first poll; false if the map is over.
    fn start(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        let first = !std::mem::replace(this.started, true);
        !first || this.job.results.start(*this.key, Handle::current())
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
        let Some(mut hooking) = self.as_mut().project().hooking.take() else {
            return self.poll_items(cx);
        };
        let polled =
            catch_unwind(AssertUnwindSafe(|| hooking.poll(cx, |cx| self.as_mut().poll_items(cx))));
        match polled {
            Ok(polled) => {
                *self.project().hooking = Some(hooking);
                polled
            }
            Err(payload) => {
                self.fail(payload);
                Poll::Ready(())
            }
        }
    }
}

impl<S, F, Fut, X> Worker<S, F, Fut, X>
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
{
    fn poll_items(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.as_mut().start() {
            return Poll::Ready(());
        }
        let this = self.project();
        let (job, mut run) = (&**this.job, this.run);
        let results = &job.results;
        let may_stay = || {
            let may_stay = *this.seated && !S::WAITS;
            may_stay && !this.members.is_wanted_back(results.is_feeder_queued())
        };
        let mut shift = Shift::new(job);
        let is_open =
            run.index().is_some() || (may_stay() && matches!(results.open(), Room::Opened(_)));
        if !is_open {
            return Poll::Ready(());
        }
        loop {
            if run.index().is_none() {
                let Some((index, item)) = shift.pull(cx) else { return Poll::Ready(()) };
                run.as_mut().begin(index, item);
            }
            let done = ready!(run.as_mut().poll(job, cx));
            match shift.leave(done, may_stay()) {
                Room::Opened(_) => {}
                // The reader may be about to make room: it gets one turn for that.
                Room::Full => break,
                Room::Over => return Poll::Ready(()),
            }
        }
        drop(shift);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Source, F, Fut: Future, X> fmt::Debug for Worker<S, F, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("item", &self.run.index()).finish_non_exhaustive()
    }
}

/// A worker's place in its group and among its map's workers. Dropping it leaves both, the group
/// first: when a map has finished, none of its workers holds a slot any more.
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
