//! [`Roster`]: who is in, who may enter, and who waits until all are gone.
//!
//! A slot is taken before its task starts and given back when the task has ended; the slots'
//! semaphore alone says how many there are, so *running + free = capacity* is its invariant. The
//! list of members is there to wait for them and to kill them.

use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;
use spinney_greenlet::{Greenlet, Handle, Task, pair};
use spinney_sync::{Event, Semaphore};

use crate::InsideGroup;

/// The number of slots of a group without a limit.
pub(crate) const UNLIMITED: usize = usize::MAX;

pub(crate) struct Roster {
    /// Who holds a permit may enter one task, and leaves it out for the membership to return.
    pub(crate) slots: Semaphore,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    list: Slab<Member>,
    /// Set when the last member leaves; there if anybody waits for that. Each emptying has its
    /// own, so that nobody is told of one that was before they asked.
    emptied: Option<Arc<Event>>,
    /// How many have been sent the group's kill, and get no other.
    dying: usize,
    /// Set when the last of those leaves; there if anybody waits for that.
    died: Option<Arc<Event>>,
}

struct Member {
    handle: Handle,
    dying: bool,
}

impl Roster {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { slots: Semaphore::new(capacity), members: Mutex::default() }
    }

    /// Makes a member of `future`, for a slot that is out without a guard. The task is to be
    /// spawned; `seat` makes its guard of the membership.
    pub(crate) fn enter<F: Future, G>(
        self: &Arc<Self>,
        future: F,
        seat: impl FnOnce(&F, Membership) -> G,
    ) -> (Task<F, G>, Greenlet<F::Output>) {
        let mut members = self.lock();
        let key = members.list.vacant_key();
        let membership = Membership { roster: Arc::clone(self), key };
        let guard = seat(&future, membership);
        let (task, greenlet) = pair(future, guard);
        members.list.insert(Member { handle: greenlet.handle().clone(), dying: false });
        drop(members);
        (task, greenlet)
    }

    /// Whether a map should give a slot back rather than run its next item in it: because others
    /// wait, apart from its own feeder, or because there are too many.
    pub(crate) fn is_wanted_back(&self, feeder_queued: bool) -> bool {
        self.slots.balance() + isize::from(feeder_queued) < 0
    }

    pub(crate) fn contains(&self, greenlet: &Handle) -> bool {
        self.lock().list.iter().any(|(_, member)| member.handle == *greenlet)
    }

    /// Whether the greenlet that is running on this thread is a member.
    pub(crate) fn is_inside(&self) -> bool {
        Handle::current().is_some_and(|current| self.contains(&current))
    }

    /// Waits, on behalf of the line `at`, until the list has been empty at least once.
    pub(crate) async fn join(&self, at: &'static Location<'static>) -> Result<(), InsideGroup> {
        if self.is_inside() {
            return Err(InsideGroup);
        }
        let emptied = {
            let mut members = self.lock();
            if members.list.is_empty() {
                return Ok(());
            }
            Arc::clone(members.emptied.get_or_insert_default())
        };
        emptied.wait_for("Pool::join", at).await;
        Ok(())
    }

    /// Kills each member once, then whoever came in meanwhile, until nobody is left.
    pub(crate) async fn kill(&self, at: &'static Location<'static>) {
        loop {
            let (spared, died) = {
                let mut members = self.lock();
                if members.list.is_empty() {
                    return;
                }
                let spared = members.condemn();
                (spared, Arc::clone(members.died.get_or_insert_default()))
            };
            spared.iter().for_each(Handle::kill_now);
            died.wait_for("Pool::kill", at).await;
        }
    }

    /// Kills each member once, without waiting.
    pub(crate) fn kill_now(&self) {
        let spared = self.lock().condemn();
        spared.iter().for_each(Handle::kill_now);
    }

    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.lock().list.iter().map(|(_, member)| member.handle.clone()).collect()
    }

    fn leave(&self, key: usize) {
        let mut members = self.lock();
        let member = members.list.remove(key);
        members.dying -= usize::from(member.dying);
        let died = if members.dying == 0 { members.died.take() } else { None };
        let emptied = if members.list.is_empty() { members.emptied.take() } else { None };
        // Under the lock, so that nobody finds the list empty and the slot taken.
        let slot = self.slots.put_back(1);
        drop(members);
        drop(member);
        drop(slot);
        died.iter().chain(&emptied).for_each(|event| event.set());
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    /// Marks all as dying, and returns those that were not.
    fn condemn(&mut self) -> Vec<Handle> {
        let spared = self.list.iter_mut().filter(|(_, member)| !member.dying);
        let spared = spared.map(|(_, member)| {
            member.dying = true;
            member.handle.clone()
        });
        let spared: Vec<Handle> = spared.collect();
        self.dying += spared.len();
        spared
    }
}

/// A task's place in its group. Dropping it, when the task has ended, gives the slot to who has
/// waited longest.
#[derive(Debug)]
pub struct Membership {
    roster: Arc<Roster>,
    key: usize,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.roster.leave(self.key);
    }
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster").field("slots", &self.slots).finish_non_exhaustive()
    }
}
