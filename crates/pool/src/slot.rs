//! [`Slot`]: the right to run one task in a pool, as a value.
//!
//! A slot is free, held by a [`Slot`] or on its way to a waiter, or in the entry of a member. The
//! semaphore counts those that are not free, so *running + free = capacity* is its invariant.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use spinney_greenlet::Greenlet;
use spinney_hub::Hub;
use spinney_sync::{Acquire, Closed, HandOut, Semaphore, TryAcquireError, Wait};

use crate::Runs;
use crate::in_place::Turns;
use crate::members::Members;
use crate::scope::{Scope, Scopes};
use crate::task_set::TaskSet;

/// The right to run one task in a [`Pool`](crate::Pool). Dropping it frees the slot for the next
/// waiter.
///
/// A slot that is held counts as taken. It keeps its pool alive.
///
/// ```
/// use spinney_pool::Pool;
///
/// spinney_hub::block_on(async {
///     let pool = Pool::new(2);
///     let slot = pool.slot().await?;
///     assert_eq!((pool.len(), pool.available()), (1, 1));
///     // Whatever has to be done before it is known what to run.
///     let answer = slot.spawn(async { 6 * 7 });
///     assert_eq!(answer.await.unwrap(), 42);
///     # Ok::<(), spinney_sync::Closed>(())
/// }).unwrap();
/// ```
#[must_use = "dropping a slot frees it"]
pub struct Slot<X = Hub> {
    set: TaskSet<X>,
    permit: Permit,
}

impl<X> Slot<X> {
    pub(crate) fn new(set: &TaskSet<X>, permit: Permit) -> Self {
        Self { set: set.clone(), permit }
    }

    /// Starts `future` in this slot, which is free again when the task has finished.
    ///
    /// If the pool was closed meanwhile, or the scope that the slot was taken from, the greenlet was
    /// killed with [`Closed`](spinney_sync::Closed) for the reason.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> Greenlet<F::Output>
    where
        F: Future,
        X: Runs<F>,
    {
        self.set.launch(self.permit, future, Location::caller())
    }
}

impl<X> fmt::Debug for Slot<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("of", &self.set).finish()
    }
}

/// The slots of a pool, which its scopes share.
pub(crate) struct Slots {
    semaphore: Semaphore,
    /// The waits that may run a child in place, by the greenlet that waits.
    pub(crate) turns: Turns,
    /// The scopes that share them.
    scopes: Scopes,
}

/// A shared pointer to the slots of a pool.
#[derive(Clone)]
pub(crate) struct SharedSlots(Arc<Slots>);

/// A slot that is taken. Dropping it frees it.
pub(crate) type Permit = spinney_sync::Permit<SharedSlots>;

impl SharedSlots {
    pub(crate) fn new(capacity: usize) -> Self {
        let (semaphore, turns) = (Semaphore::new(capacity), Turns::default());
        Self(Arc::new(Slots { semaphore, turns, scopes: Scopes::default() }))
    }

    pub(crate) fn shared(&self) -> &Slots {
        &self.0
    }

    pub(crate) fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// A slot, if one is free.
    pub(crate) fn try_permit(&self) -> Result<Permit, TryAcquireError> {
        Permit::try_of(self.clone())
    }

    /// Whether both point to the same slots.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for SharedSlots {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0.semaphore
    }
}

/// The slot of a member, in its entry.
pub(crate) enum Held {
    /// None: it runs in place of a member that has one.
    InPlace,
    Own(Permit),
    /// A slot that others share: those that are too deep to run in place, and workers of maps.
    Shared(Arc<Share>),
}

impl Held {
    pub(crate) fn is_slot(&self) -> bool {
        !matches!(self, Self::InPlace)
    }

    /// The slot, to be shared; None if there is none.
    pub(crate) fn share(&mut self) -> Option<Arc<Share>> {
        let shared = match std::mem::replace(self, Self::InPlace) {
            Self::InPlace => return None,
            Self::Own(permit) => Arc::new(Share::new(Source::Slot(permit))),
            Self::Shared(shared) => shared,
        };
        *self = Self::Shared(Arc::clone(&shared));
        Some(shared)
    }

    /// Gives the slot back, unless others share it. The next waiter is woken when that is dropped.
    pub(crate) fn give_back(self, slots: &SharedSlots) -> Option<HandOut<'_>> {
        let permit = match self {
            Self::InPlace => None,
            Self::Own(permit) => Some(permit),
            Self::Shared(shared) => Share::into_permit(shared),
        };
        permit.map(|permit| slots.take_back(permit))
    }
}

/// A slot that is shared, or a share of it that may become a slot of its own. The slot is free when
/// the last share is dropped.
///
/// The members of one slot wait for one another, so that one of them runs. Where a member of the
/// chain gets a slot of its own, those below it share that one.
pub(crate) struct Share(Mutex<Source>);

enum Source {
    Slot(Permit),
    Of(Arc<Share>),
}

impl Share {
    fn new(source: Source) -> Self {
        Self(Mutex::new(source))
    }

    /// A share of `shared`.
    pub(crate) fn of(shared: Arc<Self>) -> Arc<Self> {
        Arc::new(Self::new(Source::Of(shared)))
    }

    /// Becomes a slot of its own, for all that share through it.
    pub(crate) fn become_slot(&self, permit: Permit) {
        self.replace(Source::Slot(permit));
    }

    /// Becomes a share of `shared`.
    pub(crate) fn become_share(&self, shared: Arc<Self>) {
        self.replace(Source::Of(shared));
    }

    fn replace(&self, source: Source) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, source);
        drop(place);
        // It may wake the next waiter for a slot.
        drop(before);
    }

    /// The slot, if this was its last share.
    fn into_permit(mut shared: Arc<Self>) -> Option<Permit> {
        loop {
            let last = Arc::into_inner(shared)?.0;
            match last.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Source::Slot(permit) => return Some(permit),
                Source::Of(next) => shared = next,
            }
        }
    }
}

/// The wait for a slot. Dropping it gives up the place in the queue, and passes on a slot that it
/// had been handed.
pub(crate) struct AcquireSlot {
    slot: Acquire<SharedSlots>,
    /// In a scope, the wait that is refused with it.
    call: Option<Acquire<Arc<Semaphore>>>,
    /// The line of the caller.
    at: &'static Location<'static>,
}

impl AcquireSlot {
    #[track_caller]
    pub(crate) fn new(members: &Arc<Members>) -> Self {
        Self {
            slot: Acquire::of(members.slots.clone()),
            call: members.scope().map(Scope::call),
            at: Location::caller(),
        }
    }

    /// The same wait, which a close does not end: for a map that started before.
    pub(crate) fn despite_close(self) -> Self {
        let Self { slot, call, at } = self;
        Self { slot: slot.despite_close(), call: call.map(Acquire::despite_close), at }
    }
}

impl Future for AcquireSlot {
    type Output = Result<Permit, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let slot = Pin::new(&mut this.slot).poll(cx);
        // A slot is no use to a scope that was closed: it goes to the next waiter.
        if this.call.as_mut().is_some_and(|call| Pin::new(call).poll(cx).is_ready()) {
            return Poll::Ready(Err(Closed));
        }
        if slot.is_pending() {
            Wait::note("a slot of a pool", this.at);
        } else {
            this.call = None;
        }
        slot
    }
}

/// A semaphore without permits that is closed when the maps of its group end.
pub(crate) struct MapsEnd(Arc<Members>);

impl MapsEnd {
    /// Ready when the maps of the group of `members` end.
    #[track_caller]
    pub(crate) fn wait(members: &Arc<Members>) -> Acquire<Self> {
        Acquire::of(Self(Arc::clone(members)))
    }
}

impl Deref for MapsEnd {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0.maps
    }
}
