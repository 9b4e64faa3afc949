//! [`Members`]: the greenlets of a group or a pool, and what is known of those that have finished.

use std::collections::BTreeMap;
use std::iter::once;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spinney_greenlet::{Greenlet, GreenletExit, Handle, State as GreenletState, Task, pair_in};
use spinney_hub::contain;
use spinney_sync::{Event, GiveWay, HandOut, Semaphore};

use crate::arena::Arena;
use crate::report::{Outcomes, Report};
use crate::scope::Scope;
use crate::slot::{Held, Permit, Share, SharedSlots};
use crate::{Failures, InsideGroup, in_place};

/// A member that is to be spawned, and the half of its owner.
pub(crate) type Entered<F, G> = (Task<F, G>, Greenlet<<F as Future>::Output>);

/// The members of a group, a pool or a scope, and the slots that they hold.
///
/// Wakers, callbacks and destructors are other people's code: none runs under the lock.
pub(crate) struct Members {
    pub(crate) slots: SharedSlots,
    /// There in a scope.
    scope: Option<Scope>,
    /// Has no permits, and is closed with the group: for tasks that wait for something else.
    pub(crate) gate: Semaphore,
    state: Mutex<State>,
}

struct State {
    list: Arena<Member>,
    /// The number of those that hold a slot.
    seated: usize,
    /// The places of members that were not made here.
    added: BTreeMap<u64, u32>,
    /// How many calls were refused that waited for a slot when it was closed, or had one in hand.
    refused: usize,
    /// The number of members that were killed here.
    dying: usize,
    /// Set when the last of those leaves; there if a task waits for that.
    died: Option<Arc<Event>>,
    /// Set when the last member leaves; there if a task waits for that. Each emptying has its own,
    /// so that no waiter sees one from before it came.
    emptied: Option<Arc<Event>>,
    /// Of members that have left.
    outcomes: Outcomes,
    /// Of the items of maps whose results are not dropped.
    maps: Vec<Arc<Outcomes>>,
    failures: Failures,
}

struct Member {
    handle: Handle,
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
    pub(crate) fn new(slots: SharedSlots, kept_failures: usize) -> Self {
        let state = Mutex::new(State::new(kept_failures));
        Self { slots, scope: None, gate: Semaphore::new(0), state }
    }

    /// The members of a scope of the pool that has these.
    pub(crate) fn new_scope(self: &Arc<Self>, kept_failures: usize) -> Self {
        let pool = self.scope.as_ref().map_or(self, Scope::pool);
        let scope = Some(Scope::new(pool));
        Self { scope, ..Self::new(self.slots.clone(), kept_failures) }
    }

    pub(crate) fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Makes a member of `future`, in `slot`. The task is to be spawned; `seat` makes its guard of
    /// the membership.
    ///
    /// # Errors
    ///
    /// Gives `future` back if the group was closed. The slot is free then.
    pub(crate) fn enter<F: Future, G>(
        self: &Arc<Self>,
        slot: Held,
        at: &'static Location<'static>,
        future: F,
        kind: Kind,
        seat: impl FnOnce(Membership) -> G,
    ) -> Result<Entered<F, G>, F> {
        let mut state = self.lock();
        if self.is_closed() {
            state.refused += usize::from(slot.is_slot());
            drop(state);
            drop(slot);
            return Err(future);
        }
        let place = state.list.next_place();
        let guard = |handle: &Handle| seat(Membership::new(self, place, handle));
        let (task, greenlet) = pair_in(Some(place), at, future, guard);
        let handle = greenlet.handle().clone();
        self.insert(state, Member { handle, slot, dying: false, kind });
        Ok((task, greenlet))
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
        let place = state.list.next_place();
        state.added.insert(greenlet.id(), place);
        let (handle, slot) = (greenlet.clone(), Held::Own(permit));
        self.insert(state, Member { handle, slot, dying: false, kind: Kind::Added });
        let membership = Membership::new(self, place, greenlet);
        let Err(membership) = greenlet.guard(self.address(), membership) else { return true };
        // It has finished. First off the list, or it would count as one of the members that have.
        self.take_out(greenlet);
        drop(membership);
        false
    }

    fn insert(self: &Arc<Self>, mut state: MutexGuard<'_, State>, member: Member) {
        if self.scope.is_some() {
            self.slots.scopes().enter(member.handle.id(), self);
        }
        state.insert(member);
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
        self.gate.close();
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
        self.slots.balance() + isize::from(feeder_queued) < 0 || self.is_closed()
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
        let mut report = Report { refused: state.refused, ..Report::default() };
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
        for member in self.handles() {
            contain(|| member.abort());
        }
    }

    /// The member at `place` has finished, if it is `greenlet`: one that was discarded has left
    /// before.
    fn leave(&self, place: u32, greenlet: u64) {
        let mut state = self.lock();
        let member = state.list.get(place).filter(|member| member.handle.id() == greenlet);
        if let Some(handle) = member.map(|member| member.handle.clone()) {
            state.count(place, &handle);
            self.remove(state, place);
        }
    }

    /// Removes the member at `place`. Returns whether it was added.
    fn remove(&self, mut state: MutexGuard<'_, State>, place: u32) -> bool {
        let Member { handle, slot, dying, kind } = state.list.remove(place);
        if kind == Kind::Added {
            state.added.remove(&handle.id());
        }
        if self.scope.is_some() {
            self.slots.scopes().leave(handle.id(), self);
        }
        state.seated -= usize::from(slot.is_slot());
        state.dying -= usize::from(dying);
        let died = if state.dying == 0 { state.died.take() } else { None };
        let emptied = if state.list.is_empty() { state.emptied.take() } else { None };
        // Under the lock, so that no caller finds the list empty and the slot taken.
        let slot: Option<HandOut<'_>> = slot.give_back(&self.slots);
        drop(state);
        contain(|| drop(handle));
        contain(|| drop(slot));
        died.iter().chain(&emptied).for_each(|event| contain(|| event.set()));
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
            added: BTreeMap::new(),
            refused: 0,
            dying: 0,
            died: None,
            emptied: None,
            outcomes: Outcomes::default(),
            maps: Vec::new(),
            failures: Failures::new(kept_failures),
        }
    }

    fn insert(&mut self, member: Member) {
        self.seated += usize::from(member.slot.is_slot());
        self.list.insert(member);
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

    /// Counts how the member at `place` has ended.
    fn count(&mut self, place: u32, handle: &Handle) {
        let state = handle.state();
        let is_worker = self.list.get(place).is_some_and(|member| member.kind == Kind::Worker);
        if !is_worker {
            self.outcomes.count(state);
        }
        if state == GreenletState::Panicked {
            self.failures.extend(handle.failure());
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
    greenlet: u64,
}

impl Membership {
    fn new(members: &Arc<Members>, place: u32, greenlet: &Handle) -> Self {
        Self { members: Arc::clone(members), place, greenlet: greenlet.id() }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.members.leave(self.place, self.greenlet);
    }
}
