//! [`Members`]: the greenlets of a group or a pool, and what is known of those that have finished.

use std::collections::HashMap;
use std::iter::once;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spinney_greenlet::results::Outcomes;
use spinney_greenlet::{
    Announcement, Container, Greenlet, GreenletExit, Handle, Report, State as GreenletState, Task,
    pair_in,
};
use spinney_hub::{contain, drop_contained};
use spinney_sync::{Event, GiveWay, HandOut, Semaphore};

use crate::arena::Arena;
use crate::scope::Scope;
use crate::slot::{Held, Permit, Share, SharedSlots};
use crate::task_set::UNLIMITED;
use crate::{Failures, InsideGroup, in_place};

/// A member that is to be spawned, and the half of its owner.
type Entered<F> = (Task<F, Membership>, Greenlet<<F as Future>::Output>);

/// The members of a group, a pool or a scope, and the slots that they hold.
///
/// Wakers, callbacks and destructors are other people's code: none runs under the lock.
pub(crate) struct Members {
    pub(crate) slots: SharedSlots,
    /// There in a scope.
    scope: Option<Scope>,
    /// Has no permits, and is closed once the group is closed and its members are killed: then its
    /// maps end.
    pub(crate) maps: Semaphore,
    /// The line that created the group.
    at: &'static Location<'static>,
    state: Mutex<State>,
}

struct State {
    list: Arena<Member>,
    /// The number of those that hold a slot.
    seated: usize,
    /// The places of members that were not made here.
    added: HashMap<u64, u32>,
    /// How many calls were refused that waited for a slot when it was closed, or had one in hand.
    refused: usize,
    /// The number of members that were killed here.
    dying: usize,
    /// Set when the last of those leaves; there if a task waits for that.
    died: Option<Arc<Event>>,
    /// Set when the last member leaves; there if a task waits for that. Each emptying has its own,
    /// so that no waiter sees one from before it came.
    emptied: Option<Arc<Event>>,
    /// How many maps have items left, or may have some.
    started_maps: usize,
    /// As the above, but set when there is no such map either.
    drained: Option<Arc<Event>>,
    /// Of members that have left.
    outcomes: Outcomes,
    /// Of the items of maps whose results are not dropped.
    maps: Vec<Arc<Outcomes>>,
    failures: Failures,
    /// Of the member that was inserted last.
    last_serial: u64,
}

struct Member {
    /// Of a worker: the item that is running.
    handle: Handle,
    /// Tells it from another that was at its place before.
    serial: u64,
    slot: Held,
    /// It was sent the group's kill, and gets no other.
    dying: bool,
    kind: Kind,
}

/// How a greenlet became a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It was made here.
    Spawned,
    /// It was made here to run the items of a map, which are counted instead.
    Worker,
    /// It was made elsewhere.
    Added,
}

impl Members {
    #[track_caller]
    pub(crate) fn new(slots: SharedSlots, kept_failures: usize) -> Self {
        let (state, at) = (Mutex::new(State::new(kept_failures)), Location::caller());
        Self { slots, scope: None, maps: Semaphore::new(0), at, state }
    }

    /// The members of a scope of the pool that has these.
    #[track_caller]
    pub(crate) fn new_scope(self: &Arc<Self>, kept_failures: usize) -> Self {
        let pool = self.scope.as_ref().map_or(self, Scope::pool);
        let scope = Some(Scope::new(pool));
        Self { scope, ..Self::new(self.slots.clone(), kept_failures) }
    }

    pub(crate) fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Makes a member of `future`, in `slot`: its task, which is to be spawned, and the half of its
    /// owner.
    ///
    /// # Errors
    ///
    /// Gives `future` back if the group was closed. The slot is free then.
    pub(crate) fn enter<F: Future>(
        self: &Arc<Self>,
        slot: Held,
        at: &'static Location<'static>,
        future: F,
    ) -> Result<Entered<F>, F> {
        let made = self.enter_as(Kind::Spawned, slot, future, |future, membership| {
            let place = Some(membership.place);
            let (task, greenlet) = pair_in(place, at, future, |_| membership);
            let handle = greenlet.handle().clone();
            ((task, greenlet), handle)
        });
        made.inspect(|(_, greenlet)| greenlet.announce(|| self.announcement(None)))
    }

    /// Makes a member, in `slot`, that runs the items of a map, whose task `make` makes of `worker`.
    ///
    /// # Errors
    ///
    /// Gives `worker` back if the maps of the group have ended. The slot is free then.
    pub(crate) fn enter_worker<W, T>(
        self: &Arc<Self>,
        slot: Held,
        worker: W,
        make: impl FnOnce(W, Membership) -> (T, Handle),
    ) -> Result<(T, Handle), W> {
        self.enter_as(Kind::Worker, slot, worker, |worker, membership| {
            let (task, first) = make(worker, membership);
            ((task, first.unasked()), first)
        })
    }

    /// The details of a member, which is the item `item` of a map if there is one, for an observer.
    pub(crate) fn announcement(self: &Arc<Self>, item: Option<usize>) -> Announcement {
        Announcement { container: Some(Arc::clone(self) as _), item, may_block: false }
    }

    fn enter_as<B, T>(
        self: &Arc<Self>,
        kind: Kind,
        slot: Held,
        body: B,
        make: impl FnOnce(B, Membership) -> (T, Handle),
    ) -> Result<T, B> {
        let mut state = self.lock();
        let is_refused =
            if kind == Kind::Worker { self.maps.is_closed() } else { self.is_closed() };
        if is_refused {
            state.refused += usize::from(kind == Kind::Spawned && slot.is_slot());
            drop(state);
            drop(slot);
            return Err(body);
        }
        let membership = self.membership(&mut state);
        let serial = membership.serial;
        let (task, handle) = make(body, membership);
        self.insert(state, Member { handle, serial, slot, dying: false, kind });
        Ok(task)
    }

    /// The membership of the member that is inserted next.
    fn membership(self: &Arc<Self>, state: &mut State) -> Membership {
        state.last_serial += 1;
        let (place, serial) = (state.list.next_place(), state.last_serial);
        Membership { members: Arc::clone(self), place, serial }
    }

    /// Makes a member of `greenlet`, in the slot of `permit`; false, and the slot is free, if it has
    /// finished or is a member already, or if the group was closed.
    pub(crate) fn add(self: &Arc<Self>, greenlet: &Handle, permit: Permit) -> bool {
        let mut state = self.lock();
        let is_closed = self.is_closed();
        if is_closed || state.find(greenlet).is_some() {
            state.refused += usize::from(is_closed);
            drop(state);
            drop(permit);
            return false;
        }
        let membership = self.membership(&mut state);
        state.added.insert(greenlet.id(), membership.place);
        let (handle, slot, serial) = (greenlet.clone(), Held::Own(permit), membership.serial);
        self.insert(state, Member { handle, serial, slot, dying: false, kind: Kind::Added });
        let Err(membership) = greenlet.guard(self.address(), membership) else { return true };
        // It has finished. First off the list, or it would count as one of the members that have.
        self.take_out(greenlet);
        drop(membership);
        false
    }

    fn insert(self: &Arc<Self>, mut state: MutexGuard<'_, State>, member: Member) {
        self.enter_scope(&member.handle);
        state.insert(member);
    }

    /// Notes that `greenlet` is a member, if this is a scope.
    fn enter_scope(self: &Arc<Self>, greenlet: &Handle) {
        if self.scope.is_some() {
            self.slots.scopes().enter(greenlet.id(), self);
        }
    }

    fn leave_scope(&self, greenlet: &Handle) {
        if self.scope.is_some() {
            self.slots.scopes().leave(greenlet.id(), self);
        }
    }

    /// Gives `greenlet`, which runs in place, a slot of its own: a share of it is `below`, if there is
    /// one. The slot is all that one's if `greenlet` is no member any more.
    pub(crate) fn seat(&self, greenlet: &Handle, permit: Permit, below: Option<&Share>) {
        let mut state = self.lock();
        let Some(member) = state.member_mut(greenlet) else {
            drop(state);
            if let Some(below) = below {
                below.become_slot(permit);
            }
            return;
        };
        member.slot = Held::Own(permit);
        let shared = below.and_then(|_| member.slot.share());
        state.seated += 1;
        drop(state);
        if let Some((below, shared)) = below.zip(shared) {
            below.become_share(shared);
        }
    }

    /// A share of the slot of `greenlet`; None if it holds none.
    pub(crate) fn share_slot(&self, greenlet: &Handle) -> Option<Arc<Share>> {
        self.lock().member_mut(greenlet)?.slot.share()
    }

    /// The members of the pool or of one of its scopes among which `greenlet` holds a slot.
    pub(crate) fn where_seated(self: &Arc<Self>, greenlet: &Handle) -> Option<Arc<Self>> {
        let is_seated = |members: &Arc<Self>| members.is_seated(greenlet);
        let here = once(self).chain(self.scope.as_ref().map(Scope::pool)).cloned();
        let scopes = || self.slots.scopes().of(greenlet.id()).into_iter();
        here.into_iter().find(is_seated).or_else(|| scopes().find(is_seated))
    }

    /// Whether `greenlet` is a member that holds a slot.
    pub(crate) fn is_seated(&self, greenlet: &Handle) -> bool {
        self.lock().member_mut(greenlet).is_some_and(|member| member.slot.is_slot())
    }

    pub(crate) fn contains(&self, greenlet: &Handle) -> bool {
        self.lock().find(greenlet).is_some()
    }

    /// Whether the caller is a member, or runs in place of one.
    pub(crate) fn is_inside(&self) -> bool {
        in_place::greenlets_around().any(|(greenlet, _)| self.contains(&greenlet))
    }

    /// Takes a member off the list, which then runs on as a stranger; false if it is none.
    pub(crate) fn discard(&self, greenlet: &Handle) -> bool {
        let was_added = self.take_out(greenlet);
        if was_added == Some(true) {
            greenlet.unguard(self.address());
        }
        was_added.is_some()
    }

    /// Takes a member off the list. Returns whether it was added; None if it is no member.
    fn take_out(&self, greenlet: &Handle) -> Option<bool> {
        let state = self.lock();
        let place = state.find(greenlet)?;
        Some(self.remove(state, place))
    }

    /// Refuses waiters and newcomers.
    pub(crate) fn close(&self) {
        let refused = self.calls().close();
        self.lock().refused += refused;
    }

    /// Whether it was closed, or its pool. It takes no lock. A caller that asks under the lock of the
    /// list makes no member that a walk over the list after the close would miss.
    pub(crate) fn is_closed(&self) -> bool {
        self.slots.is_closed() || self.calls().is_closed()
    }

    /// Where the calls wait for a slot, which is closed with the group.
    fn calls(&self) -> &Semaphore {
        self.scope.as_ref().map_or(&*self.slots, |scope| &**scope.calls())
    }

    /// Whether a map should give a slot back rather than run its next item in it: because others
    /// wait, apart from its own feeder, or because there are too many.
    pub(crate) fn is_wanted_back(&self, feeder_queued: bool) -> bool {
        self.slots.balance() + isize::from(feeder_queued) < 0 || self.maps.is_closed()
    }

    /// A map starts, which may add members until it [ends](Self::map_ended); false if the group was
    /// closed.
    pub(crate) fn map_started(&self) -> bool {
        let mut state = self.lock();
        state.started_maps += 1;
        // Under the lock: a drain that does not see the map has closed the group before.
        !self.is_closed()
    }

    /// The map has no further items. Those that are running are members.
    pub(crate) fn map_ended(&self) {
        let mut state = self.lock();
        state.started_maps -= 1;
        let drained = state.take_drained();
        drop(state);
        if let Some(drained) = drained {
            contain(|| drained.set());
        }
    }

    /// Lets no map have another item, if the group was closed.
    pub(crate) fn end_maps(&self) {
        if self.is_closed() {
            self.maps.close();
        }
    }

    /// The number of waiters for a slot.
    pub(crate) fn waiting(&self) -> usize {
        self.calls().waiting()
    }

    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.lock().list.iter().map(|member| member.handle.clone()).collect()
    }

    /// The number of slots that the members hold; of a pool also those of its scopes, and those that
    /// are about to have a member.
    pub(crate) fn taken(&self) -> usize {
        if self.scope.is_some() { self.lock().seated } else { self.slots.out() }
    }

    /// Counts the items of a map in `outcomes`, from now on.
    pub(crate) fn count_items(&self, outcomes: Arc<Outcomes>) {
        let mut state = self.lock();
        if state.maps.len() == state.maps.capacity() {
            state.fold_maps();
        }
        state.maps.push(outcomes);
    }

    /// What became of all that was started here.
    pub(crate) fn report(&self) -> Report {
        let mut state = self.lock();
        state.fold_maps();
        let mut report = Report::default();
        report.refused = state.refused;
        state.maps.iter().map(|items| &**items).chain([&state.outcomes]).for_each(|outcomes| {
            outcomes.add_to(&mut report);
        });
        report.running = state.list.len();
        report.started += report.running;
        drop(state);
        report.waiting = self.waiting();
        report
    }

    /// The failures of those that have left since this was last called.
    pub(crate) fn take_failures(&self) -> Failures {
        self.lock().failures.take()
    }

    /// Waits, on behalf of the line `at`, until the list has been empty at least once.
    pub(crate) fn join(
        &self,
        at: &'static Location<'static>,
    ) -> impl Future<Output = Result<(), InsideGroup>> + use<> {
        let emptied = if self.is_inside() { Err(InsideGroup) } else { Ok(self.emptied()) };
        GiveWay::around(async move {
            if let Some(emptied) = emptied? {
                emptied.wait_for("TaskSet::join", at).await;
            }
            Ok(())
        })
    }

    /// Set when the list is empty; None if it is.
    pub(crate) fn emptied(&self) -> Option<Arc<Event>> {
        let mut state = self.lock();
        let any = !state.list.is_empty();
        any.then(|| Arc::clone(state.emptied.get_or_insert_default()))
    }

    /// Set when the list is empty and no map is left that may add to it; None if that is so.
    pub(crate) fn drained(&self) -> Option<Arc<Event>> {
        let mut state = self.lock();
        (!state.is_drained()).then(|| Arc::clone(state.drained.get_or_insert_default()))
    }

    /// Kills each member once, then those that came in meanwhile, until none is left.
    pub(crate) async fn kill(&self, exit: &GreenletExit, at: &'static Location<'static>) {
        loop {
            let died = {
                let mut state = self.lock();
                if state.list.is_empty() {
                    return;
                }
                Arc::clone(state.died.get_or_insert_default())
            };
            self.kill_now(exit);
            died.wait_for("TaskSet::kill", at).await;
        }
    }

    /// Kills each member once, without waiting.
    pub(crate) fn kill_now(&self, exit: &GreenletExit) {
        self.kill_each(exit, false);
    }

    /// As [`kill_now`](Self::kill_now), also those that were killed here before and live on: for
    /// the end of the group, which no member is to outlive.
    pub(crate) fn kill_again(&self, exit: &GreenletExit) {
        self.kill_each(exit, true);
    }

    fn kill_each(&self, exit: &GreenletExit, again: bool) {
        // First, so that none has an item that is spared.
        self.end_maps();
        let mut state = self.lock();
        let mut killed = Vec::new();
        for member in state.list.iter_mut().filter(|member| again || !member.dying) {
            member.dying = true;
            killed.push(member.handle.clone());
        }
        state.dying = state.list.len();
        drop(state);
        for member in killed {
            contain(|| member.kill_now_with(exit.clone()));
        }
    }

    /// Kills `greenlet`, if it is a member that has not been killed here before.
    pub(crate) fn kill_one(&self, greenlet: &Handle, exit: GreenletExit) {
        let mut state = self.lock();
        let member = state.member_mut(greenlet);
        let Some(member) = member.filter(|member| !member.dying) else { return };
        member.dying = true;
        state.dying += 1;
        drop(state);
        greenlet.kill_now_with(exit);
    }

    /// Aborts each member.
    pub(crate) fn abort(&self) {
        self.end_maps();
        for member in self.handles() {
            contain(|| member.abort());
        }
    }

    /// The member has finished, unless it was discarded before.
    fn leave(&self, place: u32, serial: u64) {
        let mut state = self.lock();
        if state.at(place, serial).is_some() {
            state.count(place);
            self.remove(state, place);
        }
    }

    /// A worker, the member `serial`, goes on from one item to the next; false if it was discarded.
    pub(crate) fn go_on(self: &Arc<Self>, serial: u64, from: &Handle, to: Handle) -> bool {
        let mut state = self.lock();
        let member = from.place().and_then(|place| state.at(place, serial));
        let Some(member) = member else { return false };
        self.leave_scope(&member.handle);
        self.enter_scope(&to);
        let before = std::mem::replace(&mut member.handle, to);
        let was_dying = std::mem::take(&mut member.dying);
        let died = state.died_after(was_dying);
        drop(state);
        drop_contained(before);
        if let Some(died) = died {
            contain(|| died.set());
        }
        true
    }

    /// Removes the member at `place`. Returns whether it was added.
    fn remove(&self, mut state: MutexGuard<'_, State>, place: u32) -> bool {
        let Member { handle, slot, dying, kind, .. } = state.list.remove(place);
        if kind == Kind::Added {
            state.forget_added(handle.id());
        }
        self.leave_scope(&handle);
        state.seated -= usize::from(slot.is_slot());
        let died = state.died_after(dying);
        let emptied = if state.list.is_empty() { state.emptied.take() } else { None };
        let drained = state.take_drained();
        // Under the lock, so that no caller finds the list empty and the slot taken.
        let slot: Option<HandOut<'_>> = slot.give_back(&self.slots);
        drop(state);
        drop_contained(handle);
        drop_contained(slot);
        let events = died.iter().chain(&emptied).chain(&drained);
        events.for_each(|event| contain(|| event.set()));
        kind == Kind::Added
    }

    /// Tells these members from those of other groups.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(kept_failures: usize) -> Self {
        Self {
            list: Arena::new(),
            seated: 0,
            added: HashMap::new(),
            refused: 0,
            dying: 0,
            died: None,
            emptied: None,
            started_maps: 0,
            drained: None,
            outcomes: Outcomes::default(),
            maps: Vec::new(),
            failures: Failures::new(kept_failures),
            last_serial: 0,
        }
    }

    fn insert(&mut self, member: Member) {
        self.seated += usize::from(member.slot.is_slot());
        self.list.insert(member);
    }

    /// Whether there is neither a member nor a map that may add one.
    fn is_drained(&self) -> bool {
        self.list.is_empty() && self.started_maps == 0
    }

    /// The event that `drain` waits for, if the group is drained now.
    fn take_drained(&mut self) -> Option<Arc<Event>> {
        if self.is_drained() { self.drained.take() } else { None }
    }

    /// The place of a member, in constant time.
    fn find(&self, greenlet: &Handle) -> Option<u32> {
        let is_there =
            |place: &u32| self.list.get(*place).is_some_and(|member| member.handle == *greenlet);
        let made_here = greenlet.place().filter(is_there);
        made_here.or_else(|| self.added.get(&greenlet.id()).copied())
    }

    fn member_mut(&mut self, greenlet: &Handle) -> Option<&mut Member> {
        let place = self.find(greenlet)?;
        self.list.get_mut(place)
    }

    /// An added member leaves. The memory of a peak is given back, on average in constant time.
    fn forget_added(&mut self, greenlet: u64) {
        self.added.remove(&greenlet);
        if self.added.len() < self.added.capacity() / 8 {
            self.added.shrink_to(2 * self.added.len());
        }
    }

    /// A member that `was_dying` has finished. Returns what is to be set if it was the last of them.
    fn died_after(&mut self, was_dying: bool) -> Option<Arc<Event>> {
        self.dying -= usize::from(was_dying);
        if self.dying == 0 { self.died.take() } else { None }
    }

    /// The member at `place`, if it is the one with this number.
    fn at(&mut self, place: u32, serial: u64) -> Option<&mut Member> {
        self.list.get_mut(place).filter(|member| member.serial == serial)
    }

    /// Counts how the member at `place` has ended. The items of a worker are counted elsewhere.
    fn count(&mut self, place: u32) {
        let Some(member) = self.list.get(place) else { return };
        if member.kind == Kind::Worker {
            return;
        }
        let state = member.handle.state();
        self.outcomes.count(state);
        if state == GreenletState::Panicked {
            self.failures.extend(member.handle.failure());
        }
    }

    /// Counts the items of maps whose results were dropped with the others, once for all.
    fn fold_maps(&mut self) {
        let outcomes = &self.outcomes;
        self.maps.retain(|items| {
            let is_live = Arc::strong_count(items) > 1;
            if !is_live {
                outcomes.add(items);
            }
            is_live
        });
    }
}

impl Container for Members {
    fn kind(&self) -> &'static str {
        match self.capacity() {
            _ if self.scope.is_some() => "scope",
            Some(_) => "pool",
            None => "group",
        }
    }

    fn created_at(&self) -> &'static Location<'static> {
        self.at
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.slots.capacity()).filter(|capacity| *capacity != UNLIMITED)
    }

    fn report(&self) -> Report {
        Members::report(self)
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").field("slots", &*self.slots).finish_non_exhaustive()
    }
}

/// The place of a task in its group. Dropping it, when the task has finished, hands the slot to the
/// first waiter.
#[derive(Debug)]
pub struct Membership {
    members: Arc<Members>,
    place: u32,
    serial: u64,
}

impl Membership {
    /// Where the member is in the list.
    pub(crate) fn place(&self) -> u32 {
        self.place
    }

    /// What tells the member from another that was at its place before.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.members.leave(self.place, self.serial);
    }
}
