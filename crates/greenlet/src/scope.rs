//! [`Scope`]: a part of a greenlet that has a say in how a kill is seen.

use std::sync::Arc;
use std::task::Waker;

use crate::control::Control;
use crate::{GreenletExit, current};

/// An open scope of a greenlet. Dropping it closes it.
pub(crate) struct Scope {
    control: Arc<Control>,
    id: u64,
    /// The waker that a kill wakes.
    waker: Option<Waker>,
}

impl Scope {
    /// Opens one in the greenlet that is being polled; None if none is.
    fn open(shield: bool) -> Option<Self> {
        let control = current::control()?;
        let id = control.open_scope(current::scope(), shield);
        Some(Self { control, id, waker: None })
    }

    /// Makes sure that `scope` is one of the greenlet that is being polled, which may be another
    /// than the last time.
    pub(crate) fn enter(scope: &mut Option<Self>, shield: bool) -> Option<&mut Self> {
        if scope.as_ref().map(|scope| scope.control.id()) != current::id() {
            *scope = None;
            *scope = Self::open(shield);
        }
        scope.as_mut()
    }

    /// Runs `code`, the poll of what is in this scope.
    pub(crate) fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        current::in_scope(self.id, code)
    }

    /// The kill, if it is to be seen here.
    pub(crate) fn take_exit(&self) -> Option<GreenletExit> {
        self.control.take_exit_at(self.id)
    }

    /// As [`take_exit`](Self::take_exit); if there is none, `waker` is woken when one comes.
    pub(crate) fn take_exit_or_watch(&mut self, waker: &Waker) -> Option<GreenletExit> {
        if !self.waker.as_ref().is_some_and(|before| before.will_wake(waker)) {
            let before = self.control.kills(|kills| kills.watch(self.id, waker));
            drop(before);
            self.waker = Some(waker.clone());
        }
        self.take_exit()
    }

    /// Closes it; true if there is a kill, and whatever is around this is to see it now.
    pub(crate) fn close(self) -> bool {
        let control = Arc::clone(&self.control);
        drop(self);
        control.is_killed() && control.kills(|kills| kills.is_due_around(current::scope()))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.control.close_scope(self.id);
    }
}
