//! [`Members`]: the list of a roster, and what is counted there.

use std::sync::Arc;
use std::task::Waker;

use slab::Slab;
use spinney_greenlet::{Handle, State};
use spinney_sync::Event;

use super::inside::{Inside, Place, Wait};
use crate::Failures;
use crate::report::Tally;

pub(super) struct Members {
    pub(super) list: Slab<Member>,
    /// How many of them hold a slot; the others were lent one by a member that waits for them.
    pub(super) seated: usize,
    /// Tells memberships apart that have the same place in the list, one after the other.
    pub(super) next_stamp: u64,
    /// Somebody was added or discarded, so that a home does not tell any more who is a member.
    pub(super) mixed: bool,
    /// Set when the last member leaves; there if anybody waits for that. Each emptying has its
    /// own, so that nobody is told of one that was before they asked.
    pub(super) emptied: Option<Arc<Event>>,
    /// How many have been sent the group's kill, and get no other.
    pub(super) dying: usize,
    /// Set when the last of those leaves; there if anybody waits for that.
    pub(super) died: Option<Arc<Event>>,
    /// Lenders that have left while their slot was on its way to a worker; and for each, who had
    /// lent it that slot, if anybody.
    pub(super) estates: Vec<(Place, Option<Place>)>,
    /// The members that wait to spawn here.
    pub(super) spawners: Slab<(Wait, Waker)>,
    /// Nobody comes in any more.
    pub(super) closed: bool,
    pub(super) tally: Tally,
    pub(super) failures: Failures,
}

pub(super) struct Member {
    pub(super) handle: Handle,
    pub(super) stamp: u64,
    pub(super) dying: bool,
    /// Who has lent it its slot, if it has none of its own.
    pub(super) lender: Option<Box<Place>>,
    pub(super) inside: Option<Box<Inside>>,
}

impl Member {
    pub(super) fn is_lending(&self) -> bool {
        self.inside.as_ref().is_some_and(|inside| inside.is_lending())
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.inside.as_ref().is_some_and(|inside| inside.is_blocked())
    }
}

impl Members {
    pub(super) fn new(kept_failures: usize) -> Self {
        Self {
            list: Slab::new(),
            seated: 0,
            next_stamp: 0,
            mixed: false,
            emptied: None,
            dying: 0,
            died: None,
            estates: Vec::new(),
            spawners: Slab::new(),
            closed: false,
            tally: Tally::default(),
            failures: Failures::new(kept_failures),
        }
    }

    /// The place and the stamp of whoever is inserted next.
    pub(super) fn vacancy(&mut self) -> (usize, u64) {
        self.next_stamp += 1;
        (self.list.vacant_key(), self.next_stamp)
    }

    pub(super) fn insert(&mut self, handle: Handle, lender: Option<Place>) {
        let lender = self.lender_now(lender).map(Box::new);
        self.seated += usize::from(lender.is_none());
        let stamp = self.next_stamp;
        self.list.insert(Member { handle, stamp, dying: false, lender, inside: None });
    }

    /// Takes a member off the list. Also returns whether its slot is free now, rather than with
    /// somebody who lent it or was lent it; and whom to wake, since a slot is not lent any more.
    pub(super) fn remove(&mut self, key: usize) -> (Member, bool, Vec<Waker>) {
        let mut member = self.list.remove(key);
        self.dying -= usize::from(member.dying);
        self.seated -= usize::from(member.lender.is_none());
        let (is_free, next) = if member.lender.is_none() && member.inside.is_none() {
            (true, Vec::new())
        } else {
            self.end_loans(key, &mut member)
        };
        (member, is_free, next)
    }

    /// Apart from the above, which mostly has none to end.
    #[inline(never)]
    fn end_loans(&mut self, key: usize, member: &mut Member) -> (bool, Vec<Waker>) {
        let mut next = member.inside.as_mut().map_or_else(Vec::new, |inside| inside.take_next());
        if member.is_lending() {
            self.bequeath(key, member);
            return (false, next);
        }
        let lender = member.lender.as_deref().copied();
        next.extend(lender.into_iter().flat_map(|lender| self.end_loan(lender)));
        (lender.is_none(), next)
    }

    /// Leaves the slot of the member that was at `key` to whom it has lent it, who may be yet to
    /// come.
    fn bequeath(&mut self, key: usize, member: &Member) {
        let place = Place { key, stamp: member.stamp };
        let mut others = self.list.iter_mut().map(|(_, other)| other);
        match others.find(|other| other.lender.as_deref() == Some(&place)) {
            Some(heir) => {
                heir.lender.clone_from(&member.lender);
                self.seated += usize::from(heir.lender.is_none());
            }
            None => self.estates.push((place, member.lender.as_deref().copied())),
        }
    }

    /// Who lends the slot that `lender` did: whoever had lent it to that, if that has left.
    pub(super) fn lender_now(&mut self, mut lender: Option<Place>) -> Option<Place> {
        while let Some(gone) = self.estates.iter().position(|(of, _)| lender == Some(*of)) {
            lender = self.estates.swap_remove(gone).1;
        }
        lender
    }

    pub(super) fn find(&self, greenlet: &Handle) -> Option<usize> {
        self.list.iter().find(|(_, member)| member.handle == *greenlet).map(|(key, _)| key)
    }

    /// Counts how a member has ended.
    pub(super) fn count(&mut self, key: usize) {
        let handle = &self.list[key].handle;
        match handle.state() {
            State::Panicked => {
                self.tally.failed += 1;
                self.failures.extend(handle.failure());
            }
            State::Killed | State::Aborted => self.tally.killed += 1,
            _ => self.tally.succeeded += 1,
        }
    }

    /// Marks some as dying that are not, or also those that are, of those from the place `from` on
    /// who are members since `newest` or longer, and puts them into `condemned`. False if that was
    /// the last place.
    pub(super) fn condemn(
        &mut self,
        from: &mut usize,
        newest: u64,
        again: bool,
        condemned: &mut Vec<Handle>,
    ) -> bool {
        while condemned.len() < condemned.capacity() && *from < self.list.capacity() {
            let member = self.list.get_mut(*from);
            *from += 1;
            let spared = |member: &&mut Member| member.stamp > newest || (member.dying && !again);
            if let Some(member) = member.filter(|member| !spared(member)) {
                self.dying += usize::from(!member.dying);
                member.dying = true;
                condemned.push(member.handle.clone());
            }
        }
        *from < self.list.capacity()
    }
}
