//! [`Worker`]: runs the items of a map, one after the other, in one slot.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use spinney_greenlet::{Handle, ItemGreenlets, pair_items};
use spinney_hub::Executor;
use spinney_sync::Want;

use super::MapWorker;
use super::batch::Batch;
use super::item::Item;
use super::results::{Capacity, Results};
use super::shared::MapShared;
use super::source::Source;
use crate::Membership;
use crate::limits::Request;
use crate::slot::{AcquireSlot, AcquireStart, KeyPermit, Permit};

pin_project! {
    /// A member that runs the items of a map, one after the other, each as a greenlet of its
    /// own. It finishes when the input is exhausted, too many results are unread, or another waiter
    /// wants its slot. Dropping it fails its current item.
    pub struct Worker<S: Source, F, Fut: Future, X: Executor> {
        shared: Arc<MapShared<S, F, Fut::Output, X>>,
        greenlets: ItemGreenlets,
        info: WorkerInfo,
        #[pin]
        item: Item<S::Item, Fut>,
    }

    impl<S: Source, F, Fut: Future, X: Executor> PinnedDrop for Worker<S, F, Fut, X> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(failed) = this.item.cut_off(this.greenlets) {
                this.shared.results.deliver(failed);
            }
        }
    }
}

/// The entries of a worker in its group and in its map.
pub(super) struct WorkerInfo {
    /// The place and the serial number of its membership.
    place: u32,
    serial: u64,
    /// The request of its item.
    want: Want<Request>,
    /// Its key among the workers of the map.
    key: usize,
    /// Whether it may run a further item: `false` if it runs one item only, and once it was
    /// discarded from its group and has no slot.
    may_go_on: Cell<bool>,
}

impl WorkerInfo {
    /// Moves the worker from one item to the next.
    fn go_on<S: Source, F, T, X: Executor>(
        &self,
        shared: &MapShared<S, F, T, X>,
        before: &Handle,
        next: Handle,
    ) {
        shared.results.introduce(self.key, next.unasked());
        if !shared.members.go_on(self.serial, before, next) {
            self.may_go_on.set(false);
        }
    }

    /// The slot of the current item.
    pub(super) fn item_slot<'a, S: Source, F, T, X: Executor>(
        &'a self,
        shared: &'a MapShared<S, F, T, X>,
    ) -> impl ItemSlot + 'a {
        WorkerSlot { worker: self, shared }
    }

    /// Whether the worker may run a further item in its slot.
    fn may_stay<S: Source, F, T, X: Executor>(&self, shared: &MapShared<S, F, T, X>) -> bool {
        self.may_go_on.get() && !shared.members.is_wanted_back(shared.results.is_feeder_queued())
    }
}

/// The slot of an item: that of its worker, or the place of a member.
pub(crate) trait ItemSlot {
    /// Frees the slot, and returns the wait for another; `None` if the worker has no slot of its
    /// own.
    fn release(&self) -> Option<AcquireSlot>;

    /// Gives the worker a slot again.
    fn restore(&self, permit: Permit);

    /// Gives the worker a share of the slot of the reader, if that is a member which waits and may
    /// run the item. Otherwise `waker` is woken when it may be so.
    fn share_with_reader(&self, waker: &Waker) -> bool;

    /// Counts the item among the tasks with its key.
    fn take_key(&self, key: Option<Arc<KeyPermit>>);

    /// The wait for one more start in the same slot; `None` if starts are not limited.
    fn acquire_start(&self) -> Option<AcquireStart>;
}

/// The slot of a worker.
struct WorkerSlot<'a, S: Source, F, T, X: Executor> {
    worker: &'a WorkerInfo,
    shared: &'a MapShared<S, F, T, X>,
}

impl<S: Source, F, T, X: Executor> WorkerSlot<'_, S, F, T, X> {
    fn request(&self) -> AcquireSlot {
        let mut slot = AcquireSlot::new(&self.shared.members).despite_close().await_resize();
        slot.set(|want| *want = Want { despite_close: true, ..self.worker.want.clone() });
        slot
    }
}

impl<S: Source, F, T, X: Executor> ItemSlot for WorkerSlot<'_, S, F, T, X> {
    fn release(&self) -> Option<AcquireSlot> {
        let WorkerInfo { place, serial, key, .. } = *self.worker;
        let had_slot = self.shared.members.leave_slot(place, serial);
        had_slot.then(|| {
            self.shared.results.set_has_slot(key, false);
            self.request()
        })
    }

    fn restore(&self, permit: Permit) {
        let WorkerInfo { place, serial, key, .. } = *self.worker;
        self.shared.members.take_slot(place, serial, permit);
        self.shared.results.set_has_slot(key, true);
    }

    fn share_with_reader(&self, waker: &Waker) -> bool {
        let WorkerInfo { place, serial, key, .. } = *self.worker;
        let weight = self.worker.want.permits;
        let Some(share) = self.shared.results.share_with_reader(key, weight, waker) else {
            return false;
        };
        self.shared.members.take_share(place, serial, share);
        true
    }

    fn take_key(&self, key: Option<Arc<KeyPermit>>) {
        self.shared.members.take_key(self.worker.place, self.worker.serial, key);
    }

    fn acquire_start(&self) -> Option<AcquireStart> {
        let members = &self.shared.members;
        members.slots.limits_starts().then(|| {
            let shared = members.key_at(self.worker.place, self.worker.serial);
            self.request().in_place(&members.slots, shared)
        })
    }
}

/// Creates the task of a worker with its first item, and the handle of that item's greenlet. A
/// worker `for_one` runs no other item.
pub(super) fn pair_worker<S, F, Fut, X>(
    shared: &Arc<MapShared<S, F, Fut::Output, X>>,
    (index, item): (usize, S::Item),
    membership: Membership,
    (key, want): (usize, Want<Request>),
    for_one: bool,
) -> (MapWorker<S, F, Fut, X>, Handle)
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
    X: Executor,
{
    let (place, serial) = (membership.place(), membership.serial());
    let make = |greenlets| Worker {
        shared: Arc::clone(shared),
        greenlets,
        info: WorkerInfo { place, serial, want, key, may_go_on: Cell::new(!for_one) },
        item: Item::new(index, item),
    };
    let enlisted = WorkerEntry { results: Arc::clone(&shared.results), key };
    let guard = WorkerGuard { _membership: membership, _enlisted: enlisted };
    pair_items(Some(place), shared.context, make, |_| guard)
}

impl<S, F, Fut, X> Future for Worker<S, F, Fut, X>
where
    S: Source,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
    X: Executor,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let (shared, info, greenlets, mut item) =
            (&**this.shared, &*this.info, this.greenlets, this.item);
        let goes_on = |before: &Handle, next: Handle| info.go_on(shared, before, next);
        let is_open = item.index().is_some()
            || (info.may_stay(shared) && matches!(shared.results.open(), Capacity::Opened(_)));
        if !is_open {
            return Poll::Ready(());
        }
        let mut batch = Batch::new(shared);
        loop {
            if item.index().is_none() {
                let Some((index, next)) = batch.next(cx) else { return Poll::Ready(()) };
                greenlets.start(index, || shared.members.announcement(None), goes_on);
                item.as_mut().begin(index, next);
            }
            let mut done = ready!(item.as_mut().poll(shared, info, cx));
            greenlets.finish(&mut done.1, goes_on);
            match batch.put(done, info.may_stay(shared)) {
                Capacity::Opened(_) => {}
                // The reader may be about to make room: it gets one turn to do so.
                Capacity::Full => break,
                Capacity::Over => return Poll::Ready(()),
            }
        }
        drop(batch);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Source, F, Fut: Future, X: Executor> fmt::Debug for Worker<S, F, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("item", &self.item.index()).finish_non_exhaustive()
    }
}

/// The entries of a worker in its group and its map. Dropping it removes both, that of the group
/// first: when a map has finished, none of its workers holds a slot.
#[derive(Debug)]
pub struct WorkerGuard<T, X: Executor> {
    _membership: Membership,
    _enlisted: WorkerEntry<T, X>,
}

#[derive(Debug)]
struct WorkerEntry<T, X: Executor> {
    results: Arc<Results<T, X>>,
    key: usize,
}

impl<T, X: Executor> Drop for WorkerEntry<T, X> {
    fn drop(&mut self) {
        self.results.dismiss(self.key);
    }
}
