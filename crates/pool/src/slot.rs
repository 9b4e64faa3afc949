//! [`Slot`]: the right to run one task in a pool, as a value.
//!
//! A slot is free, held by a [`Slot`] or on its way to a waiter, or in the entry of a member. The
//! semaphore counts those that are not free, so *running + free = capacity* is its invariant.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use spinney_greenlet::Greenlet;
use spinney_hub::{Clock, Hub, contain};
use spinney_sync::{Acquire, HandOut, Semaphore, Wait, Want};

use crate::in_place::Turns;
use crate::limits::{Alarm, Key, Kind, Limits, Request, SlotLine, Stats};
use crate::members::Members;
use crate::scope::{Scope, Scopes};
use crate::task_set::TaskSet;
use crate::{Runs, SlotError};

/// The right to run one task in a [`Pool`](crate::Pool). Dropping it frees the slot for the next
/// waiter.
///
/// A slot that is held counts as taken. It keeps its pool alive.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Pool;
/// #     pub mod pool { pub use spinney_pool::SlotError; }
/// # }
/// use spinney::{Pool, block_on};
/// use spinney::pool::SlotError;
///
/// block_on(async {
///     let pool = Pool::new(2);
///     let slot = pool.slot().await?;
///     assert_eq!((pool.len(), pool.available()), (1, 1));
///     // Whatever has to be done before it is known what to run.
///     let answer = slot.spawn(async { 6 * 7 });
///     assert_eq!(answer.await.unwrap(), 42);
///     Ok::<(), SlotError>(())
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
    semaphore: Semaphore<SlotLine>,
    /// Whether each start has to be asked for: there are limits that concern starts, or a pause.
    limits_starts: AtomicBool,
    /// The waits that may run a child in place, by the greenlet that waits.
    pub(crate) turns: Turns,
    /// The scopes that share them.
    scopes: Scopes,
}

/// What a request asks for that says nothing else.
pub(crate) const ONE: Want<Request> = Want {
    permits: 1,
    despite_close: false,
    request: Request { kind: Kind::Slot, priority: 0, key: None },
};

/// A shared pointer to the slots of a pool.
#[derive(Clone)]
pub(crate) struct SharedSlots(Arc<Slots>);

impl SharedSlots {
    pub(crate) fn new(capacity: usize) -> Self {
        let semaphore = Semaphore::with_line(capacity, SlotLine::new());
        let (limits_starts, turns) = (AtomicBool::new(false), Turns::default());
        Self(Arc::new(Slots { semaphore, limits_starts, turns, scopes: Scopes::default() }))
    }

    pub(crate) fn with_limits(capacity: usize, limits: Limits) -> Self {
        let slots = Self::new(capacity);
        if !limits.are_none() {
            slots.limit(|now| *now = limits);
        }
        slots
    }

    pub(crate) fn shared(&self) -> &Slots {
        &self.0
    }

    pub(crate) fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// Whether both point to the same slots.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A slot, if one is free.
    pub(crate) fn try_permit(&self) -> Result<Permit, SlotError> {
        self.try_take(&ONE)
    }

    fn try_take(&self, want: &Want<Request>) -> Result<Permit, SlotError> {
        let taken = SlotPermit::try_wanted(self.clone(), want);
        let (slot, ticket) = taken.map_err(|refusal| refusal.unwrap_or(SlotError::Full))?;
        Ok(Permit { key: KeyPermit::of(self, want.request.key, ticket), slot })
    }
}

/// Limits, which the pool's methods explain.
impl SharedSlots {
    /// Whether each start has to be asked for. It takes no lock.
    pub(crate) fn limits_starts(&self) -> bool {
        self.0.limits_starts.load(Relaxed)
    }

    /// Changes the limits.
    pub(crate) fn limit(&self, change: impl FnOnce(&mut Limits)) {
        let clock = Clock::shared();
        // Rates are changed at the time of the change, which is told without the lock.
        self.change_line(|_| ());
        self.change_line(|line| {
            let mut limits = line.limits();
            change(&mut limits);
            line.set_limits(limits, clock, || self.alarm());
            self.note_limits(line);
        });
    }

    pub(crate) fn pause(&self, duration: Option<Duration>) {
        let clock = Clock::shared();
        let now = clock.now();
        self.change_line(|line| {
            line.pause((clock, now), duration, || self.alarm());
            self.note_limits(line);
        });
    }

    pub(crate) fn resume(&self) {
        let Some(clock) = self.look_at_line(SlotLine::pause_clock) else { return };
        let now = clock.now();
        self.change_line(|line| {
            line.resume(now);
            self.note_limits(line);
        });
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.limits_starts() && self.change_line(|line| line.pause_clock()).is_some()
    }

    pub(crate) fn limit_stats(&self) -> Stats {
        let clock = self.look_at_line(SlotLine::pause_clock);
        let now = clock.as_ref().map(Clock::now);
        self.look_at_line(|line| line.stats(now))
    }

    fn alarm(&self) -> Arc<Alarm> {
        Alarm::new(Arc::downgrade(&self.0))
    }

    fn note_limits(&self, line: &SlotLine) {
        let limits_starts = line.limits().concern_starts() || line.pause_clock().is_some();
        self.0.limits_starts.store(limits_starts, Relaxed);
    }
}

impl From<Arc<Slots>> for SharedSlots {
    fn from(slots: Arc<Slots>) -> Self {
        Self(slots)
    }
}

impl Deref for SharedSlots {
    type Target = Semaphore<SlotLine>;

    fn deref(&self) -> &Semaphore<SlotLine> {
        &self.0.semaphore
    }
}

/// Slots that are taken, as the semaphore knows them.
type SlotPermit = spinney_sync::Permit<SharedSlots, SlotLine>;

/// A slot that is taken, or several for one request. Dropping it frees them.
pub(crate) struct Permit {
    /// Given back first: the request that waits for the key may be first in line for the slot.
    key: Option<Arc<KeyPermit>>,
    slot: SlotPermit,
}

impl Permit {
    /// Takes the part that counts among the tasks with the same key.
    pub(crate) fn take_key(&mut self) -> Option<Arc<KeyPermit>> {
        self.key.take()
    }
}

/// What counts a task among those with the same key, and its children of that key that run or ran in
/// its place. Dropping the last of them lets the next task with the key start.
pub(crate) struct KeyPermit {
    slots: SharedSlots,
    pub(crate) key: Key,
    ticket: u64,
}

impl KeyPermit {
    /// What a request for `key` was given that had this ticket: without one it is not counted.
    fn of(slots: &SharedSlots, key: Option<Key>, ticket: Option<u64>) -> Option<Arc<Self>> {
        let (key, ticket) = key.zip(ticket)?;
        Some(Arc::new(Self { slots: slots.clone(), key, ticket }))
    }

    /// What a wait was given beside `slot`.
    fn taken_by(wait: &Acquire<SharedSlots, SlotLine>, slot: &SlotPermit) -> Option<Arc<Self>> {
        let ticket = wait.place().map(|place| place.ticket);
        Self::of(slot.semaphore(), wait.want().request.key, ticket)
    }
}

impl Drop for KeyPermit {
    fn drop(&mut self) {
        contain(|| self.slots.change_line(|line| line.return_key(self.key, self.ticket)));
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

    /// The number of slots.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::InPlace => 0,
            Self::Own(permit) => permit.slot.permits(),
            Self::Shared(shared) => shared.weight(),
        }
    }

    /// Takes the part that counts among the tasks with the same key.
    pub(crate) fn take_key(&mut self) -> Option<Arc<KeyPermit>> {
        if let Self::Own(permit) = self { permit.take_key() } else { None }
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
    pub(crate) fn give_back(self, slots: &SharedSlots) -> Option<HandOut<'_, SlotLine>> {
        let permit = match self {
            Self::InPlace => None,
            Self::Own(permit) => Some(permit),
            Self::Shared(shared) => Share::into_permit(shared),
        };
        permit.map(|permit| slots.take_back(permit.slot))
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

    fn weight(&self) -> usize {
        let place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*place {
            Source::Slot(permit) => permit.slot.permits(),
            Source::Of(shared) => shared.weight(),
        }
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
    slot: Acquire<SharedSlots, SlotLine>,
    /// Whether it waits for a larger capacity if it is too heavy.
    awaits_resize: bool,
    /// In a scope, the wait that is refused with it.
    call: Option<Acquire<Arc<Semaphore>>>,
    /// The line of the caller.
    at: &'static Location<'static>,
}

impl AcquireSlot {
    #[track_caller]
    pub(crate) fn new(members: &Arc<Members>) -> Self {
        Self { call: members.scope().map(Scope::call), ..Self::of_slots(&members.slots) }
    }

    /// A wait that is no call of a group.
    #[track_caller]
    pub(crate) fn of_slots(slots: &SharedSlots) -> Self {
        let (slot, at) = (Acquire::wanting(slots.clone(), ONE), Location::caller());
        Self { slot, awaits_resize: false, call: None, at }
    }

    /// The same wait, which a close does not end: for a map that started before.
    pub(crate) fn despite_close(self) -> Self {
        let (slot, call) = (self.slot.despite_close(), self.call.map(Acquire::despite_close));
        Self { slot, call, ..self }
    }

    /// The same wait, which is not refused for its weight.
    pub(crate) fn await_resize(self) -> Self {
        Self { awaits_resize: true, ..self }
    }

    /// Changes what it asks for, before the first poll.
    pub(crate) fn set(&mut self, set: impl FnOnce(&mut Want<Request>)) {
        if let Some(want) = self.slot.want_mut() {
            set(want);
        }
    }

    pub(crate) fn want(&self) -> Want<Request> {
        self.slot.want().clone()
    }

    pub(crate) fn weight(&self) -> usize {
        self.slot.want().permits
    }

    pub(crate) fn key(&self) -> Option<Key> {
        self.slot.want().request.key
    }

    fn is_too_heavy(&self) -> bool {
        let is_new = self.weight() > 1 && !self.awaits_resize && self.slot.place().is_none();
        is_new && self.slot.semaphore().is_some_and(|slots| self.weight() > slots.capacity())
    }

    /// Takes a slot if the request can have one now.
    pub(crate) fn try_now(&self) -> Result<Permit, SlotError> {
        if self.is_too_heavy() {
            return Err(SlotError::TooHeavy);
        }
        self.slot.semaphore().map_or(Err(SlotError::Full), |slots| slots.try_take(self.slot.want()))
    }

    /// The wait for a start in the place of a member, which shares its key if that is the same.
    pub(crate) fn in_place(
        &self,
        slots: &SharedSlots,
        shared: Option<Arc<KeyPermit>>,
    ) -> AcquireStart {
        let mut want = self.slot.want().clone();
        want.permits = 0;
        want.request.kind = if shared.is_some() { Kind::InPlaceOfKey } else { Kind::InPlace };
        AcquireStart { start: Acquire::wanting(slots.clone(), want), shared }
    }

    /// What it is for has started in place: it waits for its slot alone from now on.
    pub(crate) fn has_started(&self) {
        if let (Some(slots), Some(place)) = (self.slot.semaphore(), self.slot.place()) {
            slots.change_line(|line| line.has_started(place.ticket));
        }
    }
}

impl Future for AcquireSlot {
    type Output = Result<Permit, SlotError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.is_too_heavy() {
            return Poll::Ready(Err(SlotError::TooHeavy));
        }
        let slot = Pin::new(&mut this.slot).poll(cx);
        // A slot is no use to a scope that was closed: it goes to the next waiter.
        if this.call.as_mut().is_some_and(|call| Pin::new(call).poll(cx).is_ready()) {
            return Poll::Ready(Err(SlotError::Closed));
        }
        if slot.is_pending() {
            Wait::note("a slot of a pool", this.at);
        } else {
            this.call = None;
        }
        slot.map_ok(|slot| Permit { key: KeyPermit::taken_by(&this.slot, &slot), slot })
    }
}

/// The wait for a start in the place of a member. Dropping it gives up the place in the queue; a
/// start that it had been granted is spent.
pub(crate) struct AcquireStart {
    start: Acquire<SharedSlots, SlotLine>,
    /// The key of the member, if it is that of the start.
    shared: Option<Arc<KeyPermit>>,
}

impl AcquireStart {
    /// Ready with what counts the task among those with its key.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Arc<KeyPermit>>, SlotError>> {
        let start = ready!(Pin::new(&mut self.start).poll(cx))?;
        let shared = self.shared.take();
        Poll::Ready(Ok(shared.or_else(|| KeyPermit::taken_by(&self.start, &start))))
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
