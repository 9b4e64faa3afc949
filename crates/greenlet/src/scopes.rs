//! [`Kills`]: the pending kill of a greenlet, and the part of the greenlet that sees it.
//!
//! The parts of a greenlet are scopes: each `catch_exit`, which may see a kill, and each `shield`,
//! which defers it. Scopes nest; the greenlet as a whole is the outermost one, [`ROOT`]. A kill is
//! due at a scope that lies in no shield and has no scope inside: so the innermost scope sees it,
//! and none does before the shields inside are closed.
//!
//! A *wait in place* is a shield around a child that a greenlet runs within its own polls. It
//! lapses once a poll of the greenlet that began with the kill pending has not polled the wait: the
//! greenlet then waits for something else, although the wait was not dropped.
//!
//! A resumed kill is due at the scope in which it was resumed, even if other scopes beside it catch
//! kills.
//!
//! A greenlet may have very many scopes side by side. So each scope counts the scopes inside it,
//! and only a kill visits them all, to wake them.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use crate::GreenletExit;

/// The greenlet as a whole.
pub(crate) const ROOT: u64 = 0;

#[derive(Default)]
pub(crate) struct Kills {
    /// The pending kill.
    exit: Option<GreenletExit>,
    /// `Some` once a scope was opened, which few greenlets do.
    nest: Option<Box<Nest>>,
}

#[derive(Default)]
struct Nest {
    /// The scope in which the kill was resumed, if it was.
    resumed_at: Option<u64>,
    /// The open scopes.
    scopes: BTreeMap<u64, Scope>,
    /// The greenlet as a whole.
    root: Scope,
    last_id: u64,
    /// The waits in place, each with the last round in which it was polled.
    waits: BTreeMap<u64, u64>,
    /// The number of polls of the greenlet that began with a kill pending.
    round: u64,
    /// Whether the current poll is such a round.
    in_round: bool,
}

#[derive(Default)]
struct Scope {
    outer: u64,
    shield: bool,
    /// The scope is a shield, or lies in one.
    shielded: bool,
    /// The scopes directly inside it.
    inner: BTreeSet<u64>,
    /// How many of these are shields or contain one.
    shielding: usize,
    /// Wakes the scope's own task, where polling the greenlet is not enough.
    waker: Option<Waker>,
}

impl Scope {
    fn is_shielding(&self) -> bool {
        self.shield || self.shielding > 0
    }
}

impl Kills {
    /// Sends a kill; `false` if one is pending, which then stays.
    pub(crate) fn send(&mut self, exit: GreenletExit) -> bool {
        let first = self.exit.is_none();
        self.exit.get_or_insert(exit);
        first
    }

    pub(crate) fn pending(&self) -> Option<&GreenletExit> {
        self.exit.as_ref()
    }

    /// Sends a kill that was seen at `scope` to the scopes around it. Returns the pending one, if
    /// any.
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

    /// Begins a poll of the greenlet with a kill pending that the greenlet as a whole does not see.
    pub(crate) fn begin_round(&mut self) {
        if let Some(nest) = &mut self.nest {
            nest.round += 1;
            nest.in_round = true;
        }
    }

    /// Records that the wait in place `scope` is being polled.
    pub(crate) fn see_wait(&mut self, scope: u64) {
        let Some(nest) = &mut self.nest else { return };
        let round = nest.round;
        nest.waits.entry(scope).and_modify(|seen| *seen = round);
    }

    /// After a pending poll of the greenlet: a wait in place that has lapsed, if there is one.
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

    /// Whether the kill is due at `scope`, which is open, or at a scope around it.
    pub(crate) fn is_due_around(&self, scope: u64) -> bool {
        let resumed = self.nest.as_deref().and_then(|nest| Some((nest, nest.resumed_at?)));
        match resumed {
            Some((nest, at)) => self.is_due(at) && nest.around(scope).any(|around| around == at),
            // The scopes around contain this one.
            None => self.is_due(scope),
        }
    }

    /// Whether `scope` is a shield, or lies in one.
    pub(crate) fn is_shielded(&self, scope: u64) -> bool {
        let scope = self.nest.as_ref().and_then(|nest| nest.find(scope));
        scope.is_some_and(|scope| scope.shielded)
    }

    fn nest(&mut self) -> &mut Nest {
        self.nest.get_or_insert_default()
    }

    /// Opens a scope inside `outer`.
    pub(crate) fn open(&mut self, outer: u64, shield: bool) -> u64 {
        let nest = self.nest();
        nest.last_id += 1;
        let id = nest.last_id;
        nest.scopes.insert(id, Scope { shield, ..Scope::default() });
        nest.put_inside(id, outer);
        id
    }

    /// Opens a wait in place inside `outer`.
    pub(crate) fn open_wait(&mut self, outer: u64) -> u64 {
        let id = self.open(outer, true);
        let nest = self.nest();
        nest.waits.insert(id, nest.round);
        id
    }

    /// Sets the waker that a kill wakes at `scope`. Returns the previous one.
    #[must_use = "a waker is dropped when the lock has been released"]
    pub(crate) fn watch(&mut self, scope: u64, waker: &Waker) -> Option<Waker> {
        self.nest().scopes.get_mut(&scope)?.waker.replace(waker.clone())
    }

    /// Closes `scope`; scopes that are still open inside it move to its outer scope.
    pub(crate) fn close(&mut self, scope: u64) -> Closed {
        let nest = self.nest.as_deref_mut();
        nest.and_then(|nest| nest.close(scope)).unwrap_or_default()
    }

    /// The scopes at which a kill is due now that `closed` was closed.
    pub(crate) fn due_after(&self, closed: &Closed) -> Vec<u64> {
        let resumed_at = self.nest.as_ref().and_then(|nest| nest.resumed_at);
        let freed = closed.freed.iter().copied().chain([closed.outer]).chain(resumed_at);
        freed.filter(|scope| self.is_due(*scope)).collect()
    }

    /// The waker of `scope`.
    pub(crate) fn waker(&self, scope: u64) -> Option<Waker> {
        self.nest.as_ref()?.find(scope)?.waker.clone()
    }

    /// The wakers of all scopes, apart from the greenlet itself.
    pub(crate) fn wakers(&self) -> impl Iterator<Item = Waker> {
        let scopes = self.nest.iter().flat_map(|nest| nest.scopes.values());
        scopes.filter_map(|scope| scope.waker.clone())
    }
}

/// The remains of a closed scope.
#[derive(Default)]
pub(crate) struct Closed {
    /// To be dropped after the lock has been released.
    pub(crate) waker: Option<Waker>,
    outer: u64,
    /// The scopes that it shielded, apart from its outer one.
    freed: Vec<u64>,
}

impl Nest {
    fn find(&self, scope: u64) -> Option<&Scope> {
        if scope == ROOT { Some(&self.root) } else { self.scopes.get(&scope) }
    }

    fn find_mut(&mut self, scope: u64) -> Option<&mut Scope> {
        if scope == ROOT { Some(&mut self.root) } else { self.scopes.get_mut(&scope) }
    }

    /// `scope` and the scopes around it, up to `ROOT`.
    fn around(&self, scope: u64) -> impl Iterator<Item = u64> {
        let outer = |scope: &u64| self.scopes.get(scope).map(|scope| scope.outer);
        std::iter::successors(Some(scope), outer)
    }

    /// Puts the scope `id`, which has no outer scope yet, into `outer`, or into the closest open
    /// scope around `outer` if that is closed.
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

    /// Applies `change` to the count of shielding scopes in `scope`, and in the scopes around it
    /// whose own state changes with that.
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

    /// Records that `scope`, and the scopes inside it up to the next shields, lie in no shield any
    /// more.
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

    /// The specification: it visits all scopes at each step.
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
    fn random_scopes_match_the_model() {
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

    /// Applies the same random step to both.
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
                    assert!(
                        before.contains(&scope) || told.contains(&scope),
                        "a scope that the kill is due at was not woken"
                    );
                }
            }
            _ => {
                let shield = random.below(3) == 0;
                model.scopes.push((kills.open(scope, shield), scope, shield));
            }
        }
    }

    #[test]
    fn many_nested_scopes_close_in_either_order() {
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
