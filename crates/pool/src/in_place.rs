//! [`SpawnInto`]: the wait for a slot in which a member runs its child meanwhile.
//!
//! A member that waits for a slot of its own full pool could wait for ever: members that wait too
//! may hold all slots. So the member waits in the queue, and polls the child within its own poll.
//! The wait ends when the child has finished, or when a slot is free: then the child continues in
//! the slot, as a task of the hub.
//!
//! The rules, each with a test:
//! - Only a task that is polled within the poll of a slot holder, on this thread, runs a child. The
//!   holder is found at each poll and never stored: a wait may move to another task.
//! - A child runs in place only on the hub of the call.
//! - Of several waits of one greenlet, the first one polled has the turn; the others wait for a
//!   slot or for the turn.
//! - At most [`MAX_IN_PLACE`] children run in place on one stack. A child beyond that runs as a
//!   task of the hub that shares the slot.
//! - A start in place counts as a start: in a pool that limits starts, it waits for its key, its
//!   rates and the end of a pause, but for no slot. A child with a weight above the holder's slot
//!   waits like any other caller.
//! - The requests of a child stay behind the child's own request, whatever their priorities: a child
//!   that pauses cannot use a slot that its requests get.
//! - A child that no holder polls pauses until it gets a slot of its own; a kill or an abort ends
//!   it. If it will get no slot, because the group was closed or the wait left the queue, the child
//!   continues as a task of the hub without one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use spinney_greenlet::{Greenlet, Handle, InPlace, Join, KillForwarder};
use spinney_sync::{BudgetedAwait, Semaphore, Wait, wake_all};

use crate::hook::Hooked;
use crate::limits::SlotLine;
use crate::members::{Members, Membership};
use crate::slot::{AcquireSlot, AcquireStart, KeyPermit, MemberSlot, Permit, Share, SharedSlots};
use crate::task_set::{MemberTask, TaskSet, refused};
use crate::{Reentry, Runs, SlotError};

/// How many children run in place on one stack. An unoptimised build overflows 2 MiB at 458.
const MAX_IN_PLACE: usize = 128;

/// The future of a spawn: waits for a slot, and starts its future in it. Dropping it drops a future
/// that has not started, and ends a child that runs in place.
pub(crate) struct SpawnInto<'a, F: Future, X> {
    set: &'a TaskSet<X>,
    /// The wait for a slot. `None` if the group was closed while the child ran in place, or if the
    /// child runs in place to the end.
    slot: Option<AcquireSlot>,
    /// The wait for a start without a slot, where each start must be requested.
    start: Option<Box<AcquireStart>>,
    stage: Stage<F>,
    /// The share of the holder's slot that was last given to a nested child beyond the depth limit.
    below: Weak<Share>,
    turn: Option<Turn>,
    reentry: Reentry,
    /// Whether a member runs the child before it looks for a slot.
    at_once: bool,
    budgeted: BudgetedAwait,
    /// The caller's line.
    at: &'static Location<'static>,
}

enum Stage<F: Future> {
    /// Not started.
    Queued(Hooked<F>),
    /// Runs within the polls of the caller.
    InPlace(InPlace<Hooked<F>, Membership>, Greenlet<F::Output>),
    /// Runs as a task of the hub that shares the caller's slot.
    OnHub(HubChild<F::Output>),
    /// Runs as an independent task; the caller sees its own kill before it gets the greenlet.
    Started(Greenlet<F::Output>),
    /// Returned to the caller.
    Given,
}

impl<'a, F: Future, X> SpawnInto<'a, F, X> {
    #[track_caller]
    pub(crate) fn new(set: &'a TaskSet<X>, future: F) -> Self {
        Self::with_slot(set, AcquireSlot::new(set.inner()), future)
    }

    /// Spawns `future` into the slot that `slot` waits for.
    #[track_caller]
    pub(crate) fn with_slot(set: &'a TaskSet<X>, slot: AcquireSlot, future: F) -> Self {
        Self {
            set,
            slot: Some(slot),
            start: None,
            stage: Stage::Queued(set.body(future)),
            below: Weak::new(),
            turn: None,
            reentry: set.core.settings.reentry,
            at_once: false,
            budgeted: BudgetedAwait::default(),
            at: Location::caller(),
        }
    }

    /// Makes a member run the future in its own place to the end, even if a slot is free.
    pub(crate) fn at_once(mut self) -> Self {
        (self.reentry, self.at_once) = (Reentry::Inline, true);
        self
    }
}

impl<F: Future, X> SpawnInto<'_, F, X> {
    fn take_body(&mut self) -> Hooked<F> {
        match std::mem::replace(&mut self.stage, Stage::Given) {
            Stage::Queued(body) => body,
            _ => unreachable!("it has not started"),
        }
    }
}

impl<F: Future, X: Runs<F>> SpawnInto<'_, F, X> {
    fn poll_spawn(&mut self, cx: &mut Context<'_>) -> Poll<Greenlet<F::Output>> {
        if std::mem::take(&mut self.at_once) {
            let polled = self.poll_in_place(cx);
            if polled.is_ready() || !matches!(self.stage, Stage::Queued(_)) {
                return polled;
            }
        }
        if let Some(slot) = &mut self.slot {
            match Pin::new(slot).poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(permit)) => return self.take_slot(permit, cx),
                Poll::Ready(Err(error)) => {
                    // A child in place goes on, and a child that may start in place needs no slot.
                    let needs_none = error == SlotError::TooManyWaiting && self.prepare_start();
                    self.slot = None;
                    if matches!(self.stage, Stage::Queued(_)) && !needs_none {
                        return Poll::Ready(self.refuse(error));
                    }
                }
            }
        }
        match &mut self.stage {
            Stage::Queued(_) | Stage::InPlace(..) => self.poll_in_place(cx),
            Stage::OnHub(child) => {
                if child.poll_ended(cx).is_pending() {
                    Wait::note("a child in a pool", self.at);
                    return Poll::Pending;
                }
                self.give(cx)
            }
            Stage::Started(_) | Stage::Given => self.give(cx),
        }
    }

    /// Starts the child in its slot, or moves it there, as a task of the hub.
    fn take_slot(&mut self, permit: Permit, cx: &Context<'_>) -> Poll<Greenlet<F::Output>> {
        self.slot = None;
        match &self.stage {
            Stage::Queued(_) => {
                let started =
                    self.set.launch_body(MemberSlot::own(permit), self.take_body(), self.at);
                let refused =
                    |body: Hooked<F>| refused(body.into_inner(), SlotError::Closed, self.at);
                Poll::Ready(started.unwrap_or_else(refused))
            }
            Stage::InPlace(_, greenlet) => {
                self.set.inner().give_slot(greenlet, permit, self.below.upgrade().as_deref());
                self.move_to_hub(cx)
            }
            Stage::OnHub(child) => {
                // Also if the child is no longer a member, as long as the slot is shared through it: the
                // caller keeps the slot that they shared.
                if let Some(share) = child.share.upgrade() {
                    share.become_slot(permit);
                }
                self.give(cx)
            }
            Stage::Started(_) | Stage::Given => unreachable!("it waits for no slot"),
        }
    }

    /// Continues the child in place as a task of the hub.
    fn move_to_hub(&mut self, cx: &Context<'_>) -> Poll<Greenlet<F::Output>> {
        let Stage::InPlace(mut child, greenlet) = std::mem::replace(&mut self.stage, Stage::Given)
        else {
            unreachable!("the child is in place")
        };
        let is_killed = child.finish(cx.waker());
        self.set.core.hub.spawn(child.into_task());
        self.stage = Stage::Started(greenlet);
        self.turn = None;
        if is_killed { Poll::Pending } else { self.give(cx) }
    }

    /// Pauses the child, which the caller may not run now. Ready if a kill or an abort ended
    /// the child.
    fn pause(&mut self, cx: &mut Context<'_>) -> Poll<Greenlet<F::Output>> {
        let Stage::InPlace(child, _) = &mut self.stage else { return Poll::Pending };
        ready!(child.poll_rest(cx));
        self.give(cx)
    }

    /// Runs the child, if the caller is a member that may.
    fn poll_in_place(&mut self, cx: &mut Context<'_>) -> Poll<Greenlet<F::Output>> {
        let set = self.set;
        let Some((holder, current)) = self.holder() else {
            // The wait has moved to another task: the member's other waits get the turn, and a granted
            // start keeps no key from the request for a slot.
            (self.turn, self.start) = (None, None);
            if matches!(self.stage, Stage::Queued(_)) && self.slot.is_none() {
                return Poll::Ready(self.refuse(SlotError::TooManyWaiting));
            }
            let paused = self.pause(cx);
            let gets_no_slot = paused.is_pending() && self.slot.is_none();
            return if gets_no_slot { self.move_to_hub(cx) } else { paused };
        };
        let turn = Turn::of(&mut self.turn, &set.inner().slots, &current);
        if !turn.poll(cx.waker()) {
            return self.pause(cx);
        }
        if let Stage::Queued(_) = self.stage {
            let key = match ready!(self.poll_start(cx)) {
                Ok(key) => key,
                Err(error) => return Poll::Ready(self.refuse(error)),
            };
            if let Err(refused) = self.begin(&holder, key) {
                return Poll::Ready(refused);
            }
        }
        match &mut self.stage {
            Stage::InPlace(child, greenlet) => {
                let below = std::mem::take(&mut self.below);
                let ticket = self.slot.as_ref().and_then(AcquireSlot::ticket);
                let frame = Frame { child: greenlet.id(), around: current, holder, ticket, below };
                let (polled, below) = frame.run(|| Pin::new(child).poll(cx));
                self.below = below;
                ready!(polled);
                self.give(cx)
            }
            _ => self.poll_spawn(cx),
        }
    }

    /// The member that may run the child within this poll, and the current greenlet.
    fn holder(&self) -> Option<(Holder, Handle)> {
        if self.reentry == Reentry::Wait || !self.set.is_on_hub() {
            return None;
        }
        let holder = Holder::around(self.set.inner())?;
        let weight = self.slot.as_ref().map_or(1, AcquireSlot::weight);
        Some((holder, Handle::current()?)).filter(|(holder, _)| holder.carries(weight))
    }

    /// Ready with the key permit of the child when its key, the rates and pauses allow a start in
    /// place. In a pool without limits that is immediate.
    fn poll_start(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Arc<KeyPermit>>, SlotError>> {
        if !self.set.slots().limits_starts() {
            return Poll::Ready(Ok(None));
        }
        if self.start.is_none() {
            self.prepare_start();
        }
        let Some(start) = &mut self.start else { return Poll::Ready(Ok(None)) };
        let started = start.poll(cx);
        if started.is_pending() {
            Wait::note("a start in a pool", self.at);
            return Poll::Pending;
        }
        self.start = None;
        self.slot.iter_mut().for_each(AcquireSlot::has_started);
        started
    }

    /// Prepares the wait for a start without a slot, if the caller is a member that may run the
    /// child. Returns whether it is.
    fn prepare_start(&mut self) -> bool {
        let (Some(_), Some(slot)) = (self.holder(), &self.slot) else { return false };
        let members = self.set.inner();
        let shared = slot.key().and_then(|key| {
            greenlets_around().find_map(|(greenlet, _)| members.key_of(&greenlet, key))
        });
        self.start.get_or_insert_with(|| Box::new(slot.in_place(&members.slots, shared)));
        true
    }

    /// Starts the child in place, or as a task of the hub if the stack is too deep.
    ///
    /// # Errors
    ///
    /// Returns a refused greenlet if the group was closed.
    fn begin(
        &mut self,
        holder: &Holder,
        key: Option<Arc<KeyPermit>>,
    ) -> Result<(), Greenlet<F::Output>> {
        let body = self.take_body();
        let share = if is_too_deep() { holder.share_below() } else { None };
        let slot = MemberSlot::in_place(share.clone(), key);
        let entered = self.set.inner().enter(slot, self.at, body);
        let refuse = |body: Hooked<F>| refused(body.into_inner(), SlotError::Closed, self.at);
        let (task, greenlet) = entered.map_err(refuse)?;
        if self.reentry == Reentry::Inline {
            self.slot = None;
        }
        self.stage = if let Some(share) = share {
            self.set.core.hub.spawn(task);
            Stage::OnHub(HubChild::new(greenlet, &share))
        } else {
            Stage::InPlace(InPlace::new(task, &greenlet), greenlet)
        };
        Ok(())
    }

    fn refuse(&mut self, error: SlotError) -> Greenlet<F::Output> {
        refused(self.take_body().into_inner(), error, self.at)
    }

    /// Returns the greenlet: the child has finished, or runs independently.
    fn give(&mut self, cx: &Context<'_>) -> Poll<Greenlet<F::Output>> {
        (self.slot, self.turn) = (None, None);
        match std::mem::replace(&mut self.stage, Stage::Given) {
            Stage::InPlace(_, greenlet) | Stage::Started(greenlet) => Poll::Ready(greenlet),
            Stage::OnHub(HubChild { mut forwarder, greenlet, .. }) => {
                if !forwarder.finish(cx.waker()) {
                    return Poll::Ready(greenlet);
                }
                self.stage = Stage::Started(greenlet);
                Poll::Pending
            }
            Stage::Queued(_) | Stage::Given => unreachable!("polled after it had finished"),
        }
    }
}

impl<F: Future, X: Runs<F>> Future for SpawnInto<'_, F, X> {
    type Output = Greenlet<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut budgeted = std::mem::take(&mut self.budgeted);
        let polled = budgeted.poll_whole(cx, |cx| self.poll_spawn(cx));
        self.budgeted = budgeted;
        polled
    }
}

/// No field is structurally pinned: the future is boxed before it is polled.
impl<F: Future, X> Unpin for SpawnInto<'_, F, X> {}

impl<F: Future, X> Drop for SpawnInto<'_, F, X> {
    fn drop(&mut self) {
        if let Stage::OnHub(child) = &self.stage {
            child.greenlet.abort();
        }
    }
}

/// A child that runs as a task of the hub, in a share of the slot of the holder around its parent.
struct HubChild<T> {
    forwarder: KillForwarder,
    ended: Join,
    greenlet: Greenlet<T>,
    /// Dropped with the child, unless the slot is shared further.
    share: Weak<Share>,
}

impl<T> HubChild<T> {
    fn new(greenlet: Greenlet<T>, share: &Arc<Share>) -> Self {
        let (forwarder, ended) = (KillForwarder::new(&greenlet), greenlet.join());
        Self { forwarder, ended, greenlet, share: Arc::downgrade(share) }
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { forwarder, ended, .. } = self;
        forwarder.poll(cx, |cx| Pin::new(ended).poll(cx))
    }
}

/// A member that holds a slot, within whose poll the caller is polled.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    members: Arc<Members>,
    handle: Handle,
}

impl Holder {
    /// The holder of a slot of the pool of `members` within whose poll the caller is polled, on
    /// this thread.
    pub(crate) fn around(members: &Arc<Members>) -> Option<Self> {
        for (current, frame) in greenlets_around() {
            if let Some(members) = members.set_with_slot(&current) {
                return Some(Self { members, handle: current });
            }
            let holder = frame.map(|frame| frame.holder);
            if let Some(holder) = holder.filter(|holder| holder.is_of(&members.slots)) {
                return Some(holder).filter(Self::holds_slot);
            }
        }
        None
    }

    fn is(&self, other: &Self) -> bool {
        self.handle == other.handle && Arc::ptr_eq(&self.members, &other.members)
    }

    /// Whether the slot is one of `slots`.
    fn is_of(&self, slots: &Semaphore<SlotLine>) -> bool {
        std::ptr::eq(&raw const *self.members.slots, slots)
    }

    fn holds_slot(&self) -> bool {
        self.members.holds_slot(&self.handle)
    }

    /// Whether a child of this weight may run in the holder's place.
    pub(crate) fn carries(&self, weight: usize) -> bool {
        weight <= 1 || weight <= self.members.weight_of(&self.handle)
    }

    /// Creates a share of the slot for a child beyond the depth limit; `None` if the holder has
    /// left. If a child in place around it gets a slot of its own, the share becomes a share of
    /// that one.
    fn share_below(&self) -> Option<Arc<Share>> {
        let share = Share::of(self.share_slot()?);
        FRAMES.with_borrow_mut(|frames| {
            let around = frames.iter_mut().filter(|frame| frame.holder.is(self));
            around.for_each(|frame| frame.below = Arc::downgrade(&share));
        });
        Some(share)
    }

    /// Shares the slot; `None` if the holder has left.
    pub(crate) fn share_slot(&self) -> Option<Arc<Share>> {
        self.members.share_slot(&self.handle)
    }
}

/// The current greenlet and the greenlets in whose place it runs, on this thread, from the
/// innermost: each with the frame in which it is polled, if it runs in place.
pub(crate) fn greenlets_around() -> impl Iterator<Item = (Handle, Option<Frame>)> {
    let mut within = frames();
    let mut next = Handle::current();
    std::iter::from_fn(move || {
        let current = next.take()?;
        let frame = FRAMES.with_borrow(|frames| {
            let place = frames[..within].iter().rposition(|frame| frame.child == current.id())?;
            within = place;
            Some(frames[place].clone())
        });
        next = frame.as_ref().map(|frame| frame.around.clone());
        Some((current, frame))
    })
}

thread_local! {
    /// The children that are being polled in place on this thread, the innermost last.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

fn frames() -> usize {
    FRAMES.with_borrow(Vec::len)
}

/// The ticket of the request for `slots` of the innermost child that is being polled in place.
pub(crate) fn request_around(slots: &Semaphore<SlotLine>) -> Option<u64> {
    FRAMES.with_borrow(|frames| {
        let mut frames = frames.iter().rev().filter(|frame| frame.holder.is_of(slots));
        frames.find_map(|frame| frame.ticket)
    })
}

/// Whether the stack has no room for one more child.
pub(crate) fn is_too_deep() -> bool {
    frames() >= MAX_IN_PLACE
}

/// A child that is being polled in place.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) child: u64,
    /// The greenlet that polls the child.
    pub(crate) around: Handle,
    pub(crate) holder: Holder,
    /// The ticket of the child's request for a slot of its own, if there is one.
    pub(crate) ticket: Option<u64>,
    /// The share of the holder's slot that was last given to a nested child.
    pub(crate) below: Weak<Share>,
}

impl Frame {
    /// Runs the poll of the child, which does not panic.
    pub(crate) fn run<T>(self, poll: impl FnOnce() -> T) -> (T, Weak<Share>) {
        FRAMES.with_borrow_mut(|frames| frames.push(self));
        let polled = poll();
        let frame = FRAMES.with_borrow_mut(Vec::pop);
        (polled, frame.map(|frame| frame.below).unwrap_or_default())
    }
}

/// The waits of each greenlet, in the order of their first polls: the first has the turn.
#[derive(Default)]
pub(crate) struct Turns {
    waits: Mutex<BTreeMap<u64, Waits>>,
}

#[derive(Default)]
struct Waits {
    next_ticket: u64,
    line: BTreeMap<u64, Waker>,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Waits>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a wait among the waits of one greenlet. Dropping it passes the turn on.
pub(crate) struct Turn {
    slots: SharedSlots,
    greenlet: u64,
    ticket: Option<u64>,
}

impl Turn {
    /// The place of a wait of `greenlet`, which may differ from that of the last poll.
    pub(crate) fn of<'a>(
        turn: &'a mut Option<Self>,
        slots: &SharedSlots,
        greenlet: &Handle,
    ) -> &'a mut Self {
        if turn.as_ref().is_some_and(|turn| turn.greenlet != greenlet.id()) {
            *turn = None;
        }
        turn.get_or_insert_with(|| Self {
            slots: slots.clone(),
            greenlet: greenlet.id(),
            ticket: None,
        })
    }

    /// Whether the wait has the turn; otherwise `waker` is woken when it gets the turn.
    pub(crate) fn poll(&mut self, waker: &Waker) -> bool {
        let mut all = self.slots.shared().turns.lock();
        let waits = all.entry(self.greenlet).or_default();
        let ticket = *self.ticket.get_or_insert_with(|| {
            waits.next_ticket += 1;
            waits.next_ticket
        });
        let before = waits.line.insert(ticket, waker.clone());
        let is_first = waits.line.first_key_value().is_some_and(|(first, _)| *first == ticket);
        drop(all);
        drop(before);
        is_first
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut all = self.slots.shared().turns.lock();
        let Some(waits) = all.get_mut(&self.greenlet) else { return };
        let was_first = waits.line.first_key_value().is_some_and(|(first, _)| *first == ticket);
        let own = waits.line.remove(&ticket);
        let next = waits.line.first_key_value().map(|(_, waker)| waker.clone());
        if next.is_none() {
            all.remove(&self.greenlet);
        }
        drop(all);
        drop(own);
        wake_all(next.filter(|_| was_first));
    }
}

/// The task of a child that has moved from in place to the hub.
pub(crate) type MovedTask<F> = Pin<Box<MemberTask<F>>>;
