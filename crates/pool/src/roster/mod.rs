//! [`Roster`]: who is in, who may enter, and who waits until all are gone.
//!
//! A slot is taken before its task starts and given back when the task has ended; the slots'
//! semaphore alone says how many there are, so *running + free = capacity* is its invariant. The
//! list of members is there to wait for them and to kill them.

mod inside;
mod kills;
mod members;

use std::ops::Deref;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

pub(crate) use inside::{InPlace, Place, Wait};
use members::Members;
use spinney_greenlet::{Greenlet, Handle, Task, pair_in};
use spinney_hub::contain;
use spinney_sync::{Event, GiveWay, HandOut, Semaphore};

use crate::report::Tally;
use crate::{Failures, InsideGroup};

/// The number of slots of a group without a limit.
pub(crate) const UNLIMITED: usize = usize::MAX;

/// A member that is to be spawned, and its owner's half.
type Entered<F, G> = (Task<F, G>, Greenlet<<F as Future>::Output>);

pub(crate) struct Roster {
    /// Who holds a permit may enter one task, and leaves it out for the membership to return.
    pub(crate) slots: Semaphore,
    /// Has no permits, and is closed with the slots: for who waits for something else.
    gate: Semaphore,
    members: Mutex<Members>,
}

impl Roster {
    pub(crate) fn new(capacity: usize, kept_failures: usize) -> Self {
        Self {
            slots: Semaphore::new(capacity),
            gate: Semaphore::new(0),
            members: Mutex::new(Members::new(kept_failures)),
        }
    }

    /// Makes a member of `future`: for a slot that is out without a guard, or was lent by `lender`.
    /// The task is to be spawned; `seat` makes its guard of the membership.
    ///
    /// # Errors
    ///
    /// Gives it back if the roster is closed, whose slot it may have been on its way to. The slot
    /// is back, too.
    pub(crate) fn enter<F: Future, G>(
        self: &Arc<Self>,
        future: F,
        lender: Option<Place>,
        seat: impl FnOnce(&F, Membership) -> G,
    ) -> Result<Entered<F, G>, F> {
        let mut members = self.lock();
        let membership = self.membership(&mut members);
        let guard = seat(&future, membership);
        if members.closed {
            drop(members);
            drop(guard);
            self.give_back(lender);
            return Err(future);
        }
        let (task, greenlet) = pair_in(0, Location::caller(), future, |_| guard);
        members.insert(greenlet.handle().clone(), lender);
        drop(members);
        Ok((task, greenlet))
    }

    /// Makes a member of a greenlet that there is, for a slot that is out without a guard; false,
    /// and the slot is back, if it has ended, is a member already, or the roster is closed.
    pub(crate) fn add(self: &Arc<Self>, greenlet: &Handle) -> bool {
        let mut members = self.lock();
        if members.closed || members.find(greenlet).is_some() {
            drop(members);
            self.give_back(None);
            return false;
        }
        members.mixed = true;
        let membership = self.membership(&mut members);
        members.insert(greenlet.clone(), None);
        drop(members);
        let Err(membership) = greenlet.guard(std::ptr::from_ref::<Self>(self).addr(), membership)
        else {
            return true;
        };
        // It has ended. Off the list first, or the membership would count it as one of ours.
        self.discard(greenlet);
        drop(membership);
        false
    }

    /// Gives back a slot that nobody entered: one that is out without a guard, or was lent.
    pub(crate) fn give_back(&self, lender: Option<Place>) {
        let mut members = self.lock();
        let next = members.lender_now(lender).map(|lender| members.end_loan(lender));
        drop(members);
        match next {
            Some(next) => wake_all(next),
            None => contain(|| drop(self.slots.put_back(1))),
        }
        self.recheck();
    }

    /// Takes a member off the list, which then runs on as a stranger; false if it is none.
    pub(crate) fn discard(&self, greenlet: &Handle) -> bool {
        let mut members = self.lock();
        let Some(key) = members.find(greenlet) else { return false };
        members.mixed = true;
        self.remove(members, key);
        true
    }

    /// Refuses those who wait for a slot or have one and did not enter yet, and all who come.
    /// Returns how many waited.
    pub(crate) fn close(&self) -> usize {
        self.lock().closed = true;
        let refused = self.slots.waiting();
        contain(|| self.slots.close());
        contain(|| self.gate.close());
        refused
    }

    /// Whether a map should give a slot back rather than run its next item in it: because others
    /// wait, apart from its own feeder, or because there are too many.
    pub(crate) fn is_wanted_back(&self, feeder_queued: bool) -> bool {
        self.slots.balance() + isize::from(feeder_queued) < 0 || self.slots.is_closed()
    }

    /// Whether `greenlet` is no member, and cannot be one any more.
    pub(crate) fn is_shut_to(&self, greenlet: &Handle) -> bool {
        let members = self.lock();
        members.closed && members.find(greenlet).is_none()
    }

    pub(crate) fn contains(&self, greenlet: &Handle) -> bool {
        self.lock().find(greenlet).is_some()
    }

    /// Whether the greenlet that is running on this thread is a member.
    pub(crate) fn is_inside(&self) -> bool {
        let Some(current) = Handle::current() else { return false };
        let members = self.lock();
        members.find(&current).is_some()
    }

    /// Waits, on behalf of the line `at`, until the list has been empty at least once.
    pub(crate) fn join(
        &self,
        at: &'static Location<'static>,
    ) -> impl Future<Output = Result<(), InsideGroup>> + use<> {
        let emptied = if self.is_inside() { Err(InsideGroup) } else { Ok(self.emptied()) };
        GiveWay::around(async move {
            if let Some(emptied) = emptied? {
                emptied.wait_for("Crew::join", at).await;
            }
            Ok(())
        })
    }

    /// What will be set when the list is empty; None if it is.
    fn emptied(&self) -> Option<Arc<Event>> {
        let mut members = self.lock();
        let any = !members.list.is_empty();
        any.then(|| Arc::clone(members.emptied.get_or_insert_default()))
    }

    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.lock().list.iter().map(|(_, member)| member.handle.clone()).collect()
    }

    /// How many members there are, in slots of their own or lent ones.
    pub(crate) fn count(&self) -> usize {
        self.lock().list.len()
    }

    /// How those ended that have left so far.
    pub(crate) fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// The failures of those that have left since this was last called.
    pub(crate) fn take_failures(&self) -> Failures {
        self.lock().failures.take()
    }

    /// Where the greenlet that is running on this thread is to wait, if it is a member.
    pub(crate) fn wait_inside(&self) -> Option<Wait> {
        let current = Handle::current()?;
        let members = self.lock();
        members.find(&current).map(|key| inside::wait_at(self, members.place_of(key)))
    }

    /// For a member that waits to spawn: whether it is to run the work itself, because all members
    /// wait for a slot, and none is on its way. Otherwise `waker` is woken when that is so.
    pub(crate) fn block(
        &self,
        wait: Wait,
        place: &mut Option<usize>,
        waker: &Waker,
    ) -> Option<InPlace<'_>> {
        let mut members = self.lock();
        let key = *place.get_or_insert_with(|| {
            members.begin_wait(wait);
            members.spawners.insert((wait, waker.clone()))
        });
        let before = std::mem::replace(&mut members.spawners[key].1, waker.clone());
        let runs = self.is_stuck(&members) && members.may_use_slot(wait);
        let spawner = runs.then(|| members.spawners.remove(key));
        if runs {
            *place = None;
            members.end_wait(wait);
            members.begin_in_place(wait.place);
        }
        drop(members);
        drop((before, spawner));
        runs.then(|| InPlace::new(self, wait))
    }

    /// A member does not wait to spawn any more.
    pub(crate) fn unblock(&self, key: usize) {
        let mut members = self.lock();
        let (wait, waker) = members.spawners.remove(key);
        members.end_wait(wait);
        self.rouse(members);
        drop(waker);
    }

    /// A member ceases to wait at one place, and begins at another: for its map, or for a slot with
    /// nothing to run.
    pub(crate) fn set_waiting(&self, before: Option<Wait>, after: Option<Wait>) {
        let mut members = self.lock();
        if let Some(wait) = before {
            members.end_wait(wait);
        }
        if let Some(wait) = after {
            members.begin_wait(wait);
        }
        self.rouse(members);
    }

    fn end_in_place(&self, place: Place) {
        let next = self.lock().end_in_place(place);
        wake_all(next);
        self.recheck();
    }

    /// Lends the slot of who waits there to one worker, or else wakes `waker` when it might.
    pub(crate) fn lend(&self, wait: Wait, waker: &Waker) -> bool {
        self.lock().lend(wait, waker)
    }

    /// Whether the slot of who waits there is lent; then `waker` is woken when it is back.
    pub(crate) fn is_lent(&self, wait: Wait, waker: &Waker) -> bool {
        self.lock().is_lent(wait, waker)
    }

    /// A slot may have been given up that was on its way to somebody, or there are fewer.
    pub(crate) fn recheck(&self) {
        self.rouse(self.lock());
    }

    /// Gets one of the members that wait to spawn to run its work itself, if nothing else is left.
    fn rouse(&self, members: MutexGuard<'_, Members>) {
        let stuck = self.is_stuck(&members);
        let mut able = members.spawners.iter().filter(|(_, (wait, _))| members.may_use_slot(*wait));
        let last = if stuck { able.next_back() } else { None };
        let waker = last.map(|(_, (_, waker))| waker.clone());
        drop(members);
        wake_all(waker);
    }

    fn is_stuck(&self, members: &Members) -> bool {
        !members.spawners.is_empty()
            && self.slots.out() <= members.seated
            && members.list.iter().all(|(_, member)| member.is_blocked())
    }

    /// The membership of whoever is inserted next.
    fn membership(self: &Arc<Self>, members: &mut Members) -> Membership {
        let (key, stamp) = members.vacancy();
        Membership { roster: Arc::clone(self), key, stamp }
    }

    /// True if the slot was passed on; see [`Membership::leave`].
    fn leave(&self, key: usize, stamp: u64) -> bool {
        let mut members = self.lock();
        // A member that was discarded has left before.
        if members.list.get(key).is_some_and(|member| member.stamp == stamp) {
            members.count(key);
            return self.remove(members, key);
        }
        false
    }

    /// True if the slot was passed on; see [`Membership::leave`].
    fn remove(&self, mut members: MutexGuard<'_, Members>, key: usize) -> bool {
        let (member, is_free, next) = members.remove(key);
        let passed_on = member.lender.is_some() && member.is_lending();
        let died = if members.dying == 0 { members.died.take() } else { None };
        let emptied = if members.list.is_empty() { members.emptied.take() } else { None };
        let some_spawn = !members.spawners.is_empty();
        // Under the lock, so that nobody finds the list empty and the slot taken.
        let slot: Option<HandOut<'_>> = is_free.then(|| self.slots.put_back(1));
        drop(members);
        contain(|| drop(member));
        contain(|| drop(slot));
        died.iter().chain(&emptied).for_each(|event| contain(|| event.set()));
        wake_all(next);
        if some_spawn {
            self.recheck();
        }
        passed_on
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes all of `wakers`, also those behind one that panics.
fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(|waker| contain(|| waker.wake()));
}

/// A task's place in its group. Dropping it, when the task has ended, gives the slot to who has
/// waited longest.
#[derive(Debug)]
pub struct Membership {
    roster: Arc<Roster>,
    key: usize,
    /// Zero, which is nobody's, once it has left.
    stamp: u64,
}

impl Membership {
    /// As dropping it; true if the slot had been lent to the member, and is with somebody else to
    /// whom the member had lent it.
    pub(crate) fn leave(&mut self) -> bool {
        let stamp = std::mem::take(&mut self.stamp);
        stamp != 0 && self.roster.leave(self.key, stamp)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.leave();
    }
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster").field("slots", &self.slots).finish_non_exhaustive()
    }
}

/// The slots of a roster, held without a borrow: by who waits for one, or has just got it.
#[derive(Clone)]
pub(crate) struct Slots(pub(crate) Arc<Roster>);

/// A slot that was on its way may now be nobody's.
impl Drop for Slots {
    fn drop(&mut self) {
        self.0.recheck();
    }
}

impl Deref for Slots {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0.slots
    }
}

/// The [`gate`](Roster::gate) of a roster, held without a borrow.
pub(crate) struct Gate(pub(crate) Arc<Roster>);

impl Deref for Gate {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0.gate
    }
}
