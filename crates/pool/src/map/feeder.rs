//! [`Feeder`]: gets slots for a map, in turn with everybody else.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use spinney_greenlet::{Failure, GreenletExit};
use spinney_hub::{Spawn, contain};
use spinney_sync::{Acquire, Closed, Wait as WaitNote};

use super::MapWorker;
use super::job::{Job, Pulled};
use super::results::Room;
use super::source::Source;
use super::worker::Worker;
use crate::members::{Kind, Members};
use crate::slot::{AcquireSlot, Gate, Held};
use crate::task_set::Core;

/// There will be no slot for it any more.
struct NoMore;

/// How many workers are started before others get a turn.
const BATCH: usize = 64;

/// The task of a map that waits for slots and puts workers into them. It belongs to no group and
/// keeps none alive. Dropping it ends the map after what is running.
pub struct Feeder<S: Source, F, Fut: Future, X> {
    job: Arc<Job<S, F, Fut::Output, X>>,
    core: Weak<Core<X>>,
    members: Arc<Members>,
    /// Its place in the queue for a slot, while it has one.
    queued: Option<AcquireSlot>,
    /// An item of an input that may wait, taken ahead of its slot.
    ahead: Option<(usize, S::Item)>,
    /// Ready when the group is closed, while it waits for such an item.
    closed: Acquire<Gate>,
    /// The line that started the map.
    at: &'static Location<'static>,
}

impl<S: Source, F, Fut: Future, X> Feeder<S, F, Fut, X> {
    #[track_caller]
    pub(crate) fn new(job: Arc<Job<S, F, Fut::Output, X>>, core: &Arc<Core<X>>) -> Self {
        let (members, closed) = (Arc::clone(&core.members), Gate::acquire(&core.members));
        let (core, at) = (Arc::downgrade(core), Location::caller());
        Self { job, core, members, queued: None, ahead: None, closed, at }
    }

    /// Takes an item ahead, of an input that may wait; false if there is none.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        // A slot that comes meanwhile is for others.
        self.leave_queue();
        // Registers for the end of the map, which may come meanwhile.
        if self.job.results.poll_room(cx) == Poll::Ready(false) {
            return Poll::Ready(false);
        }
        if Pin::new(&mut self.closed).poll(cx).is_ready() {
            self.refuse(GreenletExit::because(Closed));
            return Poll::Ready(false);
        }
        WaitNote::note("the input of a map started", self.at);
        self.poll_pull(cx)
    }

    fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match ready!(self.job.poll_pull(cx)) {
            Pulled::Item(index, item) => {
                self.ahead = Some((index, item));
                return Poll::Ready(true);
            }
            Pulled::Failed(index, failure) => self.job.results.refuse(index, failure),
            Pulled::End => self.job.results.exhaust(),
        }
        Poll::Ready(false)
    }

    /// Ends the map after what is running; the next item was killed.
    fn refuse(&mut self, why: GreenletExit) {
        match self.ahead.take() {
            Some((index, item)) => {
                contain(|| drop(item));
                self.job.results.refuse(index, Failure::Killed(why));
            }
            None => self.job.refuse(Failure::Killed(why)),
        }
    }

    /// Ends the map because the group is closed. Only an item that there is can be refused.
    fn end_closed(&mut self, cx: &mut Context<'_>) {
        if self.ahead.is_some() || self.poll_pull(cx) == Poll::Ready(true) {
            self.refuse(GreenletExit::because(Closed));
        }
    }

    fn leave_queue(&mut self) {
        self.queued = None;
        self.job.results.feeder_queued.store(false, Relaxed);
    }
}

impl<S, F, Fut, X> Feeder<S, F, Fut, X>
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
    X: Spawn<MapWorker<S, F, Fut, X>>,
{
    /// Starts one more worker, if there is an item for it; false if there will be no more.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Ok(slot) = ready!(self.poll_slot(cx)) else { return Poll::Ready(false) };
        if self.members.is_closed() {
            self.give_back(slot);
            self.end_closed(cx);
            return Poll::Ready(false);
        }
        let item = match (self.core.upgrade(), self.job.results.open()) {
            (None, _) => None,
            (Some(core), Room::Opened(_)) => {
                let item = self.ahead.take().or_else(|| self.job.pull(cx));
                item.map(|item| (core, item))
            }
            (Some(_), Room::Full | Room::Over) => {
                self.give_back(slot);
                return Poll::Ready(true);
            }
        };
        let Some((core, (index, item))) = item else {
            self.give_back(slot);
            return Poll::Ready(false);
        };
        let seated = matches!(slot, Held::Own(_));
        let worker = Worker::new(Arc::clone(&self.job), &core, index, item, seated);
        let seat = worker.seat();
        let entered = self.members.enter(slot, self.at, worker, Kind::Worker, seat);
        match entered {
            Ok((task, greenlet)) => {
                greenlet.detach();
                core.hub.spawn(task);
            }
            Err(worker) => worker.refuse(GreenletExit::because(Closed)),
        }
        Poll::Ready(true)
    }

    /// A slot, or a share of that of the reader, which waits.
    fn poll_slot(&mut self, cx: &mut Context<'_>) -> Poll<Result<Held, NoMore>> {
        let results = &self.job.results;
        match results.poll_room(cx) {
            Poll::Ready(true) => {}
            Poll::Ready(false) => return Poll::Ready(Err(NoMore)),
            Poll::Pending => {
                // A slot that came too late is for somebody else.
                self.leave_queue();
                WaitNote::note("the reader of a map started", self.at);
                return Poll::Pending;
            }
        }
        let queued = self.queued.get_or_insert_with(|| AcquireSlot::new(&self.members));
        let slot = Pin::new(queued).poll(cx);
        results.feeder_queued.store(slot.is_pending(), Relaxed);
        match slot {
            Poll::Pending => {
                WaitNote::note("a slot for a map started", self.at);
                let share = results.borrow_slot(cx.waker());
                share.map_or(Poll::Pending, |share| Poll::Ready(Ok(Held::Shared(share))))
            }
            Poll::Ready(Ok(permit)) => {
                self.queued = None;
                Poll::Ready(Ok(Held::Own(permit)))
            }
            Poll::Ready(Err(Closed)) => {
                self.queued = None;
                self.end_closed(cx);
                Poll::Ready(Err(NoMore))
            }
        }
    }

    fn give_back(&self, slot: Held) {
        let is_share = matches!(slot, Held::Shared(_));
        drop(slot);
        if is_share {
            self.job.results.return_slot();
        }
    }
}

impl<S, F, Fut, X> Future for Feeder<S, F, Fut, X>
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
    X: Spawn<MapWorker<S, F, Fut, X>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..BATCH {
            if S::WAITS && this.ahead.is_none() && !ready!(this.poll_ahead(cx)) {
                return Poll::Ready(());
            }
            if !ready!(this.poll_feed(cx)) {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Nothing of it is pinned in place.
impl<S: Source, F, Fut: Future, X> Unpin for Feeder<S, F, Fut, X> {}

impl<S: Source, F, Fut: Future, X> Drop for Feeder<S, F, Fut, X> {
    fn drop(&mut self) {
        self.queued = None;
        self.refuse(GreenletExit::new());
        self.job.results.end_feeding();
    }
}

impl<S: Source, F, Fut: Future, X> fmt::Debug for Feeder<S, F, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.job.results.describe(f, "Feeder")
    }
}
