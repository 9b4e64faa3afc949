//! [`Kills`]: the kill that was sent to a greenlet, and which part of the greenlet is to see it.
//!
//! Parts that have a say are scopes: each `catch_exit`, which may see a kill, and each `shield`,
//! which keeps it off. They nest, and the greenlet as a whole is the outermost one, [`ROOT`]. A
//! kill is due at a scope that is in no shield and has no scope inside: so the innermost sees it,
//! and nobody before the shields inside are over.

use std::task::Waker;

use crate::GreenletExit;

/// The greenlet as a whole.
pub(crate) const ROOT: u64 = 0;

#[derive(Default)]
pub(crate) struct Kills {
    /// The kill that nobody has seen yet.
    exit: Option<GreenletExit>,
    /// Those that are open, `ROOT` apart; inner ones behind outer ones.
    scopes: Vec<Scope>,
    last_id: u64,
}

struct Scope {
    id: u64,
    outer: u64,
    /// It is a shield, or in one.
    shielded: bool,
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

    /// Takes the kill if it is due at `scope`.
    pub(crate) fn take_at(&mut self, scope: u64) -> Option<GreenletExit> {
        if self.is_due(scope) { self.exit.take() } else { None }
    }

    pub(crate) fn is_due(&self, scope: u64) -> bool {
        let has_inner = || self.scopes.iter().any(|inner| inner.outer == scope);
        self.exit.is_some() && !self.is_shielded(scope) && !has_inner()
    }

    pub(crate) fn is_shielded(&self, scope: u64) -> bool {
        self.scopes.iter().any(|other| other.id == scope && other.shielded)
    }

    /// Opens a scope inside of `outer`.
    pub(crate) fn open(&mut self, outer: u64, shield: bool) -> u64 {
        let shielded = shield || self.is_shielded(outer);
        self.last_id += 1;
        self.scopes.push(Scope { id: self.last_id, outer, shielded, waker: None });
        self.last_id
    }

    /// Lets `scope` be woken by a kill. Returns the waker before.
    #[must_use = "a waker is dropped when the lock has been let go"]
    pub(crate) fn watch(&mut self, scope: u64, waker: &Waker) -> Option<Waker> {
        let scope = self.scopes.iter_mut().find(|other| other.id == scope)?;
        scope.waker.replace(waker.clone())
    }

    /// Closes `scope`; what is still open in it is from now on inside of its outer one.
    pub(crate) fn close(&mut self, scope: u64) -> Option<Waker> {
        let place = self.scopes.iter().position(|other| other.id == scope)?;
        let closed = self.scopes.remove(place);
        for inner in self.scopes.iter_mut().filter(|inner| inner.outer == scope) {
            inner.outer = closed.outer;
        }
        closed.waker
    }

    /// Those that a kill gets polled, apart from the greenlet itself.
    pub(crate) fn wakers(&self) -> impl Iterator<Item = Waker> {
        self.scopes.iter().filter_map(|scope| scope.waker.clone())
    }
}
