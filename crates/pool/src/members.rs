//! [`Members`]: the greenlets of a group or a pool, and the counts of those that have finished.

use std::collections::{BTreeMap, HashMap};
use std::iter::once;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spinney_greenlet::results::Outcomes;
use spinney_greenlet::{
    Announcement, Container, ContainerLimits, Greenlet, GreenletExit, Handle, NewGreenlet, Report,
    State as GreenletState, Task,
};
use spinney_hub::{contain, drop_contained};
use spinney_sync::{BudgetedAwait, Event, Semaphore};

use crate::arena::{Arena, forget};
use crate::limits::{Key, Stats};
use crate::scope::Scope;
use crate::slot::{KeyPermit, MemberSlot, Permit, Share, SharedSlots};
use crate::task_set::UNLIMITED;
use crate::{Failures, InsideGroup, in_place};

/// A new member: its task, which the caller spawns, and its greenlet.
type Entered<F> = (Task<F, Membership>, Greenlet<<F as Future>::Output>);

/// The members of a group, a pool or a scope, and the slots that they hold.
///
/// Wakers, callbacks and destructors are foreign code: none runs under the lock.
pub(crate) struct Members {
    pub(crate) slots: SharedSlots,
    /// `Some` in a scope.
    scope: Option<Scope>,
    /// A semaphore without permits, closed once the group is closed and its members are killed:
    /// then its maps end.
    pub(crate) maps_end: Semaphore,
    /// The line that created the group.
    at: &'static Location<'static>,
    state: Mutex<State>,
}

struct State {
    list: Arena<Member>,
    /// How many slots are held by one member each.
    own_slots: usize,
    /// How many members share a slot.
    sharers: usize,
    /// The places of members that were created elsewhere.
    added: HashMap<u64, u32>,
    /// How many calls were refused: they waited for a slot at the close, or had one.
    refused: usize,
    /// How many members the group has killed.
    dying: usize,
    /// Set when the last killed member leaves; `Some` if a task waits for that.
    died: Option<Arc<Event>>,
    /// Set when the last member leaves; `Some` if a task waits for that. Each time has its own
    /// event, so that no waiter sees an earlier one.
    emptied: Option<Arc<Event>>,
    /// How many maps may have items left.
    started_maps: usize,
    /// Set when there is neither a member nor a map with items left; `Some` if a task waits for
    /// that.
    drained: Option<Arc<Event>>,
    /// The outcomes of members that have left.
    outcomes: Outcomes,
    /// The outcomes of the items of maps whose results still exist.
    items: Vec<Arc<Outcomes>>,
    failures: Failures,
    /// The serial number of the member that was inserted last.
    last_serial: u64,
}

struct Member {
    /// Of a worker, the current item.
    handle: Handle,
    /// Distinguishes the member from an earlier one at the same place.
    serial: u64,
    /// Its slot; also counts the member among the tasks with its key.
    slot: MemberSlot,
    /// Whether the group has killed the member, which it does once.
    dying: bool,
    kind: Kind,
}

/// How a greenlet became a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Created by the group.
    Spawned,
    /// Created by the group to run the items of a map, which are counted instead of it.
    Worker,
    /// Created elsewhere.
    Added,
}

impl Members {
    #[track_caller]
    pub(crate) fn new(slots: SharedSlots, kept_failures: usize) -> Self {
        let (state, at) = (Mutex::new(State::new(kept_failures)), Location::caller());
        Self { slots, scope: None, maps_end: Semaphore::new(0), at, state }
    }

    /// Creates the members of a scope of this pool.
    #[track_caller]
    pub(crate) fn new_scope(self: &Arc<Self>, kept_failures: usize) -> Self {
        let pool = self.scope.as_ref().map_or(self, Scope::pool);
        let scope = Some(Scope::new(pool));
        Self { scope, ..Self::new(self.slots.clone(), kept_failures) }
    }

    pub(crate) fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Adds `future` as a member in `slot`. Returns its task, which the caller spawns, and its
    /// greenlet.
    ///
    /// # Errors
    ///
    /// Gives `future` back if the group was closed. The slot is free then.
    pub(crate) fn enter<F: Future>(
        self: &Arc<Self>,
        slot: MemberSlot,
        at: &'static Location<'static>,
        future: F,
    ) -> Result<Entered<F>, F> {
        // Allocated, and the future moved, without the lock.
        let new = NewGreenlet::new(at);
        let entered = self.enter_as(Kind::Spawned, slot, (), |(), membership| {
            let handle = new.handle_at(membership.place);
            (membership, handle)
        });
        match entered {
            Ok(membership) => Ok(new.pair_member(future, membership, || self.announcement(None))),
            Err(()) => Err(future),
        }
    }

    /// Adds a member in `slot` that runs the items of a map; `make` creates its task from `worker`.
    ///
    /// # Errors
    ///
    /// Gives `worker` back if the maps of the group have finished. The slot is free then.
    pub(crate) fn enter_worker<W, T>(
        self: &Arc<Self>,
        slot: MemberSlot,
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
        slot: MemberSlot,
        body: B,
        make: impl FnOnce(B, Membership) -> (T, Handle),
    ) -> Result<T, B> {
        let mut state = self.lock();
        let is_refused =
            if kind == Kind::Worker { self.maps_end.is_closed() } else { self.is_closed() };
        if is_refused {
            state.refused += usize::from(kind == Kind::Spawned && slot.is_slot());
            drop(state);
            drop(slot);
            return Err(body);
        }
        Ok(self.insert(&mut state, slot, kind, |membership| make(body, membership)))
    }

    /// Adds `greenlet` as a member in the slot of `permit`. Returns `false`, and frees the slot, if
    /// the greenlet has finished or is a member already, or if the group was closed.
    pub(crate) fn add(self: &Arc<Self>, greenlet: &Handle, permit: Permit) -> bool {
        let mut state = self.lock();
        let is_closed = self.is_closed();
        if is_closed || state.find(greenlet).is_some() {
            state.refused += usize::from(is_closed);
            drop(state);
            drop(permit);
            return false;
        }
        let make = |membership| (membership, greenlet.clone());
        let membership = self.insert(&mut state, MemberSlot::own(permit), Kind::Added, make);
        state.added.insert(greenlet.id(), membership.place);
        drop(state);
        let Err(membership) = greenlet.guard(self.address(), membership) else { return true };
        // The greenlet has finished. Removed first, or it would count as a member that has finished.
        self.take_out(greenlet);
        drop(membership);
        false
    }

    /// Adds the member whose task and handle `make` creates, and returns the task.
    fn insert<T>(
        self: &Arc<Self>,
        state: &mut State,
        slot: MemberSlot,
        kind: Kind,
        make: impl FnOnce(Membership) -> (T, Handle),
    ) -> T {
        state.last_serial += 1;
        let serial = state.last_serial;
        state.count_slot(&slot, usize::wrapping_add);
        state.list.insert_with(|place| {
            let (task, handle) = make(Membership { members: Arc::clone(self), place, serial });
            self.enter_scope(&handle);
            (Member { handle, serial, slot, dying: false, kind }, task)
        })
    }

    /// Records that `greenlet` is a member of this scope, if this is one.
    #[inline]
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

    /// Gives `greenlet`, which runs in place, a slot of its own; `below` becomes a share of it. If
    /// `greenlet` is no longer a member, `below` gets the slot.
    pub(crate) fn give_slot(&self, greenlet: &Handle, permit: Permit, below: Option<&Share>) {
        let mut state = self.lock();
        let Some(place) = state.find(greenlet) else {
            drop(state);
            if let Some(below) = below {
                below.become_slot(permit);
            }
            return;
        };
        let (unused, shared) = state.change_slot(place, |slot| {
            let unused = slot.become_own(permit);
            (unused, below.and_then(|_| slot.share()))
        });
        drop(state);
        drop(unused);
        if let Some((below, shared)) = below.zip(shared) {
            below.become_share(shared);
        }
    }

    /// Shares the slot of `greenlet`; `None` if it holds none.
    pub(crate) fn share_slot(&self, greenlet: &Handle) -> Option<Arc<Share>> {
        let mut state = self.lock();
        let place = state.find(greenlet)?;
        state.change_slot(place, MemberSlot::share)
    }

    /// The pool or scope of these slots in which `greenlet` holds a slot.
    pub(crate) fn set_with_slot(self: &Arc<Self>, greenlet: &Handle) -> Option<Arc<Self>> {
        let holds_slot = |members: &Arc<Self>| members.holds_slot(greenlet);
        let here = once(self).chain(self.scope.as_ref().map(Scope::pool)).cloned();
        let scopes = || self.slots.scopes().of(greenlet.id()).into_iter();
        here.into_iter().find(holds_slot).or_else(|| scopes().find(holds_slot))
    }

    /// Whether `greenlet` is a member that holds a slot.
    pub(crate) fn holds_slot(&self, greenlet: &Handle) -> bool {
        self.lock().member_mut(greenlet).is_some_and(|member| member.slot.is_slot())
    }

    /// Frees the slot of the member `serial` at `place`, which stays a member. Returns `false` if
    /// it has no slot of its own.
    pub(crate) fn leave_slot(&self, place: u32, serial: u64) -> bool {
        let mut state = self.lock();
        let member = state.at(place, serial).filter(|member| member.slot.is_own());
        if member.is_none() {
            return false;
        }
        let none = MemberSlot::in_place(None, None);
        let before = state.change_slot(place, |slot| std::mem::replace(slot, none));
        let freed = before.give_back(&self.slots);
        drop(state);
        drop_contained(freed);
        true
    }

    /// Gives the member `serial` at `place` a slot again. If the member was discarded, the slot is
    /// free.
    pub(crate) fn take_slot(&self, place: u32, serial: u64, permit: Permit) {
        let mut state = self.lock();
        if state.at(place, serial).is_none() {
            drop(state);
            return drop(permit);
        }
        let unused = state.change_slot(place, |slot| slot.become_own(permit));
        drop(state);
        drop(unused);
    }

    /// Gives the member `serial` at `place`, which has no slot, a share of one.
    pub(crate) fn take_share(&self, place: u32, serial: u64, share: Arc<Share>) {
        let mut state = self.lock();
        if state.at(place, serial).is_some() {
            state.change_slot(place, |slot| slot.become_shared(share));
        }
    }

    /// Stores the permit of a key in the entry of the member `serial` at `place`, unless that has
    /// one.
    pub(crate) fn take_key(&self, place: u32, serial: u64, mut key: Option<Arc<KeyPermit>>) {
        let mut state = self.lock();
        if let Some(member) = state.at(place, serial) {
            member.slot.set_key(&mut key);
        }
        drop(state);
        drop(key);
    }

    /// The key permit of the member `serial` at `place`.
    pub(crate) fn key_at(&self, place: u32, serial: u64) -> Option<Arc<KeyPermit>> {
        self.lock().at(place, serial)?.slot.key().cloned()
    }

    /// How many slots `greenlet` holds.
    pub(crate) fn weight_of(&self, greenlet: &Handle) -> usize {
        self.lock().member_mut(greenlet).map_or(0, |member| member.slot.weight())
    }

    /// The permit of `key` that `greenlet` holds, if it is a member with that key.
    pub(crate) fn key_of(&self, greenlet: &Handle, key: Key) -> Option<Arc<KeyPermit>> {
        let mut state = self.lock();
        state.member_mut(greenlet)?.slot.key().filter(|held| held.key == key).cloned()
    }

    pub(crate) fn contains(&self, greenlet: &Handle) -> bool {
        self.lock().find(greenlet).is_some()
    }

    /// Whether the caller is a member, or runs in place of one.
    pub(crate) fn is_inside(&self) -> bool {
        in_place::greenlets_around().any(|(greenlet, _)| self.contains(&greenlet))
    }

    /// Removes a member, which runs on outside of the group. Returns `false` if `greenlet` is not a
    /// member.
    pub(crate) fn discard(&self, greenlet: &Handle) -> bool {
        let was_added = self.take_out(greenlet);
        if was_added == Some(true) {
            greenlet.unguard(self.address());
        }
        was_added.is_some()
    }

    /// Removes a member. Returns whether it was added; `None` if `greenlet` is not a member.
    fn take_out(&self, greenlet: &Handle) -> Option<bool> {
        let state = self.lock();
        let place = state.find(greenlet)?;
        Some(self.remove(state, place))
    }

    /// Refuses waiters and newcomers.
    pub(crate) fn close(&self) {
        let refused = match &self.scope {
            None => self.slots.close(),
            Some(scope) => scope.calls().close(),
        };
        self.lock().refused += refused;
    }

    /// Whether this set or its pool was closed. Takes no lock. A caller that checks under the lock
    /// of the list adds no member after the close that a later walk over the list would miss.
    pub(crate) fn is_closed(&self) -> bool {
        self.slots.is_closed() || self.scope.as_ref().is_some_and(|scope| scope.calls().is_closed())
    }

    /// Whether a map should free a slot rather than run its next item in it: other callers than its
    /// own feeder wait, there are more members than slots, or each start must be requested.
    pub(crate) fn is_wanted_back(&self, feeder_queued: bool) -> bool {
        self.slots.balance() + isize::from(feeder_queued) < 0
            || self.maps_end.is_closed()
            || self.slots.limits_starts()
    }

    /// Records the start of a map, which may add members until it [ends](Self::map_ended). Returns
    /// `false` if the group was closed.
    pub(crate) fn map_started(&self) -> bool {
        let mut state = self.lock();
        state.started_maps += 1;
        // Under the lock: a drain that does not see the map has closed the group before.
        !self.is_closed()
    }

    /// Records that a map has no further items. Its running items are members.
    pub(crate) fn map_ended(&self) {
        let mut state = self.lock();
        state.started_maps -= 1;
        let drained = state.take_drained();
        drop(state);
        if let Some(drained) = drained {
            contain(|| drained.set());
        }
    }

    /// Ends all maps after their running items, if the group was closed.
    pub(crate) fn end_maps(&self) {
        if self.is_closed() {
            self.maps_end.close();
        }
    }

    /// How many callers wait for a slot.
    pub(crate) fn waiting(&self) -> usize {
        self.scope.as_ref().map_or_else(|| self.slots.waiting(), |scope| scope.calls().waiting())
    }

    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.lock().list.iter().map(|member| member.handle.clone()).collect()
    }

    /// How many slots the members hold; for a pool, also those of its scopes and of tasks that are
    /// about to become members.
    pub(crate) fn taken(&self) -> usize {
        if self.scope.is_some() { self.lock().slots() } else { self.slots.out() }
    }

    /// Counts the items of a map in `outcomes`, from now on.
    pub(crate) fn count_items(&self, outcomes: Arc<Outcomes>) {
        let mut state = self.lock();
        if state.items.len() == state.items.capacity() {
            state.merge_items();
        }
        state.items.push(outcomes);
    }

    /// The counts of everything that was started here.
    pub(crate) fn report(&self) -> Report {
        let mut state = self.lock();
        state.merge_items();
        let mut report = Report::default();
        report.refused = state.refused;
        state.items.iter().map(|items| &**items).chain([&state.outcomes]).for_each(|outcomes| {
            outcomes.add_to(&mut report);
        });
        report.running = state.list.len();
        report.started += report.running;
        drop(state);
        report.waiting = self.waiting();
        let Stats { paused, shed } = self.slots.limit_stats();
        (report.paused, report.shed) = (paused, shed);
        report
    }

    /// The failures of members that have left since the last call.
    pub(crate) fn take_failures(&self) -> Failures {
        self.lock().failures.take()
    }

    /// Waits, on behalf of the line `at`, until the list has been empty at least once.
    pub(crate) fn join(
        &self,
        at: &'static Location<'static>,
    ) -> impl Future<Output = Result<(), InsideGroup>> + use<> {
        let emptied = if self.is_inside() { Err(InsideGroup) } else { Ok(self.emptied()) };
        BudgetedAwait::around(async move {
            if let Some(emptied) = emptied? {
                emptied.wait_for("TaskSet::join", at).await;
            }
            Ok(())
        })
    }

    /// The event that is set when the list is empty; `None` if it is.
    pub(crate) fn emptied(&self) -> Option<Arc<Event>> {
        let mut state = self.lock();
        let any = !state.list.is_empty();
        any.then(|| Arc::clone(state.emptied.get_or_insert_default()))
    }

    /// The event that is set when there is neither a member nor a map that may add one; `None` if
    /// that is so.
    pub(crate) fn drained(&self) -> Option<Arc<Event>> {
        let mut state = self.lock();
        (!state.is_drained()).then(|| Arc::clone(state.drained.get_or_insert_default()))
    }

    /// Kills each member once, then each member that is added meanwhile, until the list is empty.
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

    /// Kills each member like [`kill_now`](Self::kill_now), those included that were killed before
    /// and still run: for the end of the group, which no member may outlive.
    pub(crate) fn kill_again(&self, exit: &GreenletExit) {
        self.kill_each(exit, true);
    }

    fn kill_each(&self, exit: &GreenletExit, again: bool) {
        // First, so that no map starts an item that is not killed.
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

    /// Kills `greenlet`, if it is a member that the group has not killed before.
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

    /// Records that the member has finished, unless it was discarded before.
    fn leave(&self, place: u32, serial: u64) {
        let mut state = self.lock();
        if state.at(place, serial).is_some() {
            state.count(place);
            self.remove(state, place);
        }
    }

    /// Moves a worker, the member `serial`, from one item to the next. Returns `false` if it was
    /// discarded.
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
            forget(&mut state.added, &handle.id());
        }
        self.leave_scope(&handle);
        state.count_slot(&slot, usize::wrapping_sub);
        let died = state.died_after(dying);
        let emptied = if state.list.is_empty() { state.emptied.take() } else { None };
        let drained = state.take_drained();
        // Freed under the lock, so that no caller finds the list empty and the slot taken.
        let freed = slot.give_back(&self.slots);
        drop(state);
        drop_contained(handle);
        drop_contained(freed);
        let events = died.iter().chain(&emptied).chain(&drained);
        events.for_each(|event| contain(|| event.set()));
        kind == Kind::Added
    }

    /// Distinguishes these members from those of other groups.
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
            own_slots: 0,
            sharers: 0,
            added: HashMap::new(),
            refused: 0,
            dying: 0,
            died: None,
            emptied: None,
            started_maps: 0,
            drained: None,
            outcomes: Outcomes::default(),
            items: Vec::new(),
            failures: Failures::new(kept_failures),
            last_serial: 0,
        }
    }

    /// Changes the slot of the member at `place`.
    fn change_slot<R>(&mut self, place: u32, change: impl FnOnce(&mut MemberSlot) -> R) -> R {
        let none = MemberSlot::in_place(None, None);
        let member = self.list.get_mut(place).expect("the caller has found the member");
        let mut slot = std::mem::replace(&mut member.slot, none);
        self.count_slot(&slot, usize::wrapping_sub);
        let changed = change(&mut slot);
        self.count_slot(&slot, usize::wrapping_add);
        if let Some(member) = self.list.get_mut(place) {
            member.slot = slot;
        }
        changed
    }

    /// Counts the slot of a member in or out.
    fn count_slot(&mut self, slot: &MemberSlot, count: fn(usize, usize) -> usize) {
        match slot.shared() {
            Some(_) => self.sharers = count(self.sharers, 1),
            None => self.own_slots = count(self.own_slots, slot.weight()),
        }
    }

    /// How many slots the members hold. A shared one counts once.
    fn slots(&self) -> usize {
        if self.sharers == 0 {
            return self.own_slots;
        }
        let shared = self.list.iter().filter_map(|member| member.slot.shared());
        let sources: BTreeMap<_, _> = shared.map(Share::source).collect();
        self.own_slots + sources.into_values().sum::<usize>()
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

    /// Records that a member has finished. Returns the event to set if it was the last killed
    /// member.
    fn died_after(&mut self, was_dying: bool) -> Option<Arc<Event>> {
        self.dying -= usize::from(was_dying);
        if self.dying == 0 { self.died.take() } else { None }
    }

    /// The member at `place`, if it has this serial number.
    fn at(&mut self, place: u32, serial: u64) -> Option<&mut Member> {
        self.list.get_mut(place).filter(|member| member.serial == serial)
    }

    /// Counts the outcome of the member at `place`. The items of a worker are counted elsewhere.
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

    /// Merges the outcomes of maps whose results were dropped.
    fn merge_items(&mut self) {
        let outcomes = &self.outcomes;
        self.items.retain(|items| {
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

    fn limits(&self) -> ContainerLimits {
        self.slots.describe_limits()
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").field("slots", &*self.slots).finish_non_exhaustive()
    }
}

/// The membership of a task in its group. Dropping it, when the task has finished, hands the slot
/// to the first waiter.
#[derive(Debug)]
pub struct Membership {
    members: Arc<Members>,
    place: u32,
    serial: u64,
}

impl Membership {
    /// The place of the member in the list.
    pub(crate) fn place(&self) -> u32 {
        self.place
    }

    /// Distinguishes the member from an earlier one at the same place.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.members.leave(self.place, self.serial);
    }
}
