//! [`Kills`]: the kill that was sent to a greenlet, and which part of the greenlet is to see it.
//!
//! Parts that have a say are scopes: each `catch_exit`, which may see a kill, and each `shield`,
//! which keeps it off. They nest, and the greenlet as a whole is the outermost one, [`ROOT`]. A
//! kill is due at a scope that is in no shield and has no scope inside: so the innermost sees it,
//! and nobody before the shields inside are over.
//!
//! A kill that was resumed is due at the scope where that was done, whoever catches beside it.

use std::task::Waker;

use crate::GreenletExit;

/// The greenlet as a whole.
pub(crate) const ROOT: u64 = 0;

#[derive(Default)]
pub(crate) struct Kills {
    /// The kill that nobody has seen yet.
    exit: Option<GreenletExit>,
    /// There once a scope was opened, which few greenlets do.
    nest: Option<Box<Nest>>,
}

#[derive(Default)]
struct Nest {
    /// Where the kill was resumed, if it was.
    resumed_at: Option<u64>,
    /// Those that are open, `ROOT` apart; inner ones behind outer ones.
    scopes: Vec<Scope>,
    last_id: u64,
}

struct Scope {
    id: u64,
    outer: u64,
    shield: bool,
    /// Gets it polled, where that is not done by polling the greenlet alone.
    waker: Option<Waker>,
}

impl Kills {
    /// Sends a kill; false if one is on its way, and that one counts.
    pub(crate) fn send(&mut self, exit: GreenletExit) -> bool {
        let first = self.exit.is_none();
        self.exit.get_or_insert(exit);
        first
    }

    pub(crate) fn pending(&self) -> Option<&GreenletExit> {
        self.exit.as_ref()
    }

    /// Sends a kill that somebody saw to whatever is around them, which is `scope`. Returns the
    /// one before.
    #[must_use = "a reason is dropped when the lock has been let go"]
    pub(crate) fn resume(&mut self, exit: GreenletExit, scope: u64) -> Option<GreenletExit> {
        self.nest().resumed_at = Some(scope);
        self.exit.replace(exit)
    }

    /// Takes the kill if it is due at `scope`.
    pub(crate) fn take_at(&mut self, scope: u64) -> Option<GreenletExit> {
        if !self.is_due(scope) {
            return None;
        }
        if let Some(nest) = &mut self.nest {
            nest.resumed_at = None;
        }
        self.exit.take()
    }

    pub(crate) fn is_due(&self, scope: u64) -> bool {
        let is_kept_off = || match self.nest.as_ref().and_then(|nest| nest.resumed_at) {
            Some(at) => {
                let mut shields = self.scopes().iter().filter(|inner| inner.shield);
                at != scope || shields.any(|inner| self.is_around(scope, inner.outer))
            }
            None => self.scopes().iter().any(|inner| inner.outer == scope),
        };
        self.exit.is_some() && !self.is_shielded(scope) && !is_kept_off()
    }

    /// Whether the kill is due at `scope`, or at one around it.
    pub(crate) fn is_due_around(&self, scope: u64) -> bool {
        self.around(scope).any(|scope| self.is_due(scope))
    }

    /// Whether `scope` is a shield, or in one.
    pub(crate) fn is_shielded(&self, scope: u64) -> bool {
        self.around(scope).any(|scope| self.find(scope).is_some_and(|scope| scope.shield))
    }

    fn is_around(&self, scope: u64, inner: u64) -> bool {
        self.around(inner).any(|around| around == scope)
    }

    /// `scope` itself, and those around it; `ROOT` is the last.
    fn around(&self, scope: u64) -> impl Iterator<Item = u64> {
        let outer = |scope: &u64| self.find(*scope).map(|scope| scope.outer);
        std::iter::successors(Some(scope), outer)
    }

    fn find(&self, scope: u64) -> Option<&Scope> {
        self.scopes().iter().find(|other| other.id == scope)
    }

    fn scopes(&self) -> &[Scope] {
        self.nest.as_ref().map_or(&[], |nest| &nest.scopes)
    }

    fn nest(&mut self) -> &mut Nest {
        self.nest.get_or_insert_default()
    }

    /// Opens a scope inside of `outer`.
    pub(crate) fn open(&mut self, outer: u64, shield: bool) -> u64 {
        let nest = self.nest();
        nest.last_id += 1;
        nest.scopes.push(Scope { id: nest.last_id, outer, shield, waker: None });
        nest.last_id
    }

    /// Lets `scope` be woken by a kill. Returns the waker before.
    #[must_use = "a waker is dropped when the lock has been let go"]
    pub(crate) fn watch(&mut self, scope: u64, waker: &Waker) -> Option<Waker> {
        let scope = self.nest().scopes.iter_mut().find(|other| other.id == scope)?;
        scope.waker.replace(waker.clone())
    }

    /// Closes `scope`; what is still open in it is from now on inside of its outer one.
    pub(crate) fn close(&mut self, scope: u64) -> Option<Waker> {
        let nest = self.nest.as_mut()?;
        let place = nest.scopes.iter().position(|other| other.id == scope)?;
        let closed = nest.scopes.remove(place);
        for inner in nest.scopes.iter_mut().filter(|inner| inner.outer == scope) {
            inner.outer = closed.outer;
        }
        if nest.resumed_at == Some(scope) {
            nest.resumed_at = Some(closed.outer);
        }
        closed.waker
    }

    /// Those that a kill gets polled, apart from the greenlet itself.
    pub(crate) fn wakers(&self) -> impl Iterator<Item = Waker> {
        self.scopes().iter().filter_map(|scope| scope.waker.clone())
    }
}
