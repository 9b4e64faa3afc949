//! [`Inside`]: what a member does with its slot while it waits for its own group.
//!
//! A slot is for one thing at a time: for the member, for work that it runs in place, or for a
//! worker that it is lent to. A member that waits in several places at once lends it once.

use std::cell::RefCell;
use std::task::Waker;

use super::Roster;
use super::members::Members;

/// A member's place in the list, and the stamp that tells it from others there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) key: usize,
    pub(super) stamp: u64,
}

/// Where a member waits, for a slot or for its map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) place: Place,
    /// Within how many works that it runs in place.
    pub(super) depth: usize,
}

thread_local! {
    /// The works that run in place on this thread, each within the one before: its roster, and
    /// where a member waits there that asks now.
    static RUNNING: RefCell<Vec<(usize, Wait)>> = const { RefCell::new(Vec::new()) };
}

/// What a member runs in place of itself, from when that is decided until it has ended.
pub(crate) struct InPlace<'a> {
    roster: &'a Roster,
    wait: Wait,
}

impl<'a> InPlace<'a> {
    pub(super) fn new(roster: &'a Roster, wait: Wait) -> Self {
        Self { roster, wait }
    }

    /// Runs a part of the work, which does not panic.
    pub(crate) fn run<T>(&self, run: impl FnOnce() -> T) -> T {
        let within = Wait { depth: self.wait.depth + 1, ..self.wait };
        RUNNING.with_borrow_mut(|running| running.push((address(self.roster), within)));
        let done = run();
        RUNNING.with_borrow_mut(Vec::pop);
        done
    }
}

impl Drop for InPlace<'_> {
    fn drop(&mut self) {
        self.roster.end_in_place(self.wait.place);
    }
}

/// Where a member at `place` waits that asks now.
pub(super) fn wait_at(roster: &Roster, place: Place) -> Wait {
    let is_its = |(of, wait): &&(usize, Wait)| *of == address(roster) && wait.place == place;
    let within = RUNNING.with_borrow(|running| running.iter().rev().find(is_its).copied());
    within.map_or(Wait { place, depth: 0 }, |(_, wait)| wait)
}

fn address(roster: &Roster) -> usize {
    std::ptr::from_ref(roster).addr()
}

/// There for members that have waited for their own group.
#[derive(Default)]
pub(super) struct Inside {
    /// How many works it runs in place, one in the other.
    depth: usize,
    /// In how many places it waits, at each depth.
    waits: Vec<usize>,
    /// A worker has its slot.
    lent: bool,
    /// Those who wait for it: feeders that want it next, and readers that want it back.
    next: Vec<Waker>,
}

impl Inside {
    pub(super) fn is_blocked(&self) -> bool {
        self.waits.get(self.depth).is_some_and(|waits| *waits > 0)
    }

    pub(super) fn is_lending(&self) -> bool {
        self.lent
    }

    /// Those to be woken when it is back, or the member has left.
    pub(super) fn take_next(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.next)
    }

    fn wake_next(&mut self, waker: &Waker) {
        if !self.next.iter().any(|next| next.will_wake(waker)) {
            self.next.push(waker.clone());
        }
    }

    fn may_use_slot(&self, wait: Wait) -> bool {
        self.depth == wait.depth && !self.lent
    }
}

impl Members {
    /// The place of the member `key`.
    pub(super) fn place_of(&self, key: usize) -> Place {
        Place { key, stamp: self.list[key].stamp }
    }

    /// None if the member has left.
    fn inside(&mut self, place: Place) -> Option<&mut Inside> {
        let member = self.list.get_mut(place.key).filter(|member| member.stamp == place.stamp)?;
        Some(member.inside.get_or_insert_default())
    }

    pub(super) fn begin_wait(&mut self, wait: Wait) {
        let Some(inside) = self.inside(wait.place) else { return };
        if inside.waits.len() <= wait.depth {
            inside.waits.resize(wait.depth + 1, 0);
        }
        inside.waits[wait.depth] += 1;
    }

    pub(super) fn end_wait(&mut self, wait: Wait) {
        if let Some(inside) = self.inside(wait.place) {
            inside.waits[wait.depth] -= 1;
        }
    }

    /// Whether the slot of who waits there is free for other work.
    pub(super) fn may_use_slot(&self, wait: Wait) -> bool {
        let member = self.list.get(wait.place.key);
        let member = member.filter(|member| member.stamp == wait.place.stamp);
        member
            .and_then(|member| member.inside.as_ref())
            .is_some_and(|inside| inside.may_use_slot(wait))
    }

    pub(super) fn begin_in_place(&mut self, place: Place) {
        if let Some(inside) = self.inside(place) {
            inside.depth += 1;
        }
    }

    /// Returns those who want the slot next.
    pub(super) fn end_in_place(&mut self, place: Place) -> Vec<Waker> {
        let Some(inside) = self.inside(place) else { return Vec::new() };
        inside.depth -= 1;
        inside.take_next()
    }

    /// Lends the slot, or else wakes `waker` when that may be possible.
    pub(super) fn lend(&mut self, wait: Wait, waker: &Waker) -> bool {
        let Some(inside) = self.inside(wait.place) else { return false };
        let lends = inside.may_use_slot(wait);
        if lends {
            inside.lent = true;
        } else {
            inside.wake_next(waker);
        }
        lends
    }

    /// Whether the slot of who waits there is lent; `waker` is woken when it is not any more.
    pub(super) fn is_lent(&mut self, wait: Wait, waker: &Waker) -> bool {
        let inside = self.inside(wait.place).filter(|inside| inside.lent);
        let Some(inside) = inside else { return false };
        inside.wake_next(waker);
        true
    }

    /// The slot that was lent is back. Returns those who want it next.
    pub(super) fn end_loan(&mut self, place: Place) -> Vec<Waker> {
        let Some(inside) = self.inside(place) else { return Vec::new() };
        inside.lent = false;
        inside.take_next()
    }
}
