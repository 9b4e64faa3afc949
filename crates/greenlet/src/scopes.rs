//! [`Kills`]: the kill that was sent to a greenlet, and the part of the greenlet that sees it.
//!
//! The parts that have a say are scopes: each `catch_exit`, which may see a kill, and each `shield`,
//! which keeps it off. They nest, and the greenlet as a whole is the outermost one, [`ROOT`]. A
//! kill is due at a scope that is in no shield and has no scope inside: so the innermost sees it,
//! and none before the shields inside are closed.
//!
//! A *wait in place* is a shield around a child that a greenlet runs within its own polls. It lapses
//! once a poll of the greenlet that began with the kill has not polled the wait: then the greenlet
//! waits for something else, though the wait was not dropped.
//!
//! A kill that was resumed is due at the scope where that was done, whatever catches beside it.
//!
//! A greenlet may have very many scopes side by side. So each counts what is inside of it, and no
//! step looks at all of them but a kill, which wakes them.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use crate::GreenletExit;

/// The greenlet as a whole.
pub(crate) const ROOT: u64 = 0;

#[derive(Default)]
pub(crate) struct Kills {
    /// The kill that was not seen yet.
    exit: Option<GreenletExit>,
    /// There once a scope was opened, which few greenlets do.
    nest: Option<Box<Nest>>,
}

#[derive(Default)]
struct Nest {
    /// Where the kill was resumed, if it was.
    resumed_at: Option<u64>,
    /// Those that are open.
    scopes: BTreeMap<u64, Scope>,
    /// The greenlet as a whole.
    root: Scope,
    last_id: u64,
    /// The waits in place, and the last round in which each was polled.
    waits: BTreeMap<u64, u64>,
    /// The number of polls of the greenlet that began with a kill pending.
    round: u64,
    /// Whether the current poll is one of them.
    in_round: bool,
}

#[derive(Default)]
struct Scope {
    outer: u64,
    shield: bool,
    /// It is a shield, or in one.
    shielded: bool,
    /// The scopes directly inside.
    inner: BTreeSet<u64>,
    /// The number of those that are shields, or have one inside.
    shielding: usize,
    /// Gets it polled, where that is not done by polling the greenlet alone.
    waker: Option<Waker>,
}

impl Scope {
    fn is_shielding(&self) -> bool {
        self.shield || self.shielding > 0
    }
}

impl Kills {
    /// Sends a kill; false if one is pending, and that one counts.
    pub(crate) fn send(&mut self, exit: GreenletExit) -> bool {
        let first = self.exit.is_none();
        self.exit.get_or_insert(exit);
        first
    }

    pub(crate) fn pending(&self) -> Option<&GreenletExit> {
        self.exit.as_ref()
    }

    /// Sends a kill that was seen to what is around the place where it was, which is `scope`.
    /// Returns the one before.
    #[must_use = "a reason is dropped when the lock has been released"]
    pub(crate) fn resume(&mut self, exit: GreenletExit, scope: u64) -> Option<GreenletExit> {
        let nest = self.nest();
        nest.resumed_at = Some(scope);
        nest.in_round = false;
        self.exit.replace(exit)
    }

    /// Takes the kill if it is due at `scope`.
    pub(crate) fn take_at(&mut self, scope: u64) -> Option<GreenletExit> {
        if !self.is_due(scope) {
            return None;
        }
        if let Some(nest) = &mut self.nest {
            nest.resumed_at = None;
            nest.in_round = false;
        }
        self.exit.take()
    }

    /// The greenlet is about to be polled, with a kill pending that it does not see yet.
    pub(crate) fn begin_round(&mut self) {
        if let Some(nest) = &mut self.nest {
            nest.round += 1;
            nest.in_round = true;
        }
    }

    /// The wait in place `scope` is being polled.
    pub(crate) fn see_wait(&mut self, scope: u64) {
        let Some(nest) = &mut self.nest else { return };
        let round = nest.round;
        nest.waits.entry(scope).and_modify(|seen| *seen = round);
    }

    /// The greenlet has been polled, and is pending: a wait in place that has lapsed, if there is one.
    pub(crate) fn lapsed_wait(&self) -> Option<u64> {
        let nest = self.nest.as_ref().filter(|nest| nest.in_round && self.exit.is_some())?;
        nest.waits.iter().find(|(_, seen)| **seen != nest.round).map(|(scope, _)| *scope)
    }

    /// Whether `scope` is open.
    pub(crate) fn is_open(&self, scope: u64) -> bool {
        self.nest.as_ref().is_some_and(|nest| nest.find(scope).is_some())
    }

    pub(crate) fn is_due(&self, scope: u64) -> bool {
        let lets_through = |nest: &Nest| {
            let Some(there) = nest.find(scope) else { return nest.resumed_at.is_none() };
            !there.shielded
                && match nest.resumed_at {
                    Some(at) => at == scope && there.shielding == 0,
                    None => there.inner.is_empty(),
                }
        };
        self.exit.is_some() && self.nest.as_deref().is_none_or(lets_through)
    }

    /// Whether the kill is due at `scope`, which is open, or at one around it.
    pub(crate) fn is_due_around(&self, scope: u64) -> bool {
        let resumed = self.nest.as_deref().and_then(|nest| Some((nest, nest.resumed_at?)));
        match resumed {
            Some((nest, at)) => self.is_due(at) && nest.around(scope).any(|around| around == at),
            // Those around have this one inside.
            None => self.is_due(scope),
        }
    }

    /// Whether `scope` is a shield, or in one.
    pub(crate) fn is_shielded(&self, scope: u64) -> bool {
        let scope = self.nest.as_ref().and_then(|nest| nest.find(scope));
        scope.is_some_and(|scope| scope.shielded)
    }

    fn nest(&mut self) -> &mut Nest {
        self.nest.get_or_insert_default()
    }

    /// Opens a scope inside of `outer`.
    pub(crate) fn open(&mut self, outer: u64, shield: bool) -> u64 {
        let nest = self.nest();
        nest.last_id += 1;
        let id = nest.last_id;
        nest.scopes.insert(id, Scope { shield, ..Scope::default() });
        nest.put_inside(id, outer);
        id
    }

    /// Opens a wait in place inside of `outer`.
    pub(crate) fn open_wait(&mut self, outer: u64) -> u64 {
        let id = self.open(outer, true);
        let nest = self.nest();
        nest.waits.insert(id, nest.round);
        id
    }

    /// Lets `scope` be woken by a kill. Returns the waker before.
    #[must_use = "a waker is dropped when the lock has been released"]
    pub(crate) fn watch(&mut self, scope: u64, waker: &Waker) -> Option<Waker> {
        self.nest().scopes.get_mut(&scope)?.waker.replace(waker.clone())
    }

    /// Closes `scope`; what is still open in it is from now on inside of its outer one.
    pub(crate) fn close(&mut self, scope: u64) -> Closed {
        let nest = self.nest.as_deref_mut();
        nest.and_then(|nest| nest.close(scope)).unwrap_or_default()
    }

    /// The scopes where a kill is due now that `closed` was closed.
    pub(crate) fn due_after(&self, closed: &Closed) -> Vec<u64> {
        let resumed_at = self.nest.as_ref().and_then(|nest| nest.resumed_at);
        let freed = closed.freed.iter().copied().chain([closed.outer]).chain(resumed_at);
        freed.filter(|scope| self.is_due(*scope)).collect()
    }

    /// Gets `scope` polled.
    pub(crate) fn waker(&self, scope: u64) -> Option<Waker> {
        self.nest.as_ref()?.find(scope)?.waker.clone()
    }

    /// Those that a kill gets polled, apart from the greenlet itself.
    pub(crate) fn wakers(&self) -> impl Iterator<Item = Waker> {
        let scopes = self.nest.iter().flat_map(|nest| nest.scopes.values());
        scopes.filter_map(|scope| scope.waker.clone())
    }
}

/// What is left of a scope that was closed.
#[derive(Default)]
pub(crate) struct Closed {
    /// Dropped when the lock has been released.
    pub(crate) waker: Option<Waker>,
    outer: u64,
    /// The scopes that it kept a kill from, apart from its outer one.
    freed: Vec<u64>,
}

impl Nest {
    fn find(&self, scope: u64) -> Option<&Scope> {
        if scope == ROOT { Some(&self.root) } else { self.scopes.get(&scope) }
    }

    fn find_mut(&mut self, scope: u64) -> Option<&mut Scope> {
        if scope == ROOT { Some(&mut self.root) } else { self.scopes.get_mut(&scope) }
    }

    /// `scope` itself, and those around it; `ROOT` is the last.
    fn around(&self, scope: u64) -> impl Iterator<Item = u64> {
        let outer = |scope: &u64| self.scopes.get(scope).map(|scope| scope.outer);
        std::iter::successors(Some(scope), outer)
    }

    /// Puts the scope `id`, which is inside of none, into `outer`, or where that was if it is closed.
    fn put_inside(&mut self, id: u64, outer: u64) {
        let outer = if self.find(outer).is_some() { outer } else { ROOT };
        let Some(around) = self.find_mut(outer) else { return };
        around.inner.insert(id);
        let shielded = around.shielded;
        let Some(scope) = self.find_mut(id) else { return };
        scope.outer = outer;
        scope.shielded = scope.shield || shielded;
        if scope.is_shielding() {
            self.count(outer, |shielding| *shielding += 1);
        }
    }

    /// Counts one more, or one less, that is shielding in `scope`, and in those around it for which
    /// that makes a difference.
    fn count(&mut self, mut scope: u64, change: impl Fn(&mut usize)) {
        while let Some(there) = self.find_mut(scope) {
            let before = there.is_shielding();
            change(&mut there.shielding);
            if scope == ROOT || there.is_shielding() == before {
                return;
            }
            scope = there.outer;
        }
    }

    fn close(&mut self, id: u64) -> Option<Closed> {
        let closed = self.scopes.remove(&id)?;
        self.waits.remove(&id);
        let outer = closed.outer;
        if let Some(around) = self.find_mut(outer) {
            around.inner.remove(&id);
        }
        if closed.is_shielding() {
            self.count(outer, |shielding| *shielding -= 1);
        }
        if self.resumed_at == Some(id) {
            self.resumed_at = Some(outer);
        }
        let unshields = closed.shield && self.find(outer).is_some_and(|outer| !outer.shielded);
        let mut freed = Vec::new();
        for inner in closed.inner {
            self.put_inside(inner, outer);
            if unshields {
                self.unshield(inner, &mut freed);
            }
        }
        Some(Closed { waker: closed.waker, outer, freed })
    }

    /// Notes that `scope`, and what is inside up to the next shields, is in a shield no more.
    fn unshield(&mut self, scope: u64, freed: &mut Vec<u64>) {
        let mut rest = vec![scope];
        while let Some(id) = rest.pop() {
            if let Some(scope) = self.scopes.get_mut(&id).filter(|scope| !scope.shield) {
                scope.shielded = false;
                rest.extend(&scope.inner);
                freed.push(id);
            }
        }
    }
}

#[cfg(all(test, not(spinney_loom)))]
mod tests {
    use super::{Kills, ROOT};
    use crate::GreenletExit;

    /// The same by looking at all scopes each time.
    #[derive(Default)]
    struct Model {
        pending: bool,
        resumed_at: Option<u64>,
        /// Id, outer scope, and whether it is a shield.
        scopes: Vec<(u64, u64, bool)>,
    }

    impl Model {
        fn around(&self, scope: u64) -> Vec<u64> {
            let outer = |scope: &u64| self.scopes.iter().find(|other| other.0 == *scope);
            std::iter::successors(Some(scope), |scope| outer(scope).map(|there| there.1)).collect()
        }

        fn shielded(&self, scope: u64) -> bool {
            let around = self.around(scope);
            self.scopes.iter().any(|other| other.2 && around.contains(&other.0))
        }

        fn is_due(&self, scope: u64) -> bool {
            let inside = |other: &&(u64, u64, bool)| self.around(other.1).contains(&scope);
            let mut inside = self.scopes.iter().filter(inside);
            let kept_off = match self.resumed_at {
                Some(at) => at != scope || inside.any(|inner| inner.2),
                None => inside.next().is_some(),
            };
            self.pending && !self.shielded(scope) && !kept_off
        }

        fn close(&mut self, place: usize) {
            let (id, outer, _) = self.scopes.remove(place);
            for inner in self.scopes.iter_mut().filter(|inner| inner.1 == id) {
                inner.1 = outer;
            }
            if self.resumed_at == Some(id) {
                self.resumed_at = Some(outer);
            }
        }

        /// All scopes, the greenlet as a whole included.
        fn all(&self) -> Vec<u64> {
            self.scopes.iter().map(|scope| scope.0).chain([ROOT]).collect()
        }

        fn due(&self) -> Vec<u64> {
            self.all().into_iter().filter(|scope| self.is_due(*scope)).collect()
        }
    }

    /// A few random bits, the same in each run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(self.0 >> 40).unwrap() % bound
        }
    }

    #[test]
    fn random_scopes_see_a_kill_as_those_of_a_model() {
        let mut random = Random(1);
        for _ in 0..300 {
            let (mut kills, mut model) = (Kills::default(), Model::default());
            for _ in 0..100 {
                step(&mut kills, &mut model, &mut random);
                for scope in model.all() {
                    assert_eq!(kills.is_due(scope), model.is_due(scope));
                    assert_eq!(kills.is_shielded(scope), model.shielded(scope));
                    let around = model.around(scope).iter().any(|around| model.is_due(*around));
                    assert_eq!(kills.is_due_around(scope), around);
                }
            }
        }
    }

    /// Does the same to both.
    fn step(kills: &mut Kills, model: &mut Model, random: &mut Random) {
        let all = model.all();
        let scope = all[random.below(all.len())];
        match random.below(10) {
            0 => {
                kills.send(GreenletExit::new());
                model.pending = true;
            }
            1 if !model.shielded(scope) => {
                drop(kills.resume(GreenletExit::new(), scope));
                (model.pending, model.resumed_at) = (true, Some(scope));
            }
            2 => {
                let taken = kills.take_at(scope).is_some();
                assert_eq!(taken, model.is_due(scope));
                if taken {
                    (model.pending, model.resumed_at) = (false, None);
                }
            }
            3..=5 if !model.scopes.is_empty() => {
                let place = random.below(model.scopes.len());
                let before = model.due();
                let closed = kills.close(model.scopes[place].0);
                model.close(place);
                let told = kills.due_after(&closed);
                for scope in model.due() {
                    assert!(before.contains(&scope) || told.contains(&scope), "it is not woken");
                }
            }
            _ => {
                let shield = random.below(3) == 0;
                model.scopes.push((kills.open(scope, shield), scope, shield));
            }
        }
    }

    #[test]
    fn many_nested_scopes_close_from_either_side() {
        const MANY: u64 = 50_000;
        for inner_first in [true, false] {
            let mut kills = Kills::default();
            let open = |outer: &mut u64, n| {
                *outer = kills.open(*outer, n % 4 == 0);
                Some(*outer)
            };
            let mut nest: Vec<_> = (0..MANY).scan(ROOT, open).collect();
            if inner_first {
                nest.reverse();
            }
            kills.send(GreenletExit::new());
            for scope in nest {
                assert!(!kills.is_due(ROOT));
                let closed = kills.close(scope);
                drop(kills.due_after(&closed));
            }
            assert!(kills.is_due(ROOT));
        }
    }
}
