//! [`Feeder`]: waits for the slots of a map.

use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use spinney_greenlet::{Failure, GreenletExit, InPlace};
use spinney_hub::{Erase, Executor, Spawn, drop_contained};
use spinney_sync::{Acquire, Wait as WaitNote, Want};

use super::per_item::{ItemQueue, QueuedItem};
use super::results::{Begun, Capacity, InPlaceRequest, Need, Results};
use super::shared::MapShared;
use super::source::Source;
use super::worker::pair_worker;
use super::{ItemInPlace, MapWorker};
use crate::limits::Request;
use crate::members::Members;
use crate::slot::{AcquireSlot, AcquireStart, KeyPermit, MapsEnd, MemberSlot, ONE, Permit};
use crate::task_set::Core;
use crate::{SlotError, in_place};

/// How many workers are started before other tasks get a turn.
const BATCH: usize = 64;

/// The task of a map that waits for slots and puts workers into them. It belongs to no group and
/// keeps none alive. Dropping it ends the map after its running items.
pub struct Feeder<S: Source, F, Fut: Future, X: Executor> {
    shared: Arc<MapShared<S, F, Fut::Output, X>>,
    core: Weak<Core<X>>,
    /// The wait for a slot, while the feeder is in the queue.
    queued: Option<AcquireSlot>,
    /// Whether that wait is for an item that has started in place.
    queued_started: bool,
    /// The wait for a start without a slot, where each start must be requested and all items make the
    /// same request.
    start: Option<AcquireStart>,
    /// The items in the queue of the pool, if each has its own request.
    item_queue: Option<ItemQueue<S::Item>>,
    end: End,
    /// The request of the greenlet in place that called the map.
    behind: Option<u64>,
    /// The line that started the map.
    at: &'static Location<'static>,
    /// Dropped last: by then, a finished map holds nothing here.
    #[expect(dead_code, reason = "dropping it ends the feeding")]
    feeding: Feeding<Fut::Output, X>,
}

/// The end of the maps of the group.
enum End {
    /// Ready when they end.
    Ahead(Acquire<MapsEnd>),
    /// The group was closed before the map started.
    Closed,
    /// The rest of the input was refused.
    Refused,
}

/// Dropping it records that no further worker will start.
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

/// The place of a new worker, and its item if it was taken before.
enum Place<A> {
    Slot(Permit, Option<TakenItem<A>>),
    /// Within the polls of the reader, which is a member.
    Reader(InPlaceRequest, Option<Arc<KeyPermit>>, Option<TakenItem<A>>),
}

/// An item that was taken from the input, and its request.
struct TakenItem<A> {
    index: usize,
    item: A,
    want: Want<Request>,
}

impl<S: Source, F, Fut: Future, X: Executor> Feeder<S, F, Fut, X> {
    #[track_caller]
    pub(super) fn new(shared: Arc<MapShared<S, F, Fut::Output, X>>, core: &Arc<Core<X>>) -> Self {
        let is_open = core.members.map_started();
        let end = if is_open { End::Ahead(MapsEnd::wait(&core.members)) } else { End::Closed };
        let members = Arc::clone(&core.members);
        let feeding = Feeding { results: Arc::clone(&shared.results), members };
        let (core, at) = (Arc::downgrade(core), Location::caller());
        let item_queue = shared.asks.is_some().then(ItemQueue::new);
        let (queued, queued_started, start) = (None, false, None);
        let behind = in_place::request_around(&shared.members.slots);
        Self { shared, core, queued, queued_started, start, item_queue, end, behind, at, feeding }
    }

    /// Whether the maps of the group have finished, or the map was refused: `true` once, because
    /// the feeder may go on for an item that has begun in place, and a refusal wakes it.
    fn must_refuse(&mut self, cx: &mut Context<'_>) -> bool {
        let is_over = match &mut self.end {
            End::Ahead(end) => Pin::new(end).poll(cx).is_ready(),
            End::Closed => true,
            End::Refused => false,
        };
        if is_over {
            self.end = End::Refused;
        }
        is_over
    }

    /// A place for a worker; `None` if there will be no more.
    fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<Option<Place<S::Item>>> {
        let has_item = self.shared.look_ahead(cx);
        let results = &self.shared.results;
        match results.poll_need(cx, has_item) {
            Need::Slot => {}
            Need::Nothing => {
                // A slot that is free too late goes to another waiter.
                self.leave_queue();
                self.note_idle(has_item);
                return Poll::Pending;
            }
            Need::NoMore => return Poll::Ready(None),
        }
        if let Poll::Ready(slot) = self.poll_queued(cx) {
            return Poll::Ready(slot.map(|permit| Place::Slot(permit, None)));
        }
        WaitNote::note("a slot for a map started", self.at);
        match self.shared.results.requested() {
            Some(wish) if has_item => {
                let Ok(key) = ready!(self.poll_start(cx)) else { return Poll::Pending };
                Poll::Ready(Some(Place::Reader(wish, key, None)))
            }
            _ => Poll::Pending,
        }
    }

    /// A place for a worker, of a map whose items have their own requests.
    fn poll_item_queue(&mut self, cx: &mut Context<'_>) -> Poll<Option<Place<S::Item>>> {
        let has_item = self.take_in(cx);
        if self.shared.results.is_abandoned() {
            self.refuse_queued(&GreenletExit::new());
            return Poll::Ready(None);
        }
        if self.shared.results.wants_slot() {
            if let Poll::Ready(slot) = self.poll_queued(cx) {
                return Poll::Ready(slot.map(|permit| Place::Slot(permit, None)));
            }
        } else {
            (self.queued, self.queued_started) = (None, false);
        }
        let Some(item_queue) = &mut self.item_queue else { return Poll::Ready(None) };
        while let Poll::Ready((queued_item, slot)) = item_queue.poll_served(cx) {
            let QueuedItem { index, item, want, key_permit, .. } = queued_item;
            match slot {
                Ok(permit) => {
                    let taken = TakenItem { index, item, want };
                    return Poll::Ready(Some(Place::Slot(permit.or_key(key_permit), Some(taken))));
                }
                Err(error) => {
                    drop_contained(item);
                    let failure = Failure::Killed(GreenletExit::because(error));
                    self.shared.results.deliver_refused((index, failure));
                }
            }
        }
        if item_queue.is_empty() && self.shared.results.is_exhausted() && self.queued.is_none() {
            return Poll::Ready(None);
        }
        let Some((key, first)) = item_queue.first() else {
            self.note_idle(has_item);
            return Poll::Pending;
        };
        WaitNote::note("a slot for a map started", self.at);
        let weight = first.slot.weight();
        let wish = self.shared.results.requested().filter(|wish| wish.carries(weight));
        ready!(first.poll_start(&self.shared.members.slots, wish.is_some(), cx));
        let Some(wish) = wish else { return Poll::Pending };
        let Some(queued_item) = item_queue.take(key) else { return Poll::Pending };
        let QueuedItem { index, item, want, slot, has_started, key_permit, .. } = queued_item;
        let taken = TakenItem { index, item, want };
        self.queued_started |= has_started;
        self.shared.results.set_queued_ticket(slot.ticket());
        self.queued = Some(slot);
        Poll::Ready(Some(Place::Reader(wish, key_permit, Some(taken))))
    }

    /// Takes items from the input while there is room for their results, and puts them into the
    /// queue. Returns whether there is one more.
    fn take_in(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let has_item = self.shared.look_ahead(cx);
            let results = &self.shared.results;
            if results.poll_need(cx, has_item) != Need::Slot || !has_item {
                return has_item;
            }
            let Capacity::Opened(_) = results.open() else { return has_item };
            let Some((index, item)) = self.shared.next(cx) else {
                results.close_one();
                return false;
            };
            let (Some(asks), Some(item_queue)) = (&self.shared.asks, &mut self.item_queue) else {
                return false;
            };
            match catch_unwind(AssertUnwindSafe(|| asks.ask(&item))) {
                Ok(want) => {
                    let mut slot = AcquireSlot::new(&self.shared.members).despite_close();
                    slot.set(|own| *own = Want { despite_close: true, ..want });
                    item_queue.add(index, item, slot.behind(self.behind));
                }
                Err(payload) => {
                    drop_contained(item);
                    results.deliver_refused((index, Failure::panicked(payload)));
                }
            }
        }
    }

    /// Refuses the items in the queue.
    fn refuse_queued(&mut self, exit: &GreenletExit) {
        for index in self.item_queue.as_mut().map(ItemQueue::clear).unwrap_or_default() {
            self.shared.results.deliver_refused((index, Failure::Killed(exit.clone())));
        }
    }

    /// A slot; `None` if there will be none. If the slot was for an item in place that has finished
    /// meanwhile, it is freed: no item has started with it.
    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<Option<Permit>> {
        let results = &self.shared.results;
        if self.queued_started && !results.wants_slot() {
            (self.queued, self.queued_started) = (None, false);
        }
        let request = || AcquireSlot::new(&self.shared.members).despite_close().behind(self.behind);
        let queued = self.queued.get_or_insert_with(request);
        let slot = Pin::new(&mut *queued).poll(cx);
        results.set_queued_ticket(queued.ticket());
        results.feeder_queued.store(slot.is_pending(), Relaxed);
        let slot = ready!(slot);
        self.queued = None;
        Poll::Ready(slot.ok())
    }

    /// Ready with the key permit when keys, rates and pauses allow an item to start in place of the
    /// reader. The wait for a slot belongs to that item from then on.
    fn poll_start(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Arc<KeyPermit>>, SlotError>> {
        let slots = &self.shared.members.slots;
        let Some(queued) = self.queued.as_mut().filter(|_| slots.limits_starts()) else {
            return Poll::Ready(Ok(None));
        };
        let start = self.start.get_or_insert_with(|| queued.in_place(slots, None));
        let started = ready!(start.poll(cx));
        queued.has_started();
        (self.start, self.queued_started) = (None, true);
        Poll::Ready(started)
    }

    fn note_idle(&self, has_item: bool) {
        let (reader, input) = ("the reader of a map started", "the input of a map started");
        WaitNote::note(if has_item { reader } else { input }, self.at);
    }

    fn leave_queue(&mut self) {
        (self.queued, self.queued_started, self.start) = (None, false, None);
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
    /// Starts one more worker; returns `false` if there will be no more.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.must_refuse(cx) {
            // An empty input has no item to refuse.
            self.shared.look_ahead(cx);
            self.refuse_queued(&GreenletExit::because(SlotError::Closed));
            self.shared.refuse(GreenletExit::because(SlotError::Closed));
        }
        let place = match self.item_queue {
            None => self.poll_place(cx),
            Some(_) => self.poll_item_queue(cx),
        };
        let Some(place) = ready!(place) else { return Poll::Ready(false) };
        let Some(core) = self.core.upgrade() else {
            if let Place::Slot(_, Some(taken)) | Place::Reader(.., Some(taken)) = place {
                self.refuse_item(taken);
            }
            return Poll::Ready(false);
        };
        match place {
            Place::Slot(permit, None) => {
                let is_for_parked = std::mem::take(&mut self.queued_started);
                match self.shared.results.take_parked() {
                    Some(begun) => self.move_to_slot(&core.hub, begun, permit),
                    // The item has finished, and no other item may start with its slot.
                    None if is_for_parked || self.item_queue.is_some() => drop(permit),
                    None => self.start(&core.hub, MemberSlot::own(permit), None, cx),
                }
            }
            Place::Slot(permit, taken) => {
                self.start(&core.hub, MemberSlot::own(permit), taken, cx);
            }
            Place::Reader(wish, key, taken) => {
                let slot = MemberSlot::in_place(wish.share(), key);
                self.start(&core.hub, slot, taken, cx);
            }
        }
        Poll::Ready(true)
    }

    /// Refuses an item that was taken from the input, because its group was dropped.
    fn refuse_item(&self, TakenItem { index, item, .. }: TakenItem<S::Item>) {
        drop_contained(item);
        self.shared.results.deliver_refused((index, Failure::Killed(GreenletExit::new())));
    }

    /// Moves an item that the reader has begun to a slot.
    fn move_to_slot(&self, hub: &X, begun: Begun<X>, permit: Permit) {
        let Begun { task, child, below, .. } = begun;
        self.shared.members.give_slot(&child, permit, below.upgrade().as_deref());
        child.set_in_place(false);
        hub.spawn(task);
    }

    /// Starts a worker in `slot`, with the `taken` item, otherwise the next one.
    fn start(
        &self,
        hub: &X,
        slot: MemberSlot,
        taken: Option<TakenItem<S::Item>>,
        cx: &mut Context<'_>,
    ) {
        let results = &self.shared.results;
        if taken.is_none() && !matches!(results.open(), Capacity::Opened(_)) {
            return;
        }
        let (is_own, is_in_place) = (slot.is_own(), slot.is_in_place());
        let key = results.enlist(is_own);
        let for_one = !is_own || taken.is_some();
        let next = match taken {
            Some(TakenItem { index, item, want }) => Some(((index, item), want)),
            None => self.shared.next(cx).map(|item| (item, ONE)),
        };
        let Some((item, want)) = next else {
            results.dismiss(key);
            return results.close_one();
        };
        let index = item.0;
        let made = self.shared.members.enter_worker(slot, item, |item, membership| {
            pair_worker(&self.shared, item, membership, (key, want), for_one)
        });
        let (task, child) = match made {
            Ok(worker) => worker,
            Err(item) => {
                drop_contained(item);
                results.dismiss(key);
                let exit = GreenletExit::because(SlotError::Closed);
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
            results.set_on_hub(key);
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

/// No field is structurally pinned.
impl<S: Source, F, Fut: Future, X: Executor> Unpin for Feeder<S, F, Fut, X> {}

impl<S: Source, F, Fut: Future, X: Executor> Drop for Feeder<S, F, Fut, X> {
    fn drop(&mut self) {
        self.leave_queue();
        self.refuse_queued(&GreenletExit::new());
        self.shared.refuse(GreenletExit::new());
    }
}

impl<S: Source, F, Fut: Future, X: Executor> fmt::Debug for Feeder<S, F, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.results.describe(f, "Feeder")
    }
}
