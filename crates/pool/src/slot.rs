//! [`Slot`]: the right to run one task in a pool.
//!
//! A slot is free, held by a [`Slot`], handed to a waiter that has not run yet, or stored in the
//! entry of a member. The semaphore counts all slots that are not free, so *running + free =
//! capacity* is its invariant.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use spinney_greenlet::{ContainerLimits, Greenlet};
use spinney_hub::{Clock, Hub, contain};
use spinney_sync::{Acquire, HandOut, Semaphore, Wait, Want};

use crate::in_place::Turns;
use crate::limits::{Alarm, Key, Kind, Limits, Request, SlotLine, Stats};
use crate::members::Members;
use crate::scope::Scopes;
use crate::task_set::TaskSet;
use crate::{Runs, SlotError};

/// The right to run one task in a [`Pool`](crate::Pool). Dropping it frees the slot for the next
/// waiter.
///
/// A slot counts as taken while it is held, and keeps its pool alive.
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
///     // Decide here which task to run.
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

    /// Spawns `future` in this slot, which is free again when the task has finished.
    ///
    /// If the pool, or the scope that the slot is from, was closed meanwhile, the returned greenlet
    /// is killed already, with [`SlotError::Closed`](crate::SlotError::Closed) as its reason.
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

/// The slots of a pool, shared with its scopes.
pub(crate) struct Slots {
    semaphore: Semaphore<SlotLine>,
    /// Whether each start must be requested: the pool is paused, or has limits on starts.
    limits_starts: AtomicBool,
    /// The waits that may run a child in place, by the waiting greenlet.
    pub(crate) turns: Turns,
    /// The scopes that share the slots.
    scopes: Scopes,
}

/// The request for one slot, without other settings.
pub(crate) const ONE: Want<Request> = Want {
    permits: 1,
    despite_close: false,
    request: Request { kind: Kind::Slot, priority: 0, key: None, behind: None },
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

    /// Takes a slot, if one is free.
    pub(crate) fn try_permit(&self) -> Result<Permit, SlotError> {
        self.try_take(&ONE)
    }

    fn try_take(&self, want: &Want<Request>) -> Result<Permit, SlotError> {
        let taken = SlotPermit::try_wanted(self.clone(), want);
        let (slot, ticket) = taken.map_err(|refusal| refusal.unwrap_or(SlotError::Full))?;
        Ok(Permit { key: KeyPermit::of(self, &want.request, ticket.is_some()), slot })
    }
}

/// The limits; the methods of [`Pool`](crate::Pool) explain them.
impl SharedSlots {
    /// Whether each start must be requested. Takes no lock.
    pub(crate) fn limits_starts(&self) -> bool {
        self.0.limits_starts.load(Relaxed)
    }

    /// Changes the limits.
    pub(crate) fn limit(&self, change: impl FnOnce(&mut Limits)) {
        let clock = Clock::shared();
        // First reads the clock, without the lock: the new rates begin at the time of the change.
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

    /// The limits, for reports.
    pub(crate) fn describe_limits(&self) -> ContainerLimits {
        let clock = self.look_at_line(SlotLine::pause_clock);
        let now = clock.as_ref().map(Clock::now);
        self.look_at_line(|line| line.describe(now))
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

/// Taken slots, as a permit of the semaphore.
type SlotPermit = spinney_sync::Permit<SharedSlots, SlotLine>;

/// A taken slot, or several slots of one request. Dropping it frees them.
pub(crate) struct Permit {
    /// Dropped first: the waiter for the key may be the first in the queue for the slot.
    key: Option<Arc<KeyPermit>>,
    slot: SlotPermit,
}

impl Permit {
    /// Adds the permit of a key, for a request that had started without its slot.
    pub(crate) fn or_key(mut self, key: Option<Arc<KeyPermit>>) -> Self {
        self.key = self.key.or(key);
        self
    }

    /// Takes the permit of the key.
    pub(crate) fn take_key(&mut self) -> Option<Arc<KeyPermit>> {
        self.key.take()
    }
}

/// Counts one task among the tasks with its key, together with its children with that key that run
/// or ran in its place. Dropping the last reference lets the next task with the key start.
pub(crate) struct KeyPermit {
    /// `None` once it is given back with a slot.
    slots: Option<SharedSlots>,
    pub(crate) key: Key,
}

impl KeyPermit {
    /// The permit of a served request; without a ticket it was not counted.
    fn of(slots: &SharedSlots, request: &Request, has_ticket: bool) -> Option<Arc<Self>> {
        let key = request.counted_key().filter(|_| has_ticket)?;
        Some(Arc::new(Self { slots: Some(slots.clone()), key }))
    }

    /// Returns the key if `permit` is its last reference. The caller gives it back.
    fn into_key(permit: Arc<Self>) -> Option<Key> {
        let mut last = Arc::into_inner(permit)?;
        last.slots = None;
        Some(last.key)
    }

    /// The permit that `wait` was granted with `slot`.
    #[inline]
    fn taken_by(wait: &Acquire<SharedSlots, SlotLine>, slot: &SlotPermit) -> Option<Arc<Self>> {
        Self::of(slot.semaphore(), &wait.want().request, wait.place().is_some())
    }
}

impl Drop for KeyPermit {
    fn drop(&mut self) {
        if let Some(slots) = &self.slots {
            contain(|| slots.give_back(|line| line.return_key(self.key)));
        }
    }
}

/// The slot in the entry of a member, and its permit of a key. Dropping it frees both, the key
/// first: the waiter for the key may be the first in the queue for the slot.
pub(crate) struct MemberSlot {
    key: Option<Arc<KeyPermit>>,
    held: Held,
}

enum Held {
    /// No slot: the member runs in place of a member with a slot.
    Nothing,
    Own(SlotPermit),
    /// A slot that is shared: for children too deep to run in place, and for workers of maps.
    Shared(Arc<Share>),
}

impl MemberSlot {
    /// The slot of `permit`.
    pub(crate) fn own(Permit { key, slot }: Permit) -> Self {
        Self { key, held: Held::Own(slot) }
    }

    /// No slot, or a share of one.
    pub(crate) fn in_place(share: Option<Arc<Share>>, key: Option<Arc<KeyPermit>>) -> Self {
        Self { key, held: share.map_or(Held::Nothing, Held::Shared) }
    }

    pub(crate) fn is_slot(&self) -> bool {
        !self.is_in_place()
    }

    pub(crate) fn is_own(&self) -> bool {
        matches!(self.held, Held::Own(_))
    }

    pub(crate) fn is_in_place(&self) -> bool {
        matches!(self.held, Held::Nothing)
    }

    /// The number of slots.
    pub(crate) fn weight(&self) -> usize {
        match &self.held {
            Held::Nothing => 0,
            Held::Own(slot) => slot.permits(),
            Held::Shared(shared) => shared.source().1,
        }
    }

    /// The share of a shared slot.
    pub(crate) fn shared(&self) -> Option<&Share> {
        if let Held::Shared(shared) = &self.held { Some(shared) } else { None }
    }

    pub(crate) fn key(&self) -> Option<&Arc<KeyPermit>> {
        self.key.as_ref()
    }

    /// Gives a member without a slot that of `permit`. Returns the permit of the key if the member
    /// has one already.
    pub(crate) fn become_own(&mut self, permit: Permit) -> Option<Arc<KeyPermit>> {
        let unused = if self.key.is_some() {
            permit.key
        } else {
            std::mem::replace(&mut self.key, permit.key)
        };
        self.held = Held::Own(permit.slot);
        unused
    }

    /// Gives a member without a slot a share of one.
    pub(crate) fn become_shared(&mut self, share: Arc<Share>) {
        self.held = Held::Shared(share);
    }

    /// Takes the permit of a key, if it has none.
    pub(crate) fn set_key(&mut self, key: &mut Option<Arc<KeyPermit>>) {
        if self.key.is_none() {
            self.key = key.take();
        }
    }

    /// Shares the slot; `None` if there is no slot.
    pub(crate) fn share(&mut self) -> Option<Arc<Share>> {
        let shared = match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Nothing => return None,
            Held::Own(slot) => Arc::new(Share::new(Source::Slot(slot))),
            Held::Shared(shared) => shared,
        };
        self.held = Held::Shared(Arc::clone(&shared));
        Some(shared)
    }

    /// Frees the slot and the key, unless they are shared. Dropping the guard wakes the next waiter.
    pub(crate) fn give_back(self, slots: &SharedSlots) -> Option<HandOut<'_, SlotLine>> {
        let slot = match self.held {
            Held::Nothing => None,
            Held::Own(slot) => Some(slot),
            Held::Shared(shared) => Share::into_slot(shared),
        };
        let permits = slot.map(|slot| {
            let permits = slot.permits();
            slot.forget();
            permits
        });
        match self.key.and_then(KeyPermit::into_key) {
            Some(key) => {
                let permits = permits.unwrap_or(0);
                Some(slots.put_back_with(permits, |line| line.return_key(key)))
            }
            None => permits.map(|permits| slots.put_back(permits)),
        }
    }
}

/// A shared slot, or a share of one that may become a slot of its own. The slot is free when the
/// last share is dropped.
///
/// The members that share a slot wait for one another, so only one of them runs. When one of them
/// gets its own slot, the children further in share that one.
pub(crate) struct Share(Mutex<Source>);

enum Source {
    Slot(SlotPermit),
    Of(Arc<Share>),
}

impl Share {
    fn new(source: Source) -> Self {
        Self(Mutex::new(source))
    }

    /// Creates a share of `shared`.
    pub(crate) fn of(shared: Arc<Self>) -> Arc<Self> {
        Arc::new(Self::new(Source::Of(shared)))
    }

    /// Makes this a slot of its own, for all its shares.
    pub(crate) fn become_slot(&self, permit: Permit) {
        self.replace(Source::Slot(permit.slot));
    }

    /// Makes this a share of `shared`.
    pub(crate) fn become_share(&self, shared: Arc<Self>) {
        self.replace(Source::Of(shared));
    }

    /// The identity of the shared slot, and its weight.
    pub(crate) fn source(&self) -> (usize, usize) {
        let place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*place {
            Source::Slot(slot) => (std::ptr::from_ref(self).addr(), slot.permits()),
            Source::Of(shared) => shared.source(),
        }
    }

    fn replace(&self, source: Source) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, source);
        drop(place);
        // Without the lock: it may wake the next waiter for a slot.
        drop(before);
    }

    /// Returns the slot if `shared` is its last share.
    fn into_slot(mut shared: Arc<Self>) -> Option<SlotPermit> {
        loop {
            let last = Arc::into_inner(shared)?.0;
            match last.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Source::Slot(slot) => return Some(slot),
                Source::Of(next) => shared = next,
            }
        }
    }
}

/// The wait for a slot. Dropping it leaves the queue; a slot that it was already handed goes to the
/// next waiter.
pub(crate) struct AcquireSlot {
    slot: Acquire<SharedSlots, SlotLine>,
    /// Whether a request above the capacity waits for a larger capacity.
    awaits_resize: bool,
    /// In a scope, the wait that ends when the scope is closed.
    call: Option<Box<Acquire<Arc<Semaphore>>>>,
    /// The caller's line.
    at: &'static Location<'static>,
}

impl AcquireSlot {
    #[track_caller]
    pub(crate) fn new(members: &Arc<Members>) -> Self {
        let call = members.scope().map(|scope| Box::new(scope.call()));
        Self { call, ..Self::of_slots(&members.slots) }
    }

    /// Creates a wait that belongs to no group.
    #[track_caller]
    pub(crate) fn of_slots(slots: &SharedSlots) -> Self {
        let (slot, at) = (Acquire::wanting(slots.clone(), ONE), Location::caller());
        Self { slot, awaits_resize: false, call: None, at }
    }

    /// Keeps waiting after a close: for a map that started before.
    pub(crate) fn despite_close(self) -> Self {
        let (slot, call) =
            (self.slot.despite_close(), self.call.map(|call| Box::new(call.despite_close())));
        Self { slot, call, ..self }
    }

    /// Waits for a larger capacity rather than be refused for its weight.
    pub(crate) fn await_resize(self) -> Self {
        Self { awaits_resize: true, ..self }
    }

    /// Changes the request, before the first poll.
    pub(crate) fn set(&mut self, set: impl FnOnce(&mut Want<Request>)) {
        if let Some(want) = self.slot.want_mut() {
            set(want);
        }
    }

    /// Keeps the request behind the request `ticket`.
    pub(crate) fn behind(mut self, ticket: Option<u64>) -> Self {
        self.set(|want| want.request.behind = ticket);
        self
    }

    /// The ticket of the request, while it is in the queue.
    pub(crate) fn ticket(&self) -> Option<u64> {
        self.slot.place().map(|place| place.ticket)
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
        self.weight() > 1 && self.is_refused_for_weight()
    }

    #[cold]
    fn is_refused_for_weight(&self) -> bool {
        let is_new = !self.awaits_resize && self.slot.place().is_none();
        is_new && self.slot.semaphore().is_some_and(|slots| self.weight() > slots.capacity())
    }

    /// Ready if the scope was closed. The call of the scope ends when the slot `is_ready`.
    #[cold]
    fn poll_scope(&mut self, is_ready: bool, cx: &mut Context<'_>) -> Poll<()> {
        let Some(call) = &mut self.call else { return Poll::Pending };
        let is_closed = Pin::new(call).poll(cx).is_ready();
        if is_ready && !is_closed {
            self.call = None;
        }
        if is_closed { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes a slot if the request can have one now.
    pub(crate) fn try_now(&self) -> Result<Permit, SlotError> {
        if self.is_too_heavy() {
            return Err(SlotError::TooHeavy);
        }
        self.slot.semaphore().map_or(Err(SlotError::Full), |slots| slots.try_take(self.slot.want()))
    }

    /// Creates the wait for a start in place of a member, which shares the member's key permit if
    /// the keys are the same.
    pub(crate) fn in_place(
        &self,
        slots: &SharedSlots,
        shared: Option<Arc<KeyPermit>>,
    ) -> AcquireStart {
        let kind = if shared.is_some() { Kind::InPlaceOfKey } else { Kind::InPlace };
        let mut want = Want { permits: 0, ..self.want() };
        want.request.kind = kind;
        let mut start = Self::of_slots(slots);
        start.set(|own| *own = want);
        AcquireStart { start, shared }
    }

    /// Records that the task has started in place: the request now waits for a slot alone.
    pub(crate) fn has_started(&mut self) {
        self.slot.change_in_line(SlotLine::has_started);
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
        // A closed scope does not use the slot: it goes to the next waiter.
        if this.call.is_some() && this.poll_scope(slot.is_ready(), cx).is_ready() {
            return Poll::Ready(Err(SlotError::Closed));
        }
        if slot.is_pending() {
            Wait::note("a slot of a pool", this.at);
        }
        slot.map_ok(|slot| Permit { key: KeyPermit::taken_by(&this.slot, &slot), slot })
    }
}

/// The wait for a start in place of a member. Dropping it leaves the queue; a start that it was
/// already granted is used up.
pub(crate) struct AcquireStart {
    start: AcquireSlot,
    /// The member's key permit, if both have the same key.
    shared: Option<Arc<KeyPermit>>,
}

impl AcquireStart {
    /// Ready with the key permit of the task.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Arc<KeyPermit>>, SlotError>> {
        let mut start = ready!(Pin::new(&mut self.start).poll(cx))?;
        Poll::Ready(Ok(self.shared.take().or_else(|| start.take_key())))
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
        &self.0.maps_end
    }
}
