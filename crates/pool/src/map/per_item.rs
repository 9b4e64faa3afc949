//! [`PerItem`]: the requests of a map's items; [`ItemQueue`]: the items of such a map that wait in
//! the queue of the pool, each with its own request.

use std::collections::VecDeque;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use slab::Slab;
use spinney_hub::drop_contained;
use spinney_sync::Want;

use crate::SlotError;
use crate::limits::{Key, Request};
use crate::slot::{AcquireSlot, AcquireStart, KeyPermit, ONE, Permit, SharedSlots};

type Of<A, T> = Option<Box<dyn Fn(&A) -> T + Send + Sync>>;

/// The weight, priority and key of each item of a map; see [`Mapper::key`](super::Mapper::key).
/// Dropping it drops the closures.
pub struct PerItem<A> {
    pub(super) key: Of<A, Key>,
    pub(super) weight: Of<A, usize>,
    pub(super) priority: Of<A, i32>,
}

/// All items of a map make the same request: for one slot.
#[derive(Clone, Copy, Debug)]
pub struct Alike;

impl<A> From<Alike> for PerItem<A> {
    fn from(_: Alike) -> Self {
        Self { key: None, weight: None, priority: None }
    }
}

impl<A> PerItem<A> {
    pub(super) fn set_key<K: Hash>(&mut self, key: impl Fn(&A) -> K + Send + Sync + 'static) {
        self.key = Some(Box::new(move |item| Key::of(&key(item))));
    }

    /// The request of `item`. The closures are foreign code.
    pub(super) fn ask(&self, item: &A) -> Want<Request> {
        let mut want = ONE;
        want.permits = self.weight.as_ref().map_or(1, |weight| weight(item).max(1));
        want.request.priority = self.priority.as_ref().map_or(0, |priority| priority(item));
        want.request.key = self.key.as_ref().map(|key| key(item));
        want
    }
}

impl<A> std::fmt::Debug for PerItem<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PerItem")
            .field("key", &self.key.is_some())
            .field("weight", &self.weight.is_some())
            .field("priority", &self.priority.is_some())
            .finish()
    }
}

/// The requests of a map's items `A`: [`Alike`] or [`PerItem`]. The trait is sealed.
#[expect(private_bounds, reason = "a private bound seals the trait")]
pub trait Asks<A>: Sealed {
    /// The request of each item, if the requests differ.
    fn per_item(self) -> Option<PerItem<A>>;
}

trait Sealed {}

impl Sealed for Alike {}
impl<A> Sealed for PerItem<A> {}

impl<A> Asks<A> for Alike {
    fn per_item(self) -> Option<PerItem<A>> {
        None
    }
}

impl<A> Asks<A> for PerItem<A> {
    fn per_item(self) -> Option<PerItem<A>> {
        Some(self)
    }
}

/// The items that wait in the queue of the pool. A poll only looks at the items that were woken.
pub(super) struct ItemQueue<A> {
    items: Slab<QueuedItem<A>>,
    woken: Arc<Woken>,
}

/// An item that was taken from the input, and waits for its slot.
pub(super) struct QueuedItem<A> {
    pub(super) index: usize,
    pub(super) item: A,
    /// The request of the item.
    pub(super) want: Want<Request>,
    pub(super) slot: AcquireSlot,
    /// The wait for a start without a slot, while the reader may run the item in its place.
    start: Option<AcquireStart>,
    /// Whether a start was granted. It belongs to the item, which may get a slot before the reader
    /// runs it.
    pub(super) has_started: bool,
    /// The key permit of that start.
    pub(super) key_permit: Option<Arc<KeyPermit>>,
    waker: Waker,
}

impl<A> QueuedItem<A> {
    /// Ready when its key, the rates and pauses allow a start without a slot, which is requested
    /// while a reader `may_run` the item.
    pub(super) fn poll_start(
        &mut self,
        slots: &SharedSlots,
        may_run: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if self.has_started || !slots.limits_starts() {
            return Poll::Ready(());
        }
        if may_run && self.start.is_none() {
            self.start = Some(self.slot.in_place(slots, None));
        }
        let Some(start) = &mut self.start else { return Poll::Pending };
        let Poll::Ready(Ok(key_permit)) = start.poll(cx) else {
            self.start.take_if(|_| !may_run);
            return Poll::Pending;
        };
        self.slot.has_started();
        (self.start, self.has_started, self.key_permit) = (None, true, key_permit);
        Poll::Ready(())
    }
}

impl<A> ItemQueue<A> {
    pub(super) fn new() -> Self {
        Self { items: Slab::new(), woken: Arc::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds an item, which is polled next.
    pub(super) fn add(&mut self, index: usize, item: A, slot: AcquireSlot) {
        let (want, start, has_started, key_permit) = (slot.want(), None, false, None);
        let entry = self.items.vacant_entry();
        let key = entry.key();
        let waker = Waker::from(Arc::new(ItemWaker { woken: Arc::clone(&self.woken), key }));
        let queued = QueuedItem { index, item, want, slot, start, has_started, key_permit, waker };
        entry.insert(queued);
        self.woken.lock().keys.push_back(key);
    }

    /// The next item that has its slot or is refused.
    pub(super) fn poll_served(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<(QueuedItem<A>, Result<Permit, SlotError>)> {
        while let Some(key) = self.woken.next(cx.waker()) {
            let Some(queued_item) = self.items.get_mut(key) else { continue };
            let waker = queued_item.waker.clone();
            let slot = Pin::new(&mut queued_item.slot).poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(slot) = slot {
                return Poll::Ready((self.items.remove(key), slot));
            }
        }
        Poll::Pending
    }

    /// The first waiting item in the order of the input.
    pub(super) fn first(&mut self) -> Option<(usize, &mut QueuedItem<A>)> {
        self.items.iter_mut().min_by_key(|(_, queued_item)| queued_item.index)
    }

    /// Removes an item from the queue.
    pub(super) fn take(&mut self, key: usize) -> Option<QueuedItem<A>> {
        self.items.try_remove(key)
    }

    /// Removes all items from the queue and drops them. Returns their indices.
    pub(super) fn clear(&mut self) -> Vec<usize> {
        let items = std::mem::take(&mut self.items);
        let dropped = items.into_iter().map(|(_, QueuedItem { index, item, .. })| {
            drop_contained(item);
            index
        });
        dropped.collect()
    }
}

/// The keys of woken items, in the order of their wake-ups.
#[derive(Default)]
struct Woken(Mutex<WokenKeys>);

#[derive(Default)]
struct WokenKeys {
    keys: VecDeque<usize>,
    feeder: Option<Waker>,
}

impl Woken {
    fn lock(&self) -> MutexGuard<'_, WokenKeys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next key. If there is none, the next wake-up wakes `feeder`.
    fn next(&self, feeder: &Waker) -> Option<usize> {
        let mut woken = self.lock();
        let next = woken.keys.pop_front();
        let before = if next.is_none() { woken.feeder.replace(feeder.clone()) } else { None };
        drop(woken);
        drop(before);
        next
    }
}

struct ItemWaker {
    woken: Arc<Woken>,
    key: usize,
}

impl Wake for ItemWaker {
    fn wake(self: Arc<Self>) {
        let mut woken = self.woken.lock();
        woken.keys.push_back(self.key);
        let feeder = woken.feeder.take();
        drop(woken);
        if let Some(feeder) = feeder {
            feeder.wake();
        }
    }
}
