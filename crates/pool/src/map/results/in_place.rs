//! [`InPlace`]: the item that the reader of a map runs within its own reads.
//!
//! A member that reads a map of its own pool could wait for ever for a slot that it holds itself.
//! So it requests an item, which the feeder creates for it, unless the map has workers with slots.
//! Only reads of a member poll the item. Between two polls it is parked here: the feeder waits in
//! the queue for it, and the first slot of the map goes to the item.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use spinney_greenlet::Handle;
use spinney_hub::Executor;
use spinney_sync::wake_all;

use super::Results;
use super::state::Reader;
use crate::in_place::{Holder, is_too_deep};
use crate::slot::Share;

/// The item that runs in place, or the request for one.
pub(super) enum InPlace<X: Executor> {
    None,
    /// The reader waits, and may run an item.
    Requested(InPlaceRequest),
    /// It has begun, and is not being polled.
    Parked(Begun<X>),
    /// The reader polls the item of this worker.
    Polled(usize),
    /// The item of this worker runs as a task of the hub, in the slot of the reader.
    OnHub(usize),
}

/// The task of an item in place, and its greenlet.
pub(crate) struct Begun<X: Executor> {
    pub(crate) task: X::AnyTask,
    pub(crate) child: Handle,
    /// The key of its worker.
    pub(crate) key: usize,
    /// The share of the reader's slot that was last given to a nested child.
    pub(crate) below: Weak<Share>,
}

/// The data of a reader that requests an item.
#[derive(Clone)]
pub(crate) struct InPlaceRequest {
    /// The member within whose poll it reads.
    holder: Holder,
    /// There is no room for one more item on the stack: the item must run as a task of the hub.
    is_too_deep: bool,
}

impl InPlaceRequest {
    pub(crate) fn new(holder: Holder) -> Self {
        Self { holder, is_too_deep: is_too_deep() }
    }

    /// Whether the reader may run an item of this weight.
    pub(crate) fn carries(&self, weight: usize) -> bool {
        self.holder.carries(weight)
    }

    /// The slot for an item that must run as a task of the hub.
    pub(crate) fn share(&self) -> Option<Arc<Share>> {
        if self.is_too_deep { self.holder.share_slot() } else { None }
    }
}

impl<X: Executor> InPlace<X> {
    pub(super) fn is_requested(&self) -> bool {
        matches!(self, Self::Requested(_))
    }

    /// Whether an item in place waits for a slot.
    pub(super) fn wants_slot(&self) -> bool {
        matches!(self, Self::Parked(_) | Self::Polled(_))
    }

    fn has_begun(&self) -> bool {
        !matches!(self, Self::None | Self::Requested(_))
    }

    /// Takes the parked item.
    pub(super) fn take_parked(&mut self) -> Option<Begun<X>> {
        match std::mem::replace(self, Self::None) {
            Self::Parked(begun) => Some(begun),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Withdraws the request. The caller drops it under no lock.
    #[must_use]
    pub(super) fn withdraw(&mut self) -> Option<Self> {
        self.is_requested().then(|| std::mem::replace(self, Self::None))
    }

    /// Records that the worker `key` has left. Returns whether its item ran in place.
    pub(super) fn dismiss(&mut self, key: usize) -> bool {
        let is_here = matches!(self, Self::Polled(own) | Self::OnHub(own) if *own == key);
        if is_here {
            *self = Self::None;
        }
        is_here
    }
}

impl<T, X: Executor> Results<T, X> {
    /// Called by a reader that waits and may run an item.
    pub(crate) fn request_in_place(&self, request: InPlaceRequest) {
        let (before, waiters) = self.change(|state| {
            let may_request = state.waiting.is_some() && !state.in_place.has_begun();
            if may_request {
                let waiters = if state.holders == 0 { state.take_waiters() } else { Vec::new() };
                (std::mem::replace(&mut state.in_place, InPlace::Requested(request)), waiters)
            } else {
                (InPlace::Requested(request), Vec::new())
            }
        });
        drop(before);
        wake_all(waiters);
    }

    /// For the worker `key`, whose item of this weight waits for a slot after a delay: a share of
    /// the reader's slot, if the reader requests an item; the item then runs in its place. Otherwise
    /// a later request wakes `waker`.
    pub(crate) fn share_with_reader(
        &self,
        key: usize,
        weight: usize,
        waker: &Waker,
    ) -> Option<Arc<Share>> {
        let may_share = self.requested().is_some_and(|request| request.carries(weight));
        let mut state = self.lock();
        let requested = match std::mem::replace(&mut state.in_place, InPlace::None) {
            InPlace::Requested(request) if may_share && state.holders == 0 => Some(request),
            other => {
                state.in_place = other;
                None
            }
        };
        if requested.is_some() {
            state.in_place = InPlace::OnHub(key);
        }
        let waits = requested.is_none().then(|| waker.clone());
        let before = std::mem::replace(&mut state.workers[key].waits, waits);
        drop(state);
        drop(before);
        let share = requested.as_ref()?.holder.share_slot();
        if share.is_none() {
            // The holder has left: the reader is about to notice it.
            let reader = self.change(|state| {
                state.in_place.dismiss(key);
                state.waiting.take()
            });
            wake_all(reader);
        }
        share
    }

    /// Called by a reader that no longer waits: withdraws its request.
    pub(crate) fn withdraw(&self) {
        let before = self.change(|state| state.in_place.withdraw());
        drop(before);
    }

    /// For the feeder: the reader's request, if no worker has a slot.
    pub(crate) fn requested(&self) -> Option<InPlaceRequest> {
        let state = self.lock();
        match &state.in_place {
            InPlace::Requested(request) if state.holders == 0 => Some(request.clone()),
            _ => None,
        }
    }

    /// For the feeder: whether an item that has begun in place wants a slot.
    pub(crate) fn wants_slot(&self) -> bool {
        self.lock().in_place.wants_slot()
    }

    /// For the feeder: parks an item for the reader to run.
    pub(crate) fn park(&self, begun: Begun<X>) {
        self.put_in_place(InPlace::Parked(begun));
    }

    /// For the feeder: records that the item of the worker `key` runs in the slot of the reader.
    pub(crate) fn set_on_hub(&self, key: usize) {
        self.put_in_place(InPlace::OnHub(key));
    }

    fn put_in_place(&self, in_place: InPlace<X>) {
        let mut state = self.lock();
        let unused = if matches!(state.reader, Reader::Gone) {
            in_place
        } else {
            std::mem::replace(&mut state.in_place, in_place)
        };
        let reader = state.waiting.take();
        drop(state);
        drop(unused);
        wake_all(reader);
    }

    /// For the feeder, which has a slot: takes the parked item, which gets the slot. Its reader may
    /// request another.
    pub(crate) fn take_parked(&self) -> Option<Begun<X>> {
        let mut state = self.lock();
        let begun = state.in_place.take_parked()?;
        state.workers[begun.key].has_slot = true;
        state.holders += 1;
        let reader = state.waiting.take();
        drop(state);
        wake_all(reader);
        Some(begun)
    }

    /// For a reader that leaves: drops the parked item.
    pub(crate) fn drop_parked(&self) {
        let parked = self.change(|state| state.in_place.take_parked());
        drop(parked);
    }

    /// Whether an item runs in place. Takes a lock.
    pub(crate) fn has_begun(&self) -> bool {
        self.lock().in_place.has_begun()
    }

    /// The item in place, for a reader to poll; `None` if no item has begun. Pending while the item
    /// runs as a task of the hub: the reader is woken when that worker leaves.
    pub(crate) fn poll_begun(&self, cx: &Context<'_>) -> Poll<Option<Begun<X>>> {
        let mut state = self.lock();
        if let Some(begun) = state.in_place.take_parked() {
            state.in_place = InPlace::Polled(begun.key);
            return Poll::Ready(Some(begun));
        }
        if !state.in_place.has_begun() {
            return Poll::Ready(None);
        }
        let before = state.wait(cx.waker());
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// Parks the pending item again: the reader waits. The item is dropped if the map or the item
    /// has finished meanwhile; the reader then sees a deferred kill.
    pub(crate) fn park_again(&self, cx: &Context<'_>, begun: Begun<X>) {
        let mut state = self.lock();
        // Under the same lock: the feeder may take the item as soon as the lock is released.
        let before = state.wait(cx.waker());
        let unwanted = if state.feeding && state.workers.contains(begun.key) {
            state.in_place = InPlace::Parked(begun);
            None
        } else {
            Some(begun)
        };
        drop(state);
        drop((before, unwanted));
    }
}
