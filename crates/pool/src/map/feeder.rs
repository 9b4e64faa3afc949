//! [`Feeder`]: gets slots for a map, in turn with all other waiters.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use spinney_greenlet::{Failure, GreenletExit, InPlace};
use spinney_hub::{Erase, Executor, Spawn, drop_contained};
use spinney_sync::{Acquire, Closed, Wait as WaitNote};

use super::results::{Begun, Need, Results, Room, Wish};
use super::shared::MapShared;
use super::source::Source;
use super::worker::pair_worker;
use super::{ItemInPlace, MapWorker};
use crate::members::Members;
use crate::slot::{AcquireSlot, Held, MapsEnd, Permit};
use crate::task_set::Core;

/// How many workers are started before others get a turn.
const BATCH: usize = 64;

/// The task of a map that waits for slots and puts workers into them. It belongs to no group and
/// keeps none alive. Dropping it ends the map after what is running.
pub struct Feeder<S: Source, F, Fut: Future, X: Executor> {
    shared: Arc<MapShared<S, F, Fut::Output, X>>,
    core: Weak<Core<X>>,
    /// Its place in the queue for a slot, while it has one.
    queued: Option<AcquireSlot>,
    /// Ready when the maps of the group end. None if the group was closed before the map started.
    end: Option<Acquire<MapsEnd>>,
    /// The line that started the map.
    at: &'static Location<'static>,
    /// Dropped last: a map that has ended holds nothing here.
    _feeding: Feeding<Fut::Output, X>,
}

/// Dropping it says that no worker will start any more.
struct Feeding<T, X: Executor> {
    results: Arc<Results<T, X>>,
    members: Arc<Members>,
}

impl<T, X: Executor> Drop for Feeding<T, X> {
    fn drop(&mut self) {
        self.results.end_feeding();
        self.members.map_ended();
    }
}

/// What a worker is to run in.
enum Place {
    Slot(Permit),
    /// Within the polls of the reader, which is a member.
    Reader(Wish),
}

impl<S: Source, F, Fut: Future, X: Executor> Feeder<S, F, Fut, X> {
    #[track_caller]
    pub(super) fn new(shared: Arc<MapShared<S, F, Fut::Output, X>>, core: &Arc<Core<X>>) -> Self {
        let end = core.members.map_started().then(|| MapsEnd::wait(&core.members));
        let members = Arc::clone(&core.members);
        let feeding = Feeding { results: Arc::clone(&shared.results), members };
        let (core, at) = (Arc::downgrade(core), Location::caller());
        Self { shared, core, queued: None, end, at, _feeding: feeding }
    }

    /// Whether the maps of the group have ended, or the map was refused.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let is_over = self.end.as_mut().is_none_or(|end| Pin::new(end).poll(cx).is_ready());
        if is_over {
            // It may go on for an item that has begun in place.
            self.end = None;
        }
        is_over
    }

    /// A place for a worker; None if there will be no more.
    fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<Option<Place>> {
        let has_item = self.shared.look_ahead(cx);
        let results = &self.shared.results;
        match results.poll_need(cx, has_item) {
            Need::Slot => {}
            Need::Nothing => {
                // A slot that comes too late is for another waiter.
                self.leave_queue();
                let (reader, input) = ("the reader of a map started", "the input of a map started");
                WaitNote::note(if has_item { reader } else { input }, self.at);
                return Poll::Pending;
            }
            Need::NoMore => return Poll::Ready(None),
        }
        let queued = self
            .queued
            .get_or_insert_with(|| AcquireSlot::new(&self.shared.members).despite_close());
        let slot = Pin::new(queued).poll(cx);
        results.feeder_queued.store(slot.is_pending(), Relaxed);
        if let Poll::Ready(slot) = slot {
            self.queued = None;
            return Poll::Ready(slot.ok().map(Place::Slot));
        }
        WaitNote::note("a slot for a map started", self.at);
        match results.wished() {
            Some(wish) if has_item => Poll::Ready(Some(Place::Reader(wish))),
            _ => Poll::Pending,
        }
    }

    fn leave_queue(&mut self) {
        self.queued = None;
        self.shared.results.feeder_queued.store(false, Relaxed);
    }
}

impl<S, F, Fut, X> Feeder<S, F, Fut, X>
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
    X: Executor<AnyTask: Erase<ItemInPlace<S, F, Fut, X>>>
        + Spawn<MapWorker<S, F, Fut, X>>
        + Spawn<X::AnyTask>,
{
    /// Starts one more worker; false if there will be no more.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.is_over(cx) {
            // An input that is empty has no item to refuse.
            self.shared.look_ahead(cx);
            self.shared.refuse(GreenletExit::because(Closed));
        }
        let Some(place) = ready!(self.poll_place(cx)) else { return Poll::Ready(false) };
        let Some(core) = self.core.upgrade() else { return Poll::Ready(false) };
        match place {
            Place::Slot(permit) => match self.shared.results.take_parked() {
                Some(begun) => self.move_to_slot(&core.hub, begun, permit),
                None => self.start(&core.hub, Held::Own(permit), cx),
            },
            Place::Reader(wish) => {
                let slot = wish.share().map_or(Held::InPlace, Held::Shared);
                self.start(&core.hub, slot, cx);
            }
        }
        Poll::Ready(true)
    }

    /// The item that the reader has begun goes on in a slot.
    fn move_to_slot(&self, hub: &X, begun: Begun<X>, permit: Permit) {
        let Begun { task, child, below, .. } = begun;
        self.shared.members.seat(&child, permit, below.upgrade().as_deref());
        child.set_in_place(false);
        hub.spawn(task);
    }

    /// Starts a worker in `slot`, with the next item.
    fn start(&self, hub: &X, slot: Held, cx: &mut Context<'_>) {
        let results = &self.shared.results;
        let Room::Opened(_) = results.open() else { return };
        let (is_own, is_in_place) = (matches!(slot, Held::Own(_)), matches!(slot, Held::InPlace));
        let key = results.enlist(is_own);
        let Some(item) = self.shared.next(cx) else {
            results.dismiss(key);
            return results.close_one();
        };
        let index = item.0;
        let made = self.shared.members.enter_worker(slot, item, |item, membership| {
            pair_worker(&self.shared, item, membership, key, !is_own)
        });
        let (task, child) = match made {
            Ok(worker) => worker,
            Err(item) => {
                drop_contained(item);
                results.dismiss(key);
                let exit = GreenletExit::because(Closed);
                return results.refuse_opened(index, Failure::Killed(exit));
            }
        };
        child.announce(|| self.shared.members.announcement(Some(index)));
        if !results.introduce(key, child.unasked()) {
            child.kill_now();
        }
        if is_in_place {
            let task = X::AnyTask::erase(InPlace::new(task, &child));
            return results.park(Begun { task, child, key, below: Weak::new() });
        }
        if !is_own {
            results.put_beside(key);
        }
        hub.spawn(task);
    }
}

impl<S, F, Fut, X> Future for Feeder<S, F, Fut, X>
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
    X: Executor<AnyTask: Erase<ItemInPlace<S, F, Fut, X>>>
        + Spawn<MapWorker<S, F, Fut, X>>
        + Spawn<X::AnyTask>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BATCH {
            if !ready!(self.poll_feed(cx)) {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Nothing of it is pinned in place.
impl<S: Source, F, Fut: Future, X: Executor> Unpin for Feeder<S, F, Fut, X> {}

impl<S: Source, F, Fut: Future, X: Executor> Drop for Feeder<S, F, Fut, X> {
    fn drop(&mut self) {
        self.leave_queue();
        self.shared.refuse(GreenletExit::new());
    }
}

impl<S: Source, F, Fut: Future, X: Executor> fmt::Debug for Feeder<S, F, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.results.describe(f, "Feeder")
    }
}
